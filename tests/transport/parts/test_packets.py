"""What one peer may send as packets, by whatever link, and where packets to a name go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from rookery import transport
from rookery.testing import mock
from rookery.transport import Address, PeerId, Reason
from rookery.transport.parts.links import PacketLink, Table
from tests.transport.parts.test_dialling import Answers, answer, named
from tests.transport.worlds import Node, Receiver, SimulatedWorld, World

Names = dict[str, Callable[[], Answers]]

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


def test_peer_that_sent_too_much_on_our_own_link_to_it_is_not_dialled_for_a_packet_for_a_while() -> None:
    world = SimulatedWorld(1)
    alice, bob, carol = world.node("alice", ip_cooldown=30.0), world.node("bob"), world.node("carol")
    for each in (bob, carol):
        linked(world, alice, each)
    alice.engine.inbound.oversize(alice.engine.links.packets[bob.peer].route, None)
    assert bob.peer not in alice.engine.links.packets
    dropped = alice.counted("packets", "dropped")
    send(alice, bob, 2)
    linked(world, alice, carol)
    assert (alice.counted("packets", "dropped"), got(bob, alice)) == (dropped + 2, 1)
    world.pass_time(30)
    linked(world, alice, bob)
    world.close()


def test_packets_of_each_kind_go_to_the_receiver_of_that_kind(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    game: Any = mock(Receiver, "game")
    world.get(bob.net.receive_packets(game, kind=200))
    for kind in (200, 0, 200):  # the first two wait for the link
        alice.net.send_packet(bob.peer, bob.address, b"%d" % kind, kind=kind)
    world.until(lambda: len(game.control.received(transport.Packet)) == 2)
    world.connected(alice, bob)
    alice.net.send_packet(bob.peer, bob.address, b"over the connection", kind=200)
    world.until(lambda: len(game.control.received(transport.Packet)) == 3)
    assert bob.receiver.control.received(transport.Packet) == [transport.Packet(alice.peer, b"0", 0)]
    assert game.control.received(transport.Packet)[0] == transport.Packet(alice.peer, b"200", 200)
    assert [packet.payload for packet in game.control.received()] == [b"200", b"200", b"over the connection"]


def test_packets_of_a_kind_that_nobody_takes_are_dropped_counted_and_logged_once_and_the_link_stays(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    with caplog.at_level(logging.WARNING, "rookery"):
        for kind in (1, 128, 255):
            alice.net.send_packet(bob.peer, bob.address, b"?", kind=kind)
        send(alice, bob, 1)
        world.until(lambda: got(bob, alice) == 1)
    assert bob.counted("packets", "no_receiver") == 3
    said: list[Any] = [record for record in caplog.records if "packet of an unknown kind" in record.message]
    assert [(record.fields["peer"], record.fields["kind"]) for record in said] == [(alice.peer.short, 1)]
    assert len(bob.engine.links.packet_routes) == 1


def test_packet_quota_is_one_for_all_kinds_taken_or_not(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob", **FEW)
    linked(world, alice, bob)
    for number in range(24):
        alice.net.send_packet(bob.peer, bob.address, b"?", kind=number % 3)
    world.until(lambda: bob.counted("packets", "quota") == 15)
    assert bob.counted("packets", "no_receiver") + got(bob, alice) == 10


def test_kind_of_packets_has_one_receiver(world: World) -> None:
    alice = world.node("alice")
    with pytest.raises(transport.ChannelTaken, match="packets of kind 0 have a receiver already"):
        world.get(alice.net.receive_packets(alice.receiver))
    world.get(alice.net.receive_packets(alice.receiver, kind=1))


@pytest.mark.parametrize("kind", [-1, 256, True, 1.0, "0", 2**70])
def test_kind_of_packets_out_of_bounds_says_what_is_allowed(world: World, kind: Any) -> None:
    alice = world.node("alice")
    with pytest.raises(ValueError, match="a kind of packets .*: allowed is 0 to 255"):
        alice.net.receive_packets(alice.receiver, kind=kind)
    with pytest.raises(ValueError, match="a kind of packets .*: allowed is 0 to 255"):
        alice.net.send_packet(alice.peer, alice.address, b"", kind=kind)


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


def test_packet_that_answers_goes_over_the_link_that_the_peer_has_opened(world: World) -> None:
    alice, bob, carol = world.node("alice"), world.node("bob"), world.node("carol")
    linked(world, alice, bob)
    bob.net.send_packet(alice.peer, carol.address, b"answer", answer=True)  # alice cannot be reached there
    world.until(lambda: got(alice, bob) == 1)
    assert len(bob.engine.links.packet_routes) == 1
    send(bob, alice, 1)  # what is no answer shows whether she can be reached
    world.until(lambda: got(alice, bob) == 2)
    assert len(bob.engine.links.packet_routes) == 2


def test_packet_that_answers_goes_to_the_address_when_the_peers_link_is_gone(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    linked(world, alice, bob)
    world.get(alice.net.close(bob.peer, Reason.REQUESTED))
    world.until(lambda: not bob.engine.links.packet_routes)
    bob.net.send_packet(alice.peer, alice.address, b"answer", answer=True)
    world.until(lambda: got(alice, bob) == 1)


def test_packet_that_answers_goes_over_the_connection_that_the_packet_link_became(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    linked(world, alice, bob)
    world.connected(alice, bob)
    bob.net.send_packet(alice.peer, alice.address, b"answer", answer=True)
    world.until(lambda: got(alice, bob) == 1)
    assert bob.engine.links.inbound_packets == {}


def crowd_at_one_ip(simulated: SimulatedWorld, number: int) -> list[Node]:
    simulated.one_machine = True
    nodes = [simulated.node(f"crowd {each}") for each in range(number)]
    simulated.one_machine = False
    return nodes


def held_by(node: Node) -> list[PeerId]:
    return [link.peer for link in node.engine.links.packet_routes.values()]


def test_packet_links_of_one_ip_beyond_its_quarter_make_room_for_those_of_others_and_never_the_reverse(
    simulated: SimulatedWorld,
) -> None:
    bob = simulated.node("bob", max_packet_links=8)
    first, *others = honest = [simulated.node(f"honest {each}") for each in range(6)]
    crowd = crowd_at_one_ip(simulated, 12)
    linked(simulated, first, bob)
    for node in crowd[:10]:
        linked(simulated, node, bob)
    assert held_by(bob) == [node.peer for node in (first, *crowd[3:10])], "what is free is for everybody"
    for node in others:
        linked(simulated, node, bob)
    for node in crowd[8:10]:
        linked(simulated, node, bob)
    assert held_by(bob) == [node.peer for node in (*honest, *crowd[8:10])]
    for node in crowd[10:]:
        linked(simulated, node, bob)
    assert held_by(bob) == [node.peer for node in (*honest, *crowd[10:])]
    simulated.until(lambda: crowd[9].engine.links.packet_routes == {})
    newcomer = simulated.node("newcomer")
    linked(simulated, newcomer, bob)
    assert held_by(bob) == [node.peer for node in (*others, *crowd[10:], newcomer)], "the least recently used"


def test_packet_links_that_a_node_opens_to_one_ip_take_no_more_than_those_that_come_from_there(
    simulated: SimulatedWorld,
) -> None:
    """Any member may advertise any address, also many of one IP."""
    bob = simulated.node("bob", max_packet_links=8)
    crowd, honest = crowd_at_one_ip(simulated, 12), [simulated.node(f"honest {each}") for each in range(3)]
    for node in honest:
        linked(simulated, node, bob)
    for node in crowd:
        linked(simulated, bob, node)
    assert held_by(bob) == [node.peer for node in (*honest, *crowd[7:])]


def test_node_that_allows_one_ip_everything_closes_the_packet_link_least_recently_used(
    simulated: SimulatedWorld,
) -> None:
    bob = simulated.node("bob", max_packet_links=4, max_inbound_share_per_ip=1.0)
    honest = simulated.node("honest")
    linked(simulated, honest, bob)
    crowd = crowd_at_one_ip(simulated, 4)
    for node in crowd:
        linked(simulated, node, bob)
    assert held_by(bob) == [node.peer for node in crowd]


def test_packet_links_from_one_64_are_counted_together_and_what_is_dropped_counts_no_more() -> None:
    table = Table()
    links = [
        PacketLink(b"%d" % number, PeerId(bytes([number]) * 32), b"", ip, None, up=True)
        for number, ip in enumerate(["192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"])
    ]
    for link in links:
        table.add_packet_link(link)
    assert table.packet_link_to_end("192.0.2.9", most=1, of_subnet=4) is links[1]
    table.use_packet_link(links[1])
    assert table.packet_link_to_end("2001:db8::3", most=2, of_subnet=4) is links[2]
    assert table.packet_link_to_end("192.0.2.9", most=2, of_subnet=4) is links[0]
    table.drop_packet_link(links[2])
    table.drop_packet_link(links[2])
    assert table.packet_link_to_end("192.0.2.9", most=1, of_subnet=4) is links[0]


def test_packet_links_of_one_subnet_end_first_where_it_has_more_than_half() -> None:
    """A /56 has 256 networks of a /64, and who has a /24 needs five of its IPs for a quarter of the links each."""
    for crowd in ([f"2a00:1:2:{number:x}::1" for number in range(256)], [f"203.0.113.{n % 5}" for n in range(512)]):
        table, ended = Table(), []
        for number, ip in enumerate([*(f"198.51.{each}.1" for each in range(20)), *crowd, "198.51.99.1"]):
            if len(table.packet_routes) == 256:
                ended.append(table.packet_link_to_end(ip, 64, 128))
                table.drop_packet_link(ended[-1])
            peer = PeerId(number.to_bytes(32, "big"))
            table.add_packet_link(PacketLink(b"%d" % number, peer, b"", ip, None, up=True))
        assert {link.ip for link in ended} <= set(crowd)
        assert len(ended) == 21 + len(crowd) - 256
        assert len(table._packets_of_subnet) == 22


def test_packet_links_of_two_subnets_that_have_half_each_end_in_the_order_in_which_they_were_used() -> None:
    table = Table()
    for number, ip in enumerate(["192.0.2.1", "192.0.2.2", "198.51.100.1", "198.51.100.2"]):
        peer = PeerId(number.to_bytes(32, "big"))
        table.add_packet_link(PacketLink(b"%d" % number, peer, b"", ip, None, up=True))
    assert table.packet_link_to_end("203.0.113.1", 1, 2).ip == "192.0.2.1"
    assert table.packet_link_to_end("198.51.100.3", 1, 2).ip == "198.51.100.1", "its own would have more"
    assert table.packet_link_to_end("198.51.100.3", 1, 4).ip == "192.0.2.1"


# Names ---------------------------------------------------------------------------------------------------------------


def send_by_name(sender: Node, receiver: Node, times: int = 1, name: str = "bob.example") -> None:
    for _ in range(times):
        assert sender.net.send_packet(receiver.peer, named(receiver, name), b"ping").accepted


def test_packets_to_a_name_go_to_the_first_of_its_addresses_that_is_the_peer(
    simulated: SimulatedWorld, names: Names
) -> None:
    alice, bob, carol = (simulated.node(name) for name in ("alice", "bob", "carol"))
    asked: list[int] = []
    ips = ["239.1.2.3", carol.address.endpoint.host, bob.address.endpoint.host]
    names["bob.example"] = lambda: asked.append(1) or [answer(ip) for ip in ips]  # type: ignore[func-returns-value]
    send_by_name(alice, bob, 3)  # carol has another key
    simulated.pass_time(1)
    assert got(bob, alice) == 0
    send_by_name(alice, bob, 3)
    simulated.until(lambda: got(bob, alice) == 3)
    assert got(carol, alice) == 0
    assert alice.counted("packets", "dropped") == 3
    assert len(asked) == 1


def test_packets_follow_a_name_to_where_it_leads_a_minute_later_though_the_old_link_seems_alive(
    simulated: SimulatedWorld, names: Names
) -> None:
    alice, bob, again = simulated.node("alice"), simulated.node("bob"), simulated.node_again("bob")
    ips = [bob.address.endpoint.host]
    names["bob.example"] = lambda: [answer(ip) for ip in ips]
    send_by_name(alice, bob)
    simulated.until(lambda: got(bob, alice) == 1)
    ips[:] = [again.address.endpoint.host]
    simulated.pass_time(61)
    send_by_name(alice, bob)  # it does not wait for the name
    simulated.until(lambda: got(bob, alice) == 2)
    simulated.pass_time(1)
    send_by_name(alice, bob)
    simulated.until(lambda: got(again, alice) == 1)
    assert got(bob, alice) == 2


@pytest.mark.parametrize("answers", ["an error", "nothing"])
def test_packets_to_a_name_that_stands_for_nothing_are_counted_and_it_is_asked_for_again_after_a_while(
    simulated: SimulatedWorld, names: Names, answers: str
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    asked: list[int] = []

    def nothing() -> Answers:
        asked.append(1)
        if answers == "an error":
            raise UnicodeError("label too long")
        return []

    names["bob.example"] = nothing
    for _ in range(4):
        send_by_name(alice, bob, 5)
        simulated.pass_time(1)
    assert alice.counted("packets", "unresolved") == 20
    assert len(asked) == 1
    names["bob.example"] = lambda: [answer(bob.address.endpoint.host)]
    simulated.pass_time(5)
    send_by_name(alice, bob)
    simulated.until(lambda: got(bob, alice) == 1)


def test_packets_to_an_address_that_is_not_global_are_dropped_where_only_such_may_be_dialled(
    simulated: SimulatedWorld, names: Names
) -> None:
    alice, bob = simulated.node("alice", allow_private_ips=False), simulated.node("bob")
    names["bob.example"] = lambda: [answer(bob.address.endpoint.host)]
    send_by_name(alice, bob)
    send(alice, bob, 1)
    simulated.pass_time(5)
    assert alice.counted("packets", "dropped") == 2
    assert got(bob, alice) == 0


def other(world: World, number: int) -> PeerId:
    return world.known.identity(f"other {number}").peer


def test_names_that_packets_go_to_are_remembered_up_to_a_bound(simulated: SimulatedWorld, names: Names) -> None:
    alice = simulated.node("alice")
    for number in range(600):
        names[f"other{number}.example"] = list
        alice.net.send_packet(other(simulated, number), Address.parse(f"tcp://other{number}.example:7000"), b"ping")
        if number % 20 == 0:
            simulated.pass_time(0.001)
    simulated.pass_time(1)
    assert len(alice.engine.packets._names) == 256
    assert alice.counted("packets", "unresolved") == 600


def test_packets_that_wait_for_names_are_bounded_while_the_resolver_is_slow(
    simulated: SimulatedWorld, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = simulated.node("alice")
    work = alice.engine.work
    monkeypatch.setattr(alice.engine, "work", lambda *args, **options: work(*args, **options, cost=3.0))
    for number in range(40):
        names[f"other{number}.example"] = list
        for _ in range(20):
            alice.net.send_packet(other(simulated, number), Address.parse(f"tcp://other{number}.example:7000"), b"ping")
    simulated.pass_time(1)
    assert alice.engine.packets._waiting == 512
    assert alice.counted("packets", "dropped") == 40 * 20 - 512
    simulated.pass_time(30)
    assert alice.engine.packets._waiting == 0
    assert alice.counted("packets", "unresolved") == 512


def test_packet_to_a_name_is_dropped_when_all_names_that_are_remembered_are_being_looked_up(
    simulated: SimulatedWorld, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one host there is one look-up, but a name has a port."""
    alice = simulated.node("alice")
    work = alice.engine.work
    monkeypatch.setattr(alice.engine, "work", lambda *args, **options: work(*args, **options, cost=3.0))
    names["many.example"] = list
    for number in range(300):
        alice.net.send_packet(other(simulated, number), Address.parse(f"tcp://many.example:{number + 1}"), b"ping")
    simulated.pass_time(1)
    assert alice.counted("packets", "dropped") == 300 - 256
    simulated.pass_time(5)
    assert alice.counted("packets", "unresolved") == 256
