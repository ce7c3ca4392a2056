"""What transport promises over any wire."""

from __future__ import annotations

import pytest

from rookery import transport
from rookery.transport import Address, Admitted, Direction, Gate, Reason, Role, Ticket
from rookery.transport.core.codec import JOIN_UP_TO
from tests.transport.worlds import Node, World


def test_dial_when_both_sides_admit_opens_one_connection_on_each(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    alice.dial(bob)
    world.until(lambda: alice.links() and bob.links())
    assert alice.link_to(bob).direction is transport.Direction.OUT
    assert bob.link_to(alice).direction is transport.Direction.IN
    assert alice.gatekeeper.releases == []


def test_send_on_a_connection_arrives_in_order_and_whole(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    sent = [
        bytes([n % 256]) * size
        for n, size in enumerate([0, 1, 64, JOIN_UP_TO, JOIN_UP_TO + 1, 70_000, 1024 * 1024] * 4)
    ]
    for payload in sent:
        assert alice.net.send(alice.link_to(bob).id, 16, payload).accepted
    world.until(lambda: len(bob.payloads()) == len(sent))
    assert bob.payloads() == sent
    bob.net.send(bob.link_to(alice).id, 16, b"back")
    world.until(lambda: alice.payloads() == [b"back"])


def test_dial_when_nobody_listens_is_released_as_unreachable(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    ticket = alice.dial(bob, address=Address.parse("tcp://127.0.0.1:1"))
    world.until(lambda: alice.gatekeeper.releases)
    assert alice.gatekeeper.releases == [(ticket, Reason.UNREACHABLE)]


def test_dial_of_another_key_at_that_address_is_released_as_authentication(world: World) -> None:
    alice, bob, carol = world.node("alice"), world.node("bob"), world.node("carol")
    ticket = alice.dial(carol, address=bob.address)
    world.until(lambda: alice.gatekeeper.releases)
    assert alice.gatekeeper.releases == [(ticket, Reason.AUTHENTICATION)]
    assert bob.links() == []


def test_dial_of_another_key_at_the_own_address_is_released_and_others_still_get_in(world: World) -> None:
    alice, bob, carol = world.node("alice"), world.node("bob"), world.node("carol")
    for number in range(1, 4):
        ticket = bob.dial(carol, address=bob.address)
        world.until(lambda: len(bob.gatekeeper.releases) == number)  # noqa: B023
        assert bob.gatekeeper.releases[-1] == (ticket, Reason.AUTHENTICATION)
    world.connected(alice, bob)
    assert len(bob.links()) == 1


def test_dial_of_another_network_is_refused_and_told_why(world: World) -> None:
    alice, bob = world.node("alice", network="one"), world.node("bob", network="two")
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases)
    assert alice.gatekeeper.releases == [(ticket, Reason.NETWORK)]
    assert bob.counted("refused", Reason.NETWORK) == 1


def test_dial_without_the_network_key_is_refused(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob", network_key="ab" * 32)
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases)
    assert alice.gatekeeper.releases == [(ticket, Reason.NETWORK)]


def test_dial_with_the_same_network_key_connects(world: World) -> None:
    alice, bob = world.node("alice", network_key="ab" * 32), world.node("bob", network_key="ab" * 32)
    world.connected(alice, bob)


def test_dial_refused_by_the_other_gatekeeper_learns_its_reason(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases)
    assert alice.gatekeeper.releases == [(ticket, Reason.NOT_TRACKED)]
    assert bob.counted("refused", Reason.NOT_TRACKED) == 1
    assert bob.gatekeeper.releases == []


def test_connection_before_the_first_gate_is_refused(world: World) -> None:
    alice = world.node("alice")
    bob = Node(world, "bob")
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases)
    assert alice.gatekeeper.releases == [(ticket, Reason.AUTHENTICATION)]
    assert bob.counted("refused", Reason.NO_GATE) == 1


def test_connection_of_a_blocked_key_is_refused_before_the_handshake(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.open_gate(blocked=frozenset({alice.identity.curve_public}))
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases)
    assert alice.gatekeeper.releases == [(ticket, Reason.AUTHENTICATION)]
    assert bob.counted("refused", Reason.BLOCKED) == 1
    assert bob.gatekeeper.claims == []


@pytest.mark.parametrize("closer", ["dialler", "listener"])
def test_close_from_either_side_ends_the_connection_on_both(world: World, closer: str) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    one, other = (alice, bob) if closer == "dialler" else (bob, alice)
    world.get(one.net.close(other.peer, Reason.REQUESTED))
    assert one.closed() == [Reason.REQUESTED]
    world.until(lambda: other.closed())
    assert other.closed() == [Reason.REMOTE]
    assert [reason for _, reason in one.gatekeeper.releases] == [Reason.REQUESTED]
    assert [reason for _, reason in other.gatekeeper.releases] == [Reason.REMOTE]
    assert one.links() == other.links() == []


@pytest.mark.parametrize("closer", ["dialler", "listener"])
def test_connection_after_a_close_can_be_opened_again(world: World, closer: str) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    one, other = (alice, bob) if closer == "dialler" else (bob, alice)
    for _ in range(5):
        world.connected(alice, bob)
        world.get(one.net.close(other.peer, Reason.REQUESTED))
        world.until(lambda: not alice.links() and not bob.links())
    assert len(alice.closed()) == len(bob.closed()) == 5


def test_stopped_node_is_noticed_by_its_peer(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    bob.runtime.stop()
    world.until(lambda: alice.closed())
    assert alice.closed() == [Reason.SHUTDOWN]


def test_node_that_stops_refuses_who_is_about_to_join_and_gives_a_late_ticket_back(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.gatekeeper.held = []
    alice.dial(bob)
    world.until(lambda: bob.gatekeeper.claims)
    bob.runtime.stop()
    assert bob.counted_slots() == 0
    world.until(lambda: alice.gatekeeper.releases, timeout=2)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.SHUTDOWN]
    late = Ticket(1, alice.peer, Direction.IN)
    bob.gatekeeper.held[0].set(Admitted(late, Role.PRIMARY, 1))
    assert [ticket for ticket, _ in bob.gatekeeper.releases] == [late]


def test_node_that_stops_gives_back_the_ticket_of_a_handshake_that_is_not_over(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.gatekeeper.gate_version = 2  # which bob never gets: the handshake waits for it
    alice.dial(bob)
    world.until(lambda: bob.engine.tickets)
    (ticket,) = bob.engine.tickets
    bob.runtime.stop()
    world.until(lambda: alice.gatekeeper.releases, timeout=2)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.SHUTDOWN]
    assert bob.gatekeeper.releases == [(ticket, Reason.SHUTDOWN)]
    assert bob.engine.tickets == ()


def test_node_that_stops_asks_for_nobody_who_waited_for_its_own_dial(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    low, high = sorted((alice, bob), key=lambda node: node.peer)
    high.gatekeeper.held = []
    low.gatekeeper.held = []
    low.dial(high)
    world.until(lambda: low.engine.links.dials)
    high.dial(low)
    world.until(
        lambda: any(joining.asked is None for each in list(low.engine.links.joining.values()) for joining in each)
    )
    asked = len(low.gatekeeper.claims)
    low.runtime.stop()
    assert len(low.gatekeeper.claims) == asked
    assert low.engine.tickets == ()


def test_simultaneous_dials_leave_exactly_one_connection(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    alice.dial(bob)
    bob.dial(alice)
    world.until(lambda: alice.links() and bob.links())
    world.pass_time(0.3)
    assert len(alice.links()) == len(bob.links()) == 1
    assert alice.link_to(bob).direction is not bob.link_to(alice).direction


def test_message_on_an_unknown_channel_is_dropped_and_the_connection_stays(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    alice.net.send(alice.link_to(bob).id, 99, b"x")
    alice.net.send(alice.link_to(bob).id, 16, b"next")
    world.until(lambda: bob.payloads() == [b"next"])
    assert bob.counted("dropped", "no_receiver") == 1
    assert bob.counted("invalid", "channel") == 0
    assert not bob.closed()
    assert not alice.closed()


def test_message_larger_than_allowed_is_dropped_here_and_counted(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    alice.net.send(alice.link_to(bob).id, 16, bytes(1024 * 1024 + 1))
    alice.net.send(alice.link_to(bob).id, 16, b"next")
    world.until(lambda: bob.payloads())
    assert bob.payloads() == [b"next"]
    assert alice.counted("lost", "oversize") == 1


def test_packet_without_a_connection_opens_a_packet_link_that_no_observer_sees(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    alice.net.send_packet(bob.peer, bob.address, b"ping")
    world.until(lambda: bob.receiver.control.received(transport.Packet))
    assert bob.receiver.control.received(transport.Packet) == [transport.Packet(alice.peer, b"ping")]
    bob.net.send_packet(alice.peer, alice.address, b"pong")
    world.until(lambda: alice.receiver.control.received(transport.Packet))
    assert alice.observer.control.received() == bob.observer.control.received() == []


def test_packet_for_another_key_at_the_own_address_is_dropped_and_others_still_get_in(world: World) -> None:
    alice, bob, carol = world.node("alice"), world.node("bob"), world.node("carol")
    bob.net.send_packet(carol.peer, bob.address, b"ping")
    world.until(lambda: bob.counted("packets", "dropped") == 1)
    assert bob.receiver.control.received(transport.Packet) == []
    world.connected(alice, bob)
    alice.net.send_packet(bob.peer, bob.address, b"ping")
    world.until(lambda: bob.receiver.control.received(transport.Packet))


def test_packet_with_a_connection_goes_over_it(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    alice.net.send_packet(bob.peer, bob.address, b"ping")
    world.until(lambda: bob.receiver.control.received(transport.Packet))
    assert len(bob.gatekeeper.claims) == 1


def test_dial_promotes_the_packet_link_to_the_same_peer(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    alice.net.send_packet(bob.peer, bob.address, b"ping")
    world.until(lambda: bob.receiver.control.received(transport.Packet))
    world.connected(alice, bob)
    alice.net.send(alice.link_to(bob).id, 16, b"data")
    world.until(lambda: bob.payloads() == [b"data"])


def test_register_after_listen_is_refused(world: World) -> None:
    alice = world.node("alice")
    with pytest.raises(transport.ChannelsClosed):
        world.get(alice.net.register(17, alice.receiver))


def test_listen_on_a_port_in_use_names_it(world: World) -> None:
    world.one_machine = True
    alice = world.node("alice")
    with pytest.raises(transport.BindError, match=str(alice.address.endpoint.port)):
        Node(world, "bob", listen=alice.address.endpoint)


def test_gate_older_than_the_verdict_delays_the_opening(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.gatekeeper.gate_version = 2
    alice.dial(bob)
    world.until(lambda: bob.gatekeeper.claims)
    world.get(alice.net.record())
    assert bob.links() == []
    world.get(bob.net.set_gate(Gate(2)))
    world.until(lambda: bob.links())


def test_verdict_that_comes_too_late_releases_its_ticket(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob", verdict_timeout=0.1)
    bob.gatekeeper.held = []
    alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.TIMEOUT]
    late = bob.gatekeeper.verdict(bob.gatekeeper.claims[0])
    bob.gatekeeper.held[0].set(late)
    world.until(lambda: bob.gatekeeper.releases)
    assert isinstance(late, transport.Admitted)
    assert bob.gatekeeper.releases == [(late.ticket, Reason.TIMEOUT)]


def lie_about(world: World, alice: Node, liar: Node, bob: Node) -> None:
    """All that begins and ends because the liar advertises bob's address."""
    for _ in range(3):
        alice.dial(liar, address=bob.address)
        alice.net.send_packet(liar.peer, bob.address, b"ping")
        world.get(alice.net.close(liar.peer, Reason.REQUESTED))
    alice.dial(liar, address=bob.address)
    world.pass_time(0.3)
    world.get(alice.net.close(liar.peer, Reason.REQUESTED))


def test_end_of_what_goes_to_a_false_address_leaves_the_connection_with_who_lives_there(world: World) -> None:
    alice, bob, liar = world.node("alice"), world.node("bob"), world.node("liar")
    world.connected(alice, bob)
    lie_about(world, alice, liar, bob)
    alice.net.send(alice.link_to(bob).id, 16, b"stays")
    world.until(lambda: bob.payloads() == [b"stays"])
    assert alice.closed() == bob.closed() == []


def test_end_of_what_goes_to_a_false_address_leaves_the_packet_link_with_who_lives_there(world: World) -> None:
    alice, bob, liar = world.node("alice"), world.node("bob"), world.node("liar")
    alice.net.send_packet(bob.peer, bob.address, b"first")
    world.until(lambda: bob.receiver.control.received(transport.Packet))
    (link,) = alice.engine.links.packets.values()
    lie_about(world, alice, liar, bob)
    assert list(alice.engine.links.packets.values()) == [link]
    alice.net.send_packet(bob.peer, bob.address, b"stays")
    world.until(lambda: len(bob.receiver.control.received(transport.Packet)) == 2)


def test_dial_of_who_lives_there_succeeds_beside_the_dial_of_a_member_that_says_it_does(world: World) -> None:
    alice, bob, liar = world.node("alice"), world.node("bob"), world.node("liar")
    alice.dial(liar, address=bob.address)
    alice.dial(bob)
    world.until(lambda: alice.links() and bob.links())
    lie_about(world, alice, liar, bob)
    assert [link.peer for link in alice.links()] == [bob.peer]
    assert alice.closed() == bob.closed() == []
