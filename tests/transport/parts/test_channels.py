"""Quotas, backlogs, and that every message is delivered or counted as lost."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from rookery import transport
from rookery.runtime import Feedback
from rookery.transport import Channel, Quota, Reason
from rookery.transport.core.codec import decode_batch, is_control
from rookery.transport.wire import Sent
from tests.transport.worlds import Node, SimulatedWorld, World


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
    world.until(
        lambda: bob.receiver.control.received(transport.Received)[-1:] and bob.counted("dropped", "quota") == 15
    )
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
    bob.receiver.control.feedback(Feedback.REJECTED, transport.Received, times=3)
    send_many(alice, bob, 16, 10)
    world.until(lambda: len(bob.payloads()) == 7)
    assert bob.counted("dropped", "inbox") == 3


def test_backlog_beyond_its_limit_is_dropped_and_counted(world: World) -> None:
    alice, bob = world.node("alice", backlog_messages=5), world.node("bob")
    world.connected(alice, bob)
    send_many(alice, bob, 16, 500)
    lost = "transport_lost_total"
    world.until(lambda: len(bob.payloads()) + alice.runtime.registry.value(lost, "backlog") == 500)
    world.until(lambda: alice.counted("lost", "backlog") + alice.counted("sent") == 500)  # bob may be quicker to count


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
    world.until(
        lambda: sum(m.peer == honest.peer for m in bob.receiver.control.received(transport.Received)) == 100, timeout=10
    )
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


# Large messages ------------------------------------------------------------------------------------------------------


def test_message_larger_than_its_channel_takes_closes_the_sender(world: World) -> None:
    alice, bob = world.node("alice"), Node(world, "bob", listen_at_once=False)
    world.get(bob.net.register(17, bob.receiver, max_message=100))
    bob.address = world.get(bob.net.listen())
    bob.open_gate()
    world.connected(alice, bob)
    link = alice.link_to(bob).id
    alice.net.send(link, 16, bytes(101))
    alice.net.send(link, 17, bytes(100))
    world.until(lambda: [len(payload) for payload in bob.payloads()] == [101, 100])
    alice.net.send(link, 17, bytes(101))
    world.until(lambda: bob.closed() == [Reason.PROTOCOL])
    assert bob.counted("invalid", "oversize") == 1
    assert len(bob.payloads()) == 2


def test_message_larger_than_the_receiving_node_takes_closes_the_sender(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob", max_message=1024)
    world.connected(alice, bob)
    alice.net.send(alice.link_to(bob).id, 16, bytes(1025))
    world.until(lambda: bob.closed() == [Reason.PROTOCOL])
    assert bob.counted("invalid", "oversize") == 1


# What an end says of the messages ------------------------------------------------------------------------------------


def test_end_of_a_link_says_how_many_messages_were_lost_and_how_many_are_unconfirmed(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    link = alice.link_to(bob).id
    send_many(alice, bob, 16, 10)
    alice.net.send(link, 16, bytes(1024 * 1024 + 1))  # too large
    world.until(lambda: len(bob.payloads()) == 10)
    world.until(lambda: alice.counted("lost", "oversize") == 1)
    bob.runtime.stop()
    world.until(lambda: alice.closed())
    (closed,) = alice.observer.control.received(transport.Closed)
    assert (closed.lost, closed.unconfirmed) == (1, 10)
    assert alice.receiver.control.received(transport.Closed) == [closed]


def test_end_of_a_link_counts_what_found_no_room_as_lost(world: World) -> None:
    alice, bob = world.node("alice", backlog_messages=5), world.node("bob")
    world.connected(alice, bob)
    send_many(alice, bob, 16, 500)
    world.until(lambda: len(bob.payloads()) + alice.counted("lost", "backlog") == 500)
    world.get(alice.net.close(bob.peer, Reason.REQUESTED))
    (closed,) = alice.observer.control.received(transport.Closed)
    assert closed.lost == alice.counted("lost", "backlog") + alice.counted("lost", "closed")


def test_who_only_receives_says_so_without_being_asked(simulated: SimulatedWorld) -> None:
    """The question of a sender whose wire is full never arrives; so the receiver tells at its own beat."""
    alice, bob = simulated.node("alice", heartbeat_timeout=3.0), simulated.node("bob")
    simulated.connected(alice, bob)
    wire, link = alice.engine.wire, alice.link_to(bob).id
    send = wire.send

    def no_room_for_control(route: bytes, frames: list[bytes]) -> Sent:
        return Sent.FULL if len(frames) == 1 and is_control(frames[0]) else send(route, frames)

    wire.send = no_room_for_control
    for _ in range(20):
        alice.net.send(link, 16, b"bulk")
        simulated.pass_time(0.5)
    assert alice.closed() == bob.closed() == []
    assert alice.engine.links.live[bob.peer].confirmed >= 15


def test_link_on_which_everything_was_told_is_as_quiet_as_before(simulated: SimulatedWorld) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    simulated.connected(alice, bob)
    said: list[bytes] = []
    send = bob.engine.wire.send

    def recorded(route: bytes, frames: list[bytes]) -> Sent:
        said.append(frames[0])
        return send(route, frames)

    bob.engine.wire.send = recorded
    simulated.pass_time(60)
    idle = len(said)
    send_many(alice, bob, 16, 10)
    simulated.pass_time(5)
    said.clear()
    simulated.pass_time(60)
    assert abs(len(said) - idle) <= 2


def test_last_word_on_a_full_wire_is_said_as_soon_as_there_is_room(simulated: SimulatedWorld) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    simulated.connected(alice, bob)
    wire = alice.engine.wire
    send, full = wire.send, [Sent.FULL] * 3
    wire.send = lambda route, frames: full.pop() if full else send(route, frames)
    alice.net.close_link(alice.link_to(bob).id, Reason.TRIMMED)
    simulated.until(lambda: bob.closed() == [Reason.TRIMMED])


def test_bye_does_not_wait_behind_the_backlog(simulated: SimulatedWorld) -> None:
    """What waits here for room is dropped and counted; the other side hears at once, and why."""
    alice, bob = simulated.node("alice"), simulated.node("bob")
    simulated.connected(alice, bob)
    wire = alice.engine.wire
    send = wire.send
    wire.send = lambda route, frames: send(route, frames) if is_control(frames[0]) else Sent.FULL
    send_many(alice, bob, 16, 10_000)
    simulated.pass_time(0.5)
    alice.net.close(bob.peer, Reason.SHUTDOWN)
    simulated.until(lambda: bob.closed() == [Reason.SHUTDOWN], timeout=0.1)
    assert alice.counted("lost", "closed") == 10_000
    assert alice.observer.control.received(transport.Closed)[0].lost == 10_000
    assert alice.counted("sent") == 0


def test_heartbeats_do_not_wait_behind_the_backlog(simulated: SimulatedWorld) -> None:
    """No batch finds room for much longer than the time a silent link has, and nobody takes the other for dead."""
    alice, bob = simulated.node("alice"), simulated.node("bob", flood_drops=10**6)
    simulated.connected(alice, bob)
    wire = alice.engine.wire
    send = wire.send
    wire.send = lambda route, frames: send(route, frames) if is_control(frames[0]) else Sent.FULL
    send_many(alice, bob, 16, 10_000)
    simulated.pass_time(3 * alice.config.heartbeat_timeout)
    assert alice.closed() == bob.closed() == []
    wire.send = send
    simulated.until(lambda: len(bob.payloads()) + bob.counted("dropped", "quota") == 10_000)


def test_messages_that_wait_together_share_a_batch_and_one_alone_leaves_at_once(simulated: SimulatedWorld) -> None:
    """At once: at the moment it is handled, with no timer in between and nothing told afterwards."""
    alice, bob = simulated.node("alice"), simulated.node("bob")
    simulated.connected(alice, bob)
    batches: list[tuple[float, int]] = []
    send = alice.engine.wire.send

    def recorded(route: bytes, frames: list[bytes]) -> Sent:
        if not is_control(frames[0]):
            batches.append((simulated.simulation.now(), len(decode_batch(frames))))
        return send(route, frames)

    alice.engine.wire.send = recorded
    before = simulated.simulation.now()
    send_many(alice, bob, 16, 5)
    simulated.simulation.settle()
    send_many(alice, bob, 16, 1)
    simulated.simulation.settle()
    assert batches == [(before, 5), (before, 1)]


def test_message_on_a_reserved_channel_that_nobody_registered_is_dropped_and_counted(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    send_many(alice, bob, 0, 3)
    send_many(alice, bob, 16, 1)
    world.until(lambda: bob.payloads() and bob.counted("dropped", "no_receiver") == 3)
    assert alice.links()


def test_flood_on_a_channel_that_nobody_registered_closes_its_sender_beyond_its_quota_only(
    simulated: SimulatedWorld,
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob", flood_drops=50)
    simulated.connected(alice, bob)
    quota = Quota()
    for channel in (15, 200):
        send_many(alice, bob, channel, quota.burst // 2)
    simulated.until(lambda: bob.counted("dropped", "no_receiver") == quota.burst)
    assert bob.closed() == []
    send_many(alice, bob, 15, quota.burst)
    simulated.until(lambda: bob.closed() == [Reason.FLOODING])


def test_unknown_channel_is_logged_once_for_each_link(
    simulated: SimulatedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    with caplog.at_level(logging.INFO, "rookery"):
        simulated.connected(alice, bob)
        send_many(alice, bob, 200, 3)
        send_many(alice, bob, 201, 3)
        simulated.until(lambda: bob.counted("dropped", "no_receiver") == 6)
        alice.net.close_link(alice.link_to(bob).id, Reason.TRIMMED)
        simulated.until(lambda: bob.closed())
    said = [record.__dict__["fields"] for record in caplog.records if "unknown channel" in record.getMessage()]
    assert said == [{"ip": "10.0.0.1", "peer": alice.peer.short, "channel": 200}]
    ends = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "disconnected"]
    assert {end["peer"]: end["unclaimed"] for end in ends} == {alice.peer.short: 6, bob.peer.short: 0}
