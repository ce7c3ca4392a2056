"""Connections in whole nodes: trims that both sides hear of, and hard limits; simulated and over real sockets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rookery.config import load
from rookery.node import Node, new
from rookery.testing import SimulatedNodes, WholeNode

STATIC: Any = {"tracker": {"source": "static"}, "connections": {"grace_period": 0.0}}
FULL: Any = {
    "transport": {"max_connections": 2, "reserved_outbound": 0},
    "maintenance": {"min_connections": 0, "expected_connections": 1},
}


@pytest.fixture
def nodes(simulation: Any) -> SimulatedNodes:
    return SimulatedNodes(simulation)


def dialling(nodes: SimulatedNodes, listener: WholeNode, *names: str) -> list[WholeNode]:
    """Nodes of these names, connected to the listener."""
    started = [nodes.start(name, seeds=[listener], member=False, **STATIC) for name in names]
    nodes.run_until(lambda: listener.is_connected_to(*started), timeout=20)
    return started


def test_trimmed_connection_is_closed_as_trimmed_on_both_sides_and_nobody_dials_at_once(nodes: SimulatedNodes) -> None:
    bob = nodes.start("bob", member=False, **STATIC)
    (alice,) = dialling(nodes, bob, "alice")
    report = bob.connections.trim_open_connections(0).get(timeout=10)
    assert [link.peer for link in report.closed] == [alice.peer]
    nodes.run(0.5)
    assert not alice.connected()
    for node in (alice, bob):
        assert node.counted("connections_closed_total", "trimmed") == 1
        assert node.counted("connections_opened_total", "in" if node is bob else "out") == 1


def test_crowd_of_one_ip_that_came_first_makes_room_for_all_others_up_to_its_share(nodes: SimulatedNodes) -> None:
    few: Any = {"transport": {"max_connections": 12, "reserved_outbound": 0}, "maintenance": FULL["maintenance"]}
    bob = nodes.start("bob", member=False, **STATIC, **few)
    crowd = [nodes.start(f"c{each}", ip="10.9.9.9", seeds=[bob], member=False, **STATIC) for each in range(9)]
    nodes.run_until(lambda: len(bob.connected()) == 6, timeout=20)  # half of the slots
    bob.connections.protect(crowd[0].peer, "friend")
    nodes.run(30)
    others: list[WholeNode] = []
    for number in range(9):
        others.append(nodes.start(f"o{number}", seeds=[bob], member=False, **STATIC))
        nodes.run_until(lambda: bob.is_connected_to(*others), timeout=2)
        nodes.run(5)
        assert len(bob.connected() & {each.peer for each in crowd}) == max(3, 5 - number)
    assert bob.counted("connections_trimmed_total", "crowd") == 3
    assert bob.counted("transport_closed_total", "trimmed") == 3


def test_trim_gives_up_the_least_valuable_of_real_connections(nodes: SimulatedNodes) -> None:
    bob = nodes.start("bob", member=False, **STATIC)
    alice, carol, dave, erin = dialling(nodes, bob, "alice", "carol", "dave", "erin")
    bob.connections.tag_peer(alice.peer, "useful", 10)
    bob.connections.tag_peer(carol.peer, "useful", 5)
    bob.connections.tag_peer(dave.peer, "useful", -5)
    bob.connections.protect(dave.peer, "friend")
    report = bob.connections.trim_open_connections(2).get(timeout=10)
    assert [link.peer for link in report.closed] == [erin.peer, carol.peer]
    assert bob.is_connected_to(alice, dave)


def test_connection_that_is_busy_with_fetches_is_given_up_after_idle_ones(nodes: SimulatedNodes) -> None:
    bob = nodes.start("bob", member=False, **STATIC)
    alice, carol = dialling(nodes, bob, "alice", "carol")
    idle = min(alice.peer, carol.peer)
    busy = max(alice.peer, carol.peer)
    bob.connections.busy(busy, 1)
    report = bob.connections.trim_open_connections(1).get(timeout=10)
    assert [link.peer for link in report.closed] == [idle]


def test_node_at_its_hard_limit_refuses_with_others_to_try_and_protected_ones_stay(nodes: SimulatedNodes) -> None:
    bob = nodes.start("bob", member=False, **(STATIC | FULL))
    alice, carol = dialling(nodes, bob, "alice", "carol")
    bob.connections.protect(alice.peer, "friend")
    dave = nodes.start("dave", seeds=[bob], member=False, **STATIC)
    nodes.run_until(lambda: dave.counted("tracker_dials_total", "too_many") >= 1, timeout=10)
    assert bob.counted("transport_refused_total", "too_many") >= 1
    assert bob.is_connected_to(alice, carol)
    assert bob.connections.get_info().get(timeout=5).open == 2
    known = {info.peer for info in dave.tracker.known().get(timeout=5)}
    assert known >= {alice.peer, carol.peer}  # it was told whom to try instead


def test_band_node_trims_itself_to_its_water_marks_where_maintenance_has_the_same(nodes: SimulatedNodes) -> None:
    band: Any = {
        "tracker": {"source": "static"},
        "connections": {"grace_period": 0.0},
        "maintenance": {"policy": "band", "min_connections": 0, "expected_connections": 1, "max_connections": 7},
        "transport": {"reserved_outbound": 0},
    }
    bob = nodes.start("bob", member=False, **band)
    info = bob.connections.get_info().get(timeout=5)
    assert (info.low_water, info.high_water) == (3, 5)
    for number in range(7):
        nodes.start(f"n{number}", seeds=[bob], member=False, **STATIC)
    nodes.run(20.0)
    assert bob.connections.get_info().get(timeout=5).open <= 5
    assert bob.counted("connections_trims_total", "explicit") >= 1  # maintenance is the first to see it


# Over real sockets


@pytest.fixture
def start(tmp_path: Path, no_leaks: None) -> Any:
    """`start(name, yaml)`: a node on loopback; all are stopped in the end."""
    running: list[Node] = []

    def begin(name: str, yaml: str) -> Node:
        new.make_node(tmp_path / name, yaml)
        running.append(Node(load(tmp_path / name)).start())
        return running[-1]

    yield begin
    for node in reversed(running):
        node.stop()


def seeded(listener: Node, more: str = "") -> str:
    return f"tracker: {{source: static, peers: ['{listener.peer}@{listener.address}']}}\n{more}"


def value(node: Node, metric: str, *labels: str) -> float:
    return node.runtime.registry.value(metric, *labels)


def wait(node: Node, condition: Callable[[], bool]) -> None:
    """Look each time the node answers, at most some thousand times."""
    for _ in range(4000):
        if condition():
            return
        node.runtime.work(lambda: None).get(timeout=5)
        node.status()
    raise AssertionError("it did not come true")


def test_real_node_at_its_hard_limit_refuses_with_others_to_try(start: Any) -> None:
    bob = start(
        "bob",
        "tracker: {source: static}\n"
        "transport: {max_connections: 2, reserved_outbound: 0, max_inbound_share_per_ip: 1}\n"
        "maintenance: {min_connections: 0, expected_connections: 1}\n",
    )
    others = [start(name, seeded(bob)) for name in ("alice", "carol")]
    bob.wait(connected=2, timeout=20)
    dave = start("dave", seeded(bob))
    wait(dave, lambda: value(dave, "tracker_dials_total", "too_many") >= 1)
    wait(dave, lambda: len(dave.tracker.known().get(timeout=5)) >= 3)
    known = {info.peer for info in dave.tracker.known().get(timeout=5)}
    assert known >= {other.peer for other in others}
    assert bob.status().connected == 2


def test_real_connection_that_is_trimmed_is_told_so(start: Any) -> None:
    bob = start("bob", "tracker: {source: static}\nconnections: {grace_period: 0s}\n")
    alice = start("alice", seeded(bob))
    for node in (alice, bob):
        node.wait(connected=1, timeout=20)
    report = bob.connections.trim_open_connections(0).get(timeout=10)
    assert [link.peer for link in report.closed] == [alice.peer]
    wait(alice, lambda: value(alice, "connections_closed_total", "trimmed") == 1)
    assert value(bob, "connections_closed_total", "trimmed") == 1
