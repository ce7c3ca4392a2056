"""The registry of counters and gauges."""

from __future__ import annotations

import pytest

from rookery.runtime import Registry, Sample


def test_counter_grows_per_label_and_in_total() -> None:
    counter = Registry().counter("refused_total", "Refused.", labels=("reason",))
    counter.inc("full")
    counter.inc("blocked", by=2)
    assert (counter.value("full"), counter.value("blocked"), counter.value("other")) == (1, 2, 0)
    assert counter.total() == 3


def test_counter_that_mirrors_a_total_never_goes_back() -> None:
    counter = Registry().counter("seen_total", "Seen.")
    for total in (3, 5, 4):
        counter.advance(total)
    assert counter.value() == 5


def test_gauge_goes_up_and_down_and_away() -> None:
    registry = Registry()
    gauge = registry.gauge("open", "Open.", labels=("side",))
    gauge.set(3, "in")
    gauge.add(-1, "in")
    assert registry.value("open", "in") == 2
    gauge.remove("in")
    assert list(registry.samples()) == []


def test_samples_come_by_name_then_label_with_what_an_exporter_needs() -> None:
    registry = Registry()
    registry.gauge("b", "Bee.").set(1)
    counter = registry.counter("a", "Ay.", labels=("kind",))
    counter.inc("y")
    counter.inc("x")
    assert list(registry.samples()) == [
        Sample("a", "counter", "Ay.", (("kind", "x"),), 1),
        Sample("a", "counter", "Ay.", (("kind", "y"),), 1),
        Sample("b", "gauge", "Bee.", (), 1),
    ]


def test_collect_brings_values_up_to_date_before_they_are_read() -> None:
    registry = Registry()
    gauge = registry.gauge("depth", "Depth.")
    depths = iter([1, 2, 3])
    registry.collect(lambda: gauge.set(next(depths)))
    assert registry.value("depth") == 1
    assert [sample.value for sample in registry.samples()] == [2]


def test_metric_asked_for_twice_is_the_same_one() -> None:
    registry = Registry()
    assert registry.counter("a", "Ay.") is registry.counter("a", "Ay.")
    for ask in (registry.value, registry.total):
        with pytest.raises(LookupError, match="there is no metric 'nothing'"):
            ask("nothing")


def test_metric_whose_name_means_something_else_is_refused() -> None:
    registry = Registry()
    registry.counter("a", "Ay.", labels=("kind",))
    with pytest.raises(ValueError, match="metric a is a counter with the labels"):
        registry.gauge("a", "Ay.")


def test_labels_that_do_not_fit_are_refused() -> None:
    counter = Registry().counter("a", "Ay.", labels=("kind",))
    with pytest.raises(ValueError, match=r"metric a has the labels \('kind',\), got \(\)"):
        counter.inc()
