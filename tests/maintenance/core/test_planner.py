"""What maintenance does next, without engine and clock: single rules."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from rookery.actors.maintenance.core.actions import Action, Ask, Dial, Done, Motive, Pacing, Search, Trim, Wait
from rookery.actors.maintenance.core.planner import Planner

from .plans import FAILED, NOBODY, OPENED, PACING, PEERS, REFUSED, A, B, C, D, actions, floor_of, planner


def test_planner_below_the_threshold_asks_for_as_many_as_lead_to_the_upper_target() -> None:
    plan = planner()
    plan.counted(1)
    assert actions(plan, 0.0) == [Ask(4, NOBODY, urgent=True), Wait(None)]


def test_planner_between_threshold_and_target_rests_until_the_idle_time() -> None:
    plan = planner()
    plan.counted(2)
    assert actions(plan, 0.0) == [Done(in_band=True), Wait(120.0)]


def test_planner_dials_up_to_the_lower_target_and_keeps_the_surplus_for_failures() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates(PEERS, None, 0.0)
    assert actions(plan, 0.0) == [Dial(A), Dial(B), Dial(C), Wait(None)]
    plan.dial_ended(B, FAILED, 0.5)
    assert plan.next(0.5) == Dial(D)


def test_P4_a_candidate_that_was_not_dialled_may_be_offered_again() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates(PEERS, None, 0.0)
    actions(plan, 0.0)
    for peer in (A, B, C):
        plan.dial_ended(peer, OPENED, 0.1)  # and no count confirms it
    again = floor_of(actions(plan, 0.2)[-1])
    assert plan.next(again) == Ask(5, frozenset({A, B, C}), urgent=True)


def test_planner_whose_dialled_peer_is_lost_again_may_be_offered_it_again() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates((A, B), None, 0.0)
    actions(plan, 0.0)
    plan.dial_ended(A, OPENED, 0.1)
    plan.dial_ended(B, FAILED, 0.1)
    plan.lost(A, 0.1, broken=False)
    again = floor_of(actions(plan, 0.2)[-1])
    assert plan.next(again) == Ask(5, frozenset({B}), urgent=True)


def test_P4_a_surplus_candidate_is_no_more_excluded_than_a_stranger() -> None:
    plan = planner(pacing=Pacing(floor=1.0, looking=5.0, idle=120.0, dials=1))
    actions(plan, 0.0)
    plan.candidates((A, B, C), None, 0.0)
    assert actions(plan, 0.0) == [Dial(A), Wait(None)]
    plan.counted(3)  # somebody dialled us
    plan.dial_ended(A, FAILED, 0.1)
    assert Done(in_band=True) in actions(plan, 0.1)
    plan.counted(1)
    assert actions(plan, 3.0)[0] == Ask(4, NOBODY, urgent=True)


def test_planner_dials_at_most_so_many_at_once() -> None:
    plan = planner(pacing=Pacing(floor=1.0, looking=5.0, idle=120.0, dials=2))
    actions(plan, 0.0)
    plan.candidates(PEERS, None, 0.0)
    assert actions(plan, 0.0) == [Dial(A), Dial(B), Wait(None)]
    plan.dial_ended(A, OPENED, 0.1)
    assert actions(plan, 0.1) == [Dial(C), Wait(None)]


@pytest.mark.parametrize(("connected", "action"), [(4, Done(in_band=True)), (7, Trim(5))])
def test_planner_whose_dials_all_hang_still_sees_that_the_count_rose(connected: int, action: Action) -> None:
    plan = planner(pacing=Pacing(floor=1.0, looking=5.0, idle=120.0, dials=2))
    actions(plan, 0.0)
    plan.candidates(PEERS, None, 0.0)
    actions(plan, 0.0)
    plan.trigger(Motive.EXTERNAL)
    assert actions(plan, 2.0) == [Wait(None)]
    plan.counted(connected)
    assert actions(plan, 2.0)[0] == action


@pytest.mark.parametrize("lagging", [0, 1, 2])
def test_planner_whose_counts_lag_behind_its_successes_dials_nobody_in_excess(lagging: int) -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates(PEERS, None, 0.0)
    actions(plan, 0.0)
    for peer in (A, B, C):
        plan.dial_ended(peer, OPENED, 0.1)
    plan.counted(lagging)
    assert not [action for action in actions(plan, 0.1) if isinstance(action, (Ask, Dial))]
    plan.counted(3)
    assert actions(plan, 0.2)[0] == Done(in_band=True)


def test_planner_whose_successes_are_never_counted_asks_again_after_the_floor() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates((A, B, C), None, 0.0)
    actions(plan, 0.0)
    for peer in (A, B, C):
        plan.dial_ended(peer, OPENED, 2.0)
    again = floor_of(actions(plan, 2.0)[-1])
    assert again == 3.0
    assert isinstance(plan.next(again), Ask)


def test_P19_rounds_keep_the_floor_however_often_somebody_hints() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates((), None, 0.0)
    actions(plan, 0.0)
    plan.trigger(Motive.EXTERNAL)
    floor = floor_of(actions(plan, 0.1)[-1])
    assert 1.0 <= floor <= 1.5
    plan.trigger(Motive.EXTERNAL)
    assert actions(plan, floor - 0.01) == [Wait(floor)]
    assert isinstance(plan.next(floor), Ask)


def test_planner_hint_that_comes_while_a_question_is_under_way_is_not_lost() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.trigger(Motive.EXTERNAL)
    plan.candidates((), None, 0.1)
    _search, ended, waits = actions(plan, 0.1)
    assert ended == Done(in_band=False)
    assert floor_of(waits) <= 1.5  # not the five seconds of the looking interval


def test_P3_planner_with_nobody_to_dial_waits_for_the_looking_interval() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates((), None, 0.0)
    assert actions(plan, 0.0) == [Search(wake=True), Done(in_band=False), Wait(5.0)]


def test_planner_offered_fewer_than_it_needs_searches_while_it_dials() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates((A, B), None, 0.0)
    assert actions(plan, 0.0) == [Search(wake=True), Dial(A), Dial(B), Wait(None)]


def test_planner_offered_enough_does_not_search() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates((A, B, C), None, 0.0)
    assert actions(plan, 0.0) == [Dial(A), Dial(B), Dial(C), Wait(None)]


def test_planner_with_nobody_to_dial_searches_more_and_more_rarely() -> None:
    plan, now, searches = planner(), 0.0, list[float]()
    while now < 300:
        action = plan.next(now)
        if isinstance(action, Search):
            searches.append(now)
            plan.searched(3, now)
        elif action == Wait(None):
            plan.candidates((), None, now)
        elif isinstance(action, Wait):
            assert floor_of(action) <= now + PACING.looking
            now = floor_of(action)
    gaps = [later - earlier for earlier, later in pairwise(searches)]
    assert gaps == [5.0, 10.0, 20.0, 40.0, 80.0, 120.0]


def test_planner_offered_somebody_after_a_while_searches_at_the_first_pace_again() -> None:
    plan = planner()
    for now in (0.0, 5.0):
        actions(plan, now)
        plan.candidates((), None, now)
        assert Search(wake=True) in actions(plan, now)
        plan.searched(1, now)
    actions(plan, 10.0)
    plan.candidates((A,), None, 10.0)
    actions(plan, 10.0)
    plan.dial_ended(A, OPENED, 10.0)
    for now, expected in ((16.0, True), (20.0, False), (22.0, True)):
        plan.trigger(Motive.NEW_PEER)
        actions(plan, now)
        plan.candidates((), None, now)
        assert (Search(wake=True) in actions(plan, now)) is expected
        if expected:
            plan.searched(1, now)


def test_planner_that_found_nobody_to_ask_asks_the_first_one_at_once_and_wakes_discovery_at_its_pace() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates((A,), None, 0.0)
    assert Search(wake=True) in actions(plan, 0.0)
    plan.searched(0, 0.0)
    plan.dial_ended(A, OPENED, 0.1)
    plan.counted(1)
    again = floor_of(actions(plan, 0.1)[-1])
    actions(plan, again)
    plan.candidates((), None, again)
    assert actions(plan, again)[0] == Search(wake=False)


def test_planner_of_policy_all_never_searches() -> None:
    plan = planner(every=True)
    actions(plan, 0.0)
    plan.candidates((), None, 0.0)
    assert not [action for action in actions(plan, 0.0) if isinstance(action, Search)]


@pytest.mark.parametrize(
    ("happens", "motive"),
    [
        (lambda plan: plan.trigger(Motive.NEW_PEER), Motive.NEW_PEER),
        (lambda plan: plan.trigger(Motive.EXTERNAL), Motive.EXTERNAL),
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
    actions(plan, 0.0)
    assert plan.motive is Motive.ACTIVATION
    happens(plan)
    actions(plan, 200.0)
    assert plan.motive is motive


def test_planner_with_nobody_to_dial_yet_waits_for_the_tracker_s_time() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates((), 3.5, 0.0)
    assert actions(plan, 0.0)[1:] == [Done(in_band=False), Wait(3.5)]
    assert isinstance(plan.next(3.5), Ask)


def test_planner_refused_by_the_tracker_does_not_ask_for_the_same_peer_in_one_repair() -> None:
    plan = planner()
    actions(plan, 0.0)
    plan.candidates((A,), None, 0.0)
    actions(plan, 0.0)
    plan.dial_ended(A, REFUSED, 0.0)
    again = floor_of(actions(plan, 0.0)[-1])
    assert plan.next(again) == Ask(5, frozenset({A}), urgent=True)
    plan.candidates((), None, again)
    assert actions(plan, again)[-2:] == [Done(in_band=False), Wait(again + 5.0)]


def test_planner_above_the_threshold_trims_to_the_upper_target_and_dials_nobody() -> None:
    plan = planner()
    plan.counted(7)
    assert actions(plan, 0.0) == [Trim(5), Wait(None)]
    plan.counted(5)
    plan.trimmed(2, short=False, now=0.1)
    assert actions(plan, 0.1) == [Done(in_band=True), Wait(120.1)]


@pytest.mark.parametrize(("closed", "short"), [(0, False), (0, True), (1, True)])
def test_P3_planner_whose_trim_falls_short_waits_for_a_count_or_the_idle_time(closed: int, short: bool) -> None:
    plan = planner()
    plan.counted(9)
    actions(plan, 0.0)
    plan.trimmed(closed, short=short, now=0.1)
    assert actions(plan, 0.1) == [Done(in_band=False), Wait(120.1)]
    plan.counted(8)
    assert actions(plan, 2.0) == [Trim(5), Wait(None)]


def test_planner_whose_trim_is_short_of_young_connections_looks_again_after_the_looking_interval() -> None:
    plan = planner()
    plan.counted(9)
    actions(plan, 0.0)
    plan.trimmed(0, short=True, now=0.1, passing=True)
    assert actions(plan, 0.1) == [Done(in_band=False), Wait(5.1)]


def test_planner_of_policy_all_dials_everybody_offered_up_to_the_maximum() -> None:
    plan = planner(every=True)
    plan.counted(3)
    assert actions(plan, 0.0) == [Ask(4, NOBODY, urgent=False), Wait(None)]
    plan.candidates((A, B), None, 0.0)
    assert actions(plan, 0.0) == [Dial(A), Dial(B), Wait(None)]


def test_planner_of_policy_all_is_done_when_nobody_is_left_now_or_later() -> None:
    plan = planner(every=True)
    actions(plan, 0.0)
    plan.candidates((), None, 0.0)
    assert actions(plan, 0.0) == [Done(in_band=True), Wait(120.0)]


def test_planner_of_policy_all_is_not_done_while_somebody_waits_for_his_time() -> None:
    plan = planner(every=True)
    plan.counted(6)
    actions(plan, 0.0)
    plan.candidates((), 2.5, 0.0)
    assert actions(plan, 0.0) == [Done(in_band=False), Wait(2.5)]


def test_planner_of_policy_all_never_trims() -> None:
    plan = planner(every=True)
    plan.counted(9)
    assert actions(plan, 0.0) == [Done(in_band=True), Wait(120.0)]


def test_planner_does_not_count_the_surplus_of_a_subnet() -> None:
    plan = planner()
    plan.counted(4, surplus=3)
    assert actions(plan, 0.0) == [Ask(1, NOBODY, urgent=True), Wait(None)]
    plan.candidates((A, B, C, D), None, 0.0)
    assert actions(plan, 0.0) == [Dial(A), Dial(B), Wait(None)]
    plan.counted(7, surplus=3)
    assert plan.useful == 4


def test_planner_full_of_surplus_trims_first_and_dials_then() -> None:
    plan = planner()
    plan.counted(7, surplus=6)
    assert actions(plan, 0.0) == [Trim(5), Wait(None)]
    plan.counted(5, surplus=4)
    plan.trimmed(2, short=False, now=0.1)
    assert plan.next(2.0) == Ask(1, NOBODY, urgent=True)
