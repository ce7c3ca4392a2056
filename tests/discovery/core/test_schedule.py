"""When to look up a source: doubling pauses, wakes, and their bounds."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.discovery.core.schedule import Schedule


def schedule(seed: int = 1) -> Schedule:
    return Schedule(floor=1.0, interval=8.0, rng=random.Random(seed))


def pause(one: Schedule, now: float) -> float:
    one.begin()
    return one.end(now) - now


def test_first_lookup_is_due_at_once() -> None:
    assert schedule().due_at == 0.0


def test_pauses_double_up_to_the_interval_with_up_to_a_quarter_more() -> None:
    one = schedule()
    for expected in (1, 2, 4, 8, 8, 8):
        assert expected <= pause(one, 100.0) <= 1.25 * expected


def test_pauses_of_two_nodes_that_started_together_differ() -> None:
    assert pause(schedule(1), 0.0) != pause(schedule(2), 0.0)


def test_wake_makes_the_next_lookup_due_at_the_floor_and_the_pauses_short_again() -> None:
    one = schedule()
    for _ in range(5):
        pause(one, 100.0)
    one.wake()
    assert one.due_at == 101.0
    assert pause(one, 101.0) <= 1.25


def test_wake_during_a_lookup_counts_after_it() -> None:
    one = schedule()
    for _ in range(5):
        pause(one, 100.0)
    one.begin()
    assert one.due_at is None
    one.wake()
    assert one.end(200.0) <= 201.25


def test_wake_never_delays_a_look() -> None:
    one = schedule()
    one.wake()
    assert one.due_at == 0.0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 20)), max_size=50), st.integers())
def test_lookups_keep_floor_and_interval_whatever_wakes_come(steps: list[tuple[bool, float]], seed: int) -> None:
    one, now, ended = schedule(seed), 0.0, -1.0
    for wake, late in steps:
        if wake:
            one.wake()
        assert one.due_at is not None
        assert ended + 1.0 <= max(one.due_at, ended + 1.0) <= ended + 10.0
        assert one.due_at >= min(ended + 1.0, 0.0)
        now = max(now, one.due_at) + late
        one.begin()
        one.end(now)
        ended = now
