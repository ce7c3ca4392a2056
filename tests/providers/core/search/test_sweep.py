"""Members that are asked one after the other."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.providers.core.search.line import Rank
from rookery.actors.providers.core.search.sweep import AT_ONCE, MAX_KEYS, MAX_MEMBERS, PLACES, RATE, TIMEOUT, Sweep
from rookery.transport import PeerId

PEERS = [PeerId(random.Random(number).randbytes(32)) for number in range(300)]
KEY, OTHER = bytes(16), b"o" * 16


def make(count: int, seed: int = 1) -> Sweep:
    sweep = Sweep(random.Random(seed))
    for peer in PEERS[:count]:
        sweep.add(peer)
    return sweep


def asked(sweep: Sweep, seconds: float, start: float = 0.0) -> list[tuple[float, PeerId, tuple[bytes, ...]]]:
    """Who is asked in this time."""
    found, now = [], start
    while now <= start + seconds:
        chosen = sweep.next(now)
        if chosen is not None:
            found.append((now, *chosen))
        else:
            at = sweep.wake_at(now)
            if at == math.inf:
                break
            now = at
    return found


def test_every_member_is_asked_once_for_a_key_at_the_pace() -> None:
    sweep = make(200)
    sweep.begin(KEY)
    turns = asked(sweep, 60)
    assert sorted(peer for _, peer, _ in turns) == sorted(PEERS[:200])
    assert turns[-1][0] >= (200 - AT_ONCE - 1) / RATE
    assert sweep.over(turns[-1][0]) == [KEY]
    assert sweep.asked(KEY) == 200
    sweep.end(KEY)
    assert not sweep.busy


def test_order_is_another_for_another_seed() -> None:
    orders = []
    for seed in (1, 2):
        sweep = make(50, seed)
        sweep.begin(KEY)
        orders.append([peer for _, peer, _ in asked(sweep, 10)])
    assert orders[0] != orders[1]
    assert PEERS[:50] not in orders


def test_key_that_comes_later_shares_the_packets_and_goes_all_the_way_round() -> None:
    sweep = make(100)
    sweep.begin(KEY)
    first = asked(sweep, 0.5)
    sweep.begin(OTHER)
    rest = asked(sweep, 60, start=0.6)
    assert len(first) + len(rest) == 100 + len(first)
    assert {peer for _, peer, keys in rest if OTHER in keys} == set(PEERS[:100])
    assert len([peer for _, peer, keys in rest if KEY in keys]) == 100 - len(first)


def test_more_keys_than_one_packet_takes_wait_for_their_turn() -> None:
    sweep = make(10)
    keys = [bytes([number]) * 16 for number in range(MAX_KEYS + 5)]
    for number, key in enumerate(keys):
        sweep.begin(key, Rank(number % 3))
    turns = asked(sweep, 60)
    assert max(len(hashes) for _, _, hashes in turns) == MAX_KEYS
    assert set(sweep.over(60.0)) == set(keys)
    assert all(sweep.asked(key) == 10 for key in keys)


def test_some_places_are_kept_for_what_comes_first() -> None:
    sweep = make(100)
    for number in range(1, 100):
        sweep.begin(bytes([number]) * 16, Rank.AGAIN)
    _, keys = sweep.next(0.0) or (None, ())
    assert len(keys) == PLACES[Rank.AGAIN] < PLACES[Rank.NEW] < PLACES[Rank.LIST] == MAX_KEYS
    for number in range(100, 200):
        sweep.begin(bytes([number]) * 16, Rank.NEW)
    _, keys = sweep.next(1.0) or (None, ())
    assert len(keys) == PLACES[Rank.NEW]
    sweep.begin(KEY, Rank.LIST)
    _, keys = sweep.next(1.0) or (None, ())
    assert KEY in keys
    assert len(keys) == PLACES[Rank.NEW] + 1
    asked(sweep, 5, start=1.0)
    assert KEY in sweep.over(6.0)


def test_place_that_is_free_again_is_taken_by_what_comes_first() -> None:
    sweep = make(10)
    for number in range(1, 101):
        sweep.begin(bytes([number]) * 16, Rank(1 + number % 2))
    sweep.begin(KEY, Rank.AGAIN)
    sweep.begin(KEY, Rank.LIST)  # somebody waits for it now
    turns = asked(sweep, 60)
    begun = list(dict.fromkeys(key for _, _, keys in turns for key in keys))
    assert begun.index(KEY) == 0
    assert len(begun) == 101
    assert [each[0] % 2 for each in begun[1:12]] == [0, 0, 1] + 2 * [0, 0, 0, 1], "every fourth is of the others"
    assert not sweep._places.total()


def test_member_that_joins_meanwhile_is_asked_and_one_that_is_gone_is_not() -> None:
    sweep = make(100)
    sweep.begin(KEY)
    before = [peer for _, peer, _ in asked(sweep, 0.2)]
    gone = next(peer for peer in PEERS[:100] if peer not in before)
    sweep.discard(gone)
    sweep.discard(before[0])
    sweep.add(PEERS[200])
    after = [peer for _, peer, _ in asked(sweep, 60, start=0.3)]
    assert set(after) == set(PEERS[:100]) - set(before) - {gone} | {PEERS[200]}
    assert len(after) == len(set(after))
    assert len(sweep) == 99


def test_sweep_is_over_after_a_minute_however_many_are_left() -> None:
    sweep = make(100)
    sweep.begin(KEY)
    assert sweep.next(0.0) is not None
    assert sweep.over(TIMEOUT - 1) == []
    assert sweep.over(TIMEOUT) == [KEY]
    assert sweep.next(TIMEOUT) is None


def test_no_more_members_are_asked_for_a_key_than_the_bound() -> None:
    sweep = Sweep(random.Random(1))
    for number in range(MAX_MEMBERS + 10):
        sweep.add(PeerId(number.to_bytes(32, "big")))
    sweep.begin(KEY)
    now = 0.0
    for _ in range(MAX_MEMBERS):
        assert sweep.next(now) is not None
        now += 1 / 70
        if KEY in sweep._keys:
            sweep._keys[KEY].until = math.inf
        now = max(now, sweep.wake_at(now)) if sweep.wake_at(now) < math.inf else now
    assert sweep.over(now) == [KEY]
    assert sweep.asked(KEY) == MAX_MEMBERS


def test_repeated_packet_delays_the_next() -> None:
    sweep = make(100)
    sweep.begin(KEY)
    for _ in range(AT_ONCE):
        sweep.next(0.0)
    sweep.pay(0.0)
    assert sweep.wake_at(0.0) == 2 / RATE


def test_key_that_is_over_is_said_once_and_stays_over_until_it_is_ended() -> None:
    sweep = make(3)
    sweep.begin(KEY)
    asked(sweep, 1)
    news = [sweep.has_news]
    assert (sweep.newly_over(1.0), sweep.newly_over(1.0)) == ([KEY], [])
    assert [*news, sweep.has_news] == [True, False]
    sweep.add(PEERS[100])
    sweep.begin(KEY)
    assert (sweep.over(1.0), sweep.next(1.0), sweep.asked(KEY)) == ([KEY], None, 3)
    sweep.begin(OTHER)
    for peer in (*PEERS[:3], PEERS[100]):
        sweep.discard(peer)
    assert sweep.newly_over(1.0) == [OTHER]
    sweep.end(KEY)
    assert not sweep.is_over(KEY)


def test_time_to_wake_up_is_known_at_once_however_many_keys_are_over() -> None:
    sweep = make(0)
    for number in range(1000):
        sweep.begin(number.to_bytes(16, "big"))
    vars(sweep)["_over"] = None  # cannot be looked through
    assert sweep.wake_at(0.0) == math.inf


def test_sweep_without_members_is_over_at_once() -> None:
    sweep = make(0)
    sweep.begin(KEY)
    assert (sweep.over(0.0), sweep.next(0.0), sweep.wake_at(0.0)) == ([KEY], None, math.inf)


@given(data=st.data())
def test_who_is_there_all_the_time_is_asked_for_every_key_exactly_once(data: st.DataObject) -> None:
    sweep = make(30, data.draw(st.integers(0, 1000)))
    present, stayed = set(PEERS[:30]), set(PEERS[:30])
    got: dict[bytes, list[PeerId]] = {}
    begun: dict[bytes, set[PeerId]] = {}
    now = 0.0
    for step in range(data.draw(st.integers(1, 40))):
        match data.draw(st.integers(0, 3)):
            case 0:
                peer = PEERS[data.draw(st.integers(30, 60))]
                sweep.add(peer)
                present.add(peer)
            case 1:
                peer = PEERS[data.draw(st.integers(0, 60))]
                sweep.discard(peer)
                present.discard(peer)
                stayed.discard(peer)
            case 2 if len(begun) < 5:
                key = bytes([step]) * 16
                sweep.begin(key)
                got[key], begun[key] = [], set(present)
        for _ in range(data.draw(st.integers(0, 6))):
            now += 1.0 / 32
            if (chosen := sweep.next(now)) is not None:
                for key in chosen[1]:
                    got[key].append(chosen[0])
    for at, peer, keys in asked(sweep, 50, start=now):
        assert at >= now
        for key in keys:
            got[key].append(peer)
    for key, peers in got.items():
        there = stayed & begun[key]
        assert {peer for peer in peers if peer in there} == there
        assert all(peers.count(peer) == 1 for peer in there)


def test_repeated_sweep_has_its_turn_though_new_keys_come_all_the_time() -> None:
    sweep = make(64)
    now, begun = 0.0, 0
    for _ in range(4 * MAX_KEYS):
        sweep.begin(f"new {begun}".encode())
        begun += 1
    asked(sweep, 0.2)
    sweep.begin(KEY, Rank.AGAIN)
    while KEY not in sweep.over(now):
        assert begun < 12 * MAX_KEYS
        if (chosen := sweep.next(now)) is None:
            now = sweep.wake_at(now)
            continue
        for hashed in sweep.newly_over(now):
            sweep.end(hashed)
            sweep.begin(f"new {begun}".encode())
            begun += 1
        if KEY in chosen[1]:
            return
    raise AssertionError("it was asked for nowhere")
