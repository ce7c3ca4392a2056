"""Connections with peers of the set count, those with others only while nobody of the set can be dialled."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from rookery.actors.maintenance import Bounds
from rookery.actors.maintenance.core.actions import Action, Ask, Dial, Done, Trim, Wait, Withhold
from rookery.actors.maintenance.core.goal import Goal
from rookery.actors.maintenance.core.planner import Planner

from .plans import FAILED, NOBODY, OPENED, PACING, REFUSED, A, B, C, D, E, actions, floor_of, planner

SET = frozenset({A, B, C})


def seeking(open: int = 4, *, listed: int = 0, absent: int = 3, maximum: int = 7) -> Planner:
    """A planner (2, 3, 5, 6) of which some connections are with others than A, B and C."""
    plan = Planner(Goal(Bounds(2, 3, 5, 6), maximum=maximum, dial_all=False), PACING, random.Random(1))
    plan.set_changed(SET)
    plan.counted(open, listed=listed, others=open - listed, absent=absent)
    return plan


def in_vain(plan: Planner, now: float) -> list[Action]:
    """What it does while the tracker offers nobody and no connection can be closed."""
    found: list[Action] = []
    while True:
        latest = actions(plan, now)
        found += latest
        if any(isinstance(action, Ask) for action in latest):
            plan.candidates((), None, now)
        elif any(isinstance(action, Trim) for action in latest):
            plan.trimmed(0, short=True, now=now)
        else:
            return found


def test_planner_in_the_band_with_others_asks_for_peers_of_the_set_and_dials_up_to_the_lower_target() -> None:
    plan = seeking()
    assert actions(plan, 0.0) == [Ask(3, NOBODY, urgent=True, listed=True), Wait(None)]
    plan.candidates((A, B, C), None, 0.0)
    assert actions(plan, 0.0) == [Dial(A), Dial(B), Dial(C), Wait(None)]


def test_planner_with_enough_peers_of_the_set_rests_whoever_the_others_are() -> None:
    plan = seeking(6, listed=2, absent=1)
    assert actions(plan, 0.0) == [Done(in_band=True), Wait(120.0)]


def test_planner_that_is_connected_with_all_of_a_small_set_rests() -> None:
    plan = seeking(4, listed=1, absent=0)
    assert actions(plan, 0.0) == [Done(in_band=True), Wait(120.0)]


def test_planner_with_too_few_connections_asks_for_anybody_first() -> None:
    plan = seeking(1)
    assert actions(plan, 0.0) == [Ask(4, NOBODY, urgent=True), Wait(None)]


def test_planner_that_begins_to_seek_dials_nobody_who_was_offered_before() -> None:
    plan = planner()
    plan.set_changed(SET)
    plan.counted(1, listed=0, others=1, absent=3)
    actions(plan, 0.0)
    plan.counted(2, listed=0, others=2, absent=3)
    plan.candidates((D, E), None, 0.1)
    assert Dial(D) in actions(plan, 0.1)
    plan.dial_ended(D, OPENED, 0.2)
    plan.counted(3, listed=0, others=3, absent=3)
    begins = floor_of(actions(plan, 0.2)[-1])
    assert actions(plan, begins) == [Ask(3, frozenset({D}), urgent=True, listed=True), Wait(None)]


def test_planner_of_which_nobody_of_the_set_can_be_dialled_counts_the_others_and_seeks_more_and_more_rarely() -> None:
    plan, now, asked = seeking(), 0.0, list[float]()
    while now < 3000:
        action = plan.next(now)
        if isinstance(action, Ask):
            assert action.listed
            asked.append(now)
            plan.candidates((), None, now)
        elif isinstance(action, Done):
            assert action.in_band
        elif isinstance(action, Wait):
            now = floor_of(action)
    assert asked == pytest.approx([0.0, 5.0, 15.0, 35.0, 75.0, 155.0, 275.0, 395.0])
    plan.set_changed(SET - {A})
    assert not [action for action in actions(plan, now) if isinstance(action, Ask)]
    plan.set_changed(SET | {D})  # somebody new
    assert isinstance(actions(plan, now + 2)[-2], Ask)


def test_planner_whose_dials_of_the_set_fail_counts_the_others() -> None:
    plan = seeking()
    actions(plan, 0.0)
    plan.candidates((A,), None, 0.0)
    assert actions(plan, 0.0) == [Dial(A), Wait(None)]
    plan.dial_ended(A, FAILED, 1.0)
    again = floor_of(actions(plan, 1.0)[-1])
    assert actions(plan, again)[0] == Ask(3, frozenset({A}), urgent=True, listed=True)
    plan.candidates((), None, again)
    assert actions(plan, again) == [Done(in_band=True), Wait(again + 5.0)]


def test_planner_dials_a_peer_of_the_set_above_the_band_up_to_the_maximum() -> None:
    plan = seeking(6)
    actions(plan, 0.0)
    plan.candidates((A, B), None, 0.0)
    assert actions(plan, 0.0)[0] == Dial(A)


def test_planner_above_the_band_trims_others_first_and_waits_for_the_young_among_them() -> None:
    plan = seeking(7, listed=2, absent=1)
    assert actions(plan, 0.0) == [Trim(5, spare=True), Wait(None)]
    plan.trimmed(0, short=True, now=0.1, passing=True)
    assert actions(plan, 0.1) == [Done(in_band=False), Wait(5.1)]


def test_planner_above_the_band_that_cannot_close_others_closes_peers_of_the_set() -> None:
    plan = seeking(7, listed=6, absent=0)
    actions(plan, 0.0)
    plan.counted(6, listed=6, others=0)
    plan.trimmed(1, short=True, now=0.1)
    again = floor_of(actions(plan, 0.1)[-1])
    assert actions(plan, again) == [Trim(5), Wait(None)]  # down to where trims end
    plan.counted(5, listed=5)
    plan.trimmed(1, short=False, now=again)
    assert actions(plan, again)[0] == Done(in_band=True)


def test_planner_with_more_of_the_set_than_it_may_have_waits_for_no_stranger_to_age() -> None:
    plan = seeking(9, listed=7, absent=0, maximum=9)
    actions(plan, 0.0)
    plan.trimmed(0, short=True, now=0.1, passing=True)
    assert actions(plan, floor_of(actions(plan, 0.1)[-1])) == [Trim(5), Wait(None)]


def test_planner_that_can_trim_nobody_seeks_all_the_same() -> None:
    plan = seeking(7, maximum=8)
    assert actions(plan, 0.0) == [Trim(5, spare=True), Wait(None)]
    plan.trimmed(0, short=True, now=0.1, passing=True)
    assert actions(plan, 0.1) == [Ask(3, NOBODY, urgent=True, listed=True), Wait(None)]
    plan.candidates((A, B), None, 0.1)
    assert actions(plan, 0.1) == [Dial(A), Trim(6, spare=True), Wait(None)]


def test_planner_at_the_maximum_closes_one_other_for_each_peer_of_the_set() -> None:
    plan = Planner(Goal(Bounds(2, 2, 2, 2), maximum=2, dial_all=False), PACING, random.Random(1))
    plan.set_changed(SET)
    plan.counted(2, listed=0, others=2, absent=3)
    actions(plan, 0.0)
    plan.candidates((A, B), None, 0.0)
    assert actions(plan, 0.0) == [Trim(1, spare=True), Wait(None)]
    plan.counted(1, listed=0, others=1, absent=3)
    plan.trimmed(1, short=False, now=0.1)
    assert actions(plan, 0.1) == [Dial(A), Trim(0, spare=True), Wait(None)]


def test_planner_at_the_maximum_that_can_close_nobody_ends_the_repair() -> None:
    plan = Planner(Goal(Bounds(1, 1, 1, 1), maximum=1, dial_all=False), PACING, random.Random(1))
    plan.set_changed(SET)
    plan.counted(1, listed=0, others=1, absent=3)
    actions(plan, 0.0)
    plan.candidates((A,), None, 0.0)
    assert actions(plan, 0.0) == [Trim(0, spare=True), Wait(None)]
    plan.trimmed(0, short=True, now=0.1)
    assert actions(plan, 0.1) == [Done(in_band=True), Wait(5.1)]


@pytest.mark.parametrize(("open", "dialled"), [(6, True), (7, False)])
def test_planner_dials_a_wanted_peer_of_the_set_in_the_place_of_others(open: int, dialled: bool) -> None:
    plan = seeking(open)
    in_vain(plan, 0.0)
    plan.wanted(A)
    assert (Dial(A) in in_vain(plan, 2.0)) is dialled


def test_planner_full_of_others_closes_one_for_a_wanted_peer_of_the_set() -> None:
    plan = Planner(Goal(Bounds(0, 0, 1, 1), maximum=1, dial_all=False), PACING, random.Random(1))
    plan.set_changed(SET)
    plan.counted(1, listed=0, others=1, absent=3)
    actions(plan, 0.0)
    plan.wanted(D)  # nobody of the set
    assert actions(plan, 2.0)[0] == Done(in_band=True)
    plan.wanted(A)
    assert actions(plan, 4.0) == [Trim(0, spare=True), Wait(None)]
    plan.counted(0, absent=3)
    plan.trimmed(1, short=False, now=4.1)
    assert actions(plan, 4.1)[0] == Dial(A)


def test_planner_whose_peer_of_the_set_gives_it_up_soon_does_not_call_on_it_at_once() -> None:
    plan = seeking(4)
    actions(plan, 0.0)
    plan.candidates((A,), None, 0.0)
    actions(plan, 0.0)
    plan.dial_ended(A, OPENED, 0.1)
    plan.counted(6, listed=3, others=3, absent=0)
    assert actions(plan, 2.0)[0] == Done(in_band=True)
    plan.lost(A, 3.0, broken=False)
    plan.counted(4, listed=0, others=4, absent=3)
    assert actions(plan, 3.0) == [Done(in_band=True), Wait(5.0)]


@pytest.mark.parametrize("liar", ["severs", "severs later", "says it is replaced", "fails", "refuses"])
def test_planner_at_the_maximum_makes_room_ever_more_rarely_for_wanted_peers_that_do_not_stay(liar: str) -> None:
    trims = trims_for_wanted_peers(liar)
    gaps = [later - sooner for sooner, later in itertools.pairwise(trims)]
    waits = [5.0, 10.0, 20.0, 40.0, 80.0] + [120.0] * len(gaps)
    assert [gap for gap, wait in zip(gaps, waits, strict=False) if gap < wait] == []
    assert 10 <= len(trims) <= 15  # it never gives up


def let_in_and_lost(least: int = 0) -> Planner:
    """At the maximum of one, a stranger has the place again in which A was for a second, since 0.0."""
    plan = Planner(Goal(Bounds(least, least, 1, 1), maximum=1, dial_all=False), PACING, random.Random(1))
    plan.set_changed(SET)
    plan.counted(1, listed=0, others=1, absent=3)
    plan.wanted(A)
    if least:
        assert Ask(1, NOBODY, urgent=True, listed=True) in actions(plan, 0.0)
        plan.candidates((A,), None, 0.0)
    assert Trim(0, spare=True) in actions(plan, 0.0)
    plan.counted(0, absent=3)
    plan.trimmed(1, short=False, now=0.0)
    assert actions(plan, 0.0)[0] == Dial(A)
    plan.dial_ended(A, OPENED, 0.0)
    plan.found(A, 0.0)
    plan.counted(1, listed=1, absent=2)
    actions(plan, 0.0)
    plan.lost(A, 1.0, broken=False)
    plan.counted(1, listed=0, others=1, absent=3)
    return plan


def test_planner_that_withholds_room_from_a_wanted_peer_says_so_once_per_wait() -> None:
    plan = let_in_and_lost()
    found: list[Action] = []
    for tenths in range(15, 60):
        plan.wanted(A)
        found += actions(plan, tenths / 10)
    assert [action for action in found if isinstance(action, Withhold)] == [Withhold(6.0)]
    plan.wanted(A)
    assert Trim(0, spare=True) in actions(plan, 7.5)


def test_planner_that_withholds_room_from_candidates_of_the_set_says_so() -> None:
    plan = let_in_and_lost(least=1)
    plan.set_changed(SET | {D})  # they are sought anew
    asked = actions(plan, 2.0)
    assert Ask(1, NOBODY, urgent=True, listed=True) in asked
    assert not any(isinstance(action, Withhold) for action in asked)
    plan.candidates((D,), None, 2.0)
    assert Withhold(6.0) in actions(plan, 2.0)


@pytest.mark.parametrize("needed", [False, True])
def test_planner_withholds_room_only_from_somebody_who_needs_it(needed: bool) -> None:
    plan = let_in_and_lost()
    plan.wanted(A if needed else E)
    assert any(isinstance(action, Withhold) for action in actions(plan, 2.0)) is needed


def trims_for_wanted_peers(liar: str) -> list[float]:
    """When room was made in 20 minutes in which A is wanted every 10 s; a stranger takes the place again each time."""
    plan = Planner(Goal(Bounds(0, 0, 1, 1), maximum=1, dial_all=False), PACING, random.Random(1))
    plan.set_changed(SET)
    trims: list[float] = []
    lost_at = math.inf
    for second in range(1200):
        now = float(second)
        if now >= lost_at:
            plan.lost(A, now, broken=liar != "says it is replaced")
            lost_at = math.inf
        if lost_at == math.inf:
            plan.counted(1, listed=0, others=1, absent=3)
        if second % 10 == 0:
            plan.wanted(A)
        if Trim(0, spare=True) not in actions(plan, now):
            continue
        trims.append(now)
        plan.counted(0, absent=3)
        plan.trimmed(1, short=False, now=now)
        assert actions(plan, now)[0] == Dial(A)
        ends = {"fails": FAILED, "refuses": REFUSED}
        plan.dial_ended(A, ends.get(liar, OPENED), now)
        if liar not in ends:
            plan.found(A, now)
            plan.counted(1, listed=1, absent=2)
            lost_at = now + (6 if liar == "severs later" else 1)
    return trims


def test_planner_of_policy_all_never_seeks() -> None:
    plan = planner(every=True)
    plan.set_changed(SET)
    plan.counted(4, listed=0, others=4, absent=3)
    assert actions(plan, 0.0) == [Ask(3, NOBODY, urgent=False), Wait(None)]
