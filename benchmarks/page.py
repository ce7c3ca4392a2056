"""The page of the benchmarks: tables between comments that name a program, and the machines they were measured on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.harness import Result
from benchmarks.written import readable

MACHINES = "machines"
SECTION = re.compile(r"<!-- (\w+) -->\n(.*?)<!-- /\1 -->\n", re.DOTALL)
MACHINE = re.compile(r"^\* Machine \d+: (.+)$", re.MULTILINE)
FOOTNOTE = re.compile(r"^\*Machine (\d+), (.+)\*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one program said. machine: with the versions of what is measured on it. quick: in short runs."""

    machine: str
    date: str
    commit: str
    quick: bool
    results: Sequence[Result]


def put(page: str, program: str, measured: Measured) -> str:
    """The page with this table in the program's section, and in its head the machines that have a table."""
    machines: list[str] = MACHINE.findall(page)
    if measured.machine not in machines:
        machines.append(measured.machine)
    how = ", in short runs (`--quick`)" if measured.quick else ""
    footnote = f"*Machine {machines.index(measured.machine) + 1}, {measured.date}, {measured.commit}{how}*"
    page = put_text(page, program, f"{table(measured.results)}\n\n{footnote}")
    used = sorted({int(number) for number, _ in FOOTNOTE.findall(page)})
    page = FOOTNOTE.sub(lambda found: f"*Machine {used.index(int(found[1])) + 1}, {found[2]}*", page)
    head = (f"* Machine {place}: {machines[number - 1]}" for place, number in enumerate(used, 1))
    return put_text(page, MACHINES, "\n".join(head))


def put_text(page: str, name: str, text: str) -> str:
    """The page with this text between the comments of that name, which are made if there are none."""
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    section = f"{first}\n\n{text}\n\n{last}"
    if first not in page:
        return f"{page.rstrip()}\n\n## `benchmarks.{name}`\n\n{section}\n"
    before, _, rest = page.partition(first)
    _, found, after = rest.partition(last)
    if not found:
        raise ValueError(f"{first} has no {last}")
    return before + section + after


def table(results: Sequence[Result]) -> str:
    """Markdown: a row for each result; the columns of a baseline only where something has one."""
    compared = any(result.baseline is not None for result in results)
    heads = ["result", "ours", "baseline", "", "ratio"] if compared else ["result", "ours"]
    return grid(heads, map(_row, results))


def _row(result: Result) -> list[str]:
    row = [f"`{result.name}`", readable(result.value, result.unit, result.samples)]
    if result.baseline is None or result.baseline_value is None:
        return row
    theirs = readable(result.baseline_value, result.unit, result.baseline_samples)
    return [*row, result.baseline, theirs, f"{result.ratio:.2f}"]


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown. Rows may be shorter than its head."""
    whole = [heads, ["---"] * len(heads), *([*row, *[""] * (len(heads) - len(row))] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in whole)
