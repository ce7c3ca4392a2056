"""What the command line prints: JSON, or text and tables; and bars by rich on standard error."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite, isinf
from typing import TextIO

import click
from msgspec.structs import asdict
from rich.cells import cell_len

from ..control.status import ConnectionRow, PeerRow
from ..logs import printable

_LONGEST = 1000 * 365.25 * 86_400  # seconds that are told by their number
_SPEAKING = frozenset({"role", "state", "address", "trust", "way", "ip", "direction"})  # need no name beside them


def show(said: Mapping[str, object], as_json: bool, text: str) -> None:
    """One object, or the sentence that says the same."""
    click.echo(json_text(said) if as_json else text)


def facts(said: Mapping[str, object], as_json: bool) -> None:
    """One object, or a line for each name and its value."""
    if as_json:
        click.echo(json_text(said))
        return
    longest = max(map(len, said), default=0)
    for name, value in said.items():
        click.echo(f"{click.style(name.ljust(longest), bold=True)}  {_cell(name, value)}".rstrip())


def rows(title: str, said: Sequence[Mapping[str, object]], as_json: bool) -> None:
    """A list of objects, or a table of them."""
    if as_json:
        click.echo(json_text(said))
    else:
        table(title, [{name: _cell(name, value) for name, value in row.items()} for row in said])


_ENDLESS = "1000 years and more"


def table(title: str, cells: Sequence[Mapping[str, str]]) -> None:
    """Rows of the same columns, the first of which says whose row it is; `title` names them if there are none.

    Where the output is no terminal each row is one line, whatever its length, with `-` for what is empty: `grep` finds
    it and `awk` can count its columns. A terminal is not shown columns that are empty for all; where it is too narrow
    for a line, the first column stands alone on one, so that it can be copied, and the others follow below.
    """
    if not cells:
        click.echo(f"no {title}")
        return
    width = _width()
    shown = [name for name in cells[0] if width is None or any(row[name] for row in cells)] or list(cells[0])
    heads = [name.replace("_", " ") if width is not None else name for name in shown]
    lines = [[row[name] if width is not None else row[name] or "-" for name in shown] for row in cells]
    widths = [max(cell_len(line[column]) for line in (heads, *lines)) for column in range(len(shown))]
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        for row in cells:
            _stacked({name: row[name] for name in shown if row[name]}, width)
        return
    for number, line in enumerate((heads, *lines)):
        text = "  ".join(cell + " " * (wide - cell_len(cell)) for cell, wide in zip(line, widths, strict=True)).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)


def _stacked(row: dict[str, str], width: int) -> None:
    first, *others = row.items()
    facts = (
        text if name in _SPEAKING or (name, text) == ("until", "for good") else f"{name.replace('_', ' ')} {text}"
        for name, text in others
    )
    click.echo(first[1])
    for line in textwrap.wrap(", ".join(facts), max(20, width - 4), break_on_hyphens=False, break_long_words=False):
        click.echo(f"    {line}")


def _width() -> int | None:
    """Columns of the terminal; None if the output is none."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody watches; nobody does where it is closed."""
    return stream is not None and stream.isatty()


def peers(known: Sequence[PeerRow], as_json: bool) -> None:
    """Who is known: for people with ages instead of moments."""
    if as_json:
        rows("peers", [asdict(row) for row in known], as_json)
        return
    now = time.time()
    cells = [
        {
            "peer": row.peer,
            "role": row.role,
            "state": row.state,
            "address": row.address or "",
            "seen": "now" if row.connected else ago(row.last_seen, now),
            "failed": ago(row.last_failure, now),
            "waits": ahead(row.quiet_until, now),
            "backoff": span(row.backoff) if row.backoff else "",
            "trust": "trusted" if row.trusted else "",
            "blocked": ahead(row.blocked_until, now),
        }
        for row in known
    ]
    table("peers", [{name: printable(cell) for name, cell in row.items()} for row in cells])


def connections(open: Sequence[ConnectionRow], as_json: bool) -> None:
    """What is open: for people in as few columns as say why each is kept."""
    if as_json:
        rows("connections", [asdict(row) for row in open], as_json)
        return
    cells = [
        {
            "peer": row.peer,
            "way": row.direction,
            "ip": row.ip,
            "age": span(row.age),
            "value": str(row.value),
            "tags": _cell("tags", row.tags),
            "kept": "short-lived" if row.short_lived else " ".join((*row.protections, *_in_grace(row))),
        }
        for row in open
    ]
    table("connections", [{name: printable(cell) for name, cell in row.items()} for row in cells])


def _in_grace(row: ConnectionRow) -> tuple[str, ...]:
    return ("in grace",) if row.in_grace else ()


def ago(moment: float | None, now: float) -> str:
    """How long something is past."""
    return "" if moment is None else f"{span(max(0.0, now - moment))} ago"


def ahead(moment: float | None, now: float) -> str:
    """How long something still takes."""
    if moment is None:
        return ""
    left = "for good" if isinf(moment) else span(max(0.0, moment - now))
    return left if left in ("for good", _ENDLESS) else f"{left} more"


def span(seconds: float) -> str:
    """A length of time by its largest unit and the next one, as `2h 5m`."""
    if not abs(seconds) < _LONGEST:
        return _ENDLESS
    left, units = round(seconds), (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
    first = next((index for index, (_, size) in enumerate(units) if left >= size), len(units) - 1)
    words = []
    for unit, size in units[first : first + 2]:
        count, left = divmod(left, size)
        words += [f"{count}{unit}"] if count else []
    return " ".join(words) or "0s"


def moment(unix_seconds: float) -> str:
    """A time of day, for people; in words where there is no date for it."""
    if isinf(unix_seconds):
        return "for good"
    try:
        return datetime.fromtimestamp(unix_seconds).astimezone().isoformat(sep=" ", timespec="seconds")
    except (OverflowError, ValueError, OSError):  # datetime ends with the year 9999
        return "after the year 9999" if unix_seconds > 0 else "before the year 1"


def json_text(said: object) -> str:
    """Valid JSON: it has no infinity and no NaN, so what has no end is null; texts are what UTF-8 can say."""
    return json.dumps(_finite(said))


def _finite(value: object) -> object:
    match value:
        case float() if not isfinite(value):
            return None
        case str():  # bytes of a name that are no UTF-8: half a surrogate pair, which JSON's readers refuse
            return value.encode("utf-8", "backslashreplace").decode()
        case Mapping():
            return {_finite(name): _finite(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case _:
            return value


def _cell(name: str, value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else ""
        case float() if name in ("until", "since"):
            return moment(value)
        case float() if name == "rtt":
            return f"{value * 1000:.1f} ms"
        case float():
            return f"{value:.1f} s"
        case Mapping():
            return printable(" ".join(f"{key}={inner}" for key, inner in value.items()))
        case list() | tuple():
            return printable(" ".join(map(str, value)))
        case _:
            return printable(str(value))
