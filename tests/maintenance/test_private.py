"""A private node among whole nodes, both ways (design: private)."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.actors.maintenance import BootstrapReceived, BootstrapSent, Standing
from rookery.testing import SimulatedNodes, WholeNode
from rookery.transport import Reason

BAND = {"policy": "band", "min_connections": 4, "expected_connections": 4, "max_connections": 8}
SWITCHES: list[dict[str, Any]] = [
    {"tracker": {"source": "static", "admission": "private"}, "maintenance": BAND},
    {"tracker": {"source": "static"}, "maintenance": {**BAND, "private_mode": True}},
]


def public(nodes: SimulatedNodes, name: str, *seeds: WholeNode) -> WholeNode:
    return nodes.start(name, seeds=seeds, member=False, tracker={"source": "static"}, maintenance=BAND)


@pytest.mark.parametrize("switch", SWITCHES, ids=["tracker.admission", "maintenance.private_mode"])
def test_private_node_dials_the_trusted_only_and_is_told_to_nobody(switch: dict[str, Any], simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    hub = public(nodes, "hub")
    hermit = nodes.start("hermit", seeds=[hub], member=False, **switch)
    others = [public(nodes, f"n{number}", hub) for number in range(4)]
    nodes.run(60)
    assert hermit.connected() == {hub.peer}  # short of connections for a minute, with others one question away
    assert all(hermit.peer not in other.connected() for other in others)
    for node in (hub, *others):
        known = {info.peer: info for info in node.tracker.known().get(timeout=5)}
        assert known.get(hermit.peer) is None or known[hermit.peer].address is None
    assert hermit.counted("maintenance_exchange_total", "bootstrap_sent") == 0
    assert hermit.counted("maintenance_exchange_total", "advertise_sent") == 0
    assert hub.counted("maintenance_exchange_total", "private_received") == 1


def test_private_node_refuses_whom_it_does_not_trust_and_names_no_alternatives(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    friend = public(nodes, "friend")
    hermit = nodes.start("hermit", seeds=[friend], member=False, **SWITCHES[0])
    nodes.run_until(lambda: hermit.is_connected_to(friend), timeout=10)
    stranger = public(nodes, "stranger", hermit)  # somebody has told it where
    nodes.run(30)
    assert stranger.connected() == frozenset()
    assert stranger.counted("tracker_dials_total", Reason.PRIVATE) > 0
    known = {info.peer for info in stranger.tracker.known().get(timeout=5)}
    assert known == {hermit.peer}


def test_private_node_that_is_full_names_no_alternatives(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    names = [f"friend-{number}" for number in range(3)]
    trusted = tuple(nodes.known.identity(name).peer for name in names)
    hermit = nodes.start(
        "hermit",
        member=False,
        tracker={"source": "static", "admission": "private", "trusted": trusted},
        transport={"max_connections": 2, "reserved_outbound": 0},
        maintenance={"min_connections": 0, "expected_connections": 1, "max_connections": 2, "policy": "band"},
    )
    friends = [public(nodes, name, hermit) for name in names]
    nodes.run(30)
    (late,) = [friend for friend in friends if not friend.connected()]
    assert late.counted("tracker_dials_total", Reason.TOO_MANY) > 0
    assert {info.peer for info in late.tracker.known().get(timeout=5)} == {hermit.peer}


def test_private_node_does_not_answer_who_asks_all_the_same(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    hub, friend = public(nodes, "hub"), public(nodes, "friend")
    hermit = nodes.start("hermit", seeds=[hub, friend], member=False, **SWITCHES[0])
    nodes.run_until(lambda: len(hermit.connected()) == 2, timeout=10)
    told: Any = simulation.mock(type(hermit.maintenance))
    hub.maintenance.subscribe(told, BootstrapSent, BootstrapReceived)
    nodes.run(60)
    assert (
        told.control.received() == []
    )  # the hub, short of connections, asks nobody: it was told that hermit is private
    assert hub.connected() == {hermit.peer}


def test_steady_state_costs_no_message_of_maintenance(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    hub = public(nodes, "hub")
    everybody = [hub, *(public(nodes, f"n{number}", hub) for number in range(7))]
    nodes.run_until(lambda: all(4 <= len(node.connected()) <= 8 for node in everybody), timeout=30)
    nodes.run(600)  # past every search, every first look, and every try to reach a hub that is full
    before, seen = [dict(traffic(node)) for node in everybody], simulation.mock(type(hub.maintenance))
    for node in everybody:
        node.maintenance.subscribe(seen, Standing)
    nodes.run(0.1)
    first = len(seen.control.received())
    nodes.run(600)
    assert [dict(traffic(node)) for node in everybody] == before
    assert len(seen.control.received()) == first


def traffic(node: WholeNode) -> dict[str, float]:
    """All that maintenance ever asked of the tracker or said to a peer."""
    return {
        f"{sample.name}{sample.labels}": sample.value
        for sample in node.runtime.registry.samples()
        if sample.name.startswith(
            ("maintenance_exchange", "maintenance_rounds", "maintenance_dials", "maintenance_sea")
        )
    }
