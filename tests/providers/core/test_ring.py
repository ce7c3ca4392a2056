"""Which members keep the index of a key."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.providers.core.ring import (
    COPIES,
    WINDOW,
    Ring,
    distance,
    key_hash,
    place_of,
    subnet_of,
)
from rookery.transport import Address, PeerId


def peers(count: int, seed: int = 1) -> list[PeerId]:
    rng = random.Random(seed)
    return [PeerId(rng.randbytes(32)) for _ in range(count)]


def ring_of(members: dict[PeerId, int]) -> Ring:
    ring = Ring()
    for peer, net in members.items():
        ring.add(peer, net)
    return ring


def naively(members: dict[PeerId, int], hashed: bytes, without: frozenset[PeerId] = frozenset()) -> tuple[PeerId, ...]:
    """The same rule in other words: sort everybody by the way round the ring."""
    near = sorted(members, key=lambda peer: distance(hashed, place_of(peer)))[:WINDOW]
    near = [peer for peer in near if peer not in without]
    firsts = [
        peer for number, peer in enumerate(near) if members[peer] not in {members[each] for each in near[:number]}
    ]
    others = [peer for peer in near if peer not in firsts]
    return tuple((firsts + others)[:COPIES])


@given(count=st.integers(0, 80), nets=st.integers(1, 40), seed=st.integers(0, 2**32), passed_over=st.integers(0, 5))
def test_index_members_are_those_that_follow_the_hash_one_of_each_subnet(
    count: int, nets: int, seed: int, passed_over: int
) -> None:
    rng = random.Random(seed)
    members = {peer: rng.randrange(nets) for peer in peers(count, seed)}
    ring = ring_of(members)
    without = frozenset(rng.sample(list(members), min(passed_over, count)))
    for _ in range(8):
        hashed = rng.randbytes(16)
        assert ring.index_members(hashed, without) == naively(members, hashed, without)


@given(seed=st.integers(0, 2**32), changes=st.integers(1, 60), nets=st.integers(1, 20))
def test_change_of_a_member_moves_no_key_outside_the_window_before_it(seed: int, changes: int, nets: int) -> None:
    rng = random.Random(seed)
    members = {peer: rng.randrange(nets) for peer in peers(60, seed)}
    ring = ring_of(members)
    hashes = [rng.randbytes(16) for _ in range(40)]
    for peer in peers(changes, seed + 1):
        before = {hashed: ring.index_members(hashed) for hashed in hashes}
        if rng.random() < 0.5 and len(ring) > 40:
            peer = rng.choice(list(members))
            del members[peer]
            ring.discard(peer)
        else:
            members[peer] = rng.randrange(nets)
            ring.add(peer, members[peer])
        window = ring.before(peer)
        assert window is not None
        low, high = window
        for hashed in hashes:
            inside = low < hashed <= high if low < high else hashed > low or hashed <= high
            assert inside or ring.index_members(hashed) == before[hashed]


def test_run_of_one_subnet_has_one_index_member_as_long_as_two_others_are_near() -> None:
    crowd, honest = peers(28), peers(30, seed=2)
    hashed = bytes(16)
    near = sorted(crowd + honest, key=lambda peer: distance(hashed, place_of(peer)))
    ring = ring_of({**dict.fromkeys(crowd, 0), **{peer: number for number, peer in enumerate(honest, 1)}})
    chosen = ring.index_members(hashed)
    assert len([peer for peer in chosen if peer in crowd]) <= 1
    assert chosen == tuple(sorted(chosen, key=near.index))


def test_two_members_keep_all_there_is() -> None:
    both = peers(2)
    assert set(ring_of(dict.fromkeys(both, 0)).index_members(bytes(16))) == set(both)


def test_empty_ring_has_no_index_member() -> None:
    assert Ring().index_members(bytes(16)) == ()
    assert Ring().end_of_arc(bytes(16)) is None


def test_all_hashes_up_to_the_end_of_an_arc_have_the_same_index_members() -> None:
    rng = random.Random(5)
    ring = ring_of({peer: rng.randrange(9) for peer in peers(50)})
    for _ in range(200):
        one = rng.randbytes(16)
        end = ring.end_of_arc(one)
        if end is None:
            assert ring.index_members(one) == ring.index_members(b"\xff" * 16)
        else:
            assert ring.index_members(one) == ring.index_members(end)


def test_member_that_moves_to_another_subnet_is_counted_there() -> None:
    ring, (peer,) = Ring(), peers(1)
    assert ring.add(peer, 1)
    assert not ring.add(peer, 1)
    assert ring.add(peer, 2)
    assert len(ring) == 1
    assert ring.discard(peer)
    assert not ring.discard(peer)


def test_key_of_another_channel_has_another_hash() -> None:
    assert key_hash(1, bytes(32)) != key_hash(16, bytes(32))
    assert len(key_hash(255, b"")) == 16


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("tcp://10.0.0.1:1", "tcp://10.0.0.9:2", True),
        ("tcp://10.0.0.1:1", "tcp://10.0.1.1:1", False),
        ("tcp://[2001:db8:1::1]:1", "tcp://[2001:db8:1:ffff::1]:1", True),
        ("tcp://[2001:db8:1::1]:1", "tcp://[2001:db8:2::1]:1", False),
        ("tcp://a.example:1", "tcp://b.example:1", True),
    ],
)
def test_place_is_counted_by_subnet_and_all_names_are_one(one: str, other: str, same: bool) -> None:
    assert (subnet_of(Address.parse(one)) == subnet_of(Address.parse(other))) is same
