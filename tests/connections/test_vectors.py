"""The acceptance vectors: set-ups small enough to count by hand, and what a trim leaves of them."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.actors.connections import TrimReport
from tests.connections.worlds import Around, make_link, peer_of


def around(simulation: Any, count: int, **settings: Any) -> Around:
    made = Around(simulation, **settings)
    made.open(*(make_link(number, opened_at=float(number)) for number in range(count)))
    return made


def protect(at: Around, count: int) -> None:
    for number in range(count):
        at.conns.protect(peer_of(number), "friend")


def left(at: Around) -> int:
    return at.info().open


@pytest.mark.parametrize(("count", "after"), [(20, 20), (21, 10)], ids=["at high water", "above it"])
def test_C10_background_trim_begins_above_high_water_and_not_at_it(simulation: Any, count: int, after: int) -> None:
    made = around(simulation, count, low_water=10, high_water=20)
    simulation.run(for_=10.0)
    assert left(made) == after
    assert made.counted("trims_total", "background") == (count > 20)


def test_explicit_trim_between_the_marks_goes_down_to_low_water(simulation: Any) -> None:
    made = around(simulation, 15, low_water=10, high_water=20)
    assert len(made.trim().closed) == 5
    assert left(made) == 10


@pytest.mark.parametrize("count", [9, 10])
def test_explicit_trim_at_or_below_low_water_closes_nothing(simulation: Any, count: int) -> None:
    made = around(simulation, count, low_water=10, high_water=20)
    assert made.trim() == TrimReport(closed=(), short_by=0)


def test_peers_in_grace_are_closed_only_when_it_is_over(simulation: Any) -> None:
    made = around(simulation, 1, low_water=10, high_water=20, grace_period=60.0, silence_period=1000.0)
    simulation.run(for_=60.0)
    made.open(*(make_link(number) for number in range(1, 31)))
    assert made.trim() == TrimReport(closed=(), short_by=21, in_grace=30)
    simulation.run(for_=60.0)
    assert len(made.trim().closed) == 21
    assert left(made) == 10


def test_protected_connections_do_not_count_towards_low_water(simulation: Any) -> None:
    made = around(simulation, 21, low_water=19, high_water=20)
    protect(made, 5)
    assert made.trim() == TrimReport(closed=(), short_by=2, protected=5)


def test_eligible_connections_above_low_water_are_closed_and_none_that_is_protected(simulation: Any) -> None:
    made = around(simulation, 26, low_water=19, high_water=20)
    protect(made, 5)
    for number in range(5):
        made.conns.tag_peer(peer_of(number), "bad", -100)
    report = made.trim()
    assert len(report.closed) == 2
    assert all(link.id >= 5 for link in report.closed)


def test_peer_that_is_no_longer_protected_is_the_first_to_go_if_it_is_worth_least(simulation: Any) -> None:
    made = around(simulation, 26, low_water=19, high_water=20)
    protect(made, 5)
    made.conns.tag_peer(peer_of(0), "bad", -100)
    made.trim()
    made.conns.unprotect(peer_of(0), "friend")
    report = made.trim()
    assert [link.id for link in report.closed] == [0]


def test_protected_connections_are_kept_on_top_of_low_water(simulation: Any) -> None:
    made = around(simulation, 100, low_water=10, high_water=20)
    protect(made, 50)
    made.trim()
    assert left(made) == 60


def test_trim_of_peers_with_several_connections_does_not_overshoot(simulation: Any) -> None:
    made = Around(simulation, low_water=9, high_water=9)
    made.open(*(make_link(number, peer=number % 2) for number in range(10)))
    made.trim()
    assert left(made) == 9


@pytest.mark.parametrize(
    ("free", "protected", "closed_protected"),
    [(6, 14, 4), (9, 11, 1), (2, 18, 8), (0, 20, 10), (20, 0, 0), (10, 10, 0)],
)
def test_C15_force_trim_meets_its_target_exactly_and_closes_protected_ones_last(
    simulation: Any, free: int, protected: int, closed_protected: int
) -> None:
    made = around(simulation, free + protected, low_water=10, high_water=20, grace_period=60.0)
    protect(made, protected)
    report = made.force()
    assert left(made) == 10
    assert len(set(report.closed)) == len(report.closed) == free + protected - 10
    assert sum(link.id < protected for link in report.closed) == closed_protected
    assert report.short_by == 0


def test_entry_of_a_stranger_goes_with_its_age_and_the_trim_closes_a_real_peer(simulation: Any) -> None:
    made = Around(simulation, low_water=1, high_water=1, temporary_age=60.0, silence_period=1000.0)
    made.conns.tag_peer(peer_of(9), "a", 20)
    simulation.run(for_=60.0)
    made.open(make_link(1), make_link(2))
    assert len(made.trim().closed) == 1
    assert made.conns.get_tag_info(peer_of(9)).get(timeout=1) is None


def test_entries_of_strangers_go_with_their_age_where_nothing_is_ever_trimmed(simulation: Any) -> None:
    made = Around(simulation, temporary_age=60.0)
    for number in range(100):
        made.conns.tag_peer(peer_of(number), "a", 1)
    simulation.run(for_=50.0)
    assert made.info().temporary == 100
    simulation.run(for_=20.0)
    assert made.counted("temporary") == 0


def test_protection_survives_a_reconnect_and_tags_do_not(simulation: Any) -> None:
    made = around(simulation, 1)
    made.conns.protect(peer_of(0), "friend")
    made.conns.tag_peer(peer_of(0), "a", 5)
    made.close(make_link(0))
    made.open(make_link(1, peer=0))
    assert made.conns.is_protected(peer_of(0)).get(timeout=1)
    info = made.conns.get_tag_info(peer_of(0)).get(timeout=1)
    assert info is not None
    assert (info.value, info.tags) == (0, {})


def test_protected_four_times_and_unprotected_once_is_not_protected(simulation: Any) -> None:
    made = Around(simulation)
    for _ in range(4):
        made.conns.protect(peer_of(1), "friend")
    assert not made.conns.unprotect(peer_of(1), "friend").get(timeout=1)
    assert not made.conns.is_protected(peer_of(1)).get(timeout=1)
