"""Whom the planner dials though there are enough connections: who is wanted, and who was lost."""

from __future__ import annotations

from rookery.actors.maintenance.core.actions import Ask, Dial, Done, Motive, Wait

from .plans import FAILED, NOBODY, A, B, C, D, actions, planner


def test_planner_inside_the_band_dials_a_wanted_peer_once_and_nobody_else() -> None:
    plan = planner()
    plan.counted(4)
    actions(plan, 0.0)
    plan.wanted(D)
    plan.wanted(D)
    assert actions(plan, 1.0) == [Dial(D), Wait(None)]
    plan.dial_ended(D, FAILED, 1.1)
    assert actions(plan, 1.1)[0] == Done(in_band=True)


def test_planner_inside_the_band_dials_again_whom_it_lost_and_nobody_else() -> None:
    plan = planner()
    plan.counted(4)
    actions(plan, 0.0)
    plan.lost(D, 1.0, broken=True)
    assert actions(plan, 1.0) == [Wait(61.0)]
    assert actions(plan, 61.0) == [Dial(D), Wait(181.0)]
    assert plan.motive is Motive.MISSING
    plan.dial_ended(D, FAILED, 62.0)
    assert actions(plan, 62.0) == [Done(in_band=True), Wait(181.0)]
    plan.found(D, 63.0)
    assert actions(plan, 181.0)[-1] == Wait(182.0)


def test_planner_inside_the_band_dials_soon_again_whom_it_had_for_a_moment_only() -> None:
    plan = planner()
    plan.counted(4)
    actions(plan, 0.0)
    plan.found(D, 1.0)
    plan.lost(D, 1.01, broken=True)
    assert actions(plan, 1.01) == [Wait(6.01)]
    assert actions(plan, 6.01)[0] == Dial(D)


def test_planner_inside_the_band_lets_rest_whom_it_had_for_long() -> None:
    plan = planner()
    plan.counted(4)
    actions(plan, 0.0)
    plan.found(D, 1.0)
    plan.lost(D, 6.0, broken=True)
    assert actions(plan, 6.0) == [Wait(66.0)]


def test_planner_inside_the_band_leaves_alone_whom_it_closed() -> None:
    plan = planner()
    plan.counted(4)
    actions(plan, 0.0)
    plan.lost(D, 1.0, broken=False)
    assert actions(plan, 1.0) == [Wait(120.0)]


def test_planner_at_the_upper_threshold_forgets_a_wanted_peer() -> None:
    plan = planner()
    plan.counted(6)
    actions(plan, 0.0)
    plan.wanted(D)
    assert actions(plan, 1.0) == [Done(in_band=True), Wait(121.0)]
    plan.counted(5)
    assert actions(plan, 3.0)[0] == Done(in_band=True)


def test_planner_below_the_threshold_dials_the_wanted_first_and_asks_for_the_rest() -> None:
    plan = planner()
    plan.wanted(D)
    assert actions(plan, 0.0) == [Ask(5, NOBODY, urgent=True), Dial(D), Wait(None)]
    plan.candidates((A, B, C, D), None, 0.0)
    assert actions(plan, 0.0) == [Dial(A), Dial(B), Wait(None)]
