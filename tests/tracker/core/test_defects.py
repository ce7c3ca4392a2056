"""Defects of the system that the tracker learns from, where other actors would see them (defects: T3, T9, T12)."""

from __future__ import annotations

from typing import Any

import pytest

from rookery import transport
from rookery.runtime import Feedback
from rookery.testing import SimulatedNodes
from rookery.transport import Channel, Gate, Quota, Reason, Ticket
from rookery.transport.core.handshake_limits import HandshakeLimits
from tests.tracker.core.kit import BOB, CAROL, A, B, admit, tracking

KEY = b"k" * 32


@pytest.mark.parametrize(("rate", "burst"), [(1.0, 1), (100.0, 100)])
def test_T3_inbound_limiter_under_saturation_passes_its_quota_and_not_twice_that(rate: float, burst: int) -> None:
    limits = HandshakeLimits(per_ip=(rate, burst), per_subnet=(1e6, 10**6), max_pending=10**6)
    seconds, tries = 100, int(100 * rate * 4)
    let_in = sum(limits.check(Gate(1), "10.0.0.1", KEY, at * seconds / tries, 1e9) is None for at in range(tries))
    assert let_in <= seconds * rate + burst
    assert let_in >= seconds * rate * 0.99


def test_T9_ip_of_one_tracked_peer_does_not_let_in_the_key_of_another() -> None:
    d = tracking({BOB: A, CAROL: B})
    registered = d.peers.gate(0.0).registered_ips
    assert registered == {"10.0.0.1", "10.0.0.2"}
    assert admit(d, BOB, "10.0.0.2") is Reason.EGRESS_IP
    assert isinstance(admit(d, BOB, "10.0.0.1"), Ticket)


def test_T9_nobody_is_let_in_before_the_first_gate() -> None:
    limits = HandshakeLimits(per_ip=(1.0, 1), per_subnet=(1.0, 1), max_pending=1)
    assert limits.check(None, "10.0.0.1", KEY, 0.0, 1.0) is Reason.NO_GATE


def test_T12_send_to_a_peer_that_is_gone_is_told_and_counted_and_a_refused_one_spends_no_token(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    alice = nodes.start("alice", tracker={"source": "static"})
    bob = nodes.start("bob", seeds=[alice], tracker={"source": "static"})
    nodes.run_until(lambda: bob.is_connected_to(alice), timeout=5)
    (connection,) = bob.connections.connections().get(timeout=5)
    link: transport.Link = connection.link
    channel = Channel(bob.transport, 1, Quota(rate=1.0, burst=1))
    assert channel.send(link.id, alice.peer, b"one", now=0.0) is Feedback.OK
    for _ in range(5):
        assert channel.send(link.id, alice.peer, b"refused", now=0.5) is Feedback.REJECTED
    nodes.run(0.1)
    bob.transport.close(alice.peer, Reason.REQUESTED).get(timeout=5)
    lost = bob.counted("transport_lost_total", "closed")
    assert channel.send(link.id, alice.peer, b"late", now=1.0) is Feedback.OK  # a refused send has spent nothing
    nodes.run(0.1)
    assert bob.counted("transport_lost_total", "closed") == lost + 1
