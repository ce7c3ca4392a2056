"""Planners for tests, and what they say next."""

from __future__ import annotations

import random

from rookery.actors.maintenance import Bounds
from rookery.actors.maintenance.core.actions import Outcome, Pacing, Step, Wait
from rookery.actors.maintenance.core.goal import Goal
from rookery.actors.maintenance.core.planner import Planner
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
