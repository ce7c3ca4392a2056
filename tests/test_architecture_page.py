"""docs/architecture.md names every message of every mailbox, and no other; docs/flows.md draws the flows."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

from rookery.runtime import EventMailbox, Mailbox, Message

DOCS = Path(__file__).parent.parent / "docs"
PAGE, FLOWS_PAGE = ((DOCS / name).read_text() for name in ("architecture.md", "flows.md"))
ACTORS = {
    "transport": "rookery.transport",
    "tracker": "rookery.actors.tracker",
    "connections": "rookery.actors.connections",
    "maintenance": "rookery.actors.maintenance",
    "discovery": "rookery.actors.discovery",
    "membership": "rookery.actors.membership",
    "providers": "rookery.actors.providers",
    "resolver": "rookery.actors.resolver",
    "blobs": "rookery.actors.blobs",
    "control": "rookery.node.control",
}


def told(actor: str) -> list[str]:
    """The messages in the actor's table."""
    (section,) = re.findall(rf"^### \[{actor}\].*?$(.*?)(?=^###|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| ") and not row.startswith("| ---")]
    return [name.strip(" *") for row in rows[1:] for name in row.split(",")]


def messages(module: str, package: str) -> set[str]:
    """Those that this module defines, or takes from another module of its package; the runtime's own of its mailbox."""
    there = vars(importlib.import_module(module))
    own = {
        name
        for name, value in there.items()
        if inspect.isclass(value) and issubclass(value, Message) and value.__module__.startswith(f"{package}.")
    }
    return own | ({"Subscribe"} if issubclass(there.get("Mailbox", Mailbox), EventMailbox) else set())


@pytest.mark.parametrize("actor", ACTORS)
def test_page_names_every_message_of_a_mailbox_and_no_other(actor: str) -> None:
    package = ACTORS[actor]
    modules = [info.name for info in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")]
    there = set[str]().union(*(messages(module, package) for module in modules))
    named = told(actor)
    assert len(named) == len(set(named))
    assert messages(f"{package}.mailbox", package) - set(named) == set(), "a message is not on the page"
    assert set(named) - there == set(), "the page names what is no message"


def handled(engine: Path) -> set[str]:
    """The names of the messages in the engine's table."""
    tables = [
        node.value
        for node in ast.walk(ast.parse(engine.read_text()))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "self.handlers"
    ]
    return {
        ast.unparse(key) for table in tables if isinstance(table, ast.Dict) for key in table.keys if key is not None
    }


@pytest.mark.parametrize("actor", ACTORS)
def test_message_that_the_page_does_not_call_an_event_is_handled_by_the_engine(actor: str) -> None:
    package = importlib.import_module(ACTORS[actor])
    events = {name for name in told(actor) if f"*{name}*" in PAGE}
    assert set(told(actor)) - events - handled(Path(package.__path__[0]) / "engine.py") == set()


def test_page_links_to_files_that_exist() -> None:
    links = re.findall(r"\]\((\.\./[^)#]+)\)", PAGE)
    assert len(links) > 15
    assert [link for link in links if not (Path(__file__).parent / link).exists()] == []


def test_flows_page_draws_each_of_the_seven_flows() -> None:
    assert FLOWS_PAGE.count("sequenceDiagram") == 7
