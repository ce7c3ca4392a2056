"""Peers in other processes, stopped and killed for real."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rookery.transport import Address, Direction, Reason, Ticket
from tests.transport.worlds import Node, RealWorld

pytestmark = pytest.mark.processes


class Child:
    """A node in another process."""

    def __init__(self, name: str, **settings: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.transport.child", name, json.dumps(settings)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = Address.parse(self._read())

    def counts(self) -> dict[str, int]:
        assert self.process.stdin is not None
        self.process.stdin.write("counts\n")
        self.process.stdin.flush()
        counts: dict[str, int] = self._read()
        return counts

    def _read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@contextmanager
def child(name: str, **settings: Any) -> Iterator[Child]:
    """A child that is gone afterwards, whatever its state."""
    started = Child(name, **settings)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


@pytest.fixture
def real(no_leaks: None) -> Iterator[RealWorld]:
    made = RealWorld()
    yield made
    made.close()


def connect(real: RealWorld, node: Node, other: Child, name: str) -> int:
    """Dial the child; the link's id."""
    peer = real.known.identity(name).peer
    node.net.dial(Ticket(1, peer, Direction.OUT), other.address)
    real.until(lambda: node.links())
    return node.links()[0].id


def test_killed_peer_is_lost_at_once(real: RealWorld) -> None:
    alice = real.node("alice")
    with child("bob") as bob:
        connect(real, alice, bob, "bob")
        bob.process.kill()
        real.until(lambda: alice.closed(), within=2)
        assert alice.closed() == [Reason.LOST]


def test_stopped_peer_is_dead_within_the_heartbeat_timeout(real: RealWorld) -> None:
    alice = real.node("alice", heartbeat_interval=0.2, heartbeat_timeout=1.0)
    with child("bob") as bob:
        connect(real, alice, bob, "bob")
        bob.process.send_signal(signal.SIGSTOP)
        real.until(lambda: alice.closed(), within=3)
        assert alice.closed() == [Reason.DEAD]


def stalled(real: RealWorld, messages: int, stall: float, **limits: Any) -> None:
    """Send to a peer that is stopped for a while; then account for every message."""
    alice = real.node("alice", heartbeat_timeout=60.0, backlog_messages=messages // 4, **limits)
    with child("bob", heartbeat_timeout=60.0, flood_drops=10**9) as bob:
        link = connect(real, alice, bob, "bob")
        bob.process.send_signal(signal.SIGSTOP)
        accepted = sum(alice.net.send(link, 16, number.to_bytes(8, "big")).accepted for number in range(messages))
        real.pass_time(stall)
        bob.process.send_signal(signal.SIGCONT)
        real.until(lambda: alice.counted("sent") + alice.counted("lost", "backlog") == accepted, within=60)
        sent = alice.counted("sent")
        real.until(lambda: bob.counts()["received"] + bob.counts()["dropped"] == sent, within=60)
        assert alice.links()
        assert accepted + alice.net.inbox.rejected == messages


def test_every_message_to_a_stalled_peer_is_delivered_or_counted_as_lost(real: RealWorld) -> None:
    stalled(real, 20_000, 0.2)


@pytest.mark.full
@pytest.mark.timeout(180)
def test_every_one_of_400000_messages_to_a_peer_stalled_for_12_s_is_delivered_or_counted(real: RealWorld) -> None:
    stalled(real, 400_000, 12.0)
