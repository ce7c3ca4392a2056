"""What the benchmarks share: results, their two forms, and how to time a thing beside its baseline."""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from benchmarks.written import readable

Figure = float | Sequence[float]
"""What was measured once, or by each of several runs."""
Part = Callable[[bool], Iterator["Result"]]
"""Measures some results; gets whether to be quick."""


@dataclass(frozen=True, slots=True)
class Result:
    """One figure, of several runs the median. ratio: above 1 is always better for us; None without a baseline.

    more: whether more is better. samples, baseline_samples: of the runs; empty where one run is all.
    """

    name: str
    value: float
    unit: str
    baseline: str | None = None
    baseline_value: float | None = None
    ratio: float | None = None
    more: bool = False
    samples: Sequence[float] = ()
    baseline_samples: Sequence[float] = ()


def by_itself(name: str, ours: Figure, unit: str, *, more: bool = False) -> Result:
    """Without a baseline. more: whether more is better."""
    return Result(name, _middle(ours), unit, more=more, samples=_samples(ours))


def more_is_better(name: str, ours: Figure, unit: str, baseline: str, theirs: Figure) -> Result:
    """A rate beside the baseline's."""
    value, other = _middle(ours), _middle(theirs)
    return Result(name, value, unit, baseline, other, value / other, True, _samples(ours), _samples(theirs))


def less_is_better(name: str, ours: Figure, unit: str, baseline: str, theirs: Figure) -> Result:
    """A cost beside the baseline's."""
    value, other = _middle(ours), _middle(theirs)
    return Result(name, value, unit, baseline, other, other / value, False, _samples(ours), _samples(theirs))


def _middle(figure: Figure) -> float:
    return statistics.median(figure) if isinstance(figure, Sequence) else figure


def _samples(figure: Figure) -> tuple[float, ...]:
    return tuple(figure) if isinstance(figure, Sequence) else ()


def side_by_side(ours: Callable[[], float], theirs: Callable[[], float], runs: int) -> tuple[list[float], list[float]]:
    """What each run of both gives, measured in turn, so that a change of the machine's speed meets both."""
    pairs = [(ours(), theirs()) for _ in range(runs)]
    return [one for one, _ in pairs], [other for _, other in pairs]


def repeated(measure: Callable[[], float], runs: int) -> list[float]:
    """What each of several runs gives."""
    return [measure() for _ in range(runs)]


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


def main(benchmark: str, *parts: Part, on_request: Sequence[Part] = ()) -> None:
    """Parse the arguments, measure, print. `--only` takes the parts' names; on_request: parts that only it measures."""
    parser = argparse.ArgumentParser(description=f"Measure {benchmark}.")
    parser.add_argument("--quick", action="store_true", help="be done in 60 s")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    named = {part.__name__: part for part in (*parts, *on_request)}
    parser.add_argument("--only", action="append", choices=named, help="measure this part only (may be repeated)")
    arguments = parser.parse_args()
    results: list[Result] = []
    for part in parts if arguments.only is None else [named[name] for name in named if name in arguments.only]:
        for result in part(arguments.quick):
            results.append(result)
            if not arguments.json:
                print(line(result), flush=True)
    if arguments.json:
        print(json.dumps({"benchmark": benchmark, "results": [asdict(result) for result in results]}))


def line(result: Result) -> str:
    """One result for a person."""
    ours = f"{result.name:<32} {readable(result.value, result.unit, result.samples):<32}"
    if result.baseline_value is None:
        return ours.rstrip()
    theirs = readable(result.baseline_value, result.unit, result.baseline_samples)
    return f"{ours} {result.baseline}: {theirs:<32} ratio {result.ratio:.2f}"
