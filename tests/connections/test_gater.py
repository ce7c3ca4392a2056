"""The application's gater: asked at five moments, composed, and on the safe side when it fails."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from rookery.actors.tracker import Config, TrackedPeers
from rookery.actors.tracker.core.directory import Directory
from rookery.testing import SimulatedNodes, WholeNode
from rookery.transport import AllowAll, Claim, Direction, Gate, Gaters, Link, PeerId, Reason
from rookery.transport.address import Address, Endpoint
from rookery.transport.record import PeerRecord
from tests.connections.worlds import make_link, peer_of
from tests.transport.worlds import RealWorld, SimulatedWorld, World

ENDPOINT = Endpoint("10.0.0.1", 7000)
POINTS = ("peer_dial", "addr_dial", "accept", "secured", "upgraded")


class Denier:
    """Denies at some points, and writes down what it is asked. failing: raises there instead."""

    def __init__(self, *points: str, failing: bool = False) -> None:
        self.points = points
        self.failing = failing
        self.asked: list[tuple[object, ...]] = []

    def _allow(self, point: str, *known: object) -> bool:
        self.asked.append((point, *known))
        if self.failing and point in self.points:
            raise LookupError("the list is not there")
        return point not in self.points

    def intercept_peer_dial(self, peer: PeerId) -> bool:
        return self._allow("peer_dial", peer)

    def intercept_addr_dial(self, peer: PeerId, endpoint: Endpoint) -> bool:
        return self._allow("addr_dial", peer, endpoint)

    def intercept_accept(self, ip: str) -> bool:
        return self._allow("accept", ip)

    def intercept_secured(self, direction: Direction, peer: PeerId, ip: str) -> bool:
        return self._allow("secured", direction, peer, ip)

    def intercept_upgraded(self, link: Link) -> bool:
        return self._allow("upgraded", link)


def ask_all(gater: Gaters | AllowAll) -> dict[str, bool]:
    return {
        "peer_dial": gater.intercept_peer_dial(peer_of(1)),
        "addr_dial": gater.intercept_addr_dial(peer_of(1), ENDPOINT),
        "accept": gater.intercept_accept("10.0.0.1"),
        "secured": gater.intercept_secured(Direction.IN, peer_of(1), "10.0.0.1"),
        "upgraded": gater.intercept_upgraded(make_link(1)),
    }


# Composed


def test_gaters_allow_what_all_of_them_allow() -> None:
    nobody = dict.fromkeys(POINTS, True)
    assert ask_all(Gaters()) == ask_all(AllowAll()) == ask_all(Gaters(AllowAll(), Denier())) == nobody
    composed = Gaters(Denier("accept"), Gaters(Denier("secured"), AllowAll()))
    assert ask_all(composed) == nobody | {"accept": False, "secured": False}
    assert composed.denied == {"accept": 1, "secured": 1}


def test_gater_that_denies_is_the_last_that_is_asked() -> None:
    after = Denier()
    Gaters(Denier("accept"), after).intercept_accept("10.0.0.1")
    assert after.asked == []


@pytest.mark.parametrize("point", POINTS)
def test_gater_that_raises_denies_and_is_counted(point: str) -> None:
    gaters = Gaters(Denier(point, failing=True))
    assert [name for name, allowed in ask_all(gaters).items() if not allowed] == [point]
    assert (gaters.failed, gaters.denied) == ({point: 1}, {point: 1})


# In the tracker's directory


def directory(denier: Denier) -> Directory:
    made = Directory(Config(source="application"), peer_of(0), random.Random(1), Gaters(denier))
    made.track(1, TrackedPeers({peer_of(1): Address.parse("tcp://10.0.0.1:7000")}), 0.0)
    return made


def claim(direction: Direction, **more: Any) -> Claim:
    record = PeerRecord(
        peer_of(1), Address.parse("tcp://10.0.0.1:7000"), 1, b"", "test", bytes(16), bytes(16), bytes(64)
    )
    return Claim(peer_of(1), record, "10.0.0.1", direction, **more)


def test_peer_dial_is_denied_before_its_address_is_looked_at_and_leaves_no_ticket() -> None:
    denier = Denier("peer_dial")
    made = directory(denier)
    assert made.reserve(peer_of(1), 0.0) is Reason.GATED
    assert (denier.asked, made.held) == ([("peer_dial", peer_of(1))], 0)


def test_peer_dial_is_not_asked_while_a_connection_is_held_or_the_tracker_refuses() -> None:
    denier = Denier()
    made = directory(denier)
    made.reserve(peer_of(1), 0.0)
    assert made.reserve(peer_of(1), 0.0) is Reason.DUPLICATE
    assert made.reserve(peer_of(2), 0.0) is Reason.NOT_TRACKED
    assert denier.asked == [("peer_dial", peer_of(1))]


def test_secured_is_asked_in_both_directions_and_denied_leaves_no_ticket() -> None:
    denier = Denier("secured")
    made = directory(denier)
    assert made.admit(claim(Direction.IN), 0.0) is Reason.GATED
    assert made.held == 0
    reserved = made.reserve(peer_of(1), 0.0)
    assert not isinstance(reserved, Reason)
    assert made.admit(claim(Direction.OUT, ticket=reserved[0]), 0.0) is Reason.GATED
    assert [asked[1] for asked in denier.asked if asked[0] == "secured"] == [Direction.IN, Direction.OUT]


def test_secured_is_not_asked_about_who_is_refused_anyway() -> None:
    denier = Denier()
    config = Config(source="application", admission="tracked")
    made = Directory(config, peer_of(0), random.Random(1), Gaters(denier))
    assert made.admit(claim(Direction.IN), 0.0) is Reason.NOT_TRACKED
    assert denier.asked == []


# In transport


@pytest.fixture(params=["simulated", "zmq"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made: World
    if request.param == "simulated":
        made = SimulatedWorld(request.node.nodeid)
    else:
        request.getfixturevalue("no_leaks")
        made = RealWorld()
    yield made
    made.close()


def released(world: World, dialler: Any, listener: Any) -> Reason:
    dialler.dial(listener)
    world.until(lambda: dialler.gatekeeper.releases)
    reason: Reason = dialler.gatekeeper.releases[-1][1]
    return reason


def test_C26_accept_is_denied_before_any_handshake_and_not_by_a_time_out(world: World) -> None:
    alice, bob = world.node("alice", dial_timeout=60.0), world.node("bob")
    denier = Denier("accept")
    bob.open_gate(gater=Gaters(denier))
    assert released(world, alice, bob) is Reason.AUTHENTICATION  # all that a refused connection tells
    assert bob.counted("refused", Reason.GATED) == 1
    assert (bob.gatekeeper.claims, [asked[0] for asked in denier.asked]) == ([], ["accept"])


def test_address_that_is_denied_is_not_dialled_and_not_by_a_time_out(world: World) -> None:
    alice, bob = world.node("alice", dial_timeout=60.0), world.node("bob")
    denier = Denier("addr_dial")
    alice.open_gate(gater=Gaters(denier))
    assert released(world, alice, bob) is Reason.GATED
    assert denier.asked == [("addr_dial", bob.peer, bob.address.endpoint)]
    assert bob.gatekeeper.claims == []


def test_gate_with_a_gater_that_allows_lets_everything_through(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    for node in (alice, bob):
        node.open_gate(gater=Gaters(AllowAll()))
    world.connected(alice, bob)


def test_two_gates_that_differ_in_their_gater_only_block_the_same() -> None:
    assert Gate(1) == Gate(1, gater=Gaters(Denier("accept")))


# In whole nodes


class GatedNode(WholeNode):
    """A node with the gater that `Gated` has for its name."""

    gaters: dict[str, Denier] = {}  # noqa: RUF012  # of one test

    def gater(self) -> Denier | None:
        return self.gaters.get(self.name)


@pytest.fixture
def gated(simulation: Any) -> Iterator[Any]:
    """`gated(alice=Denier(...), bob=...)`: two nodes, of which alice dials bob."""

    def start(**gaters: Denier) -> tuple[SimulatedNodes, WholeNode, WholeNode]:
        GatedNode.gaters = gaters
        nodes = SimulatedNodes(simulation, kind=GatedNode)
        settings: Any = {"tracker": {"source": "static"}}
        bob = nodes.start("bob", member=False, **settings)
        alice = nodes.start("alice", seeds=[bob], member=False, **settings)
        return nodes, alice, bob

    yield start
    GatedNode.gaters = {}


def test_gaters_of_both_sides_are_asked_at_every_point_in_order(gated: Any) -> None:
    dialler, listener = Denier(), Denier()
    nodes, alice, bob = gated(alice=dialler, bob=listener)
    nodes.run_until(lambda: alice.is_connected_to(bob), timeout=10)
    nodes.run(1.0)
    assert [asked[0] for asked in dialler.asked] == ["peer_dial", "addr_dial", "secured", "upgraded"]
    assert [asked[0] for asked in listener.asked] == ["accept", "secured", "upgraded"]
    assert dialler.asked[2][1:] == (Direction.OUT, bob.peer, bob.ip)
    assert listener.asked[1][1:] == (Direction.IN, alice.peer, alice.ip)


DIALLER_ASKS = [("alice", point) for point in POINTS if point != "accept"]
LISTENER_ASKS = [("bob", point) for point in POINTS if not point.endswith("dial")]


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize(("side", "point"), DIALLER_ASKS + LISTENER_ASKS)
def test_connection_that_is_denied_on_either_side_at_any_point_does_not_stay(
    gated: Any, side: str, point: str, failing: bool
) -> None:
    denier = Denier(point, failing=failing)
    nodes, alice, bob = gated(**{side: denier})
    nodes.run(10.0)
    assert not alice.is_connected_to(bob)
    assert not bob.is_connected_to(alice)
    own = alice if side == "alice" else bob
    assert own.counted("tracker_gater_denied_total", point) >= 1
    assert (own.counted("tracker_gater_failures_total", point) > 0) == failing
    asked = [each[0] for each in denier.asked]
    assert asked.count(point) < 20  # no dial after dial


def test_C27_peer_denied_from_some_moment_on_does_not_get_in_between_dial_and_handshake(gated: Any) -> None:
    class Later(Denier):
        def intercept_peer_dial(self, peer: PeerId) -> bool:
            self.points = ("secured",)  # it becomes unwanted while it is dialled
            return super().intercept_peer_dial(peer)

    nodes, alice, bob = gated(alice=Later())
    nodes.run(5.0)
    assert not alice.is_connected_to(bob)
    assert alice.counted("transport_connections", "out") == 0
