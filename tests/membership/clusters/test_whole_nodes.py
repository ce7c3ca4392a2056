"""Whole nodes in one simulated world: tracker, transport and membership together."""

from __future__ import annotations

from typing import Any

import pytest

from rookery import runtime
from rookery.actors import membership
from rookery.actors.tracker import StaticPeer
from rookery.testing import SimulatedNodes, WholeNode
from rookery.transport import Address, PeerId, Reason

NAMES = ("alice", "bob", "carol", "dave")


def known(node: WholeNode) -> dict[PeerId, membership.MemberInfo]:
    return {member.peer: member for member in node.membership.members().get(timeout=1).active}


def alive(node: WholeNode) -> set[PeerId]:
    return set(known(node))


@pytest.fixture
def nodes(simulation: Any) -> SimulatedNodes:
    """Four that have joined through the first."""
    world = SimulatedNodes(simulation)
    first = world.start(NAMES[0])
    others = [world.start(name, seeds=[first]) for name in NAMES[1:]]
    everybody = {node.peer for node in (first, *others)}
    world.run_until(lambda: all(alive(node) == everybody - {node.peer} for node in world.running), timeout=30)
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
    assert told.control.received() == []
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
    assert told.control.received() == []
    assert bob.peer in alive(carol) & alive(dave)


def test_node_that_leaves_and_joins_again_is_found_and_tracked_again(nodes: SimulatedNodes) -> None:
    alice, bob, carol, _ = (nodes.all[name] for name in NAMES)
    bob.membership.leave().get(timeout=1)
    nodes.run_until(lambda: bob.peer not in alive(alice) | alive(carol), timeout=5)
    bob.membership.join().get(timeout=1)
    nodes.run_until(lambda: bob.peer in alive(alice) & alive(carol), timeout=30)
    nodes.run_until(lambda: bob.is_connected_to(alice, carol), timeout=60)


# Restarts at another port --------------------------------------------------------------------------------------------


def closed_for(nodes: SimulatedNodes, reason: Reason) -> float:
    """Links that ended so, at either end."""
    return sum(node.counted("transport_closed_total", reason) for node in nodes.all.values())


@pytest.mark.parametrize(
    ("away", "life", "latency"),
    [
        (0.0, "next", 0.001),
        (0.0, "same", 0.1),
        (0.0, "earlier", 0.001),
        (0.3, "earlier", 0.1),
        (5.0, "next", 0.1),
        (5.0, "same", 0.001),
    ],
)
def test_member_that_is_back_at_another_port_is_connected_and_known_there_and_no_link_is_closed_for_it(
    simulation: Any, nodes: SimulatedNodes, away: float, life: str, latency: float
) -> None:
    """life: by its generation. Without a data folder it may seem to be the same or an earlier one."""
    others = [nodes.all[name] for name in NAMES if name != "bob"]
    disk = nodes.generations["bob"]
    disk.stored = 2 * 10**12  # ahead of the clock, so that the test says which life comes next
    bob = nodes.restart(nodes.all["bob"])
    nodes.run_until(lambda: bob.is_connected_to(*others), timeout=120)
    simulation.network.set_default(latency=latency)
    bob.crash()
    nodes.run(away)
    assert disk.stored is not None
    disk.stored -= {"next": 0, "same": 1, "earlier": 2}[life]
    again = nodes.restart(bob, elsewhere=True)
    assert again.address != bob.address
    nodes.run_until(lambda: again.is_connected_to(*others), timeout=120)
    nodes.run_until(lambda: all(known(node)[bob.peer].record.address == again.address for node in others), timeout=60)
    nodes.run(30)
    assert again.is_connected_to(*others)
    assert closed_for(nodes, Reason.ADDRESS_CHANGED) == 0
    assert closed_for(nodes, Reason.LOST) + closed_for(nodes, Reason.REPLACED) > 0  # so these are counted
    for node in others:
        (info,) = (info for info in node.tracker.known().get(timeout=5) if info.peer == bob.peer)
        assert info.address == again.address


# Seeds that come late ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("company", [False, True], ids=["alone", "with another member"])
def test_seed_that_starts_a_minute_later_over_a_slow_network_is_found_within_half_a_minute(
    simulation: Any, company: bool
) -> None:
    """The seed names nobody itself, so it can only be found."""
    simulation.network.set_default(latency=0.1)
    world = SimulatedNodes(simulation)
    late = StaticPeer(world.known.identity("late").peer, Address.parse("tcp://10.9.9.1:20000"))
    others = [world.start("other")] if company else []
    node = world.start("node", seeds=[late, *others])
    world.run(60)
    assert alive(node) == {other.peer for other in others}
    seed = world.start("late", ip="10.9.9.1")
    assert seed.address == late.address
    everybody = {each.peer for each in (node, seed, *others)}
    world.run_until(lambda: all(alive(each) == everybody - {each.peer} for each in world.running), timeout=30)
    world.run_until(lambda: node.is_connected_to(seed), timeout=60)


def test_seed_whose_first_announcement_is_lost_is_found_by_the_next(simulation: Any) -> None:
    simulation.network.set_default(latency=0.1)
    world = SimulatedNodes(simulation)
    seed, other = world.start("seed"), world.start("other")
    simulation.network.partition(["node"], ["seed"])
    node = world.start("node", seeds=[seed, other])
    world.run(5)
    assert alive(node) == {other.peer}
    world.heal()
    world.run_until(lambda: alive(seed) == {node.peer, other.peer}, timeout=35)
