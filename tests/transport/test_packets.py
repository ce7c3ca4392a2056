"""What one peer may send as packets, by whatever link."""

from __future__ import annotations

from typing import Any

from rookery import transport
from rookery.transport import Reason
from tests.transport.worlds import Node, World

FEW: dict[str, Any] = {"packet_rate": 0.001, "packet_burst": 10}


def got(node: Node, sender: Node) -> int:
    return sum(packet.peer == sender.peer for packet in node.receiver.control.received(transport.Packet))


def send(sender: Node, receiver: Node, times: int) -> None:
    for _ in range(times):
        assert sender.net.send_packet(receiver.peer, receiver.address, b"ping").accepted


def linked(world: World, sender: Node, receiver: Node) -> None:
    """A packet link is up: what is sent from now on does not wait in its short queue."""
    before = got(receiver, sender)
    send(sender, receiver, 1)
    world.until(lambda: got(receiver, sender) > before)


def test_packets_over_the_quota_of_their_sender_are_dropped_and_counted(world: World) -> None:
    alice, carol, bob = world.node("alice"), world.node("carol"), world.node("bob", **FEW)
    for each in (alice, carol):
        linked(world, each, bob)
    send(alice, bob, 24)
    world.until(lambda: bob.counted("packets", "quota") == 15)
    assert got(bob, alice) == 10
    send(carol, bob, 9)
    world.until(lambda: got(bob, carol) == 10)
    assert bob.counted("packets", "quota") == 15


def test_packet_quota_is_one_for_all_links_of_a_peer(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob", **FEW)
    linked(world, alice, bob)
    send(alice, bob, 9)
    world.until(lambda: got(bob, alice) == 10)
    world.connected(alice, bob)
    send(alice, bob, 5)
    world.until(lambda: bob.counted("packets", "quota") == 5)
    assert got(bob, alice) == 10
    assert bob.links()


def test_peer_that_keeps_on_over_its_packet_quota_loses_its_packet_link(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob", **FEW, flood_drops=50)
    linked(world, alice, bob)
    send(alice, bob, 100)
    world.until(lambda: bob.engine.links.packet_routes == {})
    assert 50 <= bob.counted("packets", "quota") <= 91


def test_peer_that_keeps_on_over_its_packet_quota_loses_its_connection(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob", **FEW, flood_drops=50)
    world.connected(alice, bob)
    send(alice, bob, 200)
    world.until(lambda: bob.closed() == [Reason.FLOODING] and not alice.links())
    assert bob.counted("packets", "quota") >= 50


def test_packet_to_a_peer_that_has_moved_does_not_go_over_its_old_link(world: World) -> None:
    alice, bob, carol = world.node("alice"), world.node("bob"), world.node("carol")
    linked(world, alice, bob)
    alice.net.send_packet(bob.peer, carol.address, b"moved")  # where nobody of that key is
    world.until(lambda: not bob.engine.links.packet_routes and not alice.engine.links.packet_routes)
    assert got(bob, alice) == 1
    assert got(carol, alice) == 0
    linked(world, alice, bob)
