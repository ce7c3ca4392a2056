"""Blocks: doors to the tracker, where they live."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from rookery.actors import connections, tracker
from rookery.actors.connections import NoTracker, NullConnectionManager
from rookery.testing import SimulatedNodes
from rookery.transport import mailbox as transport
from tests.connections.worlds import peer_of


@pytest.fixture
def doors(simulation: Any) -> tuple[Any, Any]:
    """The manager, and the tracker behind it."""
    peers, net = simulation.mock(tracker.Mailbox), simulation.mock(transport.Mailbox)
    return simulation.start(connections.Engine, connections.Config(), transport=net, tracker=peers), peers


def test_block_of_a_peer_an_ip_or_a_network_goes_to_the_tracker_and_disconnects(
    simulation: Any, doors: tuple[Any, Any]
) -> None:
    conns, peers = doors
    held = peers.control.hold(tracker.Block)
    answers = [
        conns.block_peer(peer_of(1)),
        conns.block_addr("10.0.0.1", 60.0),
        conns.block_subnet("10.0.0.0/24", disconnect=False),
    ]
    simulation.settle()
    assert held.waiting == [
        tracker.Block(peer_of(1), None, True),
        tracker.Block(ip_address("10.0.0.1"), 60.0, True),
        tracker.Block(ip_network("10.0.0.0/24"), None, False),
    ]
    assert not answers[0].done  # as long as the tracker has not answered
    held.pop(target=peer_of(1)).set(tracker.Blocked(5.0))
    assert answers[0].get(timeout=1) == tracker.Blocked(5.0)
    held.pop(target=ip_address("10.0.0.1")).fail(tracker.CannotBlock(ip_address("10.0.0.1"), "why not"))
    with pytest.raises(tracker.CannotBlock):
        answers[1].get(timeout=1)


def test_unblock_and_the_list_of_blocks_are_the_trackers_too(doors: tuple[Any, Any]) -> None:
    conns, peers = doors
    peers.control.answer(tracker.Unblock, lambda message: message.target == peer_of(1))
    asked = [conns.unblock_peer(peer_of(1)), conns.unblock_addr("10.0.0.1"), conns.unblock_subnet("10.0.0.0/24")]
    assert [reply.get(timeout=1) for reply in asked] == [True, False, False]
    blocks = (tracker.BlockInForce(peer_of(1), 5.0),)
    peers.control.answer(tracker.GetBlocks, blocks)
    assert conns.blocks().get(timeout=1) == blocks


def test_block_of_what_cannot_be_blocked_is_refused_at_the_door(doors: tuple[Any, Any]) -> None:
    conns, _peers = doors
    askings: list[Callable[[], object]] = [
        lambda: conns.block_peer(b""),
        lambda: conns.block_addr("ten"),
        lambda: conns.block_addr("fe80::1%eth0"),
        lambda: conns.block_subnet("10.0.0.1/24"),
        lambda: conns.block_peer(peer_of(1), 0.0),
    ]
    for ask in askings:
        with pytest.raises(ValueError, match="peer id|is no IP|host bits|longer than 0"):
            ask()


def test_blocks_without_a_tracker_are_declined(simulation: Any) -> None:
    alone = simulation.start(connections.Engine, connections.Config(), transport=simulation.mock(transport.Mailbox))
    for conns in (alone, NullConnectionManager()):
        for asked in (conns.block_peer(peer_of(1)), conns.unblock_peer(peer_of(1)), conns.blocks()):
            with pytest.raises(NoTracker):
                asked.get(timeout=1)


@pytest.mark.parametrize("disconnect", [True, False])
def test_blocked_peer_is_disconnected_unless_told_otherwise_and_does_not_come_back(
    simulation: Any, disconnect: bool
) -> None:
    nodes = SimulatedNodes(simulation)
    settings: Any = {"tracker": {"source": "static"}}
    bob = nodes.start("bob", member=False, **settings)
    alice = nodes.start("alice", seeds=[bob], member=False, **settings)
    nodes.run_until(lambda: bob.is_connected_to(alice), timeout=10)
    bob.connections.block_peer(alice.peer, 100.0, disconnect=disconnect).get(timeout=5)
    nodes.run(5.0)
    assert bob.is_connected_to(alice) != disconnect
    nodes.run(90.0)
    assert bob.is_connected_to(alice) != disconnect
    if disconnect:
        nodes.run_until(lambda: bob.is_connected_to(alice), timeout=700)  # expired: it may come back
