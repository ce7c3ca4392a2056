"""What libzmq does at the edges, and that nothing of it harms a node (design: zeromq at the edges).

The suite's process is the one that would abort: a failed assertion in libzmq ends the run.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from rookery import transport
from rookery.runtime import Message
from rookery.transport import Address, Identity, Reason
from rookery.transport.core.codec import VERSION, Hello, Ready, Reject, Welcome
from tests.transport.raw import RawPeer
from tests.transport.worlds import Node, RealWorld


class Block(Message):
    """Keeps the engine's thread busy until the event is set."""

    def __init__(self, event: threading.Event) -> None:
        self.event = event


def hold(node: Node) -> threading.Event:
    """Stop the node's transport engine; set the event to let it go on."""
    event, entered = threading.Event(), threading.Event()

    def handler(message: Block) -> None:
        entered.set()
        message.event.wait(10)

    node.engine.dispatch[Block] = handler
    node.net.tell(Block(event))
    assert entered.wait(5)
    return event


def test_routing_id_that_another_peer_has_is_ignored_and_the_first_keeps_its_link(real: RealWorld) -> None:
    bob = real.node("bob")
    with RawPeer(bob, real.known.identity("first"), routing_id=b"claimed") as first:
        first.join()
        real.until(lambda: bob.links())
        with RawPeer(bob, real.known.identity("second"), routing_id=b"claimed") as second:
            second.hello()
            first.send(b"\x01\x00\x00\x01\x10\x00\x00\x00\x02hi")
            real.until(lambda: bob.payloads() == [b"hi"])
            assert [link.peer for link in bob.links()] == [first.identity.peer]


def test_routing_id_with_a_leading_zero_byte_is_only_a_claim(real: RealWorld) -> None:
    """libzmq refuses such ids at the client; ids that look like its own generated ones are tried instead."""
    bob = real.node("bob")
    for number in range(8):
        with RawPeer(
            bob, real.known.identity(f"peer {number}"), routing_id=b"\x01" + bytes(3) + bytes([number])
        ) as raw:
            raw.join()
            real.until(lambda: bob.links())
        real.until(lambda: not bob.links())


@pytest.mark.parametrize("failure", ["unreachable", "authentication", "rejected", "silent"])
def test_redial_after_each_kind_of_failure_connects(real: RealWorld, failure: str) -> None:
    alice = real.node("alice", dial_timeout=0.5 if failure == "silent" else 15.0)
    bob = real.node("bob")
    if failure == "unreachable":
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = Address.parse(f"tcp://127.0.0.1:{taken.getsockname()[1]}")
        alice.dial(bob, address=address)
    elif failure == "authentication":
        alice.dial(real.node("carol"), address=bob.address)
    elif failure == "rejected":
        bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
        alice.dial(bob)
    else:
        silent = socket.create_server(("127.0.0.1", 0))
        alice.dial(bob, address=Address.parse(f"tcp://127.0.0.1:{silent.getsockname()[1]}"))
    real.until(lambda: alice.gatekeeper.releases)
    expected = {
        "unreachable": Reason.UNREACHABLE,
        "authentication": Reason.AUTHENTICATION,
        "rejected": Reason.NOT_TRACKED,
        "silent": Reason.TIMEOUT,
    }
    assert [reason for _, reason in alice.gatekeeper.releases] == [expected[failure]]
    if failure == "silent":
        silent.close()
    bob.gatekeeper.refuse_with = None
    real.connected(alice, bob)


