"""Decaying tags by themselves: what bumps add and what time takes, whether the node stalls or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.connections import DecayingValue, TagClosed, TagTaken, bump, decay
from rookery.actors.connections.core.bump import Bump
from rookery.actors.connections.core.decay import Decay
from rookery.actors.connections.core.decaying_tags import DecayingTags
from rookery.actors.connections.core.peer_table import PeerTable
from tests.connections.worlds import make_link, peer_of, table

ALICE, BOB = peer_of(1), peer_of(2)


class Clockwork:
    """Decaying tags whose time the test moves, with a sweep at each tick."""

    def __init__(self, resolution: float = 0.05) -> None:
        self.table: PeerTable = table(ended=lambda peer: self.decaying.forget(peer))
        self.decaying = DecayingTags(self.table, resolution=resolution, now=0.0)
        self.resolution = resolution
        self.now = 0.0

    def tag(self, name: str, interval: float, decay: Decay, bump: Bump = bump.sum_unbounded()) -> int:  # noqa: B008
        return self.decaying.register(name, interval, decay, bump, self.now)[0]

    def bump(self, id: int, delta: int, peer: bytes = ALICE) -> None:
        self.decaying.bump(id, peer_of(1) if peer == ALICE else peer_of(2), delta, self.now)

    def run(self, seconds: float) -> None:
        """Every tick in its time."""
        end = self.now + seconds
        while (at := self.decaying.next_tick) is not None and at <= end + 1e-9:
            self.now = at
            self.tick()
        self.now = end

    def stall(self, seconds: float) -> None:
        """Nothing happens for so long, then one tick."""
        self.now += seconds
        self.tick()

    def tick(self) -> None:
        self.decaying.tick(self.now)
        while self.decaying.sweep(2):
            pass

    def value(self, peer: bytes = ALICE) -> int:
        """As trims see it."""
        entry = self.table.peers.get(peer_of(1) if peer == ALICE else peer_of(2))
        return entry.value if entry is not None else 0

    def weights(self) -> dict[str, int]:
        return self.decaying.weights(ALICE, self.now)


@pytest.fixture
def clockwork() -> Clockwork:
    return Clockwork()


# Bumps


def test_bumps_of_a_bounded_sum_stay_within_its_bounds(clockwork: Clockwork) -> None:
    tag = clockwork.tag("a", 1.0, decay.none(), bump.sum_bounded(10, 20))
    seen = []
    for delta in (5, 5, 100, -200):
        clockwork.bump(tag, delta)
        seen.append(clockwork.value())
    assert seen == [10, 15, 20, 10]


def test_bump_that_overwrites_forgets_the_weight(clockwork: Clockwork) -> None:
    tag = clockwork.tag("a", 1.0, decay.none(), bump.overwrite())
    clockwork.bump(tag, 100)
    clockwork.bump(tag, 7)
    assert clockwork.value() == 7


def test_tags_without_decay_add_up_and_are_listed_singly(clockwork: Clockwork) -> None:
    tags = [clockwork.tag(name, 0.05, decay.none(), bump.sum_bounded(0, 100)) for name in "abc"]
    for _ in range(3):
        for tag in tags:
            clockwork.bump(tag, 50)
    clockwork.run(3.0)
    assert clockwork.value() == 300
    assert clockwork.weights() == {"a": 100, "b": 100, "c": 100}


# Time


def test_fixed_decays_of_three_intervals_take_what_the_vector_says(clockwork: Clockwork) -> None:
    for name, interval, amount in (("a", 0.25, 10), ("b", 0.1, 5), ("c", 0.05, 1)):
        clockwork.bump(clockwork.tag(name, interval, decay.fixed(amount)), 1000)
    seen = []
    for seconds in (0.05, 0.15, 0.05):
        clockwork.run(seconds)
        seen.append(clockwork.value())
    assert seen == [2999, 2986, 2975]


def test_same_tags_of_three_peers_decay_each_by_itself(clockwork: Clockwork) -> None:
    tags = [clockwork.tag(*each) for each in (("a", 0.25, decay.fixed(10)), ("b", 0.1, decay.fixed(5)))]
    for tag in tags:
        clockwork.bump(tag, 1000)
        clockwork.bump(tag, 100, BOB)
    clockwork.run(3.0)
    assert (clockwork.value(), clockwork.value(BOB)) == (880 + 850, 0)
    assert clockwork.weights() == {"a": 880, "b": 850}


def test_linear_decay_halves_and_an_overwrite_begins_anew(clockwork: Clockwork) -> None:
    tag = clockwork.tag("a", 0.25, decay.linear(0.5), bump.overwrite())
    clockwork.bump(tag, 1000)
    seen = []
    for again in (False, False, True, False):
        if again:
            clockwork.bump(tag, 1000)
        else:
            clockwork.run(0.25)
        seen.append(clockwork.value())
    assert seen == [500, 250, 1000, 500]


def test_intervals_that_are_no_multiple_of_the_resolution_fire_at_the_next_tick() -> None:
    for factor, ticks in ((1.4, [2, 3, 5]), (2.4, [3, 5, 8])):
        clockwork = Clockwork(resolution=1.0)
        clockwork.bump(clockwork.tag("a", factor, decay.fixed(1)), 100)
        seen = []
        for tick in range(1, 9):
            before = clockwork.value()
            clockwork.run(1.0)
            if clockwork.value() < before:
                seen.append(tick)
        assert seen[:3] == ticks


def test_first_interval_counts_from_the_tick_before_the_registration() -> None:
    clockwork = Clockwork(resolution=1.0)
    clockwork.now = 10.7
    clockwork.bump(clockwork.tag("a", 2.0, decay.fixed(1)), 100)
    clockwork.run(1.2)
    assert clockwork.value() == 100
    clockwork.run(0.1)  # 12.0
    assert clockwork.value() == 99


def test_interval_below_the_resolution_is_raised_to_it() -> None:
    assert Clockwork(resolution=1.0).decaying.register("a", 0.1, decay.none(), bump.overwrite(), 0.0)[1] == 1.0


@pytest.mark.parametrize(("seconds", "left"), [(0.9, {"a": 10}), (1.1, {})])
def test_C22_weight_expires_after_its_time_without_a_bump(
    clockwork: Clockwork, seconds: float, left: dict[str, int]
) -> None:
    clockwork.bump(clockwork.tag("a", 0.25, decay.expire_when_inactive(1.0)), 10)
    clockwork.run(seconds)
    assert clockwork.weights() == left
    assert clockwork.value() == sum(left.values())


def test_weight_that_is_bumped_in_time_does_not_expire(clockwork: Clockwork) -> None:
    tag = clockwork.tag("a", 0.25, decay.expire_when_inactive(1.0))
    for _ in range(5):
        clockwork.bump(tag, 1)
        clockwork.run(0.9)
    assert clockwork.weights() == {"a": 5}


@pytest.mark.parametrize("of", [decay.fixed(3), decay.linear(0.5)])
def test_negative_weight_decays_towards_zero_as_a_positive_one(clockwork: Clockwork, of: Decay) -> None:
    tag = clockwork.tag("a", 0.05, of)
    clockwork.bump(tag, -8)
    clockwork.bump(tag, 8, BOB)
    for _ in range(6):
        clockwork.run(0.05)
        assert clockwork.value() == -clockwork.value(BOB)
    assert clockwork.weights() == {}


@pytest.mark.parametrize("interval", [0.05, 0.5])
def test_C24_stall_loses_no_interval_and_replays_none_later(interval: float) -> None:
    stalled, steady = Clockwork(), Clockwork()
    for each in (stalled, steady):
        each.bump(each.tag("a", interval, decay.fixed(1)), 10_000)
    stalled.stall(60.0)
    steady.run(60.0)
    assert stalled.value() == steady.value() == 10_000 - round(60 / interval)
    stalled.run(interval)
    steady.run(interval)
    assert stalled.value() == steady.value() == 10_000 - round(60 / interval) - 1


DECAYS = st.one_of(
    st.integers(1, 50).map(decay.fixed),
    st.floats(0, 0.99).map(decay.linear),
    st.floats(0.01, 5).map(decay.expire_when_inactive),
    st.just(decay.none()),
    st.just(decay.each_interval(lambda value: value.value - 1 if value.value > 5 else None)),
)


@given(
    tags=st.lists(st.tuples(st.floats(0.05, 1.0), DECAYS), min_size=1, max_size=3),
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(-20, 100), st.floats(0, 3)), max_size=8),
)
def test_stalls_and_slices_change_no_weight(
    tags: list[tuple[float, Decay]], steps: list[tuple[int, int, float]]
) -> None:
    """One clockwork ticks in time, the other only when it is asked; both say the same whenever they are asked."""
    steady, stalled = Clockwork(), Clockwork()
    ids = [[each.tag(str(n), *tag) for n, tag in enumerate(tags)] for each in (steady, stalled)]
    for which, delta, seconds in steps:
        for each, own in zip((steady, stalled), ids, strict=True):
            each.bump(own[which % len(own)], delta)
        steady.run(seconds)
        stalled.now = steady.now
        assert stalled.weights() == steady.weights()
        assert stalled.value() == steady.value() == sum(steady.weights().values())


def test_C23_tick_without_anything_due_visits_nobody(clockwork: Clockwork) -> None:
    asked: list[str] = []

    def noting(value: DecayingValue, _intervals: int, _now: float) -> int:
        asked.append(value.tag)
        return value.value

    clockwork.bump(clockwork.tag("often", 0.05, noting), 1)
    clockwork.bump(clockwork.tag("seldom", 100.0, noting), 1, BOB)
    clockwork.tag("nobody has it", 0.05, noting)
    clockwork.run(0.5)
    assert asked == ["often"] * 10


# Removing and closing


def test_remove_of_a_stranger_makes_no_entry(clockwork: Clockwork) -> None:
    tag = clockwork.tag("a", 1.0, decay.none())
    clockwork.decaying.remove(tag, BOB)
    assert clockwork.table.peers == {}


def test_remove_takes_the_tag_from_one_peer_and_a_second_time_is_no_error(clockwork: Clockwork) -> None:
    tag = clockwork.tag("a", 1.0, decay.none())
    clockwork.bump(tag, 10)
    clockwork.bump(tag, 20, BOB)
    for _ in range(2):
        clockwork.decaying.remove(tag, ALICE)
        assert (clockwork.value(), clockwork.value(BOB)) == (0, 20)


def test_closed_tag_is_off_every_peer_that_is_asked_about_before_its_sweep_and_off_all_after_it(
    clockwork: Clockwork,
) -> None:
    tag, other = clockwork.tag("a", 1.0, decay.none()), clockwork.tag("b", 1.0, decay.none())
    clockwork.bump(tag, 10)
    clockwork.bump(other, 1)
    clockwork.bump(tag, 20, BOB)
    clockwork.decaying.close(tag)
    assert clockwork.weights() == {"b": 1}
    assert clockwork.value() == 1
    while clockwork.decaying.sweep(1):
        pass
    assert clockwork.value(BOB) == 0


def test_closed_tag_refuses_and_its_name_is_free_at_once(clockwork: Clockwork) -> None:
    tag = clockwork.tag("a", 1.0, decay.none())
    clockwork.bump(tag, 10)
    with pytest.raises(TagTaken, match="'a' is open"):
        clockwork.tag("a", 1.0, decay.none())
    clockwork.decaying.close(tag)
    again = clockwork.tag("a", 1.0, decay.none())
    clockwork.bump(again, 3)
    assert clockwork.weights() == {"a": 3}
    refusals: list[Callable[[], object]] = [
        lambda: clockwork.bump(tag, 1),
        lambda: clockwork.decaying.remove(tag, ALICE),
        lambda: clockwork.decaying.close(tag),
    ]
    for refused in refusals:
        with pytest.raises(TagClosed):
            refused()


def test_closed_tag_that_was_due_is_not_decayed_any_more(clockwork: Clockwork) -> None:
    asked: list[int] = []
    tag = clockwork.tag("a", 0.05, lambda value, _intervals, _now: asked.append(1) or value.value)  # type: ignore[func-returns-value]
    clockwork.bump(tag, 10)
    clockwork.now = 1.0
    clockwork.decaying.tick(1.0)
    clockwork.decaying.close(tag)
    while clockwork.decaying.sweep(1):
        pass
    assert (asked, clockwork.value()) == ([], 0)


def test_weights_go_with_the_last_connection(clockwork: Clockwork) -> None:
    tag = clockwork.tag("a", 0.05, decay.fixed(1))
    clockwork.table.opened(make_link(1), 0.0)
    clockwork.bump(tag, 10)
    clockwork.table.closed(1)
    clockwork.table.opened(make_link(2, peer=1), 0.0)
    assert (clockwork.value(), clockwork.weights()) == (0, {})
    clockwork.run(1.0)
    assert clockwork.value() == 0


def test_bump_of_a_stranger_makes_a_temporary_entry(clockwork: Clockwork) -> None:
    clockwork.bump(clockwork.tag("a", 1.0, decay.none()), 10)
    assert clockwork.table.temporary == 1


# The application's functions


def whatever(_value: object, _more: object, _time: object = None) -> int:
    raise LookupError("no such thing")


def nonsense(_value: object, _more: object, _time: object = None) -> int:
    return "much"  # type: ignore[return-value]


@pytest.mark.parametrize("function", [whatever, nonsense])
def test_bump_function_that_fails_leaves_the_weight_and_is_told(
    clockwork: Clockwork, function: Callable[..., int]
) -> None:
    tag = clockwork.tag("a", 1.0, decay.none(), function)
    clockwork.bump(tag, 10)
    assert (clockwork.value(), clockwork.table.peers) == (0, {})
    (failure,) = clockwork.decaying.failures
    assert (failure.tag, failure.peer, type(failure.error)) == (
        "a",
        ALICE,
        LookupError if function is whatever else TypeError,
    )


@pytest.mark.parametrize("function", [whatever, nonsense])
def test_decay_function_that_fails_leaves_the_weight_for_that_time(
    clockwork: Clockwork, function: Callable[..., int]
) -> None:
    clockwork.bump(clockwork.tag("a", 0.05, function), 10)
    clockwork.run(0.1)
    assert clockwork.weights() == {"a": 10}
    assert len(clockwork.decaying.failures) == 2


def test_decay_function_is_given_a_copy_of_the_record(clockwork: Clockwork) -> None:
    seen: list[tuple[DecayingValue, int, float]] = []
    tag = clockwork.tag("a", 0.1, lambda *given: seen.append(given) or 7)  # type: ignore[func-returns-value]
    clockwork.bump(tag, 10)
    clockwork.run(0.05)
    clockwork.bump(tag, 1)
    clockwork.run(0.05)
    clockwork.stall(0.25)
    (first, *when), (second, *later) = seen
    assert (first.value, first.added, first.bumped, first.decayed, when) == (11, 0.0, 0.05, 0.0, [1, 0.1])
    assert (second.value, second.added, second.bumped, second.decayed) == (7, 0.0, 0.05, 0.1)
    assert later == [2, pytest.approx(0.3)]


def test_step_for_one_interval_is_called_for_each_that_passed(clockwork: Clockwork) -> None:
    clockwork.bump(clockwork.tag("a", 0.05, decay.each_interval(lambda value: value.value * 2)), 1)
    clockwork.stall(0.5)
    assert clockwork.value() == 1024


@pytest.mark.parametrize(
    "make",
    [
        lambda: decay.fixed(0),
        lambda: decay.linear(1.0),
        lambda: decay.linear(-0.1),
        lambda: decay.expire_when_inactive(0.0),
        lambda: bump.sum_bounded(2, 1),
    ],
)
def test_ready_made_function_with_numbers_that_make_no_sense_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="not|no room"):
        make()
