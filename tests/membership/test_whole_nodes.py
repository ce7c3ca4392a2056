"""Whole nodes in one simulated world: tracker, transport and membership together."""

from __future__ import annotations

from typing import Any

import pytest

from rookery import runtime
from rookery.actors import membership
from rookery.node.testing import SimulatedNodes, WholeNode

NAMES = ("alice", "bob", "carol", "dave")


def alive(node: WholeNode) -> set[Any]:
    return {member.peer for member in node.membership.members().get(timeout=1).active}


@pytest.fixture
def nodes(simulation: Any) -> SimulatedNodes:
    """Four that have joined through the first."""
    world = SimulatedNodes(simulation)
    first = world.start(NAMES[0])
    others = [world.start(name, seeds=[first]) for name in NAMES[1:]]
    everybody = {node.peer for node in (first, *others)}
    world.run_until(lambda: all(alive(node) == everybody - {node.peer} for node in world.running), within=30)
    return world


def test_peer_that_one_node_blocks_stays_alive_for_the_others_and_for_itself(
    simulation: Any, nodes: SimulatedNodes
) -> None:
    alice, bob, carol, dave = (nodes.all[name] for name in NAMES)
    told = simulation.mock(runtime.Mailbox, "told")
    for node in (alice, bob, carol, dave):
        node.membership.subscribe(told, membership.MemberDown)
    alice.tracker.block(bob.peer).get(timeout=5)
    nodes.run(45)
    assert told.received() == []
    assert bob.peer in alive(carol) & alive(dave)
    assert alive(bob) == {alice.peer, carol.peer, dave.peer}
    assert not alice.is_connected_to(bob)


def test_peer_whose_ip_one_node_blocks_stays_alive_for_the_others(simulation: Any, nodes: SimulatedNodes) -> None:
    alice, bob, carol, dave = (nodes.all[name] for name in NAMES)
    told = simulation.mock(runtime.Mailbox, "told")
    for node in (alice, carol, dave):
        node.membership.subscribe(told, membership.MemberDown)
    assert bob.address.endpoint.ip is not None
    alice.tracker.block(bob.address.endpoint.ip).get(timeout=5)
    nodes.run(45)
    assert told.received() == []
    assert bob.peer in alive(carol) & alive(dave)


def test_node_that_leaves_and_joins_again_is_found_and_tracked_again(nodes: SimulatedNodes) -> None:
    alice, bob, carol, _ = (nodes.all[name] for name in NAMES)
    bob.membership.leave().get(timeout=1)
    nodes.run_until(lambda: bob.peer not in alive(alice) | alive(carol), within=5)
    bob.membership.join().get(timeout=1)
    nodes.run_until(lambda: bob.peer in alive(alice) & alive(carol), within=30)
    nodes.run_until(lambda: bob.is_connected_to(alice, carol), within=60)
