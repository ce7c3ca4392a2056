"""A bounded part of the random actions over real sockets, on both runtimes, with the same invariants at the end."""

from __future__ import annotations

import random

import pytest

from rookery.runtime import LoopRuntime, ThreadRuntime
from tests.flows import chaos
from tests.flows.real import RealNodes

ACTIONS = (
    chaos.tracks, chaos.overwrites, chaos.blocks, chaos.unblocks, chaos.trims, chaos.protects, chaos.fetches,
    chaos.fetches, chaos.fetches,
)  # fmt: skip
TIMES = 40


@pytest.mark.processes
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [ThreadRuntime, LoopRuntime])
def test_nodes_over_real_sockets_come_to_peace_after_random_actions(kind: type[ThreadRuntime], no_leaks: None) -> None:
    with RealNodes(kind) as nodes:
        world = chaos.World(False, random.Random("real"), nodes, patience=3.0)
        for number in range(6):
            world.join(f"n{number}") if number % 3 != 2 else world.employ(f"n{number}")
        for turn in range(TIMES):
            world.act(ACTIONS)
            if turn == TIMES // 2:  # one of each kind goes, and comes back
                nodes.all["n1"].stop()
                nodes.all["n2"].crash()
        chaos.calm(world)
        nodes.run_until(lambda: chaos.is_at_peace(world), timeout=60)
        nodes.run_until(nodes.agree, timeout=20)
        nodes.run_until(lambda: all(reply.done for reply in world.replies), timeout=30)
        chaos.assert_fetched(world)
