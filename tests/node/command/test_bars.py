"""The line that says how far a get is."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from rookery.actors.blobs import Progress
from rookery.node.command import bars

LONG = "connecting to 1 of 3 holders; 1f0e2d3c cannot be reached: timeout; 2a0e2d3c cannot be reached: cooldown"
SIZE = 1_500_000


class Watched:
    """A line with a clock that the test moves."""

    def __init__(self, name: str = "copy.bin") -> None:
        self.now = 100.0
        self.line = bars.Line(name, lambda: self.now)

    def said(self, done: int, total: int | None, stage: str = "", after: float = 0.0) -> None:
        self.now += after
        self.line.show(Progress(done, total, stage))

    def shown(self, width: int = 80) -> str:
        console = Console(width=width, file=(file := io.StringIO()), color_system=None)
        console.print(self.line)
        (line,) = file.getvalue().splitlines()
        return line


def test_line_says_the_state_alone_while_there_is_no_size() -> None:
    watched = Watched()
    assert watched.shown() == "copy.bin  looking"
    watched.said(0, None, "connecting to 1 of 2 holders")
    assert watched.shown() == "copy.bin  connecting to 1 of 2 holders"


def test_line_says_the_state_beside_the_bytes() -> None:
    watched = Watched()
    watched.said(0, SIZE, "fetching")
    assert watched.shown().split() == ["copy.bin", "0.0/1.5", "MB", "fetching"]
    watched.said(SIZE // 2, SIZE, "fetching", after=1.0)
    assert watched.shown() == f"copy.bin  {'━' * 10}{' ' * 10}  0.8/1.5 MB  750.0 kB/s  1s left  fetching"
    watched.said(SIZE // 2, SIZE, "connecting to 2 of 3 holders", after=3.0)
    assert watched.shown() == f"copy.bin  {'━' * 10}{' ' * 10}  0.8/1.5 MB  connecting to 2 of 3 holders"
    watched.said(SIZE, SIZE, "fetching")
    assert watched.shown() == f"copy.bin  {'━' * 20}  1.5/1.5 MB"


def test_line_of_a_get_that_asks_no_members_has_no_state_beside_the_bytes() -> None:
    watched = Watched()
    watched.said(0, SIZE)
    assert watched.shown().split() == ["copy.bin", "0.0/1.5", "MB"]


def test_rate_and_time_that_is_left_end_when_nothing_comes() -> None:
    watched = Watched()
    for number in range(5):
        watched.said(100_000 * number, SIZE, "fetching", after=1.0)
    assert watched.shown().endswith("  0.4/1.5 MB  100.0 kB/s  11s left  fetching")
    watched.now += 2.1
    assert watched.shown().endswith("  0.4/1.5 MB  fetching")


def test_rate_is_told_of_pieces_that_come_seldom() -> None:
    watched = Watched()
    for number in range(3):
        watched.said(80_000 * number, SIZE, "fetching", after=8.0)
    watched.now += 2.1
    assert "/s" in watched.shown()
    watched.now += 13.0
    assert "/s" not in watched.shown()


def test_what_was_here_before_is_no_rate() -> None:
    watched = Watched()
    watched.said(0, None, "looking")
    watched.said(1_200_000, SIZE, "looking", after=0.1)
    assert watched.shown().endswith("1.2/1.5 MB  looking")


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("stage", ["", "fetching", LONG])
@pytest.mark.parametrize("total", [None, 0, 7, SIZE, 10**15])
def test_line_is_one_and_no_wider_than_the_terminal(width: int, stage: str, total: int | None) -> None:
    watched = Watched("a name of a file that is longer than what there is room for in any line.bin")
    watched.said(0, total, stage)
    watched.said((total or 0) // 2, total, stage, after=0.5)
    assert 0 < len(watched.shown(width)) <= width


def test_name_of_a_file_writes_neither_a_second_line_nor_to_the_terminal() -> None:
    assert Watched("a\nb\x1b[2J").shown() == r"a\nb\x1b[2J  looking"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """What is written to a terminal of 80 columns."""
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=True, color_system=None)
    monkeypatch.setattr(bars, "Console", lambda **_how: console)
    monkeypatch.setattr(bars, "is_terminal", lambda _stream: True)
    return file.getvalue


def test_progress_is_drawn_in_one_line_of_a_terminal_and_its_end_stays(written: Callable[[], str]) -> None:
    with bars.progress("copy", hidden=False) as show:
        show(Progress(0, None, LONG))
        show(Progress(SIZE, SIZE))
    last = re.sub(r"\x1b\[[?0-9]*[A-Za-z]", "", written()).split("\r")[-1]
    assert last == f"copy  {'━' * 20}  1.5/1.5 MB\n"


def test_progress_that_is_hidden_writes_nothing(written: Callable[[], str]) -> None:
    with bars.progress("copy", hidden=True) as show:
        show(Progress(1, 2, "fetching"))
    assert written() == ""
