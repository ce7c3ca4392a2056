"""The rooms of an actor: who has a `core/` has the same files beside it as every other, and no folder is crowded."""

from __future__ import annotations

from pathlib import Path

import pytest

ACTORS = Path(__file__).parent.parent / "actors"
ROOMS = {"__init__.py", "config.py", "mailbox.py", "errors.py", "metrics.py", "engine.py", "py.typed"}
MAX_FILES = 12


def cut() -> list[Path]:
    """The actors with a `core/`."""
    return sorted(folder.parent for folder in ACTORS.glob("*/core"))


@pytest.mark.parametrize("actor", cut(), ids=lambda actor: actor.name)
def test_actor_has_the_same_rooms_as_every_other(actor: Path) -> None:
    assert {path.name for path in actor.iterdir() if path.is_file()} == ROOMS
    assert {path.name for path in actor.iterdir() if path.is_dir()} - {"__pycache__"} >= {"core", "parts"}


@pytest.mark.parametrize("actor", cut(), ids=lambda actor: actor.name)
def test_actor_has_no_folder_of_more_than_twelve_modules(actor: Path) -> None:
    folders = [folder for folder in (actor, *actor.rglob("*")) if folder.is_dir()]
    crowded = [folder.name for folder in folders if len(list(folder.glob("*.py"))) > MAX_FILES]
    assert crowded == []
