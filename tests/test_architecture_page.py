"""docs/architecture.md names every message of every mailbox, and no other."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

from rookery.runtime import Message

PAGE = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text()
ACTORS = {
    "transport": "rookery.transport",
    "tracker": "rookery.actors.tracker",
    "connections": "rookery.actors.connections",
    "maintenance": "rookery.actors.maintenance",
    "discovery": "rookery.actors.discovery",
    "membership": "rookery.actors.membership",
    "resolver": "rookery.actors.resolver",
    "blobs": "rookery.node.blobs",
    "control": "rookery.node.control",
}


def told(actor: str) -> list[str]:
    """The messages in the actor's table."""
    (section,) = re.findall(rf"^### \[{actor}\].*?$(.*?)(?=^###|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| ") and not row.startswith("| ---")]
    return [name.strip(" *") for row in rows[1:] for name in row.split(",")]


def is_of(message: type[Message], package: str) -> bool:
    """Whether it is defined in this package, and not a base class."""
    return message.__module__.startswith(f"{package}.") and message.__doc__ is not None


@pytest.mark.parametrize("actor", ACTORS)
def test_page_names_every_message_of_a_mailbox_and_no_other(actor: str) -> None:
    module = importlib.import_module(f"{ACTORS[actor]}.mailbox")
    there = {
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Message) and is_of(value, ACTORS[actor])
    }
    assert sorted(told(actor)) == sorted(there)


def test_page_links_to_files_that_exist() -> None:
    links = re.findall(r"\]\((\.\./[^)#]+)\)", PAGE)
    assert len(links) > 15
    assert [link for link in links if not (Path(__file__).parent / link).exists()] == []


def test_page_draws_each_of_the_seven_flows() -> None:
    assert PAGE.count("sequenceDiagram") == 7
