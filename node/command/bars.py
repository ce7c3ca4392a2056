"""How far something is, on standard error. Rich takes long to import, so this is imported by who draws a bar."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from ...actors.blobs import Progress as BlobProgress
from .screen import is_terminal


@contextlib.contextmanager
def progress(name: str, *, hidden: bool) -> Iterator[Callable[[BlobProgress], object]]:
    """A bar on standard error while something is fetched; nothing if that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    disable = hidden or not is_terminal(sys.stderr)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=disable) as bar:
        task = bar.add_task(Text(name).markup, total=None)

        def show(done: BlobProgress) -> None:
            words = name if done.total is not None or not done.stage else f"{name}: {done.stage}"
            bar.update(task, description=Text(words).markup, completed=done.done, total=done.total)

        yield show


@contextlib.contextmanager
def steps(name: str, total: int, *, hidden: bool) -> Iterator[Callable[[], object]]:
    """A bar on standard error while something is done in `total` steps; call what is yielded after each."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    disable = hidden or not is_terminal(sys.stderr)
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=disable) as bar:
        task = bar.add_task(Text(name).markup, total=total)
        yield lambda: bar.advance(task)
