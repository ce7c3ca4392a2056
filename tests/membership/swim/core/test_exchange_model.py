"""Two to five members whose packets come in any order, twice or never, and whose processes end, leave and come back.

Whatever has happened: nobody is told of a member twice, nobody holds itself, what members say of each other agrees with
what they told, no packet of one is an error to another. And once packets arrive again, all find together.
"""

import heapq
import random
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rookery.actors.membership.swim import (
    Config,
    MemberDown,
    MemberId,
    MemberUp,
    Notification,
    Notify,
    Outbox,
    Periodic,
    Schedule,
    Send,
    Swim,
    Timer,
)

from ..rig import name, next_life

CONFIG = replace(
    Config.new_lan(),
    suspect_to_down_after=2.0,
    suspicion_max_factor=3.0,
    awareness_max_multiplier=3,
    periodic_announce_to_down_members=Periodic(3.0, 2),
    announce_to_seeds=1.0,
    sync=4.0,
    max_rejoins_per_minute=1_000,
)
LATENCY = 0.002
EXCHANGE_TIMEOUT = 120.0

numbers = st.integers(0, 4)
places = st.integers(0, 1_000)


class Life:
    """One process of one member."""

    def __init__(self, identity: MemberId, seed: str) -> None:
        self.swim = Swim.new(identity, CONFIG, random.Random(seed), renew=next_life)
        self.outbox = Outbox()
        self.up: set[bytes] = set()

    def heed(self, note: Notification) -> None:
        match note:
            case MemberUp(member):
                assert member.key not in self.up, "told twice that a member is up"
                self.up.add(member.key)
            case MemberDown(member):
                self.up.remove(member.key)
            case _:
                pass


class ExchangeMachine(RuleBasedStateMachine):
    @initialize(size=st.integers(2, 5), seed=st.integers(0, 9))
    def begin(self, size: int, seed: int) -> None:
        self.now, self.seed, self.sequence = 0.0, seed, 0
        self.lives: list[Life | None] = [None] * size
        self.last = [name(number) for number in range(size)]
        self.packets: list[tuple[int, bytes, bytes]] = []  # to, authenticated sender, data
        self.timers: list[tuple[float, int, int, Life, Timer]] = []
        for number in range(size):
            self._start(number)

    def _start(self, number: int) -> None:
        life = self.lives[number] = Life(self.last[number], f"{self.seed}/{self.sequence}/{number}")
        life.swim.join([name(0, 0), name(1, 0)], self.now, life.outbox)
        self._carry_out(number)

    def _carry_out(self, number: int) -> None:
        life = self.lives[number]
        assert life is not None
        for effect in life.outbox.drain():
            match effect:
                case Send(to, data):
                    self.packets.append((int.from_bytes(to.key, "big"), life.swim.identity.key, data))
                case Schedule(timer, delay):
                    self.sequence += 1
                    heapq.heappush(self.timers, (self.now + delay, timer.rank, self.sequence, life, timer))
                case Notify(note):
                    life.heed(note)
        self.last[number] = life.swim.identity

    def _deliver(self, to: int, sender: bytes, data: bytes) -> None:
        life = self.lives[to]
        if life is not None:
            life.swim.handle_data(data, self.now, life.outbox, sender=sender)
            self._carry_out(to)

    def _fire_next(self) -> None:
        due, _, _, life, timer = heapq.heappop(self.timers)
        self.now = max(self.now, due)
        if life in self.lives:
            life.swim.handle_timer(timer, self.now, life.outbox)
            self._carry_out(self.lives.index(life))

    @precondition(lambda self: self.packets)
    @rule(place=places, fate=st.sampled_from(["arrives"] * 5 + ["is lost", "is doubled"]))
    def packet(self, place: int, fate: str) -> None:
        place %= len(self.packets)
        if fate == "is doubled":
            self.packets.append(self.packets[place])
            return
        packet = self.packets.pop(place)
        if fate == "arrives":
            self._deliver(*packet)

    @rule()
    def all_packets_arrive(self) -> None:
        packets, self.packets = self.packets, []
        for packet in packets:
            self._deliver(*packet)

    @rule(count=st.integers(1, 60))
    def time_passes(self, count: int) -> None:
        for _ in range(count):
            if self.timers:
                self._fire_next()
        del self.packets[:-300]

    @rule(number=numbers)
    def process_ends(self, number: int) -> None:
        if number < len(self.lives):
            self.lives[number] = None

    @rule(number=numbers, same=st.booleans())
    def process_starts(self, number: int, same: bool) -> None:
        if number < len(self.lives) and self.lives[number] is None:
            if not same:
                self.last[number] = next_life(self.last[number])
            self._start(number)

    @rule(number=numbers)
    def member_leaves_or_comes_back(self, number: int) -> None:
        life = self.lives[number] if number < len(self.lives) else None
        if life is None:
            return
        if life.swim.has_left:
            life.swim.change_identity(next_life(life.swim.identity), self.now, life.outbox)
            life.swim.join([name(0, 0), name(1, 0)], self.now, life.outbox)
        else:
            life.swim.leave_cluster(life.outbox)
        self._carry_out(number)

    @invariant()
    def views_agree_with_what_was_told(self) -> None:
        for number, life in enumerate(self.lives):
            if life is None:
                continue
            held = list(life.swim.iter_membership_state())
            active = {member.id.key for member in held if member.is_active}
            assert active == life.up
            assert life.swim.num_members == len(active)
            assert name(number).key not in {member.id.key for member in held}
            assert life.swim.updates_backlog() <= len(held) + 1

    def teardown(self) -> None:
        if not hasattr(self, "lives"):
            return
        for seed in (0, 1):  # everybody joins through these, so one of them must be there
            self.process_starts(seed, same=True)
            life = self.lives[seed]
            if life is not None and life.swim.has_left:
                self.member_leaves_or_comes_back(seed)
        end = self.now + EXCHANGE_TIMEOUT
        while not self._is_finished():
            assert self.now < end, [life and sorted(life.up) for life in self.lives]
            for packet in self._take_packets():
                self.now += LATENCY / 100
                self._deliver(*packet)
            if not self.packets:
                self._fire_next()

    def _take_packets(self) -> list[tuple[int, bytes, bytes]]:
        packets, self.packets = self.packets, []
        return packets

    def _is_finished(self) -> bool:
        present = {
            name(number).key for number, life in enumerate(self.lives) if life is not None and not life.swim.has_left
        }
        here = [life for life in self.lives if life is not None and not life.swim.has_left]
        return all(life.up == present - {life.swim.identity.key} for life in here)


class TestExchange(ExchangeMachine.TestCase):  # type: ignore[misc,valid-type]
    settings = settings(max_examples=20, stateful_step_count=30, deadline=None)


@pytest.mark.full
class TestExchangeLong(ExchangeMachine.TestCase):  # type: ignore[misc,valid-type]
    settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
