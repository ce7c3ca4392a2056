"""The rooms of an actor: who has a `core/` has the same files beside it as every other, and no folder is crowded.

And what its engine asks for has the same name everywhere, so that `Actors.start_actor` can hand it over.
"""

from __future__ import annotations

import inspect
import typing
from pathlib import Path
from typing import Any

import pytest

from rookery import transport
from rookery.actors import blobs, connections, discovery, maintenance, membership, providers, resolver, tracker
from rookery.runtime import Engine

ACTORS = Path(__file__).parent.parent / "actors"
TRANSPORT = ACTORS.parent / "transport"
ROOMS = {"__init__.py", "config.py", "mailbox.py", "errors.py", "metrics.py", "engine.py", "py.typed"}
TESTS = Path(__file__).parent
MAX_FILES = 12
STILL_CROWDED = {".", "tracker/core"}  # of the tests; none is added


def cut() -> list[Path]:
    """The actors with a `core/`."""
    return sorted(folder.parent for folder in ACTORS.glob("*/core"))


@pytest.mark.parametrize("actor", cut(), ids=lambda actor: actor.name)
def test_actor_has_the_same_rooms_as_every_other(actor: Path) -> None:
    assert {path.name for path in actor.iterdir() if path.is_file()} == ROOMS
    assert {path.name for path in actor.iterdir() if path.is_dir()} - {"__pycache__"} >= {"core", "parts"}


@pytest.mark.parametrize("actor", [*cut(), TRANSPORT], ids=lambda actor: actor.name)
def test_actor_has_no_folder_of_more_than_twelve_modules(actor: Path) -> None:
    folders = [folder for folder in (actor, *actor.rglob("*")) if folder.is_dir()]
    crowded = [folder.name for folder in folders if len(list(folder.glob("*.py"))) > MAX_FILES]
    assert crowded == []


def test_tests_have_no_folder_of_more_than_twelve_modules_but_those_that_are_known() -> None:
    folders = [folder for folder in (TESTS, *TESTS.rglob("*")) if folder.is_dir()]
    crowded = {str(folder.relative_to(TESTS)) for folder in folders if len(list(folder.glob("*.py"))) > MAX_FILES}
    assert crowded <= STILL_CROWDED


def engines() -> dict[str, type[Engine[Any]]]:
    """Every engine of a node, by the name of its actor."""
    return {
        "transport": transport.Engine,
        "tracker": tracker.Engine,
        "connections": connections.Engine,
        "maintenance": maintenance.Engine,
        "discovery": discovery.Engine,
        "membership": membership.Engine,
        "providers": providers.Engine,
        "resolver": resolver.Engine,
        "blobs": blobs.Engine,
    }


@pytest.mark.parametrize("name", engines())
def test_engine_asks_for_another_actor_by_that_actors_name(name: str) -> None:
    named = {engine.mailbox_type: actor for actor, engine in engines().items()}
    hints = typing.get_type_hints(engines()[name].__init__)
    asked = {
        parameter: named[mailbox]
        for parameter, hint in hints.items()
        for mailbox in (hint, *typing.get_args(hint))
        if isinstance(mailbox, type) and mailbox in named
    }
    assert asked == {actor: actor for actor in asked.values()}


@pytest.mark.parametrize("name", engines())
def test_engine_takes_its_configuration_first_and_everything_else_by_name(name: str) -> None:
    first, *others = inspect.signature(engines()[name]).parameters.values()
    assert first.name == "config"
    assert {each.kind for each in others} <= {inspect.Parameter.KEYWORD_ONLY}
