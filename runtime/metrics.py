"""Counters and gauges of one node, in memory.

An actor declares its metrics in its `metrics.py`; the node exports the registry. A label's values must come from a
closed set (an enum, a channel that is registered), never from a peer, so that nobody can invent series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from .arguments import shortened


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric, as an exporter needs it."""

    name: str
    kind: str
    help: str
    labels: tuple[tuple[str, str], ...]
    value: float


class _Metric:
    kind = ""

    def __init__(self, name: str, help: str, labels: tuple[str, ...]) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self._values: dict[tuple[str, ...], float] = {}

    def value(self, *labels: str) -> float:
        """The value at these labels; 0 if it was never touched."""
        self._check(labels)
        return self._values.get(labels, 0)

    def total(self) -> float:
        """The sum over all labels."""
        return sum(self._values.copy().values())

    def samples(self) -> Iterator[Sample]:
        """Every series, in the order of its labels."""
        for labels, value in sorted(self._values.copy().items()):
            yield Sample(self.name, self.kind, self.help, tuple(zip(self.labels, labels, strict=True)), value)

    def _check(self, labels: tuple[str, ...]) -> None:
        if len(labels) != len(self.labels):
            raise ValueError(f"metric {self.name} has the labels {self.labels}, got {labels}")


M = TypeVar("M", bound=_Metric)


class Counter(_Metric):
    """A number that only grows. Each metric is written by one engine."""

    kind = "counter"

    def inc(self, *labels: str, by: float = 1) -> None:
        """Add `by` (at least 0) at these labels."""
        try:
            self._values[labels] += by
        except KeyError:
            self._check(labels)
            self._values[labels] = by

    def advance(self, total: float, *labels: str) -> None:
        """Bring the number up to a `total` that is counted elsewhere."""
        self._check(labels)
        self._values[labels] = max(total, self._values.get(labels, 0))


class Gauge(_Metric):
    """A number that goes up and down."""

    kind = "gauge"

    def set(self, value: float, *labels: str) -> None:
        """The value now."""
        self._check(labels)
        self._values[labels] = value

    def add(self, by: float, *labels: str) -> None:
        """Change the value by `by`."""
        self.set(self.value(*labels) + by, *labels)

    def remove(self, *labels: str) -> None:
        """Drop the series."""
        self._values.pop(labels, None)


class Registry:
    """All metrics of one node, by name."""

    def __init__(self) -> None:
        """An empty registry."""
        self._metrics: dict[str, _Metric] = {}
        self._collectors: list[Callable[[], object]] = []

    def collect(self, callback: Callable[[], object]) -> None:
        """Call `callback()` before values are read: it brings metrics of what is only looked at then up to date."""
        self._collectors.append(callback)

    def counter(self, name: str, help: str, *, labels: tuple[str, ...] = ()) -> Counter:
        """The counter `name`, made at first use. Raises ValueError if the name means something else already."""
        return self._metric(Counter, name, help, labels)

    def gauge(self, name: str, help: str, *, labels: tuple[str, ...] = ()) -> Gauge:
        """The gauge `name`, made at first use. Raises ValueError if the name means something else already."""
        return self._metric(Gauge, name, help, labels)

    def samples(self) -> Iterator[Sample]:
        """Every series of every metric, in the order of names."""
        self._collect()
        for _name, metric in sorted(self._metrics.copy().items()):
            yield from metric.samples()

    def value(self, name: str, *labels: str) -> float:
        """The value of one series; 0 if there is none. Raises LookupError if there is no metric of this name."""
        return self._named(name).value(*labels)

    def total(self, name: str) -> float:
        """The sum over all labels. Raises LookupError if there is no metric of this name."""
        return self._named(name).total()

    def _named(self, name: str) -> _Metric:
        self._collect()
        if name not in self._metrics:
            raise LookupError(f"there is no metric {shortened(name)}")
        return self._metrics[name]

    def _collect(self) -> None:
        for callback in self._collectors:
            callback()

    def _metric(self, kind: type[M], name: str, help: str, labels: tuple[str, ...]) -> M:
        metric = self._metrics.setdefault(name, kind(name, help, labels))
        if not isinstance(metric, kind) or metric.labels != labels:
            raise ValueError(f"metric {name} is a {metric.kind} with the labels {metric.labels} already")
        return metric
