"""A dial can end in many ways, and after none of them does a peer stay "requested".

Alice is given bob. Something is wrong, so her dial fails for a reason that the tracker counts; then it is mended, and
she is connected without anybody's help. Afterwards every ticket and every place is accounted for.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from rookery.actors.tracker import StaticPeer, TrackedPeers
from rookery.runtime import Simulation
from rookery.testing import SimulatedNodes, WholeNode
from rookery.transport import Address, Reason

BOBS_IP = "10.77.0.1"
QUICK_TIMES = {"backoff_cap": 2.0}


@dataclass
class World:
    """Alice and bob, each with what the case needs. `bob` is not running before the case starts him."""

    simulation: Simulation
    nodes: SimulatedNodes
    alice: WholeNode = field(init=False)

    @property
    def bobs_peer(self) -> StaticPeer:
        return StaticPeer(self.nodes.known.identity("bob").peer, Address.parse(f"tcp://{BOBS_IP}:20000"))

    def start_alice(self, address: Address | None = None, **transport: Any) -> None:
        bob = self.bobs_peer if address is None else StaticPeer(self.bobs_peer.peer, address)
        self.alice = self.nodes.start(
            "alice",
            seeds=[bob],
            member=False,
            transport=transport,
            tracker={"source": "static", **QUICK_TIMES},
            maintenance={"max_connections": transport.get("max_connections", 100), **FEW},
        )

    def start_bob(self, name: str = "bob", ip: str = BOBS_IP, **sections: Any) -> WholeNode:
        tracker = {"source": "application", **sections.pop("tracker", {})}
        return self.nodes.start(name, ip=ip, member=False, tracker=tracker, **sections)


FEW = {"min_connections": 1, "expected_connections": 1}
Case = Callable[[World], Callable[[], object]]


def nobody_listens(world: World) -> Callable[[], object]:
    world.start_alice()
    return world.start_bob


def network_swallows_everything(world: World) -> Callable[[], object]:
    world.start_bob()
    world.simulation.network.partition(["alice"], ["bob"])
    world.start_alice()
    return world.nodes.heal


def somebody_else_lives_there(world: World) -> Callable[[], object]:
    mallory = world.start_bob("mallory")
    world.start_alice()

    def moves_out() -> None:
        mallory.crash()
        world.start_bob()

    return moves_out


def bob_tracks_others(world: World) -> Callable[[], object]:
    bob = world.start_bob(tracker={"admission": "tracked", "check_egress_ip": False})
    world.start_alice()
    return lambda: bob.tracker.track(1, TrackedPeers({world.alice.peer: None})).get(timeout=5)


def bob_is_private(world: World) -> Callable[[], object]:
    bob = world.start_bob(tracker={"admission": "private"})
    world.start_alice()
    return lambda: bob.tracker.trust(world.alice.peer).get(timeout=5)


def bob_blocks_alice(world: World) -> Callable[[], object]:
    bob = world.start_bob()
    alice = world.nodes.known.identity("alice").peer
    bob.tracker.block(alice).get(timeout=5)
    world.start_alice()
    return lambda: bob.tracker.unblock(alice).get(timeout=5)


def bob_is_full(world: World) -> Callable[[], object]:
    bob = world.start_bob(
        transport={"max_connections": 1, "reserved_outbound": 0}, maintenance={"max_connections": 1, **FEW}
    )
    carol = world.nodes.start("carol", seeds=[bob], member=False, tracker={"source": "static"})
    world.nodes.run_until(lambda: carol.is_connected_to(bob), timeout=5)
    world.start_alice()
    return carol.crash


def bob_is_of_another_network(world: World) -> Callable[[], object]:
    wrong = world.start_bob(transport={"network": "another"})
    world.start_alice()

    def comes_over() -> None:
        wrong.crash()
        world.start_bob()

    return comes_over


def bob_crashes_in_the_handshake(world: World) -> Callable[[], object]:
    bob = world.start_bob()
    world.simulation.network.set_default(latency=0.5)
    world.start_alice()
    world.nodes.run(1.2)
    bob.crash()
    world.simulation.network.set_default(latency=0.001)
    return lambda: world.nodes.restart(bob)


def alice_blocks_bob_in_the_handshake(world: World) -> Callable[[], object]:
    bob = world.start_bob()
    world.simulation.network.set_default(latency=0.5)
    world.start_alice()
    world.nodes.run(1.2)
    world.alice.tracker.block(bob.peer).get(timeout=5)
    return lambda: world.alice.tracker.unblock(bob.peer).get(timeout=5)


def bob_moves_in_the_handshake(world: World) -> Callable[[], object]:
    bob = world.start_bob()
    world.simulation.network.set_default(latency=0.5)
    world.start_alice()
    world.nodes.run(1.2)
    world.alice.tracker.overwrite({bob.peer: Address.parse("tcp://10.78.0.1:20000")}).get(timeout=5)
    return lambda: world.alice.tracker.overwrite({bob.peer: bob.address}).get(timeout=5)


CASES: dict[str, tuple[Case, Reason]] = {
    case.__name__: (case, reason)
    for case, reason in [
        (nobody_listens, Reason.UNREACHABLE),
        (network_swallows_everything, Reason.TIMEOUT),
        (somebody_else_lives_there, Reason.AUTHENTICATION),
        (bob_tracks_others, Reason.NOT_TRACKED),
        (bob_is_private, Reason.PRIVATE),
        (bob_blocks_alice, Reason.AUTHENTICATION),  # a refused ZAP gives no words
        (bob_is_full, Reason.TOO_MANY),
        (bob_is_of_another_network, Reason.NETWORK),
        (bob_crashes_in_the_handshake, Reason.LOST),
        (alice_blocks_bob_in_the_handshake, Reason.BLOCKED),
        (bob_moves_in_the_handshake, Reason.ADDRESS_CHANGED),
    ]
}


def all_is_accounted_for(node: WholeNode) -> None:
    """One open link, and nothing is reserved, pending or counted beside it."""
    net: Any = node.runtime.engines[0]
    assert len(node.connected()) == 1
    assert net.slots.used == 1
    assert net.links.dials == {}
    assert node.counted("tracker_reserved") == 1
    assert node.counted("maintenance_dialling") == 0


@pytest.mark.parametrize("name", CASES)
def test_P5_peer_whose_dial_failed_is_dialled_again_when_the_cause_is_gone(name: str, simulation: Any) -> None:
    case, reason = CASES[name]
    world = World(simulation, SimulatedNodes(simulation))
    mend = case(world)
    nodes = world.nodes
    nodes.run_until(lambda: world.alice.counted("tracker_dials_total", reason) > 0, timeout=40)
    nodes.run(20)  # and fails again and again; nor is she content with carol, of whom she is told where bob is full
    assert not world.alice.connected()
    mend()
    nodes.run_until(lambda: world.alice.connected() == {world.bobs_peer.peer}, timeout=40)
    nodes.run(2)
    all_is_accounted_for(world.alice)


def test_P5_name_that_does_not_resolve_is_tried_again(simulation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(_host: str, port: int, **_options: object) -> list[tuple[object, ...]]:
        if simulation.time < 30:
            raise OSError("name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (BOBS_IP, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    world = World(simulation, SimulatedNodes(simulation))
    world.start_bob()
    world.start_alice(Address.parse("tcp://bob.example:20000"))
    world.nodes.run_until(lambda: world.alice.connected() == {world.bobs_peer.peer}, timeout=60)
    assert simulation.time > 30
    assert world.alice.counted("tracker_dials_total", Reason.UNRESOLVED) > 1
    all_is_accounted_for(world.alice)


def test_P5_peer_that_does_not_fit_is_dialled_when_there_is_room(simulation: Any) -> None:
    world = World(simulation, SimulatedNodes(simulation))
    world.start_alice(max_connections=1, reserved_outbound=0)
    carol = world.nodes.start("carol", seeds=[world.alice], member=False, tracker={"source": "static"})
    world.nodes.run_until(lambda: carol.is_connected_to(world.alice), timeout=10)
    world.start_bob()
    world.nodes.run(20)
    assert world.alice.connected() == {carol.peer}
    carol.crash()
    world.nodes.run_until(lambda: world.alice.connected() == {world.bobs_peer.peer}, timeout=20)
    all_is_accounted_for(world.alice)


def test_P5_peers_that_dial_each_other_at_once_have_one_connection(simulation: Any) -> None:
    world = World(simulation, SimulatedNodes(simulation))
    simulation.network.set_default(latency=0.2)
    alice = StaticPeer(world.nodes.known.identity("alice").peer, Address.parse("tcp://10.0.0.1:20000"))
    world.start_alice()
    bob = world.nodes.start("bob", seeds=[alice], ip=BOBS_IP, member=False, tracker={"source": "static"})
    world.nodes.run(20)
    assert world.alice.connected() == {bob.peer}
    for node in (world.alice, bob):
        all_is_accounted_for(node)


def test_lost_peer_rests_a_minute_unless_connections_are_short(simulation: Any) -> None:
    """Only a broken link costs the rest, and not below the lower threshold (design: waits)."""
    nodes = SimulatedNodes(simulation)
    others = [nodes.start(f"n{number}", member=False, tracker={"source": "application"}) for number in range(3)]
    band = {"policy": "band", "min_connections": 1, "expected_connections": 1, "max_connections": 4}
    alice = nodes.start("alice", seeds=others, member=False, tracker={"source": "static"}, maintenance=band)
    nodes.run_until(lambda: len(alice.connected()) == 1, timeout=10)
    (first,) = [other for other in others if other.peer in alice.connected()]
    for other in others:
        if other is not first:
            other.crash()
    nodes.partition([alice], [first])
    nodes.run_until(lambda: not alice.connected(), timeout=20)
    nodes.heal()
    nodes.run_until(lambda: alice.is_connected_to(first), timeout=20)


def test_trimmed_peer_is_not_dialled_within_the_cooldown(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    bob = nodes.start("bob", member=False, tracker={"source": "application", "cooldown": 10.0})
    alice = nodes.start("alice", seeds=[bob], member=False, tracker={"source": "static", "cooldown": 10.0})
    nodes.run_until(lambda: alice.is_connected_to(bob), timeout=5)
    nodes.run(11)
    bob.connections.force_trim(0).get(timeout=10)
    nodes.run(9)
    assert not alice.connected()
    nodes.run_until(lambda: alice.is_connected_to(bob), timeout=10)


def test_banned_candidate_is_not_dialled_until_the_ban_is_over(simulation: Any) -> None:
    world = World(simulation, SimulatedNodes(simulation))
    bob = world.start_bob()
    world.start_alice()
    world.nodes.run_until(lambda: world.alice.is_connected_to(bob), timeout=5)
    world.alice.tracker.block(bob.peer, 30.0).get(timeout=5)
    dials = world.alice.counted("maintenance_dials_total", "opened")
    world.nodes.run(29)
    assert not world.alice.connected()
    assert sum(world.alice.counted("maintenance_dials_total", end) for end in ("opened", "failed", "refused")) == dials
    world.nodes.run_until(lambda: world.alice.is_connected_to(bob), timeout=10)
