"""Every flow with a fault at every step: no ticket, slot or link leaks, nothing is told twice, nobody waits for ever.

A few steps of each in the quick suite, every step with every fault with `--full`.
"""

from __future__ import annotations

import random
from functools import cache

import pytest

from tests.flows.flows import FLOWS, Flow
from tests.flows.sweeper import FAULTS, Fault, run, steps_of

QUICK = 2  # steps of each flow and fault


@cache
def steps(flow: Flow) -> list[str]:
    return steps_of(flow)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_flow_with_a_fault_at_some_steps_leaks_nothing_and_recovers(flow: Flow, fault: Fault) -> None:
    rng = random.Random(f"{flow.name}/{fault.name}")
    turns = steps(flow)
    for step in sorted(rng.sample(range(len(turns)), min(QUICK, len(turns)))):
        run(flow, step, turns[step], fault)


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_flow_with_a_fault_at_every_step_leaks_nothing_and_recovers(flow: Flow, fault: Fault) -> None:
    for step, whose in enumerate(steps(flow)):
        run(flow, step, whose, fault)
