"""Runs benchmark programs and writes what they say into docs/performance.md: `benchmarks/run [--quick] [PROGRAM ...]`.

A program's table stands between two comments that name it, so a run replaces the tables of the programs that ran and
leaves the rest of the page alone. A program that has no table yet gets one at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def programs() -> list[str]:
    """Every module here that is a benchmark by itself, in the order of their names."""
    found = (path for path in HERE.glob("*.py") if re.search(r"^    main\(\"", path.read_text(), re.MULTILINE))
    return sorted(path.stem for path in found)


def run(program: str, *, quick: bool) -> dict[str, Any]:
    """What the program prints with `--json`. Raises CalledProcessError."""
    command = [sys.executable, "-m", f"benchmarks.{program}", "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for each result; the columns of a baseline only where something has one."""
    compared = any(result["baseline"] is not None for result in results)
    heads = ["result", "ours", "baseline", "", "ratio"] if compared else ["result", "ours"]
    rows = [heads, ["---"] * len(heads)]
    for result in results:
        row = [f"`{result['name']}`", readable(result["value"], result["unit"])]
        if compared and result["baseline"] is not None:
            row += [result["baseline"], readable(result["baseline_value"], result["unit"]), f"{result['ratio']:.2f}"]
        rows.append(row + [""] * (len(heads) - len(row)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def readable(value: float, unit: str) -> str:
    """A value with three digits that count: 0.000152 s is 152 us."""
    if unit == "s" and value > 0:
        size, unit = next(((size, word) for size, word in _SECONDS if value >= size), _SECONDS[-1])
        value /= size
    if abs(value) < 100:
        return f"{value:.3g} {unit}"
    digits = 2 - int(math.log10(abs(value)))
    return f"{round(value, digits):,.0f} {unit}"


def put(page: str, program: str, text: str) -> str:
    """The page with this text between the program's comments."""
    first, last = f"<!-- {program} -->", f"<!-- /{program} -->"
    section = f"{first}\n\n{text}\n\n{last}"
    if first not in page:
        return f"{page.rstrip()}\n\n## `benchmarks.{program}`\n\n{section}\n"
    before, _, rest = page.partition(first)
    _, found, after = rest.partition(last)
    if not found:
        raise ValueError(f"{first} has no {last}")
    return before + section + after


def main() -> int:
    """Run what is asked for, all by default; one that fails is named, and the others go on."""
    parser = argparse.ArgumentParser(description="Run benchmarks and write docs/performance.md.")
    parser.add_argument("program", nargs="*", help=f"of {', '.join(programs())}; all by default")
    parser.add_argument("--quick", action="store_true", help="each done in 60 s")
    arguments = parser.parse_args()
    unknown = set(arguments.program) - set(programs())
    if unknown:
        parser.error(f"no benchmark: {', '.join(sorted(unknown))} (allowed: {', '.join(programs())})")
    failed: list[str] = []
    for program in arguments.program or programs():
        started = time.monotonic()
        try:
            said = run(program, quick=arguments.quick)
        except (subprocess.CalledProcessError, json.JSONDecodeError) as error:
            print(f"{program}: {error}", file=sys.stderr)
            failed.append(program)
            continue
        PAGE.write_text(put(PAGE.read_text(), program, table(said["results"])))
        print(f"{program}: {len(said['results'])} results in {time.monotonic() - started:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
