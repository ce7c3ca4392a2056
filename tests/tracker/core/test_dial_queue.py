"""Whom to dial next."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.tracker.core.dial_queue import DialQueue, Turn
from rookery.actors.tracker.core.known_peer import NEVER
from rookery.transport.identity import PeerId

PEERS = tuple(PeerId(bytes([number]) * 32) for number in range(8))
FOUR = PEERS[:4]


def queue(seed: int = 1) -> DialQueue:
    return DialQueue(random.Random(seed))


def turn(
    at: float = NEVER, *, urgent_at: float | None = None, trusted: bool = False, miss: float | None = None
) -> Turn:
    return Turn(at, at if urgent_at is None else urgent_at, trusted, last_miss=miss)


def test_queue_empty_lists_nobody_and_gives_no_hint() -> None:
    assert queue().take(10, (), 0.0) == ((), None)


def test_queue_lists_trusted_first_then_never_missed_then_oldest_miss() -> None:
    many = queue()
    fresh, old, new, trusted = FOUR
    many.put(new, turn(miss=9.0))
    many.put(old, turn(miss=2.0))
    many.put(fresh, turn())
    many.put(trusted, turn(trusted=True, miss=9.5))
    assert many.take(10, (), 10.0) == ((trusted, fresh, old, new), None)


def test_queue_listing_reserves_nothing() -> None:
    many = queue()
    many.put(FOUR[0], turn())
    assert many.take(1, (), 0.0) == many.take(1, (), 0.0) == ((FOUR[0],), None)


def test_queue_equals_come_in_random_order() -> None:
    seen = set()
    for seed in range(30):
        many = queue(seed)
        for peer in FOUR:
            many.put(peer, turn())
        seen.add(many.take(1, (), 0.0)[0])
    assert len(seen) == 4


def test_queue_excluded_peers_take_no_place() -> None:
    many = queue()
    for peer in FOUR:
        many.put(peer, turn())
    assert set(many.take(4, set(FOUR[:3]), 0.0)[0]) == {FOUR[3]}


def test_queue_hints_at_the_next_peer_that_only_waits() -> None:
    many = queue()
    many.put(FOUR[0], turn(8.0))
    many.put(FOUR[1], turn(5.0))
    assert many.take(4, (), 4.0) == ((), 5.0)
    assert many.take(4, (), 5.0) == ((FOUR[1],), 8.0)


def test_queue_when_urgent_does_not_let_peers_rest_and_lists_them_last() -> None:
    many = queue()
    many.put(FOUR[0], turn(60.0, urgent_at=NEVER))
    many.put(FOUR[1], turn(miss=3.0))
    assert many.take(4, (), 4.0) == ((FOUR[1],), 60.0)
    assert many.take(4, (), 4.0, urgent=True)[0] == (FOUR[1], FOUR[0])


def test_queue_when_urgent_lists_a_peer_once_whose_rest_is_over() -> None:
    many = queue()
    many.put(FOUR[0], turn(60.0, urgent_at=NEVER))
    assert many.take(4, (), 60.0, urgent=True) == ((FOUR[0],), None)


def test_queue_says_when_it_changed() -> None:
    many = queue()
    many.put(FOUR[0], turn())
    assert many.changed
    many.changed = False
    many.put(FOUR[0], turn())
    many.take(1, (), 0.0)
    many.discard(FOUR[0])
    assert not many.changed


def test_queue_keeps_no_more_than_what_is_queued() -> None:
    many = queue()
    for step in range(5000):
        many.put(FOUR[step % 4], turn(float(step)))
        many.take(2, (), float(step) - 2)
    assert len(many._waiting) + len(many._ready) == len(many) == 4


def test_queue_lists_who_is_vouched_for_before_who_is_only_hinted_at_however_often_it_missed() -> None:
    many = queue()
    hinted, vouched, missed, trusted = FOUR
    many.put(hinted, turn())
    many.put(missed, Turn(NEVER, NEVER, vouched=True, last_miss=9.0))
    many.put(vouched, Turn(NEVER, NEVER, vouched=True))
    many.put(trusted, turn(trusted=True, miss=9.5))
    assert many.take(10, (), 10.0)[0] == (trusted, vouched, missed, hinted)


def test_queue_gives_no_network_a_second_turn_before_each_of_equal_rank_has_had_one() -> None:
    crowd = {PeerId(bytes([number]) * 32): "crowded" for number in range(100, 140)}
    lone = {PeerId(bytes([number]) * 32): str(number) for number in range(4)}
    where = crowd | lone
    for seed in range(10):
        many = DialQueue(random.Random(seed), where.__getitem__)
        for peer in where:
            many.put(peer, turn())
        chosen = many.take(len(where) // 4, (), 0.0)[0]
        assert sum(where[peer] == "crowded" for peer in chosen) == len(chosen) - 4
        networks = [where[peer] for peer in chosen[:5]]
        assert len(set(networks)) == 5


def test_queue_does_not_let_a_network_overtake_a_better_rank() -> None:
    first, second, other = FOUR[:3]
    many = DialQueue(random.Random(1), {first: "one", second: "one", other: "another"}.__getitem__)
    many.put(first, Turn(NEVER, NEVER, vouched=True))
    many.put(second, Turn(NEVER, NEVER, vouched=True))
    many.put(other, turn())
    assert many.take(3, (), 0.0)[0][2] == other


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.sampled_from(PEERS),
            st.integers(0, 20),
            st.integers(0, 20),
            st.booleans(),
            st.booleans(),
            st.none() | st.integers(0, 5),
        ),
        st.tuples(st.just("discard"), st.sampled_from(PEERS)),
        st.tuples(st.just("take"), st.integers(0, 5), st.sets(st.sampled_from(PEERS), max_size=3), st.booleans()),
        st.tuples(st.just("wait"), st.integers(1, 5)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_queue_answers_as_a_sorted_list_does(actions: list[tuple[object, ...]]) -> None:
    many, model, now = queue(), dict[PeerId, Turn](), 0.0
    for action in actions:
        match action:
            case "put", PeerId() as peer, int(at), int(earlier), bool(trusted), bool(vouched), (int() | None) as miss:
                last_miss = None if miss is None else float(miss)
                model[peer] = Turn(float(at), float(min(at, earlier)), trusted, vouched, last_miss)
                many.put(peer, model[peer])
            case "discard", PeerId() as peer:
                model.pop(peer, None)
                many.discard(peer)
            case "wait", int(seconds):
                now += seconds
            case "take", int(limit), set() as exclude, bool(urgent):
                chosen, next_at = many.take(limit, exclude, now, urgent=urgent)
                allowed = {peer: each for peer, each in model.items() if peer not in exclude}
                due = sorted(each.order for each in allowed.values() if each.at <= now)
                resting = sorted(each.order for each in allowed.values() if each.urgent_at <= now < each.at)
                expected = (due + resting if urgent else due)[:limit]
                assert [model[peer].order for peer in chosen] == expected
                assert len(set(chosen)) == len(chosen)
                times = [each.at for each in model.values()]
                times += [each.urgent_at for each in model.values() if urgent]
                assert next_at == min((time for time in times if time > now), default=None)


@pytest.mark.parametrize("few", [True, False])
def test_queue_asked_for_some_peers_lists_only_these_in_the_same_order(few: bool) -> None:
    many = queue()
    for number, peer in enumerate(PEERS):
        many.put(peer, turn(miss=10.0 - number))
    among = frozenset(PEERS[1:6:2])
    more = among if few else among | {PeerId(number.to_bytes(32, "big")) for number in range(1, 5001)}
    assert many.take(2, (), 20.0, among=more)[0] == (PEERS[5], PEERS[3])
    assert many.take(9, (PEERS[3],), 20.0, among=more)[0] == (PEERS[5], PEERS[1])
    assert many.take(9, (), 20.0, among=frozenset())[0] == ()


def test_queue_asked_for_some_peers_does_not_list_those_that_wait_or_rest() -> None:
    many = queue()
    waits, rests, due, other = FOUR
    many.put(waits, turn(9.0))
    many.put(rests, turn(9.0, urgent_at=0.0))
    many.put(due, turn())
    many.put(other, turn(9.0, urgent_at=0.0))
    among = frozenset({waits, rests, due})
    assert many.take(9, (), 1.0, among=among) == ((due,), 9.0)
    assert many.take(9, (), 1.0, among=among, urgent=True)[0] == (due, rests)


def test_queue_asked_for_very_many_peers_gives_up_where_others_come_first() -> None:
    many = queue()
    for number in range(2000):
        many.put(PeerId((10_000 + number).to_bytes(32, "big")), turn())
    last = PeerId(bytes(32))
    many.put(last, turn(miss=1.0))
    among = frozenset(PeerId(number.to_bytes(32, "big")) for number in range(5000))
    assert many.take(1, (), 2.0, among=among)[0] == ()
    assert many.take(1, (), 2.0, among=frozenset({last}))[0] == (last,)
