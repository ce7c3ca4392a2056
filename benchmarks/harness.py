"""What the benchmarks share: results, their two forms, and how to time a thing beside its baseline."""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One figure. ratio: above 1 is always better for us; None without a baseline."""

    name: str
    value: float
    unit: str
    baseline: str | None = None
    baseline_value: float | None = None
    ratio: float | None = None


def more_is_better(name: str, value: float, unit: str, baseline: str, baseline_value: float) -> Result:
    """A rate beside the baseline's."""
    return Result(name, value, unit, baseline, baseline_value, value / baseline_value)


def less_is_better(name: str, value: float, unit: str, baseline: str, baseline_value: float) -> Result:
    """A cost beside the baseline's."""
    return Result(name, value, unit, baseline, baseline_value, baseline_value / value)


def side_by_side(ours: Callable[[], float], theirs: Callable[[], float], runs: int) -> tuple[float, float]:
    """The medians of both, measured in turn, so that a change of the machine's speed meets both."""
    pairs = [(ours(), theirs()) for _ in range(runs)]
    return statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs)


def median(measure: Callable[[], float], runs: int) -> float:
    """The median of several runs."""
    return statistics.median(measure() for _ in range(runs))


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on one core. Without effect where that cannot be asked for."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def main(benchmark: str, *parts: Callable[[bool], Iterator[Result]]) -> None:
    """Parse the arguments, measure, print. parts: each gets whether to be quick; `--only` takes their names."""
    parser = argparse.ArgumentParser(description=f"Measure {benchmark}.")
    parser.add_argument("--quick", action="store_true", help="be done in 60 s")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    names = [part.__name__ for part in parts]
    parser.add_argument("--only", action="append", choices=names, help="measure this part only (may be repeated)")
    arguments = parser.parse_args()
    results: list[Result] = []
    for part in parts:
        if arguments.only is None or part.__name__ in arguments.only:
            for result in part(arguments.quick):
                results.append(result)
                if not arguments.json:
                    print(line(result), flush=True)
    if arguments.json:
        print(json.dumps({"benchmark": benchmark, "results": [asdict(result) for result in results]}))


def line(result: Result) -> str:
    """One result for a person."""
    beside = ""
    if result.ratio is not None:
        beside = f"   {result.baseline}: {result.baseline_value:>12,.4g}   ratio {result.ratio:.2f}"
    return f"{result.name:<24} {result.value:>12,.4g} {result.unit:<14}{beside}"
