"""The text format, read back by Prometheus' own parser."""

from __future__ import annotations

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rookery.node.http.exposition import render
from rookery.runtime.metrics import Registry

HOSTILE = ['a"b', "a\nb", "a\\b", 'x"} 1\nrookery_invented_total 9', "\\n", "", "é\u2028ü", "a,b={}"]


def read(registry: Registry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every series but the build's."""
    text = render(registry.samples(), version="1", python="3")
    families = text_string_to_metric_families(text)
    found = [(each.name, tuple(each.labels.items()), each.value) for family in families for each in family.samples]
    return {(name, labels): value for name, labels, value in found if name != "rookery_build_info"}


def test_samples_have_prefix_type_and_help_and_are_read_back() -> None:
    registry = Registry()
    registry.counter("dials_total", "Dials.\nBy \\ result.", labels=("result",)).inc("ok", by=3)
    registry.gauge("open", "Open now.").set(2.5)
    text = render(registry.samples(), version="0.1.0", python="3.11.2")
    families = {each.name: each for each in text_string_to_metric_families(text)}
    assert {name: (each.type, each.documentation) for name, each in families.items()} == {
        "rookery_build_info": ("gauge", "What this node runs: always 1."),
        "rookery_dials": ("counter", "Dials.\nBy \\ result."),
        "rookery_open": ("gauge", "Open now."),
    }
    assert families["rookery_build_info"].samples[0].labels == {"version": "0.1.0", "python": "3.11.2"}
    assert read(registry) == {("rookery_dials_total", (("result", "ok"),)): 3, ("rookery_open", ()): 2.5}


def test_counter_without_total_gets_it() -> None:
    registry = Registry()
    registry.counter("things", "Things.").inc()
    assert read(registry) == {("rookery_things_total", ()): 1}


def test_help_and_type_stand_once_before_all_series_of_a_metric() -> None:
    registry = Registry()
    counter = registry.counter("dials_total", "Dials.", labels=("result",))
    counter.inc("a")
    counter.inc("b")
    lines = render(registry.samples(), version="1", python="3").splitlines()[3:]
    assert lines == [
        "# HELP rookery_dials_total Dials.",
        "# TYPE rookery_dials_total counter",
        'rookery_dials_total{result="a"} 1',
        'rookery_dials_total{result="b"} 1',
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_label_with_quotes_and_newlines_comes_back_as_it_was_and_invents_no_series(text: str) -> None:
    registry = Registry()
    registry.counter("refused_total", "Refused.", labels=("reason", "other")).inc(text, "b")
    assert read(registry) == {("rookery_refused_total", (("reason", text), ("other", "b"))): 1}


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e300, 1e-9, -3])
def test_number_is_read_back_as_it_was(value: float) -> None:
    registry = Registry()
    registry.gauge("level", "A level.").set(value)
    (found,) = read(registry).values()
    assert found == value or (math.isnan(found) and math.isnan(value))