def failed_dials(real: RealWorld, times: int) -> tuple[int, int]:
    """Memory in KiB and descriptors after so many dials to a closed port."""
    alice, bob = real.node("alice"), real.node("bob")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = Address.parse(f"tcp://127.0.0.1:{closed.getsockname()[1]}")
    seen: list[tuple[int, int]] = []
    for number in range(1, times + 1):
        alice.dial(bob, address=address)
        real.until(lambda: len(alice.gatekeeper.releases) == number)  # noqa: B023
        if number in (times // 3, times):
            gc.collect()
            seen.append((resident(), num_descriptors()))
    assert {reason for _, reason in alice.gatekeeper.releases} == {Reason.UNREACHABLE}
    (memory, descriptors), (memory_after, descriptors_after) = seen
    return memory_after - memory, descriptors_after - descriptors


def num_descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_failed_dials_leave_no_descriptor_behind(real: RealWorld) -> None:
    _, descriptors = failed_dials(real, 90)
    assert descriptors <= 0


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_6000_failed_dials_leave_memory_and_descriptors_flat(real: RealWorld) -> None:
    memory, descriptors = failed_dials(real, 6000)
    assert descriptors <= 0
    assert memory < 8 * 1024  # bare libzmq without disconnect: 25 MB for 2,000


def test_dial_to_an_address_that_is_a_live_links_is_refused_and_the_link_stays(real: RealWorld) -> None:
    alice, bob, carol = real.node("alice"), real.node("bob"), real.node("carol")
    real.connected(alice, bob)
    alice.dial(carol, address=bob.address)
    real.until(lambda: alice.gatekeeper.releases)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.ADDRESS_IN_USE]
    alice.net.send(alice.link_to(bob).id, 16, b"still here")
    real.until(lambda: bob.payloads() == [b"still here"])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_descriptor_number_reused_before_its_hello_is_read_is_never_shut(real: RealWorld) -> None:
    """The leaver's Hello is read when its socket is gone and the comer's has its number: refusing shuts neither."""
    bob = real.node("bob")
    wrong = Hello((VERSION,), "another network", b"", packets=False, proof=None)
    forced = False
    for attempt in range(20):
        before = num_descriptors()
        leaver = RawPeer(bob, real.known.identity(f"leaver {attempt}"))
        leaver.encrypted()
        release = hold(bob)
        leaver.say(wrong)
        leaver.close()
        closes_within = time.monotonic() + 1  # bob's end too, unless he has it for one who says nothing: next attempt
        while num_descriptors() > before and time.monotonic() < closes_within:
            real.pass_time(0.01)
        with RawPeer(bob, real.known.identity(f"comer {attempt}")) as comer:
            comer.connected()
            comer.hello()
            refused, freed = bob.counted("refused", Reason.NETWORK), dict(bob.engine.wire._inbound._freed)
            release.set()
            assert isinstance(comer.hear(), Welcome)  # its Hello came last; the leaver's had no socket if it is ignored
            forced = bob.counted("refused", Reason.NETWORK) > refused and bob.engine.wire._inbound._freed != freed
            real.pass_time(0.1)  # the refused one's time to be shut
            comer.say(Ready(bytes(16)))
            assert isinstance(comer.hear(), Reject)  # a wrong nonce; it is still connected to hear that
        if forced:
            return
    raise AssertionError("the descriptor's number was never reused")


def test_severed_inbound_link_delivers_nothing_more_although_frames_are_queued(real: RealWorld) -> None:
    bob = real.node("bob")
    with RawPeer(bob, real.known.identity("raw")) as raw:
        raw.join()
        real.until(lambda: bob.links())
        release = hold(bob)
        closing = bob.net.close(raw.identity.peer, Reason.BLOCKED)
        for _ in range(300):
            raw.send(b"\x01\x00\x00\x01\x10\x00\x00\x00\x02hi")
        release.set()
        real.get(closing)
        before = len(bob.payloads())
        real.until(lambda: bob.closed() == [Reason.BLOCKED])
        real.pass_time(0.3)
        assert len(bob.payloads()) == before
        assert bob.receiver.control.received()[-1] == bob.observer.control.received(transport.Closed)[0]


def test_name_that_does_not_resolve_ends_the_dial(real: RealWorld) -> None:
    alice, bob = real.node("alice"), real.node("bob")
    alice.dial(bob, address=Address.parse("tcp://does-not-exist.invalid:7000"))
    real.until(lambda: alice.gatekeeper.releases)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.UNRESOLVED]


def test_two_identities_with_one_curve_key_are_blocked_together(real: RealWorld) -> None:
    """An identity and its negative share a CURVE key, so the gate compares that (design: shared keys)."""
    bob = real.node("bob")
    raw_identity = Identity.from_seed(b"x" * 32)
    bob.open_gate(blocked=frozenset({raw_identity.curve_public}))
    with RawPeer(bob, raw_identity) as raw:
        real.until(lambda: bob.counted("refused", Reason.BLOCKED) == 1)
        assert not raw.socket.poll(0)
