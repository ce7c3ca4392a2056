"""Where a dial goes: through all that a name stands for, and beside a packet link to the same peer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import transport
from rookery.runtime import Reply
from rookery.transport import Address, Endpoint, Reason
from rookery.transport.parts.name_lookup import MAX_ADDRESSES, read_answers
from rookery.transport.wire import Route
from tests.transport.parts.test_schedules import check_tickets
from tests.transport.worlds import Node, RealWorld, SimulatedWorld, World

LATENCIES = (0.001, 0.02, 0.1)
Answers = list[tuple[Any, ...]]


def answer(ip: object, *, family: int = socket.AF_INET, scope: int | None = None) -> tuple[Any, ...]:
    """As `getaddrinfo` has it."""
    where = (ip, 7000) if scope is None else (ip, 7000, 0, scope)
    return (family, socket.SOCK_STREAM, 6, "", where)


def named(node: Node, name: str = "bob.example") -> Address:
    return Address(Endpoint(name, node.address.endpoint.port))


# Names ---------------------------------------------------------------------------------------------------------------

STRANGE: dict[str, tuple[Any, ...]] = {
    "multicast": answer("239.1.2.3"),
    "multicast ipv6": answer("ff02::1", scope=0),
    "mapped multicast": answer("::ffff:239.1.2.3", scope=0),
    "unspecified": answer("0.0.0.0"),
    "unspecified ipv6": answer("::", scope=0),
    "mapped unspecified": answer("::ffff:0.0.0.0", scope=0),
    "broadcast": answer("255.255.255.255"),
    "zone": answer("fe80::1%eth0", scope=2),
    "zone beside": answer("fe80::1", scope=2),
    "a name": answer("elsewhere.example"),
    "nothing": answer(""),
    "long": answer("1" * 10_000),
    "bytes": answer(b"10.0.0.1"),
    "a number": answer(10),
    "another family": (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", "/run/socket"),
    "without ipv6": (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (10, b"\0" * 14)),
    "short": (socket.AF_INET,),
    "none": (),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_dial_of_a_name_with_a_strange_address_ends_as_unresolved_and_the_node_goes_on(
    simulated: SimulatedWorld, names: dict[str, Callable[[], Answers]], kind: str
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    names["bob.example"] = lambda: [STRANGE[kind]]
    alice.dial(bob, address=named(bob))
    simulated.until(lambda: alice.gatekeeper.releases)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.UNRESOLVED]
    simulated.connected(alice, bob)


@pytest.mark.parametrize("kind", STRANGE)
def test_dial_of_a_name_takes_the_good_address_among_strange_ones(
    simulated: SimulatedWorld, names: dict[str, Callable[[], Answers]], kind: str
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    good = answer(bob.address.endpoint.host)
    names["bob.example"] = lambda: [STRANGE[kind], good, STRANGE[kind], good]
    alice.dial(bob, address=named(bob))
    simulated.until(lambda: alice.links() and bob.links())


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        UnicodeError("label too long"),
        OSError("no resolver"),
        ValueError("odd"),
        MemoryError(),
        KeyError("anything else"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_dial_of_a_name_whose_look_up_raises_anything_ends_as_unresolved_and_the_node_goes_on(
    world: World, names: dict[str, Callable[[], Answers]], error: Exception
) -> None:
    def fails() -> Answers:
        raise error

    alice, bob = world.node("alice"), world.node("bob")
    names["bob.example"] = fails
    alice.dial(bob, address=named(bob))
    world.until(lambda: alice.gatekeeper.releases)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.UNRESOLVED]
    world.connected(alice, bob)


def test_answers_keep_their_order_and_each_is_read_once() -> None:
    ips = ["10.0.0.9", "::ffff:10.0.0.9", "2001:db8::1", "2001:0db8::0001", "10.0.0.2", "10.0.0.9"]
    resolved = read_answers([answer(ip, scope=0 if ":" in ip else None) for ip in ips], 7000)
    assert [endpoint.host for endpoint in resolved.endpoints] == ["10.0.0.9", "2001:db8::1", "10.0.0.2"]
    assert resolved.refused == ()


def test_answer_that_cannot_be_dialled_is_refused_by_name() -> None:
    (why,) = read_answers([answer("fe80::1%eth0", scope=2)], 7000).refused
    assert "fe80::1%eth0" in why
    assert "zone" in why
    with pytest.raises(ValueError, match=r"fe80::1%eth0.*without a zone"):
        Address.parse("tcp://[fe80::1%eth0]:7000")


ODD = st.one_of(
    st.none(), st.integers(), st.text(max_size=20), st.binary(max_size=20), st.ip_addresses().map(str), st.just("::1%x")
)
ROWS = st.tuples(ODD, ODD, ODD, ODD, st.one_of(ODD, st.tuples(ODD), st.tuples(ODD, ODD), st.tuples(ODD, ODD, ODD, ODD)))


@given(st.lists(st.one_of(ROWS, ODD), max_size=20), st.integers(1, 65535))
def test_answers_of_any_form_give_endpoints_that_can_be_dialled_and_never_an_error(
    answers: list[object], port: int
) -> None:
    for endpoint in read_answers(answers, port).endpoints:
        assert endpoint.is_numeric
        assert Address.parse(str(endpoint)).endpoint == endpoint


def test_dial_of_a_name_tries_each_address_in_turn(
    simulated: SimulatedWorld, names: dict[str, Callable[[], Answers]]
) -> None:
    """Nobody there, somebody else there, nobody answers, and then the peer."""
    alice, bob, void = simulated.node("alice"), simulated.node("bob"), simulated.node("void")
    other = simulated.node("other")
    simulated.simulation.network.partition(["void"], ["alice"])
    assert other.address.endpoint.port == bob.address.endpoint.port == void.address.endpoint.port
    ips = ["10.0.9.9", other.address.endpoint.host, void.address.endpoint.host, bob.address.endpoint.host]
    names["bob.example"] = lambda: [answer(ip) for ip in ips]
    ticket = alice.dial(bob, address=named(bob))
    simulated.until(lambda: alice.links(), timeout=alice.config.dial_timeout)
    assert alice.link_to(bob).ip == bob.address.endpoint.host
    assert alice.gatekeeper.releases == []
    assert alice.engine.tickets == (ticket,)


def test_dial_of_a_name_of_which_no_address_answers_ends_once_within_its_time(
    simulated: SimulatedWorld, names: dict[str, Callable[[], Answers]]
) -> None:
    alice, void = simulated.node("alice"), simulated.node("void")
    simulated.simulation.network.partition(["void"], ["alice"])
    names["void.example"] = lambda: [answer(f"10.0.9.{n}") for n in range(3)] + [answer(void.address.endpoint.host)]
    ticket = alice.dial(void, address=named(void, "void.example"))
    simulated.pass_time(alice.config.dial_timeout + 0.1)
    assert alice.gatekeeper.releases == [(ticket, Reason.TIMEOUT)]
    check_tickets(alice)


def test_dial_of_a_name_tries_a_bounded_number_of_addresses(
    simulated: SimulatedWorld, names: dict[str, Callable[[], Answers]], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    names["bob.example"] = lambda: [answer(f"10.{n // 250}.1.{n % 250}") for n in range(5000)]
    tried: list[str] = []
    connect = alice.engine.wire.connect

    def counting(endpoint: Endpoint, curve_key: bytes) -> Route | None:
        tried.append(endpoint.host)
        route: Route | None = connect(endpoint, curve_key)
        return route

    monkeypatch.setattr(alice.engine.wire, "connect", counting)
    alice.dial(bob, address=named(bob))
    simulated.until(lambda: alice.gatekeeper.releases)
    assert tried == [f"10.0.1.{n}" for n in range(MAX_ADDRESSES)]
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.UNREACHABLE]


def test_dial_of_a_name_that_the_peer_itself_refuses_is_over(
    simulated: SimulatedWorld, names: dict[str, Callable[[], Answers]]
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    bob.gatekeeper.refuse_with = Reason.TOO_MANY
    names["bob.example"] = lambda: [answer(ip) for ip in (bob.address.endpoint.host, "10.0.9.9")]
    alice.dial(bob, address=named(bob))
    simulated.until(lambda: alice.gatekeeper.releases)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.TOO_MANY]


def test_dial_of_a_name_skips_addresses_that_may_not_be_dialled(
    simulated: SimulatedWorld, names: dict[str, Callable[[], Answers]]
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    alice.gatekeeper.gate_version = 2
    alice.open_gate(blocked_ips=frozenset({"10.0.9.9"}))
    names["bob.example"] = lambda: [answer("::ffff:10.0.9.9", scope=0), answer(bob.address.endpoint.host)]
    alice.dial(bob, address=named(bob))
    simulated.until(lambda: alice.links())
    assert alice.counted("dials", Reason.UNREACHABLE) == 0


def test_address_blocked_while_others_of_its_name_are_tried_is_not_tried(
    simulated: SimulatedWorld, names: dict[str, Callable[[], Answers]]
) -> None:
    alice, bob, void = simulated.node("alice"), simulated.node("bob"), simulated.node("void")
    simulated.simulation.network.partition(["void"], ["alice"])
    names["bob.example"] = lambda: [answer(each.address.endpoint.host) for each in (void, bob)]
    alice.dial(bob, address=named(bob))
    simulated.pass_time(0.1)
    alice.gatekeeper.gate_version = 2
    alice.open_gate(blocked_ips=frozenset({bob.address.endpoint.host}))
    simulated.until(lambda: alice.gatekeeper.releases, timeout=alice.config.dial_timeout + 1)
    assert bob.gatekeeper.claims == []


def test_names_that_hang_hold_up_neither_the_pool_nor_their_dials(names: dict[str, Callable[[], Answers]]) -> None:
    """More of them than the pool has threads; what hangs ends with the test."""
    hung = threading.Event()
    real = RealWorld()

    def hangs() -> Answers:
        hung.wait(30)
        return []

    try:
        alice, bob = real.node("alice", dial_timeout=0.3), real.node("bob")
        for number in range(12):
            names[f"slow{number}.example"] = hangs
            other = real.known.identity(f"slow{number}").peer
            ticket = transport.Ticket(1000 + number, other, transport.Direction.OUT)
            alice.net.dial(ticket, Address.parse(f"tcp://slow{number}.example:7000"))
        real.until(lambda: len(alice.gatekeeper.releases) == 12)
        assert {reason for _, reason in alice.gatekeeper.releases} == {Reason.TIMEOUT}
        assert real.get(alice.runtime.work(lambda: "served")) == "served"
        real.connected(alice, bob)
    finally:
        hung.set()
        real.close()


# Beside a packet link ------------------------------------------------------------------------------------------------


def meet(latency: float, offset: float, *, both: bool, jitter: float = 0.0) -> None:
    """A packet, and after `offset` seconds a dial, of one side or of both at once: one connection, which stays."""
    world = SimulatedWorld(f"{latency} {offset} {both}")
    world.simulation.network.set_default(latency=latency, jitter=jitter)
    alice, bob = world.node("alice"), world.node("bob")
    pairs = ((alice, bob), (bob, alice)) if both else ((alice, bob),)
    for node, other in pairs:
        node.net.send_packet(other.peer, other.address, b"hello")
    world.pass_time(offset)
    for node, other in pairs:
        node.dial(other)
    world.pass_time(20)
    for node, other in ((alice, bob), (bob, alice)):
        assert [link.peer for link in node.links()] == [other.peer], offset
        assert node.closed() == [], offset
        check_tickets(node)
    for _, other in pairs:
        packets = [packet.payload for packet in other.receiver.control.received(transport.Packet)]
        assert packets == [b"hello"], offset
    world.close()


@pytest.mark.parametrize("both", [False, True], ids=["one side", "both sides"])
@pytest.mark.parametrize("latency", LATENCIES)
def test_dial_at_any_time_after_a_packet_gives_one_connection_that_stays(latency: float, both: bool) -> None:
    step = min(latency / 4, 0.01)
    steps = range(max(51, round(0.5 / step) + 1)) if latency >= 0.02 else range(200)
    for number in steps:
        meet(latency, number * step, both=both)


@pytest.mark.parametrize("latency", LATENCIES)
def test_dial_after_a_packet_through_a_network_with_jitter_gives_one_connection_that_stays(latency: float) -> None:
    for number in range(51):
        meet(latency, number * 0.01, both=True, jitter=latency)


def linked(world: World, sender: Node, receiver: Node) -> None:
    sender.net.send_packet(receiver.peer, receiver.address, b"first")
    world.until(lambda: receiver.receiver.control.received(transport.Packet))


def test_dial_opens_a_route_of_its_own_when_the_packet_link_is_refused(simulated: SimulatedWorld) -> None:
    """Packets are not exchanged with everybody; that says nothing of a connection."""
    simulated.simulation.network.set_default(latency=0.1)
    alice, bob = simulated.node("alice"), simulated.node("bob")
    bob.gatekeeper.gate_version = 2
    bob.open_gate(packets=frozenset())
    alice.net.send_packet(bob.peer, bob.address, b"hello")
    simulated.pass_time(0.3)
    alice.dial(bob)
    simulated.until(lambda: alice.links() and bob.links())
    assert alice.gatekeeper.releases == []


def test_dial_opens_a_route_of_its_own_when_the_packet_link_it_took_over_ends(world: World) -> None:
    """The far end closed the link, the least recently used, just before it could read the Hello."""
    alice, bob = world.node("alice"), world.node("bob")
    linked(world, alice, bob)
    held: list[tuple[Any, ...]] = []
    hello, bob.engine.handshakes.hello = bob.engine.handshakes.hello, lambda *args: held.append(args)
    alice.dial(bob)
    world.until(lambda: held)
    bob.engine.handshakes.hello = hello
    on_engine(world, bob, lambda: bob.engine.shut(held[0][0]))
    world.until(lambda: alice.links() and bob.links())
    assert alice.gatekeeper.releases == []
    assert alice.closed() == []


def test_dial_opens_a_route_of_its_own_when_the_packet_link_it_took_over_is_dead(simulated: SimulatedWorld) -> None:
    """Half-open: what was sent over it is swallowed."""
    alice, bob = simulated.node("alice"), simulated.node("bob")
    linked(simulated, alice, bob)
    wire = bob.engine.wire
    for stream in list(wire._streams.values()):
        wire._forget(stream)  # as a router does that has lost its table: neither side is told
    alice.dial(bob)
    simulated.until(lambda: alice.links() and bob.links(), timeout=alice.config.dial_timeout)
    assert alice.gatekeeper.releases == []


def test_packet_of_the_far_end_that_crosses_the_dials_hello_is_delivered(simulated: SimulatedWorld) -> None:
    simulated.simulation.network.set_default(latency=0.1)
    alice, bob = simulated.node("alice"), simulated.node("bob")
    linked(simulated, alice, bob)
    simulated.pass_time(1)
    (route,) = bob.engine.links.packet_routes
    alice.dial(bob)
    simulated.pass_time(0.05)
    assert bob.engine.wire.send(route, [b"\x02\x00", b"crossing"])
    simulated.until(lambda: alice.links() and bob.links())
    assert [packet.payload for packet in alice.receiver.control.received(transport.Packet)] == [b"crossing"]
    assert alice.gatekeeper.releases == []


def on_engine(world: World, node: Node, function: Callable[[], object]) -> None:
    """Run something between two messages of the node's transport."""
    done: list[object] = []
    node.engine.on_reply(Reply.of(None), lambda _none: done.append(function()), timeout=1)
    world.until(lambda: done)


def test_first_connections_made_while_packets_begin_to_flow_all_stay(real: RealWorld) -> None:
    """Each side sends packets, and dials at another moment of their handshakes."""
    bob = real.node("bob", max_per_ip=64, max_per_subnet=64, handshake_burst=1000)
    for number in range(16):
        alice = real.node(f"alice {number}", handshake_burst=1000)
        for node, other in ((alice, bob), (bob, alice)):
            node.net.send_packet(other.peer, other.address, b"hello")
        real.pass_time(number * 0.001)
        alice.dial(bob)
        if number % 2:
            bob.dial(alice)
        real.until(lambda: alice.links() and any(link.peer == alice.peer for link in bob.links()))  # noqa: B023
        alice.net.send(alice.link_to(bob).id, 16, b"stays %d" % number)
        real.until(lambda: b"stays %d" % number in bob.payloads())  # noqa: B023
        assert alice.closed() == []
    assert bob.closed() == []
