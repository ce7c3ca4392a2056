"""What the command line prints: JSON, or text and tables by rich."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
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
from .status import ConnectionRow, PeerRow

_WIDE = 130  # columns from which a table of peers can be read


def show(said: Mapping[str, object], as_json: bool, words: str) -> None:
    """One object, or the sentence that says the same."""
    click.echo(_json(said) if as_json else words)


def facts(said: Mapping[str, object], as_json: bool) -> None:
    """One object, or a table of name and value."""
    if as_json:
        click.echo(_json(said))
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
        click.echo(_json(said))
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


def peers(known: Sequence[PeerRow], as_json: bool) -> None:
    """Who is known: for people with ages instead of moments, and without what is empty for everybody.

    In a narrow terminal each has two lines, the id alone on the first, so that it can be copied.
    """
    if as_json or not known:
        rows("peers", [asdict(row) for row in known], as_json)
        return
    now = time.time()
    cells = [
        {
            "peer": row.peer,
            "role": row.role,
            "state": row.state,
            "address": row.address or "",
            "seen": ago(row.last_seen, now),
            "failed": ago(row.last_failure, now),
            "waits": ahead(row.quiet_until, now),
            "backoff": span(row.backoff) if row.backoff else "",
            "trust": "trusted" if row.trusted else "",
            "blocked": ahead(row.blocked_until, now),
        }
        for row in known
    ]
    shown = [name for name in cells[0] if any(cell[name] for cell in cells)]
    if Console().width >= _WIDE:
        rows("peers", [{name: cell[name] for name in shown} for cell in cells], as_json)
        return
    for cell in cells:  # an id takes most of a line: better one for it alone than a column that folds it
        told = {name: cell[name] for name in shown if cell[name]}
        peer = told.pop("peer")
        facts = (
            text if name in ("role", "state", "address", "trust") else f"{name} {text}" for name, text in told.items()
        )
        click.echo(f"{peer}\n    {', '.join(facts)}")


def connections(open: Sequence[ConnectionRow], as_json: bool) -> None:
    """What is open: for people in as few columns as say why each is kept."""
    if as_json or not open:
        rows("connections", [asdict(row) for row in open], as_json)
        return
    cells = [
        {
            "peer": row.peer[:8],
            "way": row.direction,
            "ip": row.ip,
            "age": span(row.age),
            "value": str(row.value),
            "tags": " ".join(f"{tag}={weight}" for tag, weight in row.tags.items()),
            "kept": " ".join((*row.protections, *(("in grace",) if row.in_grace else ()))),
        }
        for row in open
    ]
    rows("connections", cells, as_json)


def ago(moment: float | None, now: float) -> str:
    """How long something is past."""
    return "" if moment is None else f"{span(max(0.0, now - moment))} ago"


def ahead(moment: float | None, now: float) -> str:
    """How long something still takes."""
    if moment is None:
        return ""
    return "for good" if isinf(moment) else f"{span(max(0.0, moment - now))} more"


def span(seconds: float) -> str:
    """A length of time by its largest unit and the next one, as `2h 5m`."""
    left, units = round(seconds), (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
    first = next((index for index, (_, size) in enumerate(units) if left >= size), len(units) - 1)
    words = []
    for unit, size in units[first : first + 2]:
        count, left = divmod(left, size)
        words += [f"{count}{unit}"] if count else []
    return " ".join(words) or "0s"


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


def _json(said: object) -> str:
    """Valid JSON: it has no infinity, so what has no end is null."""
    return json.dumps(_finite(said))


def _finite(value: object) -> object:
    match value:
        case float() if isinf(value):
            return None
        case Mapping():
            return {name: _finite(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case _:
            return value


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if name in ("until", "since") and isinstance(value, float):
        return moment(value)
    if name == "rtt" and isinstance(value, float):
        return f"{value * 1000:.1f} ms"
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.1f} s" if isinstance(value, float) else str(value)
