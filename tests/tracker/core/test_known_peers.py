"""What an operator is told of the peers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rookery.actors import tracker
from rookery.actors.tracker.core.known_peer import Status
from rookery.runtime.simulation import WALL_AT_START
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Direction, Link, Role
from rookery.transport.reasons import Reason

A, B = (Address.parse(f"tcp://10.0.0.{number}:7000") for number in (1, 2))


@pytest.fixture
def world(simulation: Any) -> Any:
    net = simulation.mock(transport.Mailbox)
    net.control.answer(transport.SetGate, lambda message: message.gate.version)
    net.control.answer(transport.Close, None)
    (me,) = simulation.peers("me")
    mine = simulation.start(tracker.Engine, tracker.Config(source="application"), transport=net, me=me)
    return simulation, net, mine


def known(mine: Any) -> dict[Any, tracker.PeerInfo]:
    return {info.peer: info for info in mine.known().get(timeout=1)}


def test_known_tells_role_state_and_address_of_each_peer(world: Any) -> None:
    simulation, net, mine = world
    ada, bob, carol = simulation.peers("ada", "bob", "carol")
    mine.track(1, tracker.TrackedPeers({ada: A, bob: B}, {carol: None})).get(timeout=1)
    mine.dial(ada)
    simulation.run(for_=5)
    assert {peer.short: (info.role, info.state, info.address) for peer, info in known(mine).items()} == {
        ada.short: (Role.PRIMARY, Status.RESERVED, A),
        bob.short: (Role.PRIMARY, Status.INERT, B),
        carol.short: (Role.SECONDARY, Status.INERT, None),
    }
    assert known(mine)[bob].last_seen is None
    mine.tell(
        transport.Opened(Link(1, ada, Direction.OUT, Role.PRIMARY, "10.0.0.1", 5.0, simulation.known.record("ada")))
    )
    simulation.settle()
    assert (known(mine)[ada].state, known(mine)[ada].last_seen) == (Status.ACTIVE, WALL_AT_START + 5)
    del net


def test_known_tells_when_a_peer_failed_and_how_long_it_is_left_alone(world: Any) -> None:
    simulation, net, mine = world
    (ada,) = simulation.peers("ada")
    mine.track(1, {ada: A}).get(timeout=1)
    mine.dial(ada)
    simulation.run(for_=2)
    mine.released(net.control.received(transport.Dial)[-1].ticket, Reason.TIMEOUT)
    simulation.settle()
    info = known(mine)[ada]
    assert (info.last_failure, info.backoff) == (WALL_AT_START + 2, 1.0)
    assert info.quiet_until is not None
    assert WALL_AT_START + 2 < info.quiet_until <= WALL_AT_START + 3
    simulation.run(for_=2)
    assert known(mine)[ada].quiet_until is None


def test_known_tells_of_strangers_who_are_blocked_or_trusted(world: Any) -> None:
    simulation, _net, mine = world
    bad, good = simulation.peers("bad", "good")
    mine.block(bad, 60.0).get(timeout=1)
    mine.trust(good).get(timeout=1)
    told = known(mine)
    assert (told[bad].blocked_until, told[bad].trusted) == (WALL_AT_START + 60, False)
    assert (told[good].blocked_until, told[good].trusted, told[good].address) == (None, True, None)


def test_known_tells_of_a_peer_behind_a_blocked_network(world: Any) -> None:
    simulation, _net, mine = world
    (ada,) = simulation.peers("ada")
    mine.track(1, {ada: A}).get(timeout=1)
    mine.block(tracker.parse_target("10.0.0.0/24"), math.inf).get(timeout=1)
    assert known(mine)[ada].blocked_until == math.inf
    mine.block(ada, 60.0).get(timeout=1)
    assert known(mine)[ada].blocked_until == math.inf
    mine.unblock(tracker.parse_target("10.0.0.0/24")).get(timeout=1)
    assert known(mine)[ada].blocked_until == WALL_AT_START + 60
