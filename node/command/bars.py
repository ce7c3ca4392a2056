"""How far something is, on standard error. Rich takes long to import, so this is imported by who draws a bar."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from msgspec import Struct
from rich import filesize
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ...actors.blobs import Progress as BlobProgress
from ..logs import printable
from .screen import is_terminal, span

_RATE_OVER = 5.0
"""Seconds over which a rate is measured."""
_FRESH, _STALE = 2.0, 15.0
"""Seconds without a byte after which there is no rate any more: twice the last pause, and from 2 to 15."""
_LONGEST_BAR, _GAP = 40, "  "


class _Seen(Struct, frozen=True):
    """Of one file, as of the last word. came: when how many bytes were here, oldest first; since the size is known."""

    said: BlobProgress
    came: tuple[tuple[float, int], ...] = ()


class Line:
    """How far a file is, in one line that is no wider than the terminal: bytes, and what is done to get more.

    It is drawn on a thread of its own, several times a second, so that a rate ends when nothing comes.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = printable(name)
        self._clock = clock
        self._seen = _Seen(BlobProgress(0, None))

    def show(self, said: BlobProgress) -> None:
        """What is known by now."""
        came, now = self._seen.came, self._clock()
        if said.total is not None and (not came or said.done != came[-1][1]):
            kept = tuple(each for each in came if each[0] >= now - _RATE_OVER) or came[-1:]
            came = (*kept, (now, said.done))
        self._seen = _Seen(said, came)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The name, a bar if there is room for one, and the facts."""
        said, width = self._seen.said, options.max_width
        name = Text(self._name)
        name.truncate(max(8, width // 3), overflow="ellipsis")
        facts = Text(_GAP.join(self._facts()))
        bar = min(_LONGEST_BAR, width // 4)
        left = width - name.cell_len - len(_GAP)
        yield Text.assemble(name, _GAP, end="")
        if said.total is not None and facts.cell_len <= left - bar - len(_GAP):
            full, dash = (bar * said.done // said.total if said.total else bar), "-" if options.ascii_only else "━"
            rest = dash if console.color_system and not console.no_color else " "
            yield Text.assemble((dash * full, "bar.complete"), (rest * (bar - full), "bar.back"), _GAP, end="")
        facts.truncate(max(0, left), overflow="ellipsis")
        yield facts

    def _facts(self) -> Iterator[str]:
        said = self._seen.said
        if said.total is None:
            yield said.stage or "looking"
            return
        yield amounts(said.done, said.total)
        if said.done >= said.total:
            return
        rate = self._rate()
        if rate:
            yield f"{filesize.decimal(round(rate))}/s"
            yield f"{span((said.total - said.done) / rate)} left"
        if said.stage:
            yield said.stage

    def _rate(self) -> float:
        """Bytes a second; 0 while nothing comes."""
        came, now = self._seen.came, self._clock()
        if len(came) < 2:
            return 0.0
        (since, before), (paused, _), (until, last) = came[0], came[-2], came[-1]
        is_fresh = now - until <= min(_STALE, max(_FRESH, 2 * (until - paused)))
        seconds = max(until - since, min(1.0, now - since), 0.001)  # the first few come at once
        return max(0, last - before) / seconds if is_fresh else 0.0


def amounts(done: int, total: int) -> str:
    """Bytes of bytes, in the unit of the second, as `1.2/1.5 MB`."""
    unit, suffix = filesize.pick_unit_and_suffix(total, ["bytes", "kB", "MB", "GB", "TB", "PB"], 1000)
    digits = 0 if unit == 1 else 1
    return f"{done / unit:.{digits}f}/{total / unit:.{digits}f} {suffix}"


@contextlib.contextmanager
def progress(name: str, *, hidden: bool) -> Iterator[Callable[[BlobProgress], object]]:
    """A line on standard error while something is fetched; nothing if that is no terminal."""
    line = Line(name)
    if hidden or not is_terminal(sys.stderr):
        yield line.show
        return
    with Live(line, console=Console(stderr=True), refresh_per_second=5):
        yield line.show


@contextlib.contextmanager
def steps(name: str, total: int, *, hidden: bool) -> Iterator[Callable[[], object]]:
    """A bar on standard error while something is done in `total` steps; call what is yielded after each."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    disable = hidden or not is_terminal(sys.stderr)
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=disable) as bar:
        task = bar.add_task(Text(name).markup, total=total)
        yield lambda: bar.advance(task)
