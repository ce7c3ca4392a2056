"""What an index member keeps for others."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.providers.core.index import MAX_HOLDERS, Index, Named
from rookery.transport import PeerId

RNG = random.Random(1)
PEERS = [PeerId(RNG.randbytes(32)) for _ in range(100)]
HASHES = [RNG.randbytes(16) for _ in range(500)]
ALICE, BOB, CAROL = PEERS[:3]


def make(max_keys: int = 1000, of_one: int = 400) -> Index:
    return Index(max_keys=max_keys, max_keys_per_provider=of_one)


def named(index: Index, hashed: bytes, now: float = 0.0) -> set[PeerId]:
    return {each.peer for each in index.holders(hashed, 100, now, RNG)}


def test_provider_is_named_with_the_time_since_it_said_so() -> None:
    index = make()
    assert index.provide(ALICE, 0, HASHES[:2], 100.0, now=10.0) == 2
    assert index.holders(HASHES[0], 16, 40.0, RNG) == [Named(ALICE, 30.0)]
    assert index.holders(HASHES[2], 16, 40.0, RNG) == []


def test_provider_is_named_until_its_time_is_over_and_longer_if_it_says_so_again() -> None:
    index = make()
    index.provide(ALICE, 0, HASHES[:2], 100.0, now=0.0)
    index.provide(ALICE, 0, HASHES[:1], 100.0, now=60.0)
    assert named(index, HASHES[0], 100.0) == {ALICE}
    assert named(index, HASHES[1], 100.0) == set()
    index.tidy(100.0, 1000)
    assert len(index) == 1
    index.tidy(160.0, 1000)
    assert (len(index), index.num_providers) == (0, 0)


def test_what_a_provider_takes_back_is_named_no_more() -> None:
    index = make()
    index.provide(ALICE, 0, HASHES[:3], 100.0, 0.0)
    index.provide(BOB, 0, HASHES[:1], 100.0, 0.0)
    assert index.withdraw(ALICE, [HASHES[0], HASHES[9]]) == 1
    assert index.withdraw(CAROL, HASHES) == 0
    assert named(index, HASHES[0]) == {BOB}
    assert named(index, HASHES[1]) == {ALICE}


def test_provider_that_is_gone_is_named_no_more_at_once_and_cleared_away_in_slices() -> None:
    index = make()
    index.provide(ALICE, 0, HASHES[:100], 100.0, 0.0)
    index.provide(BOB, 0, HASHES[:1], 100.0, 0.0)
    index.forget(ALICE)
    assert named(index, HASHES[0]) == {BOB}
    assert index.tidy(1.0, 30)
    assert len(index) == 71
    while index.tidy(1.0, 30):
        pass
    assert len(index) == 1
    index.provide(ALICE, 0, HASHES[:1], 100.0, 2.0)
    assert named(index, HASHES[0]) == {ALICE, BOB}


def test_provider_that_is_back_before_it_was_cleared_away_has_only_what_it_says_anew() -> None:
    index = make()
    index.provide(ALICE, 0, HASHES[:10], 100.0, 0.0)
    index.forget(ALICE)
    index.provide(ALICE, 0, HASHES[:1], 100.0, 0.0)
    index.tidy(1.0, 1000)
    assert named(index, HASHES[0]) == {ALICE}
    assert named(index, HASHES[1]) == set()


def test_provider_has_no_more_keys_than_one_may_have() -> None:
    index = make(of_one=10)
    assert index.provide(ALICE, 0, HASHES[:12], 100.0, 0.0) == 10
    assert index.provide(ALICE, 0, HASHES[:12], 100.0, 0.0) == 10
    assert index.keys_of(ALICE) == 10


def test_full_index_takes_from_who_has_more_than_its_share() -> None:
    index = make(max_keys=20)
    assert index.provide(ALICE, 0, HASHES[:20], 100.0, 0.0) == 20
    assert index.provide(BOB, 0, HASHES[100:115], 100.0, 0.0) == 10
    assert (len(index), index.keys_of(ALICE), index.keys_of(BOB)) == (20, 10, 10)
    assert named(index, HASHES[0]) == {ALICE}
    assert named(index, HASHES[19]) == set()


def test_full_index_takes_first_from_who_is_gone() -> None:
    index = make(max_keys=20)
    index.provide(ALICE, 0, HASHES[:10], 100.0, 0.0)
    index.provide(BOB, 0, HASHES[10:20], 100.0, 0.0)
    index.forget(BOB)
    assert index.provide(CAROL, 0, HASHES[20:30], 100.0, 0.0) == 10
    assert index.keys_of(ALICE) == 10


def test_holders_of_one_key_are_bounded_and_a_crowd_of_one_subnet_makes_room() -> None:
    index = make()
    for peer in PEERS[:MAX_HOLDERS]:
        assert index.provide(peer, "crowd", HASHES[:1], 100.0, 0.0) == 1
    assert index.provide(PEERS[70], "crowd", HASHES[:1], 100.0, 0.0) == 0
    assert index.provide(PEERS[71], "alone", HASHES[:1], 100.0, 0.0) == 1
    there = named(index, HASHES[0])
    assert len(there) == MAX_HOLDERS
    assert PEERS[71] in there


def test_holder_whose_time_is_over_makes_room_for_another() -> None:
    index = make()
    for peer in PEERS[:MAX_HOLDERS]:
        index.provide(peer, "crowd", HASHES[:1], 10.0, 0.0)
    assert index.provide(PEERS[70], "crowd", HASHES[:1], 10.0, 11.0) == 1
    assert named(index, HASHES[0], 12.0) == {PEERS[70]}


def test_holders_are_drawn_at_random() -> None:
    index = make()
    for peer in PEERS[:40]:
        index.provide(peer, peer, HASHES[:1], 100.0, 0.0)
    drawn = {tuple(each.peer for each in index.holders(HASHES[0], 3, 1.0, RNG)) for _ in range(20)}
    assert len(drawn) > 10
    assert {len(each) for each in drawn} == {3}


def test_key_that_is_named_twice_is_kept_once_and_taken_back_once() -> None:
    index = make()
    index.provide(PEERS[0], 0, [HASHES[0], HASHES[0], HASHES[1]], 20.0, 0.0)
    assert len(index) == 2
    assert index.withdraw(PEERS[0], [HASHES[0], HASHES[0]]) == 1
    assert (len(index), named(index, HASHES[1], 1.0)) == (1, {PEERS[0]})


@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 30), st.integers(1, 12))))
def test_index_says_what_a_plain_table_says(steps: list[tuple[int, int, int, int]]) -> None:
    index, plain = make(), dict[tuple[PeerId, bytes], float]()
    now = 0.0
    for kind, who, start, count in steps:
        now += 1.0
        peer, hashes = PEERS[who], HASHES[start : start + count]
        if kind < 2:
            index.provide(peer, who, hashes, 20.0, now)
            plain.update({(peer, hashed): now + 20.0 for hashed in hashes})
        elif kind == 2:
            index.withdraw(peer, [*hashes, *hashes[:2]])
            plain = {key: until for key, until in plain.items() if key[0] != peer or key[1] not in hashes}
        else:
            index.forget(peer)
            plain = {key: until for key, until in plain.items() if key[0] != peer}
        index.tidy(now, 7)
        for hashed in HASHES[:45]:
            assert named(index, hashed, now) == {
                peer for (peer, each), until in plain.items() if each == hashed and until > now
            }
    while index.tidy(now, 100):
        pass
    index.tidy(now, 10_000)
    assert len(index) == sum(until > now for until in plain.values())


@pytest.mark.parametrize("count", [20_000, 44_000])
def test_key_takes_less_than_300_bytes(count: int) -> None:
    index = Index(max_keys=10**6, max_keys_per_provider=10**6)
    hashes = [RNG.randbytes(16) for _ in range(count)]
    for start in range(0, count, 400):
        index.provide(PEERS[start // 400 % 50], 0, hashes[start : start + 400], 7200.0, float(start))
    tables = [index._holders, *(provider.keys for provider in index._providers.values())]
    assert (sum(map(sys.getsizeof, tables)) + count * (sys.getsizeof(hashes[0]) + 15)) / count < 300
