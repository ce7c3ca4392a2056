"""What Tezos tests with whole nodes, with ours, in virtual time."""

from __future__ import annotations

from typing import Any

from rookery.actors.maintenance import (
    BootstrapSent,
    Mailbox,
    MaintenanceEnded,
    MaintenanceStarted,
    TooFewConnections,
    TooManyConnections,
)
from rookery.testing import SimulatedNodes, WholeNode


def node(
    nodes: SimulatedNodes, name: str, *seeds: WholeNode, least: int, expected: int, most: int, **transport: int
) -> WholeNode:
    numbers = {"min_connections": least, "expected_connections": expected, "max_connections": most}
    return nodes.start(
        name,
        seeds=seeds,
        member=False,
        tracker={"source": "static"},
        maintenance={"policy": "band", "maintenance_idle_time": 36_000.0, **numbers},  # the timer is effectively off
        connections={"grace_period": 0.0},
        transport=transport,
    )


def listen(simulation: Any, to: WholeNode) -> Any:
    listener = simulation.mock(Mailbox)
    to.maintenance.subscribe(
        listener, MaintenanceStarted, MaintenanceEnded, TooFewConnections, TooManyConnections, BootstrapSent
    )
    return listener


def test_node_that_loses_connections_is_told_too_few_and_repairs_at_once(simulation: Any) -> None:
    """triggers.too-few-connections: the timer plays no part."""
    nodes = SimulatedNodes(simulation)
    others = [node(nodes, f"n{number}", least=0, expected=0, most=8) for number in range(20)]
    target = node(nodes, "target", *others, least=6, expected=12, most=16)
    nodes.run_until(lambda: len(target.connected()) >= 8, timeout=20)
    nodes.run(2)
    listener = listen(simulation, target)
    gone = [other for other in others if other.peer in target.connected()][:-5]
    for other in gone:
        other.crash()
    nodes.run(5)
    kinds = [type(event) for event in listener.control.received()]
    assert kinds[:2] == [MaintenanceStarted, TooFewConnections]
    assert kinds[-1] is MaintenanceEnded
    assert len(target.connected()) >= 8


def test_node_that_many_dial_at_once_is_told_too_many_and_trims_to_the_target(simulation: Any) -> None:
    """triggers.too-many-connections; upstream only prints the numbers at the end."""
    nodes = SimulatedNodes(simulation)
    target = node(nodes, "target", least=0, expected=6, most=18, reserved_outbound=0)  # trims above 14, to 10
    listener = listen(simulation, target)
    for number in range(24):
        node(nodes, f"n{number}", target, least=1, expected=1, most=1)
    nodes.run_until(lambda: TooManyConnections in map(type, listener.control.received()), timeout=5)
    nodes.run_until(lambda: len(target.connected()) <= 10, timeout=5)


def test_clique_of_nine_reaches_the_lower_target_and_stays_below_the_upper_threshold(simulation: Any) -> None:
    """p2p-maintenance-init-expected_connections: 3, 6, 9 mean 4 to 8, targets 5 and 7."""
    nodes = SimulatedNodes(simulation)
    hub = node(nodes, "n0", least=3, expected=6, most=9)
    everybody = [hub, *(node(nodes, f"n{number}", hub, least=3, expected=6, most=9) for number in range(1, 9))]
    nodes.run_until(lambda: all(4 <= len(each.connected()) <= 8 for each in everybody), timeout=30)
    nodes.run(30)
    assert all(4 <= len(each.connected()) <= 8 for each in everybody)


def test_peer_is_found_through_a_common_neighbour(simulation: Any) -> None:
    """p2p-peer-discovery."""
    nodes = SimulatedNodes(simulation)
    hub = node(nodes, "hub", least=0, expected=0, most=8)
    alice = node(nodes, "alice", hub, least=2, expected=2, most=8)
    bob = node(nodes, "bob", hub, least=2, expected=2, most=8)
    nodes.run_until(lambda: alice.is_connected_to(hub, bob), timeout=15)


def test_node_that_wants_a_single_connection_has_it(simulation: Any) -> None:
    """check --connection=1 option."""
    nodes = SimulatedNodes(simulation)
    hub = node(nodes, "hub", least=0, expected=0, most=8)
    alice = node(nodes, "alice", hub, least=1, expected=1, most=1)
    nodes.run_until(lambda: alice.connected() == {hub.peer}, timeout=5)


def test_trusted_ring_is_closed(simulation: Any) -> None:
    """p2p - set a trusted ring: each trusts and knows the next, and all end connected with both neighbours."""
    nodes = SimulatedNodes(simulation)
    ring: list[WholeNode] = []
    for number in range(5):
        ring.append(node(nodes, f"n{number}", *ring[-1:], least=2, expected=2, most=8))
    ring[-1].tracker.hint([ring[0].transport.record().get(timeout=1).record])
    nodes.run_until(lambda: all(len(each.connected()) >= 2 for each in ring), timeout=30)
    for each in ring:
        assert each.peer not in each.connected()
