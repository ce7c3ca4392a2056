"""What maintenance does next, without engine and clock: single rules, then a world that does what it likes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.maintenance import Bounds
from rookery.actors.maintenance.goal import Goal
from rookery.actors.maintenance.planner import Planner
from rookery.actors.maintenance.steps import Ask, Dial, Done, Motive, Outcome, Pacing, Search, Step, Trim, Wait
from rookery.transport.identity import PeerId

OPENED, REFUSED, FAILED = Outcome.OPENED, Outcome.REFUSED, Outcome.FAILED
A, B, C, D, E = PEERS = tuple(PeerId(bytes([number]) * 32) for number in range(1, 6))
NOBODY: frozenset[PeerId] = frozenset()
PACING = Pacing(floor=1.0, looking=5.0, idle=120.0, dials=10)


def planner(
    *, bounds: tuple[int, int, int, int] = (2, 3, 5, 6), every: bool = False, pacing: Pacing = PACING
) -> Planner:
    return Planner(Goal(Bounds(*bounds), maximum=7, dial_all=every), pacing, random.Random(1))


def steps(plan: Planner, now: float) -> list[Step]:
    found = [plan.next(now)]
    while not isinstance(found[-1], Wait):
        found.append(plan.next(now))
    return found


def floor_of(step: Step) -> float:
    assert isinstance(step, Wait)
    assert step.until is not None
    return step.until


def test_planner_below_the_threshold_asks_for_as_many_as_lead_to_the_upper_target() -> None:
    plan = planner()
    plan.counted(1)
    assert steps(plan, 0.0) == [Ask(4, NOBODY, urgent=True), Wait(None)]


def test_planner_between_threshold_and_target_rests_until_the_idle_time() -> None:
    plan = planner()
    plan.counted(2)
    assert steps(plan, 0.0) == [Done(in_band=True), Wait(120.0)]


def test_planner_dials_up_to_the_lower_target_and_keeps_the_surplus_for_failures() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates(PEERS, None, 0.0)
    assert steps(plan, 0.0) == [Dial(A), Dial(B), Dial(C), Wait(None)]
    plan.dial_ended(B, FAILED, 0.5)
    assert plan.next(0.5) == Dial(D)


def test_P4_a_candidate_that_was_not_dialled_may_be_offered_again() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates(PEERS, None, 0.0)
    steps(plan, 0.0)
    for peer in (A, B, C):
        plan.dial_ended(peer, OPENED, 0.1)  # and no count confirms it
    again = floor_of(steps(plan, 0.2)[-1])
    assert plan.next(again) == Ask(5, frozenset({A, B, C}), urgent=True)


def test_planner_whose_dialled_peer_is_lost_again_may_be_offered_it_again() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates((A, B), None, 0.0)
    steps(plan, 0.0)
    plan.dial_ended(A, OPENED, 0.1)
    plan.dial_ended(B, FAILED, 0.1)
    plan.lost(A, 0.1, broken=False)
    again = floor_of(steps(plan, 0.2)[-1])
    assert plan.next(again) == Ask(5, frozenset({B}), urgent=True)


def test_P4_a_surplus_candidate_is_no_more_excluded_than_a_stranger() -> None:
    plan = planner(pacing=Pacing(floor=1.0, looking=5.0, idle=120.0, dials=1))
    steps(plan, 0.0)
    plan.candidates((A, B, C), None, 0.0)
    assert steps(plan, 0.0) == [Dial(A), Wait(None)]
    plan.counted(3)  # somebody dialled us
    plan.dial_ended(A, FAILED, 0.1)
    assert Done(in_band=True) in steps(plan, 0.1)
    plan.counted(1)
    assert steps(plan, 3.0)[0] == Ask(4, NOBODY, urgent=True)


def test_planner_dials_at_most_so_many_at_once() -> None:
    plan = planner(pacing=Pacing(floor=1.0, looking=5.0, idle=120.0, dials=2))
    steps(plan, 0.0)
    plan.candidates(PEERS, None, 0.0)
    assert steps(plan, 0.0) == [Dial(A), Dial(B), Wait(None)]
    plan.dial_ended(A, OPENED, 0.1)
    assert steps(plan, 0.1) == [Dial(C), Wait(None)]


@pytest.mark.parametrize(("connected", "step"), [(4, Done(in_band=True)), (7, Trim(5))])
def test_planner_whose_dials_all_hang_still_sees_that_the_count_rose(connected: int, step: Step) -> None:
    plan = planner(pacing=Pacing(floor=1.0, looking=5.0, idle=120.0, dials=2))
    steps(plan, 0.0)
    plan.candidates(PEERS, None, 0.0)
    steps(plan, 0.0)
    plan.hinted(Motive.EXTERNAL)
    assert steps(plan, 2.0) == [Wait(None)]
    plan.counted(connected)
    assert steps(plan, 2.0)[0] == step


@pytest.mark.parametrize("lagging", [0, 1, 2])
def test_planner_whose_counts_lag_behind_its_successes_dials_nobody_in_excess(lagging: int) -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates(PEERS, None, 0.0)
    steps(plan, 0.0)
    for peer in (A, B, C):
        plan.dial_ended(peer, OPENED, 0.1)
    plan.counted(lagging)
    assert not [step for step in steps(plan, 0.1) if isinstance(step, (Ask, Dial))]
    plan.counted(3)
    assert steps(plan, 0.2)[0] == Done(in_band=True)


def test_planner_whose_successes_are_never_counted_asks_again_after_the_floor() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates((A, B, C), None, 0.0)
    steps(plan, 0.0)
    for peer in (A, B, C):
        plan.dial_ended(peer, OPENED, 2.0)
    again = floor_of(steps(plan, 2.0)[-1])
    assert again == 3.0
    assert isinstance(plan.next(again), Ask)


def test_P19_rounds_keep_the_floor_however_often_somebody_hints() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates((), None, 0.0)
    steps(plan, 0.0)
    plan.hinted(Motive.EXTERNAL)
    floor = floor_of(steps(plan, 0.1)[-1])
    assert 1.0 <= floor <= 1.5
    plan.hinted(Motive.EXTERNAL)
    assert steps(plan, floor - 0.01) == [Wait(floor)]
    assert isinstance(plan.next(floor), Ask)


def test_planner_hint_that_comes_while_a_question_is_under_way_is_not_lost() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.hinted(Motive.EXTERNAL)
    plan.candidates((), None, 0.1)
    _search, ended, waits = steps(plan, 0.1)
    assert ended == Done(in_band=False)
    assert floor_of(waits) <= 1.5  # not the five seconds of the looking interval


def test_P3_planner_with_nobody_to_dial_waits_for_the_looking_interval() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates((), None, 0.0)
    assert steps(plan, 0.0) == [Search(wake=True), Done(in_band=False), Wait(5.0)]


def test_planner_offered_fewer_than_it_needs_searches_while_it_dials() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates((A, B), None, 0.0)
    assert steps(plan, 0.0) == [Search(wake=True), Dial(A), Dial(B), Wait(None)]


def test_planner_offered_enough_does_not_search() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates((A, B, C), None, 0.0)
    assert steps(plan, 0.0) == [Dial(A), Dial(B), Dial(C), Wait(None)]


def test_planner_with_nobody_to_dial_searches_more_and_more_rarely() -> None:
    plan, now, searches = planner(), 0.0, list[float]()
    while now < 300:
        step = plan.next(now)
        if isinstance(step, Search):
            searches.append(now)
            plan.searched(3, now)
        elif step == Wait(None):
            plan.candidates((), None, now)
        elif isinstance(step, Wait):
            assert floor_of(step) <= now + PACING.looking
            now = floor_of(step)
    gaps = [later - earlier for earlier, later in pairwise(searches)]
    assert gaps == [5.0, 10.0, 20.0, 40.0, 80.0, 120.0]


def test_planner_offered_somebody_after_a_while_searches_at_the_first_pace_again() -> None:
    plan = planner()
    for now in (0.0, 5.0):
        steps(plan, now)
        plan.candidates((), None, now)
        assert Search(wake=True) in steps(plan, now)
        plan.searched(1, now)
    steps(plan, 10.0)
    plan.candidates((A,), None, 10.0)
    steps(plan, 10.0)
    plan.dial_ended(A, OPENED, 10.0)
    for now, expected in ((16.0, True), (20.0, False), (22.0, True)):
        plan.hinted(Motive.NEW_PEER)
        steps(plan, now)
        plan.candidates((), None, now)
        assert (Search(wake=True) in steps(plan, now)) is expected
        if expected:
            plan.searched(1, now)


def test_planner_that_found_nobody_to_ask_asks_the_first_one_at_once_and_wakes_discovery_at_its_pace() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates((A,), None, 0.0)
    assert Search(wake=True) in steps(plan, 0.0)
    plan.searched(0, 0.0)
    plan.dial_ended(A, OPENED, 0.1)
    plan.counted(1)
    again = floor_of(steps(plan, 0.1)[-1])
    steps(plan, again)
    plan.candidates((), None, again)
    assert steps(plan, again)[0] == Search(wake=False)


def test_planner_of_policy_all_never_searches() -> None:
    plan = planner(every=True)
    steps(plan, 0.0)
    plan.candidates((), None, 0.0)
    assert not [step for step in steps(plan, 0.0) if isinstance(step, Search)]


def test_planner_that_may_not_dial_rests_below_the_band_and_still_trims() -> None:
    plan = Planner(Goal(Bounds(2, 3, 5, 6), maximum=7, dial_all=False, dials=False), PACING, random.Random(1))
    assert steps(plan, 0.0) == [Done(in_band=True), Wait(120.0)]
    plan.counted(7)
    assert steps(plan, 0.0)[0] == Trim(5)


def test_planner_that_may_not_trim_rests_above_the_band_and_still_dials() -> None:
    plan = Planner(Goal(Bounds(2, 3, 5, 6), maximum=7, dial_all=False, trims=False), PACING, random.Random(1))
    plan.counted(7)
    assert steps(plan, 0.0) == [Done(in_band=True), Wait(120.0)]
    plan.counted(1)
    assert isinstance(steps(plan, 0.0)[0], Ask)


@pytest.mark.parametrize(
    ("happens", "motive"),
    [
        (lambda plan: plan.hinted(Motive.NEW_PEER), Motive.NEW_PEER),
        (lambda plan: plan.hinted(Motive.EXTERNAL), Motive.EXTERNAL),
        (lambda plan: plan.wanted(A), Motive.WANTED),
        (lambda plan: plan.counted(1), Motive.TOO_FEW),
        (lambda plan: plan.counted(7), Motive.TOO_MANY),
        (lambda plan: plan.counted(5), Motive.CONNECTIONS),
        (lambda _plan: None, Motive.TIMER),
    ],
)
def test_planner_says_why_it_looked(happens: Callable[[Planner], object], motive: Motive) -> None:
    plan = planner()
    plan.counted(4)
    steps(plan, 0.0)
    assert plan.motive is Motive.ACTIVATION
    happens(plan)
    steps(plan, 200.0)
    assert plan.motive is motive


def test_planner_with_nobody_to_dial_yet_waits_for_the_tracker_s_time() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates((), 3.5, 0.0)
    assert steps(plan, 0.0)[1:] == [Done(in_band=False), Wait(3.5)]
    assert isinstance(plan.next(3.5), Ask)


def test_planner_refused_by_the_tracker_does_not_ask_for_the_same_peer_in_one_repair() -> None:
    plan = planner()
    steps(plan, 0.0)
    plan.candidates((A,), None, 0.0)
    steps(plan, 0.0)
    plan.dial_ended(A, REFUSED, 0.0)
    again = floor_of(steps(plan, 0.0)[-1])
    assert plan.next(again) == Ask(5, frozenset({A}), urgent=True)
    plan.candidates((), None, again)
    assert steps(plan, again)[-2:] == [Done(in_band=False), Wait(again + 5.0)]


def test_planner_above_the_threshold_trims_to_the_upper_target_and_dials_nobody() -> None:
    plan = planner()
    plan.counted(7)
    assert steps(plan, 0.0) == [Trim(5), Wait(None)]
    plan.counted(5)
    plan.trimmed(2, short=False, now=0.1)
    assert steps(plan, 0.1) == [Done(in_band=True), Wait(120.1)]


@pytest.mark.parametrize(("closed", "short"), [(0, False), (0, True), (1, True)])
def test_P3_planner_whose_trim_falls_short_waits_for_a_count_or_the_idle_time(closed: int, short: bool) -> None:
    plan = planner()
    plan.counted(9)
    steps(plan, 0.0)
    plan.trimmed(closed, short=short, now=0.1)
    assert steps(plan, 0.1) == [Done(in_band=False), Wait(120.1)]
    plan.counted(8)
    assert steps(plan, 2.0) == [Trim(5), Wait(None)]


def test_planner_whose_trim_is_short_of_young_connections_looks_again_after_the_looking_interval() -> None:
    plan = planner()
    plan.counted(9)
    steps(plan, 0.0)
    plan.trimmed(0, short=True, now=0.1, passing=True)
    assert steps(plan, 0.1) == [Done(in_band=False), Wait(5.1)]


def test_planner_of_policy_all_dials_everybody_offered_up_to_the_maximum() -> None:
    plan = planner(every=True)
    plan.counted(3)
    assert steps(plan, 0.0) == [Ask(4, NOBODY, urgent=False), Wait(None)]
    plan.candidates((A, B), None, 0.0)
    assert steps(plan, 0.0) == [Dial(A), Dial(B), Wait(None)]


def test_planner_of_policy_all_is_done_when_nobody_is_left_now_or_later() -> None:
    plan = planner(every=True)
    steps(plan, 0.0)
    plan.candidates((), None, 0.0)
    assert steps(plan, 0.0) == [Done(in_band=True), Wait(120.0)]


def test_planner_of_policy_all_is_not_done_while_somebody_waits_for_his_time() -> None:
    plan = planner(every=True)
    plan.counted(6)
    steps(plan, 0.0)
    plan.candidates((), 2.5, 0.0)
    assert steps(plan, 0.0) == [Done(in_band=False), Wait(2.5)]


def test_planner_of_policy_all_never_trims() -> None:
    plan = planner(every=True)
    plan.counted(9)
    assert steps(plan, 0.0) == [Done(in_band=True), Wait(120.0)]


def test_planner_inside_the_band_dials_a_wanted_peer_once_and_nobody_else() -> None:
    plan = planner()
    plan.counted(4)
    steps(plan, 0.0)
    plan.wanted(D)
    plan.wanted(D)
    assert steps(plan, 1.0) == [Dial(D), Wait(None)]
    plan.dial_ended(D, FAILED, 1.1)
    assert steps(plan, 1.1)[0] == Done(in_band=True)


def test_planner_inside_the_band_dials_again_whom_it_lost_and_nobody_else() -> None:
    plan = planner()
    plan.counted(4)
    steps(plan, 0.0)
    plan.lost(D, 1.0, broken=True)
    assert steps(plan, 1.0) == [Wait(61.0)]
    assert steps(plan, 61.0) == [Dial(D), Wait(181.0)]
    assert plan.motive is Motive.MISSING
    plan.dial_ended(D, FAILED, 62.0)
    assert steps(plan, 62.0) == [Done(in_band=True), Wait(181.0)]
    plan.found(D)
    assert steps(plan, 181.0)[-1] == Wait(182.0)


def test_planner_inside_the_band_leaves_alone_whom_it_closed() -> None:
    plan = planner()
    plan.counted(4)
    steps(plan, 0.0)
    plan.lost(D, 1.0, broken=False)
    assert steps(plan, 1.0) == [Wait(120.0)]


def test_planner_does_not_count_the_surplus_of_a_subnet() -> None:
    plan = planner()
    plan.counted(4, surplus=3)
    assert steps(plan, 0.0) == [Ask(1, NOBODY, urgent=True), Wait(None)]
    plan.candidates((A, B, C, D), None, 0.0)
    assert steps(plan, 0.0) == [Dial(A), Dial(B), Wait(None)]
    plan.counted(7, surplus=3)
    assert plan.useful == 4


def test_planner_full_of_surplus_trims_first_and_dials_then() -> None:
    plan = planner()
    plan.counted(7, surplus=6)
    assert steps(plan, 0.0) == [Trim(5), Wait(None)]
    plan.counted(5, surplus=4)
    plan.trimmed(2, short=False, now=0.1)
    assert plan.next(2.0) == Ask(1, NOBODY, urgent=True)


def test_planner_at_the_upper_threshold_forgets_a_wanted_peer() -> None:
    plan = planner()
    plan.counted(6)
    steps(plan, 0.0)
    plan.wanted(D)
    assert steps(plan, 1.0) == [Done(in_band=True), Wait(121.0)]
    plan.counted(5)
    assert steps(plan, 3.0)[0] == Done(in_band=True)


def test_planner_below_the_threshold_dials_the_wanted_first_and_asks_for_the_rest() -> None:
    plan = planner()
    plan.wanted(D)
    assert steps(plan, 0.0) == [Ask(5, NOBODY, urgent=True), Dial(D), Wait(None)]
    plan.candidates((A, B, C, D), None, 0.0)
    assert steps(plan, 0.0) == [Dial(A), Dial(B), Wait(None)]


# A world that does what it likes -------------------------------------------------------------------------------------


@dataclass
class World:
    """Peers that come and go, a tracker that is honest about back-off, and the rules every step must keep."""

    plan: Planner
    goal: Goal
    choices: random.Random
    now: float = 0.0
    connected: set[PeerId] = field(default_factory=set)
    blocked_until: dict[PeerId, float] = field(default_factory=dict)
    dialling: set[PeerId] = field(default_factory=set)
    question: Ask | Trim | None = None
    rounds: list[float] = field(default_factory=list)

    def settle(self) -> Wait:
        for _ in range(100):
            step = self.plan.next(self.now)
            if isinstance(step, Wait):
                assert step.until is None or step.until > self.now
                assert step.until is not None or self.dialling or self.question, "nothing would wake it"
                return step
            self.check(step)
        pytest.fail("a hundred steps without time passing")

    def check(self, step: Step) -> None:
        match step:
            case Ask() | Trim():
                assert self.question is None
                self.question = step
                if self.rounds:
                    assert self.now - self.rounds[-1] >= PACING.floor
                self.rounds.append(self.now)
                if isinstance(step, Ask):
                    assert self.dialling <= step.exclude
                    assert 0 < step.limit <= self.goal.aim_to - len(self.connected)
            case Dial(peer):
                assert peer not in self.dialling
                self.dialling.add(peer)
                assert len(self.dialling) <= PACING.dials
                assert len(self.connected) + len(self.dialling) <= self.goal.want_to
            case Search():
                self.plan.searched(len(self.connected), self.now)

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
            self.plan.hinted(Motive.EXTERNAL)
        elif what == "inbound":
            self.connected.add(self.choices.choice(sorted(set(PEERS) - self.dialling) or [A]))
        elif what == "hint":
            self.plan.hinted(Motive.EXTERNAL)
        elif what == "want":
            self.plan.wanted(self.choices.choice(PEERS))
        else:
            self.now += self.choices.choice([0.1, 1.0, 6.0])
        self.plan.counted(len(self.connected))

    def answer(self, ask: Ask) -> None:
        self.question = None
        free = [peer for peer in PEERS if peer not in self.connected | self.dialling | ask.exclude]
        ready = [peer for peer in free if self.blocked_until.get(peer, 0.0) <= self.now]
        waiting = [self.blocked_until[peer] for peer in free if peer not in ready]
        self.plan.candidates(ready[: ask.limit], min(waiting, default=None), self.now)

    def end_dial(self, peer: PeerId) -> None:
        self.dialling.discard(peer)
        outcome = self.choices.choice(list(Outcome)) if peer not in self.connected else REFUSED
        if outcome is OPENED:
            self.connected.add(peer)
        elif outcome is FAILED:
            self.blocked_until[peer] = self.now + 1.0
        self.plan.dial_ended(peer, outcome, self.now)

    def trim(self, trim: Trim) -> None:
        self.question = None
        extra = sorted(self.connected)[trim.target :]
        self.connected -= set(extra)
        for peer in extra:
            self.plan.lost(peer, self.now, broken=False)
        self.plan.counted(len(self.connected))
        self.plan.trimmed(len(extra), short=False, now=self.now)

    def calm(self) -> Done | None:
        """From now on everything is answered well; the last Done within a while."""
        last = None
        for _ in range(200):
            while isinstance(step := self.plan.next(self.now), (Ask, Trim, Dial, Search, Done)):
                last = step if isinstance(step, Done) else last
                self.check(step)
            if isinstance(self.question, Ask):
                self.answer(self.question)
            elif isinstance(self.question, Trim):
                self.trim(self.question)
            elif self.dialling:
                peer = min(self.dialling)
                self.dialling.discard(peer)
                self.connected.add(peer)
                self.plan.dial_ended(peer, OPENED, self.now)
                self.plan.counted(len(self.connected))
            elif step.until is not None and step.until < self.now + 100:
                self.now = step.until
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
