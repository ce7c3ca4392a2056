"""Runs benchmark programs and writes what they say into docs/performance.md: `benchmarks/run [--quick] [PROGRAM ...]`.

A program's table stands between two comments that name it, so a run replaces the tables of the programs that ran and
leaves the rest of the page alone. A program that has no table yet gets one at the end. Below a table it says when, on
which commit and on which machine it was measured; the machines are at the head of the page.

* `--save FILE` keeps what is measured, with each single run, beside what FILE has of other programs.
* `--against FILE` prints what was saved there beside what is measured now, and what is worse.
* `--from FILE` takes the results of a file that was saved instead of measuring.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.against import compared
from benchmarks.harness import Result
from benchmarks.machine import commit, machine
from benchmarks.page import Measured, put

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"


def programs() -> list[str]:
    """Every module here that is a benchmark by itself, in the order of their names."""
    found = (path for path in HERE.glob("*.py") if re.search(r"^ +main\(\"", path.read_text(), re.MULTILINE))
    return sorted(path.stem for path in found)


def run(program: str, *, quick: bool) -> Measured | None:
    """What the program says; None if it fails, which is told on stderr."""
    command = [sys.executable, "-m", f"benchmarks.{program}", "--json", *(["--quick"] if quick else [])]
    begun, on, started = f"{datetime.now(UTC):%Y-%m-%d}", commit(HERE.parent, PAGE), time.monotonic()
    try:
        done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True)
        results = [Result(**said) for said in json.loads(done.stdout)["results"]]
    except (subprocess.CalledProcessError, json.JSONDecodeError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return None
    print(f"{program}: {len(results)} results in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return Measured(machine(), begun, on, quick, results)


def load(path: Path) -> dict[str, Measured]:
    """What was saved, by program."""
    return {
        program: Measured(**{**said, "results": [Result(**each) for each in said["results"]]})
        for program, said in json.loads(path.read_text()).items()
    }


def save(path: Path, found: dict[str, Measured]) -> None:
    """Write it beside what the file has of other programs."""
    kept = load(path) if path.exists() else {}
    path.write_text(json.dumps({program: asdict(said) for program, said in (kept | found).items()}, indent=1) + "\n")


def saved(file: str) -> dict[str, Measured]:
    """The value of an option that names a file."""
    try:
        return load(Path(file))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise argparse.ArgumentTypeError(f"{file}: no results that --save wrote: {error}") from None


def main() -> int:
    """Run what is asked for, all by default; one that fails is named, and the others go on."""
    parser = argparse.ArgumentParser(description="Run benchmarks and write docs/performance.md.")
    parser.add_argument("program", nargs="*", help=f"of {', '.join(programs())}; all by default")
    parser.add_argument("--quick", action="store_true", help="each done in 60 s")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the results, of each single run, in this file")
    parser.add_argument("--against", type=saved, metavar="FILE", help="print what was saved there beside what is new")
    parser.add_argument("--from", type=saved, metavar="FILE", dest="there", help="take what was saved; measure nothing")
    arguments = parser.parse_args()
    allowed = programs() if arguments.there is None else list(arguments.there)
    unknown = set(arguments.program) - set(allowed)
    if unknown:
        parser.error(f"no benchmark: {', '.join(sorted(unknown))} (allowed: {', '.join(allowed)})")
    named, found = arguments.program or allowed, dict[str, Measured]()
    for program in named:
        said = run(program, quick=arguments.quick) if arguments.there is None else arguments.there[program]
        if said is not None:
            found[program] = said
            PAGE.write_text(put(PAGE.read_text(), program, said))
            if arguments.save is not None:
                save(arguments.save, {program: said})
    if arguments.against is not None:
        print(compared(arguments.against, found))
    return 1 if len(found) < len(named) else 0


if __name__ == "__main__":
    sys.exit(main())
