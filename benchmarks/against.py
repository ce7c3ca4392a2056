"""What was measured before beside what was measured after, every result of both: what got worse, and what better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.harness import Result
from benchmarks.page import Measured, grid
from benchmarks.written import quartiles, readable

NOTICEABLE = 0.02
"""A smaller change is none, whatever the spread."""


def compared(before: Mapping[str, Measured], after: Mapping[str, Measured]) -> str:
    """Markdown: a row for each result of the programs that were measured after, and what is worse, by name.

    Worse, or better, is what changed beyond the spread: the ranges between the quartiles do not overlap.
    """
    rows = [row for program in after for row in _rows(program, before.get(program), after[program])]
    worse = [row[0] for row in rows if row[-1] == "worse"]
    found = f"{len(worse)} of {len(rows)} are worse: {', '.join(worse)}." if worse else f"None of {len(rows)} is worse."
    pairs = [(before[program], after[program]) for program in after if program in before]
    if any(was.machine != now.machine for was, now in pairs):
        found += " They were not measured on the same machine with the same versions."
    if any(was.quick or now.quick for was, now in pairs):
        found += " Some were measured in short runs."
    return f"{grid(['result', 'before', 'after', 'change', ''], rows)}\n\n{found}"


def _rows(program: str, before: Measured | None, after: Measured) -> Iterator[list[str]]:
    old = {result.name: result for result in before.results} if before is not None else {}
    new = {result.name: result for result in after.results}
    for name in old | new:
        was, now = old.get(name), new.get(name)
        if was is not None and now is not None and was.unit != now.unit:
            was = None  # another thing of the same name
        yield [f"`{program} {name}`", _written(was), _written(now), *_change(was, now)]


def _written(result: Result | None) -> str:
    return "" if result is None else readable(result.value, result.unit, result.samples)


def _change(was: Result | None, now: Result | None) -> tuple[str, str]:
    if was is None:
        return "", "new"
    if now is None:
        return "", "gone"
    return f"{(now.value / was.value - 1) * 100:+.0f} %" if was.value else "", verdict(was, now)


def verdict(was: Result, now: Result) -> str:
    """`worse`, `better`, or nothing, where the difference is within the spread of the two."""
    (low, high), (new_low, new_high) = ((quartiles(each.samples) or (each.value, each.value)) for each in (was, now))
    overlap = low <= new_high and new_low <= high
    if overlap or abs(now.value - was.value) <= NOTICEABLE * abs(was.value):
        return ""
    return "better" if (now.value > was.value) == now.more else "worse"
