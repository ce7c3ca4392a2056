"""What is told to whom, and when: a node's own keys and the members that keep their index."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.providers.core.announcing import MAX_BATCH, MAX_SETTLE, SETTLE, TRY_AGAIN, Announcer, Tell
from rookery.actors.providers.core.ring import Ring
from rookery.transport import PeerId

TTL = 7200
ME, *OTHERS = [PeerId(random.Random(number).randbytes(32)) for number in range(200)]
HASHES = [random.Random(-number).randbytes(16) for number in range(1, 4000)]


class World:
    """An announcer, its ring, and index members that answer unless they are told not to."""

    def __init__(self, members: int = 10, *, seed: int = 1, rate: float = 32.0, burst: int = 64) -> None:
        self.rng = random.Random(seed)
        self.ring = Ring()
        self.now = 0.0
        self.announcer = Announcer(self.ring, me=ME, ttl=TTL, rate=rate, burst=burst, rng=self.rng)
        self.silent: set[PeerId] = set()
        self.loss = 0.0
        self.sent: list[tuple[float, Tell]] = []
        self.kept: dict[PeerId, dict[bytes, float]] = defaultdict(dict)  # until when, by member
        self.looked: list[int] = []
        for number, peer in enumerate(OTHERS[:members]):
            self.ring.add(peer, number)

    def provide(self, *hashes: bytes) -> None:
        self.announcer.provide(hashes, self.now)

    def join(self, peer: PeerId, net: int = 0) -> None:
        self.ring.add(peer, net)
        self.announcer.changed(peer, self.now)

    def leave(self, peer: PeerId) -> None:
        self.ring.discard(peer)
        self.kept.pop(peer, None)
        self.announcer.changed(peer, self.now)

    def restart(self, peer: PeerId) -> None:
        self.kept.pop(peer, None)
        self.announcer.changed(peer, self.now)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        turns = 0
        while True:
            for tell in self.announcer.poll(self.now):
                self.sent.append((self.now, tell))
                self._receive(tell)
            at = self.announcer.wake_at(self.now)
            turns = turns + 1 if at <= self.now else 0
            assert turns < 10_000, "it never rests"
            if at > end:
                self.now = end
                return
            self.now = max(self.now, at)

    def _receive(self, tell: Tell) -> None:
        if tell.to in self.silent or self.rng.random() < self.loss:
            return
        for hashed in tell.hashes:
            if tell.seconds:
                self.kept[tell.to][hashed] = self.now + tell.seconds
            else:
                self.kept[tell.to].pop(hashed, None)
        if self.rng.random() >= self.loss:
            self.announcer.answered(tell.to, tell.number, self.now)

    def at(self, hashed: bytes) -> set[PeerId]:
        """Who keeps this key now."""
        return {peer for peer, kept in self.kept.items() if kept.get(hashed, -1.0) > self.now}

    def since(self, number: int) -> list[Tell]:
        return [tell for _, tell in self.sent[number:]]


def test_key_is_told_to_its_three_index_members_within_a_tenth_of_a_second() -> None:
    world = World()
    world.provide(HASHES[0])
    world.run(0.1)
    assert world.at(HASHES[0]) == set(world.ring.index_members(HASHES[0]))
    assert [tell.seconds for _, tell in world.sent] == [TTL] * 3
    world.run(60)
    assert len(world.sent) == 3


def test_keys_that_come_together_are_told_in_batches() -> None:
    world = World(3)
    world.provide(*HASHES[:1200])
    world.run(10)
    assert [len(tell.hashes) for _, tell in world.sent] == [MAX_BATCH] * 6 + [1200 - 2 * MAX_BATCH] * 3
    assert all(world.at(hashed) == set(OTHERS[:3]) for hashed in HASHES[:1200])


def test_key_that_is_held_no_more_is_taken_back_where_it_was_told() -> None:
    world = World()
    world.provide(HASHES[0])
    world.run(1)
    world.announcer.withdraw([HASHES[0]], world.now)
    assert HASHES[0] not in world.announcer
    world.run(1)
    assert world.at(HASHES[0]) == set()
    assert [tell.seconds for tell in world.since(3)] == [0] * 3
    world.run(TTL)
    assert len(world.sent) == 6


def test_key_that_is_taken_back_before_it_was_told_is_told_to_nobody() -> None:
    world = World()
    world.provide(HASHES[0])
    world.announcer.withdraw([HASHES[0]], world.now)
    world.run(10)
    assert world.sent == []


def test_keys_are_told_again_before_their_time_is_over_and_not_all_at_once() -> None:
    world = World(100)
    world.provide(*HASHES[:300])
    world.run(60)
    first = len(world.sent)
    for _ in range(60):
        world.run(TTL / 10)
        assert all(len(world.at(hashed)) == 3 for hashed in HASHES[:300])
    again = len(world.sent) - first
    assert first * 10 <= again <= first * 15  # in six times of theirs, about twice in each
    assert len({round(at) for at, _ in world.sent[first:]}) > 200


def test_joined_member_is_told_its_keys_once_and_the_old_one_keeps_them() -> None:
    world = World(60)
    world.provide(*HASHES[:500])
    world.run(30)
    before = {hashed: world.at(hashed) for hashed in HASHES[:500]}
    told = len(world.sent)
    new = OTHERS[100]
    world.join(new, 100)
    world.run(MAX_SETTLE + 5)
    mine = [hashed for hashed in HASHES[:500] if new in world.ring.index_members(hashed)]
    assert mine
    assert {hashed for tell in world.since(told) if tell.to == new for hashed in tell.hashes} == set(mine)
    assert {tell.to for tell in world.since(told)} == {new}
    assert sum(len(tell.hashes) for tell in world.since(told)) == len(mine)
    assert all(world.at(hashed) == before[hashed] | {new} for hashed in mine)


def test_keys_of_a_dead_index_member_are_told_to_the_one_that_follows() -> None:
    world = World(60)
    world.provide(*HASHES[:500])
    world.run(30)
    dead = OTHERS[7]
    moved = [hashed for hashed in HASHES[:500] if dead in world.at(hashed)]
    world.leave(dead)
    assert all(len(world.at(hashed)) == 2 for hashed in moved)
    world.run(MAX_SETTLE + 5)
    assert moved
    assert all(world.at(hashed) == set(world.ring.index_members(hashed)) for hashed in moved)


def test_index_member_in_a_later_life_is_told_its_keys_anew() -> None:
    world = World()
    world.provide(*HASHES[:50])
    world.run(30)
    told = len(world.sent)
    mine = set(world.kept[OTHERS[3]])
    world.restart(OTHERS[3])
    world.run(SETTLE * 2)
    assert mine
    assert set(world.kept[OTHERS[3]]) == mine
    assert {tell.to for tell in world.since(told)} == {OTHERS[3]}


def test_storm_of_joins_is_one_look_when_it_has_settled() -> None:
    world = World(40)
    world.provide(*HASHES[:1000])
    world.run(60)
    told = len(world.sent)
    for number, peer in enumerate(OTHERS[40:140]):
        world.join(peer, number)
        world.run(0.05)
    world.run(SETTLE + 30)
    sent = world.since(told)
    assert len(sent) == len({tell.to for tell in sent}) <= 100
    assert all(set(world.ring.index_members(hashed)) <= world.at(hashed) for hashed in HASHES[:1000])


def test_members_that_never_settle_are_looked_at_all_the_same() -> None:
    world = World(40)
    world.provide(*HASHES[:1000])
    world.run(60)
    told = len(world.sent)
    for number in range(30):
        world.join(OTHERS[40 + number], number)
        world.run(1)
    assert next(at for at, _ in world.sent[told:]) <= 60 + MAX_SETTLE + 1


def test_batches_leave_no_faster_than_the_bucket_allows() -> None:
    world = World(150, rate=10.0, burst=20)
    world.provide(*HASHES[:1000])
    world.run(5)
    assert len(world.sent) <= 20 + 5 * 10
    world.run(60)
    assert all(len(world.at(hashed)) == 3 for hashed in HASHES[:1000])


def test_batch_without_an_answer_is_repeated_three_times_and_then_the_follower_is_told() -> None:
    world = World()
    quiet, *_ = world.ring.index_members(HASHES[0])
    world.silent.add(quiet)
    world.provide(HASHES[0])
    world.run(30)
    assert [at for at, tell in world.sent if tell.to == quiet] == pytest.approx([0.05, 2.05, 6.05])
    assert len({tell.number for _, tell in world.sent if tell.to == quiet}) == 1
    assert world.at(HASHES[0]) == set(world.ring.index_members(HASHES[0], {quiet}))
    assert world.announcer.silent == 1


def test_silent_index_member_that_answers_again_has_its_keys_again() -> None:
    world = World()
    quiet, *_ = world.ring.index_members(HASHES[0])
    world.silent.add(quiet)
    world.provide(HASHES[0])
    world.run(30)
    world.silent.clear()
    world.run(TRY_AGAIN + 20)
    assert world.at(HASHES[0]) >= set(world.ring.index_members(HASHES[0]))
    assert world.announcer.silent == 0


def test_silent_member_is_tried_ever_more_rarely() -> None:
    world = World()
    quiet, *_ = world.ring.index_members(HASHES[0])
    world.silent.add(quiet)
    world.provide(HASHES[0])
    world.run(TTL * 2)
    assert 6 <= len({tell.number for _, tell in world.sent if tell.to == quiet}) <= 12


def test_answer_of_somebody_else_or_of_another_number_counts_for_nothing() -> None:
    world = World()
    world.silent.update(OTHERS)
    world.provide(HASHES[0])
    world.run(1)
    (_, tell), *_ = world.sent
    assert world.announcer.answered(OTHERS[50], tell.number, world.now) is None
    assert world.announcer.answered(tell.to, tell.number + 9, world.now) is None
    assert world.announcer.answered(tell.to, tell.number, world.now) == 1
    assert world.announcer.answered(tell.to, tell.number, world.now) is None


def test_node_that_is_its_own_index_member_pays_no_token_for_it() -> None:
    world = World(0, rate=0.001, burst=1)
    world.ring.add(ME, 0)
    world.provide(*HASHES[:2000])
    world.run(60)
    assert len(world.kept[ME]) == 2000


def test_node_without_members_tells_nobody_and_whoever_joins_is_told() -> None:
    world = World(0)
    world.provide(*HASHES[:10])
    world.run(60)
    assert world.sent == []
    world.join(OTHERS[0])
    world.run(MAX_SETTLE)
    assert len(world.kept[OTHERS[0]]) == 10
    assert world.announcer.wake_at(world.now) < math.inf


def test_poll_looks_at_a_bounded_number_of_keys() -> None:
    world = World(3)
    world.provide(*HASHES)
    tells = world.announcer.poll(0.1)
    assert len(world.announcer) == len(HASHES)
    assert 0 < world.announcer.waiting + sum(len(tell.hashes) for tell in tells) <= 3 * 200
    assert world.announcer.wake_at(0.1) == 0.1


def test_index_member_that_dies_and_is_back_before_the_members_have_settled_is_told_again() -> None:
    world = World()
    world.provide(*HASHES[:50])
    world.run(30)
    mine = set(world.kept[OTHERS[3]])
    world.leave(OTHERS[3])
    world.run(0.5)
    world.join(OTHERS[3], 3)
    world.run(MAX_SETTLE)
    assert mine
    assert set(world.kept[OTHERS[3]]) == mine


def test_index_member_that_is_back_while_what_it_had_is_still_being_looked_at_is_told_again() -> None:
    world = World(40, rate=math.inf)
    world.provide(*HASHES)
    world.run(60)
    mine = set(world.kept[OTHERS[3]])
    world.leave(OTHERS[3])
    world.now = world.announcer.wake_at(world.now)
    for tell in world.announcer.poll(world.now):  # the first slice of the look
        world._receive(tell)
    assert world.announcer._jobs
    world.join(OTHERS[3], 3)
    world.run(60)
    assert len(mine) > 50
    assert set(world.kept[OTHERS[3]]) == mine


def test_nobody_waits_for_a_member_that_answers_late() -> None:
    world = World(4)
    hashes = [world.rng.randbytes(16) for _ in range(20_000)]
    slow = OTHERS[0]
    world.silent = {slow}
    world.provide(*hashes)
    world.run(8)  # it counts as silent after 14 s
    for hashed in hashes:
        assert world.at(hashed) == set(world.ring.index_members(hashed)) - {slow}


def test_key_that_is_taken_back_is_not_told_to_who_is_gone() -> None:
    world = World()
    world.provide(HASHES[0])
    world.run(1)
    gone, *others = world.ring.index_members(HASHES[0])
    world.leave(gone)
    world.announcer.withdraw([HASHES[0]], world.now)
    told = len(world.sent)
    world.run(60)
    assert {tell.to for tell in world.since(told)} == set(others)


def test_what_is_told_and_what_is_taken_back_go_in_batches_of_their_own() -> None:
    world = World(1)
    world.provide(HASHES[0])
    world.run(1)
    world.silent.add(OTHERS[0])
    world.provide(HASHES[3])
    world.run(0.1)
    world.provide(HASHES[1])
    world.run(0.01)
    world.announcer.withdraw([HASHES[0]], world.now)
    world.provide(HASHES[2])
    world.silent.clear()
    world.run(5)
    assert [tell.hashes for tell in world.since(3)] == [(HASHES[1],), (HASHES[0],), (HASHES[2],)]
    assert world.at(HASHES[0]) == set()
    assert world.at(HASHES[1]) == world.at(HASHES[2]) == {OTHERS[0]}


def test_silent_member_of_very_many_keys_does_not_hold_up_the_others() -> None:
    world = World(3)
    world.silent.add(OTHERS[0])
    keys = [random.Random(number).randbytes(16) for number in range(20_000, 30_000)]
    world.provide(*keys)
    world.run(120)
    assert len(world.kept[OTHERS[1]]) == len(world.kept[OTHERS[2]]) == len(keys)


@settings(max_examples=15)
@given(data=st.data())
def test_in_the_end_each_key_is_where_askers_look_whatever_happens(data: st.DataObject) -> None:
    world = World(data.draw(st.integers(0, 60)), seed=data.draw(st.integers(0, 2**32)))
    held: set[bytes] = set()
    for _ in range(data.draw(st.integers(1, 12))):
        what, number = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 99))
        if what == 0:
            world.provide(*HASHES[number : number + 30])
            held |= set(HASHES[number : number + 30])
        elif what == 1:
            world.announcer.withdraw(HASHES[number : number + 10], world.now)
            held -= set(HASHES[number : number + 10])
        elif what == 2 and OTHERS[number] not in world.ring:
            world.join(OTHERS[number], number % 7)
        elif what == 3 and OTHERS[number] in world.ring:
            world.leave(OTHERS[number])
        elif what == 4 and OTHERS[number] in world.ring:
            world.restart(OTHERS[number])
        elif what == 5:
            world.silent ^= {OTHERS[number]}
        else:
            world.loss = data.draw(st.sampled_from([0.0, 0.1, 0.5]))
        world.run(data.draw(st.sampled_from([0.0, 0.2, 3.0, 100.0])))
    world.loss = 0.0
    world.silent.clear()
    world.run(2 * TTL)
    for hashed in HASHES[:130]:
        there = world.at(hashed)
        if hashed in held:
            assert there >= set(world.ring.index_members(hashed))
        else:
            assert there == set()
