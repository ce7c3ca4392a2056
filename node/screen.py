"""What the command line prints: JSON, or text and tables by rich."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from math import isinf

import click
from rich import box
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
from rich.table import Table
from rich.text import Text

from .blobs import Progress as BlobProgress


def show(said: Mapping[str, object], as_json: bool, words: str) -> None:
    """One object, or the sentence that says the same."""
    click.echo(json.dumps(said) if as_json else words)


def facts(said: Mapping[str, object], as_json: bool) -> None:
    """One object, or a table of name and value."""
    if as_json:
        click.echo(json.dumps(said))
        return
    table = Table(box=None, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in said.items():
        table.add_row(name, Text(_cell(name, value)))
    Console().print(table)


def rows(title: str, said: Sequence[Mapping[str, object]], as_json: bool) -> None:
    """A list of objects, or a table."""
    if as_json:
        click.echo(json.dumps(said))
        return
    if not said:
        click.echo(f"no {title}")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in said[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in said:
        table.add_row(*(Text(_cell(name, value)) for name, value in row.items()))
    Console().print(table)


def moment(unix_seconds: float) -> str:
    """A time of day, for people."""
    if isinf(unix_seconds):
        return "for good"
    return datetime.fromtimestamp(unix_seconds).astimezone().isoformat(sep=" ", timespec="seconds")


@contextlib.contextmanager
def progress(name: str, *, hidden: bool) -> Iterator[Callable[[BlobProgress], object]]:
    """A bar on standard error while something is fetched; nothing if that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    disable = hidden or not sys.stderr.isatty()
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=disable) as bar:
        task = bar.add_task(Text(name).markup, total=None)
        yield lambda done: bar.update(task, completed=done.done, total=done.total)


@contextlib.contextmanager
def steps(name: str, total: int, *, hidden: bool) -> Iterator[Callable[[], object]]:
    """A bar on standard error while something is done in `total` steps; call what is yielded after each."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    disable = hidden or not sys.stderr.isatty()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=disable) as bar:
        task = bar.add_task(Text(name).markup, total=total)
        yield lambda: bar.advance(task)


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if name in ("blocked_until", "since") and isinstance(value, float):
        return moment(value)
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, Mapping):
        return " ".join(f"{key}={worth}" for key, worth in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return f"{value:.1f} s" if isinstance(value, float) else str(value)
