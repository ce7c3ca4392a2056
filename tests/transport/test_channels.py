"""Quotas, backlogs, and that every message is delivered or counted as lost."""

from __future__ import annotations

from typing import Any

import pytest

from rookery import transport
from rookery.runtime import Feedback
from rookery.transport import Channel, Quota, Reason
from tests.transport.worlds import Node, World


def with_quota(world: World, name: str, quota: Quota, **settings: Any) -> Node:
    """A node whose receiver takes channel 17 under this quota."""
    node = Node(world, name, extra={17: quota}, **settings)
    node.open_gate()
    return node


def send_many(sender: Node, receiver: Node, channel: int, count: int, size: int = 10) -> None:
    link = sender.link_to(receiver).id
    for number in range(count):
        assert sender.net.send(link, channel, number.to_bytes(size, "big")).accepted


def test_messages_over_the_inbound_quota_are_dropped_and_counted(world: World) -> None:
    alice, bob = world.node("alice"), with_quota(world, "bob", Quota(rate=0.001, burst=10))
    world.connected(alice, bob)
    send_many(alice, bob, 17, 25)
    send_many(alice, bob, 16, 1)
    world.until(lambda: bob.receiver.received(transport.Received)[-1:] and bob.counted("dropped", "quota") == 15)
    world.until(lambda: len(bob.payloads()) == 11)
    assert alice.links()


def test_peer_that_keeps_on_over_its_quota_is_closed_for_flooding(world: World) -> None:
    alice = world.node("alice")
    bob = with_quota(world, "bob", Quota(rate=0.001, burst=10), flood_drops=50)
    world.connected(alice, bob)
    send_many(alice, bob, 17, 200)
    world.until(lambda: bob.closed() and alice.closed())
    assert bob.closed() == [Reason.FLOODING]
    assert 50 <= bob.counted("dropped", "quota") <= 190


def test_quota_is_kept_over_a_reconnection(world: World) -> None:
    alice, bob = world.node("alice"), with_quota(world, "bob", Quota(rate=0.001, burst=10))
    world.connected(alice, bob)
    send_many(alice, bob, 17, 10)
    world.until(lambda: len(bob.payloads()) == 10)
    world.get(alice.net.close(bob.peer, Reason.REQUESTED))
    world.until(lambda: not bob.links())
    world.connected(alice, bob)
    send_many(alice, bob, 17, 5)
    world.until(lambda: bob.counted("dropped", "quota") == 5)
    assert len(bob.payloads()) == 10


def test_message_that_the_receivers_inbox_refuses_is_dropped_and_counted(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    bob.receiver.feedback(Feedback.REJECTED, transport.Received, times=3)
    send_many(alice, bob, 16, 10)
    world.until(lambda: len(bob.payloads()) == 7)
    assert bob.counted("dropped", "inbox") == 3


def test_backlog_beyond_its_limit_is_dropped_and_counted(world: World) -> None:
    alice, bob = world.node("alice", backlog_messages=5), world.node("bob")
    world.connected(alice, bob)
    send_many(alice, bob, 16, 500)
    lost = "transport_lost_total"
    world.until(lambda: len(bob.payloads()) + alice.runtime.registry.value(lost, "backlog") == 500)
    assert alice.counted("lost", "backlog") + alice.counted("sent") == 500


def test_send_on_a_link_that_is_gone_is_counted_as_lost(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    link = alice.link_to(bob).id
    world.get(alice.net.close(bob.peer, Reason.REQUESTED))
    alice.net.send(link, 16, b"late")
    world.get(alice.net.record())
    world.until(lambda: alice.counted("lost", "closed") == 1)


def test_link_that_ends_counts_what_was_not_confirmed(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    send_many(alice, bob, 16, 10)
    world.until(lambda: len(bob.payloads()) == 10)
    bob.runtime.stop()
    world.until(lambda: alice.closed())
    assert alice.counted("unconfirmed") == 10  # delivered, but no heartbeat had said so yet


def test_heartbeat_confirms_what_was_delivered(world: World) -> None:
    alice, bob = world.node("alice", heartbeat_interval=0.1), world.node("bob")
    world.connected(alice, bob)
    send_many(alice, bob, 16, 10)
    world.until(lambda: alice.engine.links.live[bob.peer].confirmed == 10)
    world.get(alice.net.close(bob.peer, Reason.REQUESTED))
    assert alice.counted("unconfirmed") == 0


def test_full_receiver_of_one_peer_does_not_delay_another(world: World) -> None:
    """A peer that never gets a message through its quota leaves the other's messages alone."""
    flooder, honest = world.node("alice"), world.node("carol")
    bob = with_quota(world, "bob", Quota(rate=0.001, burst=100), flood_drops=10**6)
    world.connected(flooder, bob)
    world.connected(honest, bob)
    send_many(flooder, bob, 17, 3000)
    send_many(honest, bob, 17, 100)
    world.until(lambda: sum(m.peer == honest.peer for m in bob.receiver.received(transport.Received)) == 100, within=10)
    world.until(lambda: bob.counted("dropped", "quota") == 2900)
    assert bob.closed() == []


def test_channel_refuses_over_its_outbound_quota_without_queueing(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    channel = Channel(alice.net, 16, Quota(rate=1.0, burst=2))
    link = alice.link_to(bob).id
    told = [channel.send(link, bob.peer, b"x", now=0.0) for _ in range(3)]
    assert told == [Feedback.OK, Feedback.OK, Feedback.REJECTED]
    assert channel.check(bob.peer, 0.0) == 1.0
    assert channel.send(link, bob.peer, b"x", now=1.0) is Feedback.OK
    world.until(lambda: len(bob.payloads()) == 3)


@pytest.mark.parametrize("number", [-1, 256])
def test_channel_number_outside_its_range_is_refused(number: int, world: World) -> None:
    with pytest.raises(ValueError, match="0 to 255"):
        Channel(world.node("alice").net, number)


def test_channel_registered_twice_is_refused(world: World) -> None:
    node = Node(world, "alice", listen_at_once=False)
    world.get(node.net.register(30, node.receiver))
    with pytest.raises(transport.ChannelTaken, match="30"):
        world.get(node.net.register(30, node.receiver))
