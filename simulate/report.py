"""Many runs of a scenario as rows of figures, and as a picture."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from .chart import Band, Chart, Line, Mark, Panel
from .outcome import Outcome, Spread, Summary
from .scenario import Scenario

Figures = list[Mapping[str, object]]


def figures(summary: Summary) -> Figures:
    """A row for each measure: its name, unit, median and worst, and in how many cases it never happened.

    Without a worst the worst is "never". Measures of what no event asked for are left out.
    """
    rows = (
        ("full view after the last start", "s", summary.joined),
        ("a death is known to the first", "s", summary.first_heard),
        ("a death is known to all", "s", summary.last_heard),
        ("from the first to the last", "s", summary.dissemination),
        ("full view after a restart or a partition", "s", summary.healed),
        ("packets per member", "1/s", summary.packets_per_second),
        ("bytes per member", "B/s", summary.bytes_per_second),
        ("false alarms per run", "", summary.false_downs),
        ("needless rejoins per run", "", summary.rejoins),
    )
    return [_row(name, unit, spread) for name, unit, spread in rows if spread.count]


def _row(name: str, unit: str, spread: Spread) -> Mapping[str, object]:
    return {
        "measure": name,
        "unit": unit,
        "median": spread.median,
        "worst": spread.maximum,
        "never": spread.missing,
        "cases": spread.count,
    }


def chart_of(scenario: Scenario, summary: Summary) -> Chart:
    """Detection, load and false alarms."""
    runs = summary.outcomes
    name = f"{scenario.members} members, {len(runs)} run{'s' if len(runs) > 1 else ''}"
    if scenario.network.loss:
        name += f", {scenario.network.loss:.0%} of the packets lost"
    return Chart(name, tuple(_panels(scenario, summary)))


def _panels(scenario: Scenario, summary: Summary) -> Iterator[Panel]:
    deaths = list(summary.deaths())
    if deaths:
        lines = (
            _shares("the first knows", [death.first for death in deaths]),
            _shares("all know", [death.last for death in deaths]),
        )
        yield Panel("How soon a death is known", "seconds after it", "% of the deaths", lines, top=100)
    if summary.healed.count:
        healed = _shares("everybody sees everybody", [time for run in summary.outcomes for time in run.healed])
        yield Panel("How soon a restart or a partition is over", "seconds", "% of the cases", (healed,), top=100)
    marks = tuple(_marks(scenario))
    load, range_ = _load(summary.outcomes)
    yield Panel("Load", "seconds", "packets per member and second", (load,), (range_,), marks)
    alarms = (
        _growing("false alarms", summary.outcomes, scenario.duration, lambda run: run.false_downs),
        _growing("needless rejoins", summary.outcomes, scenario.duration, lambda run: run.rejoins),
    )
    yield Panel("False alarms", "seconds", "so far, in a run on average", alarms, marks=marks, top=1)


def _shares(label: str, values: Sequence[float | None]) -> Line:
    """How many of all it had happened to by then."""
    there = sorted(value for value in values if value is not None)
    points = [(value, 100 * place / len(values)) for place, value in enumerate(there, 1)]
    return Line(label, [(0.0, 0.0), *points], steps=True)


def _load(runs: Sequence[Outcome]) -> tuple[Line, Band]:
    seconds = [
        [count / run.members for run in runs for count in run.packets[place : place + 1]]
        for place in range(len(runs[0].packets))
    ]
    middle = [(float(place), statistics.median(each)) for place, each in enumerate(seconds, 1)]
    return Line("median of the runs", middle), Band(
        [(float(place), min(each), max(each)) for place, each in enumerate(seconds, 1)]
    )


def _growing(label: str, runs: Sequence[Outcome], duration: float, times: Callable[[Outcome], Sequence[float]]) -> Line:
    ordered = sorted(time for run in runs for time in times(run))
    points = [(time, place / len(runs)) for place, time in enumerate(ordered, 1)]
    return Line(label, [(0.0, 0.0), *points, (duration, len(ordered) / len(runs))], steps=True)


def _marks(scenario: Scenario) -> Iterator[Mark]:
    for event in scenario.events:
        at = event.at
        while at < scenario.duration:
            yield Mark(at, event.action)
            if event.every is None:
                break
            at += event.every
