"""What libzmq does at the edges, continued: claimed routing ids, endpoints, full peers, fairness, reconnection."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import pytest

from rookery import transport
from rookery.transport import Address, Endpoint, Quota, Reason
from rookery.transport.core.codec import Bye, Reject, encode_batch
from rookery.transport.wire import Sent
from rookery.transport.wire.zmq_sockets import canonical, leads_to
from tests.transport.parts.test_dialling import on_engine
from tests.transport.raw import RawPeer
from tests.transport.wire.test_zmq_edges import hold
from tests.transport.worlds import RealWorld

# Routing ids ---------------------------------------------------------------------------------------------------------


@pytest.mark.processes
def claims(of: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.transport.wire.claims", of],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_claimed_routing_ids_neither_end_the_process_nor_are_heard() -> None:
    """Of a pending dial, a live link, an ended one, derived from who is dialled next, or drawn for the next dial."""
    done = claims("node")
    assert (done.returncode, done.stdout) == (0, "unharmed\n"), done.stderr


def test_dial_with_a_claimed_routing_id_ends_the_process_of_a_bare_socket() -> None:
    """Why ids are random and never used twice: what the test above would see if they were not."""
    done = claims("bare")
    assert (done.returncode, done.stdout) == (-signal.SIGABRT, "")
    assert "Assertion failed" in done.stderr


def test_routing_id_that_is_another_peers_id_gives_no_claim_to_that_identity(real: RealWorld) -> None:
    alice, bob = real.node("alice"), real.node("bob")
    with RawPeer(bob, real.known.identity("raw"), routing_id=alice.peer) as raw:
        raw.join()
        real.until(lambda: bob.links())
        assert bob.links()[0].peer == raw.identity.peer
        real.connected(alice, bob)


def test_hello_with_the_record_of_another_key_is_refused_whatever_it_claims(real: RealWorld) -> None:
    alice, bob = real.node("alice"), real.node("bob")
    with RawPeer(bob, real.known.identity("raw")) as raw:
        raw.hello(record=alice.engine.record.encode())
        assert raw.hear() == Reject(Reason.RECORD)
    assert bob.gatekeeper.claims == []


# Endpoints -----------------------------------------------------------------------------------------------------------


def test_second_dial_of_an_endpoint_waits_and_is_refused_if_the_first_becomes_a_link(real: RealWorld) -> None:
    alice, bob, carol = real.node("alice"), real.node("bob"), real.node("carol")
    alice.dial(bob)
    alice.dial(carol, address=bob.address)
    real.until(lambda: alice.links() and alice.gatekeeper.releases)
    assert alice.link_to(bob)
    assert [(ticket.peer, reason) for ticket, reason in alice.gatekeeper.releases] == [
        (carol.peer, Reason.ADDRESS_IN_USE)
    ]


def test_second_dial_of_an_endpoint_goes_on_when_the_first_has_failed(real: RealWorld) -> None:
    alice, bob, carol = real.node("alice"), real.node("bob"), real.node("carol")
    alice.dial(carol, address=bob.address)
    alice.dial(bob)
    real.until(lambda: alice.links() and alice.gatekeeper.releases)
    assert alice.link_to(bob)
    assert [(ticket.peer, reason) for ticket, reason in alice.gatekeeper.releases] == [
        (carol.peer, Reason.AUTHENTICATION)
    ]


def test_end_of_a_dial_that_was_given_up_is_not_taken_for_its_successors(real: RealWorld) -> None:
    """libzmq announces an end by its endpoint alone. Nobody accepts here, so both connects stay pending."""
    alice, bob = real.node("alice", dial_timeout=0.5), real.node("bob")
    with ExitStack() as open_sockets:
        server = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # more than it queues
            filler = open_sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        address = Address.parse(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        for _ in range(3):
            alice.dial(bob, address=address)
            real.pass_time(0.1)
            real.get(alice.net.close(bob.peer, Reason.REQUESTED))
        alice.dial(bob, address=address)
        real.until(lambda: len(alice.gatekeeper.releases) == 4)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.REQUESTED] * 3 + [Reason.TIMEOUT]


@pytest.mark.parametrize(
    ("listening", "endpoint", "leads"),
    [
        ("tcp://127.0.0.1:7000", "tcp://127.0.0.1:7000", True),
        ("tcp://127.0.0.1:7000", "tcp://[::ffff:127.0.0.1]:7000", True),
        ("tcp://127.0.0.1:7000", "tcp://127.0.0.1:7001", False),
        ("tcp://127.0.0.1:7000", "tcp://127.0.0.2:7000", False),
        ("tcp://0.0.0.0:7000", "tcp://127.0.0.1:7000", True),
        ("tcp://0.0.0.0:7000", "tcp://127.0.0.1:7001", False),
        ("tcp://0.0.0.0:7000", "tcp://192.0.2.1:7000", False),  # for documentation: no machine has it
        ("tcp://0.0.0.0:7000", "tcp://[::1]:7000", False),
        ("tcp://[::]:7000", "tcp://[2001:db8::1]:7000", False),  # likewise
    ],
)
def test_endpoint_leads_to_the_own_socket_only_with_its_port_and_an_ip_it_listens_on(
    listening: str, endpoint: str, leads: bool
) -> None:
    assert leads_to(Endpoint.parse(listening, listen=True), Endpoint.parse(endpoint)) is leads


def test_dial_of_the_own_address_makes_no_connection(real: RealWorld) -> None:
    """libzmq would take the disconnect that must follow for the end of the listening socket too."""
    bob, carol = real.node("bob"), real.node("carol")
    connects = Mock()
    bob.engine.wire._router.__dict__["connect"] = connects
    bob.dial(carol, address=bob.address)
    real.until(lambda: bob.gatekeeper.releases)
    assert [reason for _, reason in bob.gatekeeper.releases] == [Reason.AUTHENTICATION]
    connects.assert_not_called()


def test_ip_is_handed_up_without_its_zone() -> None:
    """A block, a limit or an egress IP is one on every interface."""
    assert canonical("fe80::1%eth0") == "fe80::1"
    assert canonical("::ffff:10.0.0.1") == "10.0.0.1"
    assert canonical("10.0.0.1") == "10.0.0.1"


def test_nothing_is_sent_on_a_dial_before_its_encrypted_handshake(real: RealWorld) -> None:
    alice, bob = real.node("alice", dial_timeout=0.3), real.node("bob")
    wire, sent = alice.engine.wire, []
    send, up = wire.send, alice.engine.inbound.route_up

    def recorded(route: bytes, frames: Sequence[bytes]) -> Sent:
        sent.append("send")
        return send(route, frames)

    def recorded_up(route: bytes) -> None:
        sent.append("up")
        up(route)

    wire.send, alice.engine.inbound.route_up = recorded, recorded_up
    with socket.create_server(("127.0.0.1", 0)) as silent:
        alice.dial(bob, address=Address.parse(f"tcp://127.0.0.1:{silent.getsockname()[1]}"))
        real.until(lambda: alice.gatekeeper.releases)
    assert sent == []
    real.connected(alice, bob)
    assert sent[:2] == ["up", "send"]


def test_nothing_connects_without_a_dial_or_again_after_one(real: RealWorld) -> None:
    """Seen from outside: a TCP server counts who comes. libzmq by default would come again every 100 ms."""
    alice, bob = real.node("alice", dial_timeout=1.0), real.node("bob")
    comers: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address.parse(f"tcp://127.0.0.1:{server.getsockname()[1]}")

        def accept() -> None:
            while True:
                try:
                    comer, _ = server.accept()
                except OSError:
                    return
                comers.append("came")
                comer.close()  # before any handshake

        counting = threading.Thread(target=accept)
        counting.start()
        alice.dial(bob, address=address)
        real.until(lambda: alice.gatekeeper.releases)
        real.pass_time(0.4)
        assert comers == ["came"]
        alice.dial(bob, address=address)
        real.until(lambda: len(alice.gatekeeper.releases) == 2)
        assert comers == ["came"] * 2
        server.shutdown(socket.SHUT_RDWR)
        counting.join()


# Ends ----------------------------------------------------------------------------------------------------------------


def test_closed_inbound_connection_is_told_why_and_then_its_socket_ends(real: RealWorld) -> None:
    bob = real.node("bob")
    with RawPeer(bob, real.known.identity("raw")) as raw:
        raw.join()
        real.until(lambda: bob.links())
        real.get(bob.net.close(raw.identity.peer, Reason.BLOCKED))
        assert raw.hear() == Bye(Reason.BLOCKED)
        raw.gone()


def test_refused_inbound_handshake_is_told_why_and_then_its_socket_ends(real: RealWorld) -> None:
    bob = real.node("bob")
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    with RawPeer(bob, real.known.identity("raw")) as raw:
        raw.hello()
        assert raw.hear() == Reject(Reason.NOT_TRACKED)
        raw.gone()


# Full and flooding peers ---------------------------------------------------------------------------------------------


def test_peer_that_does_not_read_fills_its_own_queue_only(real: RealWorld) -> None:
    alice = real.node("alice", heartbeat_timeout=60.0, high_water=2)
    bob, carol = real.node("bob", high_water=2), real.node("carol")
    real.connected(alice, bob)
    real.connected(alice, carol)
    go_on = hold(bob)
    to_bob, to_carol = alice.link_to(bob).id, alice.link_to(carol).id
    for number in range(400):
        alice.net.send(to_bob, 16, bytes(64 * 1024))
        alice.net.send(to_carol, 16, number.to_bytes(2, "big"))
    real.until(lambda: len(carol.payloads()) == 400)
    assert alice.engine.links.live[bob.peer].outbox  # the wire had no more room for bob
    go_on.set()
    real.until(lambda: len(bob.payloads()) == 400)
    assert alice.counted("lost", "backlog") == 0


def test_flooder_with_large_messages_costs_other_peers_none_of_theirs(real: RealWorld) -> None:
    bob = real.node("bob", extra={17: Quota(rate=0.001, burst=1)}, flood_drops=10**9)
    others = [real.node(f"honest {number}") for number in range(5)]
    for other in others:
        real.connected(other, bob)
    with RawPeer(bob, real.known.identity("flooder")) as flooder:
        flooder.join()
        real.until(lambda: len(bob.links()) == 6)
        flood, stop = encode_batch([(17, bytes(64 * 1024))]), threading.Event()

        def pour() -> None:
            while not stop.is_set():
                if flooder.socket.poll(10, 2):  # zmq.POLLOUT
                    flooder.send(*flood)

        pouring = threading.Thread(target=pour)
        pouring.start()
        try:
            real.until(lambda: bob.counted("dropped", "quota") > 10)
            for other in others:
                for number in range(200):
                    other.net.send(other.link_to(bob).id, 16, number.to_bytes(2, "big"))
            heard = bob.receiver.control.received
            real.until(lambda: sum(m.channel == 16 for m in heard(transport.Received)) == 1000, timeout=20)
        finally:
            stop.set()
            pouring.join()
    for other in others:
        mine = [m.payload for m in heard(transport.Received) if m.peer == other.peer]
        assert mine == [number.to_bytes(2, "big") for number in range(200)]


def test_node_whose_listening_socket_is_gone_says_so_once_and_lets_nobody_wait(
    real: RealWorld, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = real.node("alice"), real.node("bob")
    real.connected(alice, bob)
    value = bob.runtime.registry.value
    assert value("transport_listening") == 1
    router = bob.engine.wire._router
    on_engine(real, bob, lambda: router.unbind(router.last_endpoint))
    real.until(lambda: bob.counted("listening_lost") == 1)
    assert value("transport_listening") == 0
    assert [record for record in caplog.records if "listening socket is gone" in record.getMessage()]
    endpoint = bob.address.endpoint
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((endpoint.host, endpoint.port)).close()
    real.until(lambda: not alice.links() and not bob.links())  # libzmq ends what came by it
    real.connected(bob, alice)
    assert bob.counted("listening_lost") == 1
