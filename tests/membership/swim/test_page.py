"""docs/membership.md is tested from its own tables."""

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from rookery.actors.membership import swim
from rookery.actors.membership.swim import (
    Config,
    Member,
    Notification,
    Periodic,
    State,
    Swim,
    SwimError,
    effects,
    messages,
)
from rookery.actors.membership.swim.member import supersedes

from .rig import ANN

PAGE = (Path(__file__).parents[3] / "docs" / "membership.md").read_text()


def table(*head: str) -> list[list[str]]:
    """The rows of the table whose head begins so."""
    lines = PAGE.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("| " + " | ".join(head)))
    rows: list[list[str]] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names(cell: str) -> list[str]:
    return re.findall(r"\w+", cell)


def test_page_says_what_replaces_what() -> None:
    columns = tuple(State)
    rules: dict[str, Callable[[int, int], bool]] = {
        "j > i": int.__gt__,
        "j >= i": int.__ge__,
        "always": lambda j, i: True,
        "never": lambda j, i: False,
    }
    for row, state in zip(table("held", "Alive(j)"), columns, strict=True):
        assert row[0].startswith(state.name.capitalize())
        for cell, said in zip(row[1:], columns, strict=True):
            for i in range(3):
                for j in range(3):
                    assert supersedes(Member(ANN, i, state), Member(ANN, j, said)) == rules[cell](j, i)


def test_page_says_what_each_message_carries() -> None:
    rows = {row[0]: (row[3], row[4]) for row in table("message", "sent when")}
    for kind in messages.Message.__args__:
        says = {True: "yes", False: "no"}
        assert rows.pop(kind.__name__) == (says[kind.updates], says[kind.items])
    assert rows == {}


def said_as(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case Periodic(frequency, members):
            return f"{frequency:g} to {members}"
        case float():
            return f"{value:.10g}"
        case _:
            return str(value)


def test_page_has_the_presets() -> None:
    presets = Config.simple(), Config.new_lan(10), Config.new_wan(10)
    for field, *cells in table("field", "simple"):
        assert cells == [said_as(getattr(preset, field)) for preset in presets], field


def test_page_has_the_numbers_of_sizes() -> None:
    lan, wan = Config.new_lan(), Config.new_wan()
    for row in table("members", "copies"):
        size, *numbers = map(float, row)
        n = int(size)
        longest = lan.shortest_suspicion(n) * lan.suspicion_max_factor
        expected = [lan.copies(n), lan.shortest_suspicion(n), longest, wan.shortest_suspicion(n), lan.sync_period(n)]
        assert numbers == pytest.approx(expected, rel=0.002)


def test_page_names_every_operation_and_nothing_else() -> None:
    said = {name for row in table("operation") for name in re.findall(r"`(\w+)`", row[0])}
    assert said == {name for name, _ in inspect.getmembers(Swim) if not name.startswith("_")}


def test_page_has_the_ranks_of_timers() -> None:
    said = {row[0]: int(row[1]) for row in table("timer", "rank")}
    repeating = effects.Repeating.__subclasses__()
    others = set(effects.Timer.__args__) - {effects.Repeating}
    assert said == {kind.__name__: kind.rank for kind in (*repeating, *others)}


def test_page_names_every_notification() -> None:
    said = {name for row in table("notification") for name in names(row[0])}
    assert said == {kind.__name__ for kind in Notification.__args__}


def test_page_names_every_error_and_whether_anything_had_changed() -> None:
    rows = {row[0]: row[2] for row in table("error")}
    errors = {name: value for name, value in vars(swim).items() if inspect.isclass(value)}
    wanted = {name: value for name, value in errors.items() if issubclass(value, SwimError) and value is not SwimError}
    assert set(rows) == set(wanted)
    for name, error in wanted.items():
        assert rows[name].startswith("yes" if error.touched else ("no", "`touched` says")), name


def test_page_names_switches_that_exist() -> None:
    known = {field.name for field in fields(Config)}
    assert {name for row in table("part", "rule") for name in re.findall(r"`(\w+)`", row[2])} <= known
