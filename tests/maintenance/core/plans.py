"""Planners for tests, and what they say next."""

from __future__ import annotations

import random

from rookery.actors.maintenance import Bounds
from rookery.actors.maintenance.core.actions import Action, DialOutcome, Pacing, Wait
from rookery.actors.maintenance.core.goal import Goal
from rookery.actors.maintenance.core.planner import Planner
from rookery.transport.identity import PeerId

OPENED, REFUSED, FAILED = DialOutcome.OPENED, DialOutcome.REFUSED, DialOutcome.FAILED
A, B, C, D, E = PEERS = tuple(PeerId(bytes([number]) * 32) for number in range(1, 6))
NOBODY: frozenset[PeerId] = frozenset()
PACING = Pacing(floor=1.0, looking=5.0, idle=120.0, dials=10)


def planner(
    *, bounds: tuple[int, int, int, int] = (2, 3, 5, 6), every: bool = False, pacing: Pacing = PACING
) -> Planner:
    return Planner(Goal(Bounds(*bounds), maximum=7, dial_all=every), pacing, random.Random(1))


def actions(plan: Planner, now: float) -> list[Action]:
    found = [plan.next(now)]
    while not isinstance(found[-1], Wait):
        found.append(plan.next(now))
    return found


def floor_of(action: Action) -> float:
    assert isinstance(action, Wait)
    assert action.until is not None
    return action.until
