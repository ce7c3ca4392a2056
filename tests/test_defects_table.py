"""docs/inherited-defects.md is complete and true: every id once, every test it names, every test named after an id."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "inherited-defects.md"
LAST = {"T": 16, "P": 19, "C": 29, "D": 12, "R": 14}
IDS = [f"{letter}{number}" for letter, last in LAST.items() for number in range(1, last + 1)]
CELLS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TABLE.read_text().splitlines() if line[:1] == "|"]
ROWS = [cells for cells in CELLS if re.fullmatch(r"[A-Z]\d+", cells[0])]


def defined() -> set[str]:
    """The name of every test in this folder."""
    files = sorted(TESTS.rglob("test_*.py"))
    return {name for file in files for name in re.findall(r"^ *def (test_\w+)\(", file.read_text(), re.MULTILINE)}


def named(row: list[str]) -> set[str]:
    """The tests that a row names."""
    return set(re.findall(r"`(test_\w+)`", row[-1]))


def test_table_has_each_id_once_in_order() -> None:
    assert [row[0] for row in ROWS] == IDS


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_row_says_what_they_do_and_what_we_do(row: list[str]) -> None:
    _id, theirs, ours, _tests = row
    assert len(theirs) > 10
    assert len(ours) > 10


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_row_names_a_test_or_the_missing_part_or_why_none_applies(row: list[str]) -> None:
    excused = re.search(r"\*not (built yet|applicable)\*: \w+", row[2])
    assert named(row) or excused
    assert not (named(row) and "*not applicable*" in row[2])


def test_each_test_that_the_table_names_exists() -> None:
    assert set().union(*map(named, ROWS)) - defined() == set()


def test_each_test_named_after_an_id_is_in_the_row_of_that_id() -> None:
    rows = {row[0]: named(row) for row in ROWS}
    own = {(match[1], match[0]) for name in defined() if (match := re.fullmatch(r"test_([A-Z]\d+)_\w+", name))}
    assert sorted(name for id, name in own if name not in rows.get(id, ())) == []
