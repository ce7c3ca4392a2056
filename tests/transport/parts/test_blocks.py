"""A block, a closing and the packet policy, at whatever point of its life a peer's link is."""

from __future__ import annotations

import pytest

from rookery import transport
from rookery.transport import Direction, PeerId, Reason
from rookery.transport.core.codec import Control, Pong
from rookery.transport.parts.links import PacketLink
from rookery.transport.wire import Sent
from tests.transport.parts.test_schedules import check_tickets
from tests.transport.worlds import Node, SimulatedWorld, World


def packets(node: Node) -> list[bytes]:
    return [packet.payload for packet in node.receiver.control.received(transport.Packet)]


def test_gate_that_blocks_a_connected_peer_ends_its_connection(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    bob.open_gate(blocked=frozenset({alice.identity.curve_public}))
    assert bob.closed() == [Reason.BLOCKED]
    assert [reason for _, reason in bob.gatekeeper.releases] == [Reason.BLOCKED]
    world.until(lambda: alice.closed() == [Reason.REMOTE])


def test_gate_that_blocks_the_ip_of_a_connected_peer_ends_its_connection(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    bob.open_gate(blocked_ips=frozenset({bob.link_to(alice).ip}))
    assert bob.closed() == [Reason.BLOCKED]


def test_gate_that_blocks_somebody_else_leaves_a_connection_alone(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    bob.open_gate(blocked=frozenset({bytes(32)}), blocked_ips=frozenset({"203.0.113.1"}))
    alice.net.send(alice.link_to(bob).id, 16, b"still here")
    world.until(lambda: bob.payloads() == [b"still here"])


def test_gate_that_blocks_more_leaves_alone_what_the_one_before_left_open(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    blocked = frozenset({alice.identity.curve_public})
    world.get(bob.net.set_gate(transport.Gate(bob.gatekeeper.gate_version, blocked=blocked), disconnect=False))
    bob.open_gate(blocked=blocked | {bytes(32)})
    assert bob.closed() == []
    alice.net.send(alice.link_to(bob).id, 16, b"still here")
    world.until(lambda: bob.payloads() == [b"still here"])


def test_gate_older_than_the_present_one_changes_nothing(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    bob.gatekeeper.gate_version = 2
    bob.open_gate()
    old = transport.Gate(1, blocked=frozenset({alice.identity.curve_public}))
    assert world.get(bob.net.set_gate(old)) == 2
    assert bob.closed() == []


def test_dial_of_a_blocked_peer_is_released_without_a_connect(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    alice.open_gate(blocked=frozenset({bob.identity.curve_public}))
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases == [(ticket, Reason.BLOCKED)])
    assert bob.gatekeeper.claims == []


def test_dial_to_a_blocked_ip_is_released_without_a_connect(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    alice.open_gate(blocked_ips=frozenset({bob.address.endpoint.host}))
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases == [(ticket, Reason.UNRESOLVED)])
    assert bob.gatekeeper.claims == []


def test_dial_to_a_private_ip_where_those_are_not_allowed_is_released_without_a_connect(world: World) -> None:
    alice, bob = world.node("alice", allow_private_ips=False), world.node("bob")
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases == [(ticket, Reason.UNRESOLVED)])
    assert bob.gatekeeper.claims == []


@pytest.mark.parametrize("by", ["gate", "close"])
def test_block_of_a_dial_that_waits_for_its_verdict_releases_it_once(world: World, by: str) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    alice.gatekeeper.held = []
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.held)
    block(world, alice, bob, by)
    assert alice.gatekeeper.releases == [(ticket, Reason.BLOCKED)]
    alice.gatekeeper.held[0].set(alice.gatekeeper.verdict(alice.gatekeeper.claims[0]))
    world.get(alice.net.record())
    assert alice.links() == []
    assert alice.gatekeeper.releases == [(ticket, Reason.BLOCKED)]


@pytest.mark.parametrize("by", ["gate", "close"])
def test_block_of_a_claim_that_waits_for_its_verdict_gives_the_ticket_back(world: World, by: str) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.gatekeeper.held = []
    alice.dial(bob)
    world.until(lambda: bob.gatekeeper.held)
    block(world, bob, alice, by)
    verdict = bob.gatekeeper.verdict(bob.gatekeeper.claims[0])
    assert isinstance(verdict, transport.Admitted)
    bob.gatekeeper.held[0].set(verdict)
    world.until(lambda: bob.gatekeeper.releases)
    assert [ticket for ticket, _ in bob.gatekeeper.releases] == [verdict.ticket]
    assert bob.links() == []
    check_tickets(bob)


@pytest.mark.parametrize("by", ["gate", "close"])
def test_block_of_a_claim_that_is_parked_behind_our_dial_ends_both(simulated: SimulatedWorld, by: str) -> None:
    low, high = parked(simulated)
    block(simulated, low, high, by)
    assert low.counted_slots() == 0
    simulated.pass_time(20)
    assert low.gatekeeper.claims == []
    assert low.links() == high.links() == []
    check_tickets(low)
    check_tickets(high)


def parked(world: SimulatedWorld) -> tuple[Node, Node]:
    """Two nodes; the dial of the one with the higher id waits until the other's own, into the void, has ended."""
    low, high = sorted((world.node("alice"), world.node("bob")), key=lambda node: node.peer)
    void = world.node("void")
    world.simulation.network.partition(["void"], ["alice", "bob"])
    low.dial(high, address=void.address)
    high.dial(low)
    world.pass_time(0.5)
    assert low.counted_slots() == 2
    assert low.gatekeeper.claims == []
    return low, high


def block(world: World, node: Node, other: Node, by: str) -> None:
    """By the new gate, or by the close that the tracker sends with it."""
    if by == "gate":
        node.open_gate(blocked=frozenset({other.identity.curve_public}))
    else:
        world.get(node.net.close(other.peer, Reason.BLOCKED))


def test_claim_parked_behind_a_dial_into_the_void_is_let_in_before_its_own_time_is_over(
    simulated: SimulatedWorld,
) -> None:
    """Either dial could have succeeded, so exactly one connection is there in the end."""
    low, high = parked(simulated)
    simulated.until(lambda: low.links() and high.links(), timeout=10)
    assert low.link_to(high).direction is Direction.IN
    assert [reason for _, reason in low.gatekeeper.releases] == [Reason.TIMEOUT]


def test_claim_beside_a_link_that_lives_is_refused_as_duplicate(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    again = world.node_again("bob")
    again.engine.record = bob.engine.record  # no newer
    world.connected(alice, bob)
    ticket = again.dial(alice)
    world.until(lambda: again.gatekeeper.releases == [(ticket, Reason.DUPLICATE)])
    alice.net.send(alice.link_to(bob).id, 16, b"still here")
    world.until(lambda: bob.payloads() == [b"still here"])


def test_claim_of_a_newer_generation_replaces_the_link(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    again = world.node_again("bob")
    world.get(again.net.renew(bob.engine.record.generation + 1))
    world.connected(alice, bob)
    again.dial(alice)
    world.until(lambda: alice.closed() == [Reason.REPLACED])
    world.until(lambda: again.links())
    world.until(lambda: bob.closed() == [Reason.REPLACED])


def test_time_of_an_earlier_probe_does_not_end_the_link_during_a_later_one(simulated: SimulatedWorld) -> None:
    simulated.simulation.network.set_default(latency=0.1)
    alice, bob = simulated.node("alice"), simulated.node("bob")
    again = simulated.node_again("bob")
    again.engine.record = bob.engine.record
    simulated.connected(alice, bob)
    again.dial(alice)
    simulated.until(lambda: len(again.gatekeeper.releases) == 1)  # 0.3 s after the probe
    simulated.pass_time(0.3)
    again.dial(alice)  # probes at 0.9 s, and the sign of life is there at 1.1 s
    simulated.until(lambda: len(again.gatekeeper.releases) == 2)
    assert [reason for _, reason in again.gatekeeper.releases] == [Reason.DUPLICATE] * 2
    assert alice.closed() == []


def test_link_is_not_replaced_while_its_sign_of_life_may_wait_unread_in_a_process_that_stalled(
    simulated: SimulatedWorld,
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    again = simulated.node_again("bob")
    again.engine.record = bob.engine.record
    simulated.connected(alice, bob)
    live = alice.engine.links.live[bob.peer]
    again.dial(alice)
    simulated.until(lambda: live.probe is not None)
    simulated.simulation.network.set_default(latency=0.7)
    alice.runtime.pause()
    simulated.pass_time(1.5)  # the sign of life comes behind the end of its time
    alice.runtime.resume()
    simulated.until(lambda: [reason for _, reason in again.gatekeeper.releases] == [Reason.DUPLICATE])
    assert alice.closed() == []


def test_answer_to_an_earlier_ping_is_no_sign_of_life(
    simulated: SimulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bob's last Pong is on its way when his link is gone; the claim of his second node gets the place all the same."""
    network = simulated.simulation.network
    alice, bob = simulated.node("alice"), simulated.node("bob")
    again = simulated.node_again("bob")
    again.engine.record = bob.engine.record
    simulated.connected(alice, bob)
    said: list[Control] = []
    send = bob.engine.send_control

    def heard(route: bytes, message: Control) -> Sent:
        said.append(message)
        sent: Sent = send(route, message)
        return sent

    monkeypatch.setattr(bob.engine, "send_control", heard)
    network.set_default(latency=0.5)
    simulated.until(lambda: any(isinstance(message, Pong) for message in said))
    for stream in list(bob.engine.wire._streams.values()):
        bob.engine.wire._forget(stream)
    network.set_default(latency=0.001)
    again.dial(alice)
    simulated.until(lambda: alice.closed() == [Reason.REPLACED], timeout=3)
    assert again.links()
    assert again.gatekeeper.releases == []


def test_every_ping_is_answered_although_the_wire_was_full(
    simulated: SimulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    simulated.connected(alice, bob)
    live, send, full = alice.engine.links.live[bob.peer], bob.engine.wire.send, [True]
    monkeypatch.setattr(bob.engine.wire, "send", lambda route, frames: Sent.FULL if full[0] else send(route, frames))
    simulated.until(lambda: live.asked == 3)
    assert live.answered == 0
    full[0] = False
    simulated.until(lambda: live.asked == live.answered)


def test_closed_peer_has_its_queued_messages_dropped_and_counted(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    link = alice.link_to(bob).id
    closing = alice.net.close(bob.peer, Reason.BLOCKED)  # control: overtakes the messages told after it
    for _ in range(50):
        alice.net.send(link, 16, b"late")
    world.get(closing)
    world.until(lambda: alice.counted("lost", "closed") + alice.counted("sent") == 50)
    (closed,) = alice.observer.control.received(transport.Closed)
    assert closed.lost + closed.unconfirmed <= 50


# Packets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["gate", "close"])
def test_block_of_a_peer_ends_its_packet_links_and_nothing_more_is_delivered(world: World, by: str) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    alice.net.send_packet(bob.peer, bob.address, b"before")
    world.until(lambda: packets(bob) == [b"before"])
    for _ in range(20):
        alice.net.send_packet(bob.peer, bob.address, b"during")
    block(world, bob, alice, by)
    seen = packets(bob)
    world.pass_time(0.2)
    assert packets(bob) == seen
    assert bob.engine.links.packet_routes == {}


def test_packet_of_a_blocked_peer_is_not_delivered_and_none_is_sent_to_it(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.open_gate(blocked=frozenset({alice.identity.curve_public}))
    alice.net.send_packet(bob.peer, bob.address, b"in")
    world.until(lambda: bob.counted("refused", Reason.BLOCKED) == 1)
    bob.net.send_packet(alice.peer, alice.address, b"out")
    world.until(lambda: bob.counted("packets", "dropped") == 1)
    assert packets(alice) == packets(bob) == []


def test_stranger_that_may_not_connect_may_send_packets(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases)
    alice.net.send_packet(bob.peer, bob.address, b"hello")
    world.until(lambda: packets(bob) == [b"hello"])


def test_private_gate_lets_nobody_send_packets_but_the_named(world: World) -> None:
    alice, bob, carol = world.node("alice"), world.node("bob"), world.node("carol")
    bob.open_gate(packets=frozenset({carol.identity.curve_public}))
    alice.net.send_packet(bob.peer, bob.address, b"stranger")
    world.until(lambda: bob.counted("refused", Reason.PRIVATE) == 1)
    carol.net.send_packet(bob.peer, bob.address, b"named")
    world.until(lambda: packets(bob) == [b"named"])
    bob.net.send_packet(alice.peer, alice.address, b"out")
    world.until(lambda: bob.counted("packets", "dropped") == 1)


def test_private_gate_ends_the_packet_links_of_those_it_does_not_name(world: World) -> None:
    alice, bob, carol = world.node("alice"), world.node("bob"), world.node("carol")
    for each in (alice, carol):
        each.net.send_packet(bob.peer, bob.address, b"before")
    world.until(lambda: len(packets(bob)) == 2)
    bob.open_gate(packets=frozenset({carol.identity.curve_public}))
    left: list[PacketLink] = list(bob.engine.links.packet_routes.values())
    assert [link.peer for link in left] == [carol.peer]


def test_packet_link_least_recently_used_makes_room_for_the_next(world: World) -> None:
    alice = world.node("alice", max_packet_links=2)
    bob, carol, dave = others = [world.node(name) for name in ("bob", "carol", "dave")]
    for number, other in enumerate([bob, carol, bob, dave]):
        before = len(packets(other))
        alice.net.send_packet(other.peer, other.address, b"%d" % number)
        world.until(lambda: len(packets(other)) > before)  # noqa: B023
    assert [link.peer for link in alice.engine.links.packet_routes.values()] == [bob.peer, dave.peer]
    world.until(lambda: [len(node.engine.links.packet_routes) for node in others] == [1, 0, 1])


def test_packet_links_take_no_slot_of_the_hard_limits(world: World) -> None:
    alice, bob = world.node("alice", max_connections=1), world.node("bob", max_connections=1, reserved_outbound=0)
    carol = world.node("carol")
    alice.net.send_packet(bob.peer, bob.address, b"x")
    world.until(lambda: packets(bob))
    assert alice.counted_slots() == bob.counted_slots() == 0
    world.connected(carol, bob)


def test_hello_with_the_record_of_another_key_is_refused(simulated: SimulatedWorld) -> None:
    """Who somebody is, its CURVE key says; a true record of another peer does not change that."""
    alice, bob, carol = simulated.node("alice"), simulated.node("bob"), simulated.node("carol")
    alice.engine.record = carol.engine.record
    ticket = alice.dial(bob)
    simulated.until(lambda: alice.gatekeeper.releases)
    assert alice.gatekeeper.releases == [(ticket, Reason.RECORD)]
    assert bob.gatekeeper.claims == []


def test_block_of_an_identity_ends_the_connection_of_the_one_that_shares_its_curve_key(world: World) -> None:
    """An identity and its negative have one CURVE key, which the gate names (design: shared keys)."""
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    negative = PeerId(alice.peer[:31] + bytes([alice.peer[31] ^ 0x80]))
    bob.open_gate(blocked=frozenset({transport.curve_key(negative)}))
    assert bob.closed() == [Reason.BLOCKED]
