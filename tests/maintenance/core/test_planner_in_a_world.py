"""What maintenance does next in a world that does what it likes."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.maintenance import Bounds
from rookery.actors.maintenance.core.actions import (
    Action,
    Ask,
    Dial,
    DialOutcome,
    Done,
    Motive,
    Search,
    Trim,
    Wait,
    Withhold,
)
from rookery.actors.maintenance.core.goal import Goal
from rookery.actors.maintenance.core.planner import Planner
from rookery.transport.identity import PeerId

from .plans import FAILED, OPENED, PACING, PEERS, REFUSED, A


@dataclass
class World:
    """Peers that come and go, a tracker that is honest about back-off, and the rules every action must keep."""

    plan: Planner
    goal: Goal
    choices: random.Random
    listed: frozenset[PeerId] = frozenset()  # the set, if there is one
    now: float = 0.0
    connected: set[PeerId] = field(default_factory=set)
    blocked_until: dict[PeerId, float] = field(default_factory=dict)
    dialling: set[PeerId] = field(default_factory=set)
    question: Ask | Trim | None = None
    rounds: list[float] = field(default_factory=list)

    def settle(self) -> Wait:
        for _ in range(100):
            action = self.plan.next(self.now)
            if isinstance(action, Wait):
                assert action.until is None or action.until > self.now
                assert action.until is not None or self.dialling or self.question, "nothing would wake it"
                return action
            self.check(action)
        pytest.fail("a hundred actions without time passing")

    def check(self, action: Action) -> None:
        match action:
            case Ask() | Trim():
                assert self.question is None
                self.question = action
                assert action.spare or self.pause() if isinstance(action, Trim) else action.listed or self.pause()
                if isinstance(action, Ask):
                    assert self.dialling <= action.exclude
                    most = self.goal.dial_to if action.listed else self.goal.aim_to - len(self.connected)
                    assert 0 < action.limit <= most
            case Dial(peer):
                assert peer not in self.dialling
                self.dialling.add(peer)
                assert len(self.dialling) <= PACING.dials
                room = self.goal.maximum if peer in self.listed else self.goal.want_to
                assert len(self.connected) + len(self.dialling) <= room
            case Withhold(until):
                assert until > self.now
            case Search():
                self.plan.searched(len(self.connected), self.now)

    def pause(self) -> bool:
        """Whether a round keeps its distance to the one before. What seeks or makes room goes on in the same."""
        kept = not self.rounds or self.now - self.rounds[-1] >= PACING.floor
        self.rounds.append(self.now)
        return kept

    def count(self) -> None:
        listed = self.connected & self.listed if self.listed else self.connected
        absent = len(self.listed - self.connected)
        others = len(self.connected - listed)
        self.plan.counted(len(self.connected), listed=len(listed), others=others, absent=absent)

    def happen(self) -> None:
        """One thing happens: an answer, the end of a dial, a loss, a peer that dials us, a hint, or time."""
        what = self.choices.choice(["answer", "dial", "dial", "loss", "inbound", "hint", "want", "time"])
        if what == "answer" and isinstance(self.question, Ask):
            self.answer(self.question)
        elif what == "answer" and isinstance(self.question, Trim):
            self.trim(self.question)
        elif what == "dial" and self.dialling:
            self.end_dial(self.choices.choice(sorted(self.dialling)))
        elif what == "loss" and self.connected:
            peer = self.choices.choice(sorted(self.connected))
            self.connected.discard(peer)
            self.plan.lost(peer, self.now, broken=self.choices.random() < 0.5)
            self.plan.trigger(Motive.EXTERNAL)
        elif what == "inbound":
            self.connected.add(self.choices.choice(sorted(set(PEERS) - self.dialling) or [A]))
        elif what == "hint":
            self.plan.trigger(Motive.EXTERNAL)
        elif what == "want":
            self.plan.wanted(self.choices.choice(PEERS))
        else:
            self.now += self.choices.choice([0.1, 1.0, 6.0])
        self.count()

    def answer(self, ask: Ask) -> None:
        self.question = None
        among = self.listed if ask.listed else frozenset(PEERS)
        free = [peer for peer in PEERS if peer in among - self.connected - self.dialling - ask.exclude]
        ready = [peer for peer in free if self.blocked_until.get(peer, 0.0) <= self.now]
        waiting = [self.blocked_until[peer] for peer in free if peer not in ready]
        self.plan.candidates(ready[: ask.limit], min(waiting, default=None), self.now)

    def end_dial(self, peer: PeerId) -> None:
        self.dialling.discard(peer)
        outcome = self.choices.choice(list(DialOutcome)) if peer not in self.connected else REFUSED
        if outcome is OPENED:
            self.connected.add(peer)
        elif outcome is FAILED:
            self.blocked_until[peer] = self.now + 1.0
        self.plan.dial_ended(peer, outcome, self.now)

    def trim(self, trim: Trim) -> None:
        self.question = None
        spared = self.listed if trim.spare else frozenset()
        many = max(0, len(self.connected) - trim.target)
        extra = sorted(self.connected - spared)[:many]
        self.connected -= set(extra)
        for peer in extra:
            self.plan.lost(peer, self.now, broken=False)
        self.count()
        self.plan.trimmed(len(extra), short=len(extra) < many, now=self.now, passing=self.choices.random() < 0.3)

    def calm(self) -> Done | None:
        """From now on everything is answered well; the last Done within a while."""
        last = None
        for _ in range(200):
            while isinstance(action := self.plan.next(self.now), (Ask, Trim, Dial, Search, Done)):
                last = action if isinstance(action, Done) else last
                self.check(action)
            if isinstance(self.question, Ask):
                self.answer(self.question)
            elif isinstance(self.question, Trim):
                self.trim(self.question)
            elif self.dialling:
                peer = min(self.dialling)
                self.dialling.discard(peer)
                self.connected.add(peer)
                self.plan.dial_ended(peer, OPENED, self.now)
                self.count()
            elif action.until is not None and action.until < self.now + 100:
                self.now = action.until
            else:
                return last
        pytest.fail("it never comes to rest")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.integers(1, 60))
def test_planner_in_any_world_keeps_its_rules_and_ends_in_the_band(seed: int, every: bool, events: int) -> None:
    goal = Goal(Bounds(2, 3, 3, 4), maximum=5, dial_all=every)
    world = World(Planner(goal, PACING, random.Random(seed)), goal, random.Random(seed))
    for _ in range(events):
        world.settle()
        world.happen()
    ended = world.calm()
    assert ended is None or ended.in_band
    assert len(world.connected) == 5 if every else 2 <= len(world.connected) <= 4


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sets(st.sampled_from(PEERS), min_size=1), st.integers(1, 60), st.integers(3, 5))
def test_planner_in_any_world_with_a_set_ends_with_as_many_of_it_as_the_band_asks_for(
    seed: int, listed: set[PeerId], events: int, top: int
) -> None:
    goal = Goal(Bounds(2, 3, 3, min(4, top)), maximum=top, dial_all=False)
    world = World(Planner(goal, PACING, random.Random(seed)), goal, random.Random(seed), frozenset(listed))
    world.plan.set_changed(world.listed)
    for _ in range(events):
        world.settle()
        world.happen()
    world.plan.set_changed(world.listed - {min(listed)})  # so that it begins anew, whatever it tried before
    world.plan.set_changed(world.listed)
    world.blocked_until.clear()
    ended = world.calm()
    assert ended is None or ended.in_band
    assert 2 <= len(world.connected) <= top
    assert len(world.connected & world.listed) >= min(2, len(world.listed))
