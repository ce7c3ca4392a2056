"""Peers in other processes, stopped and killed for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rookery.transport import Address, Direction, Reason, Ticket
from tests.transport.worlds import Node, RealWorld

pytestmark = pytest.mark.processes


class Child:
    """A node in another process."""

    def __init__(self, name: str, *, run_in: Sequence[str] = (), **settings: Any) -> None:
        """run_in: the command that the child's own is given to."""
        self.process = subprocess.Popen(
            [*run_in, sys.executable, "-m", "tests.transport.wire.child", name, json.dumps(settings)],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = Address.parse(self._read())

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def counts(self) -> dict[str, Any]:
        self.tell("counts")
        counts: dict[str, Any] = self._read()
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
        real.until(lambda: alice.closed(), timeout=30)
        assert alice.closed() == [Reason.LOST]


def test_stopped_peer_is_dead_within_the_heartbeat_timeout(real: RealWorld) -> None:
    alice = real.node("alice", heartbeat_interval=0.1, heartbeat_timeout=0.6)
    with child("bob") as bob:
        connect(real, alice, bob, "bob")
        bob.process.send_signal(signal.SIGSTOP)
        real.until(lambda: alice.closed(), timeout=30)
        assert alice.closed() == [Reason.DEAD]


@dataclass(frozen=True)
class TwoHosts:
    """Two network namespaces with a cable between them. run_in: what runs a command there. ips: of their ends."""

    run_in: tuple[tuple[str, ...], tuple[str, ...]]
    ips: tuple[str, str]

    def unplug(self, which: int) -> None:
        ip(*self.run_in[which], "ip", "link", "set", "cable", "down")


def ip(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=10)


@pytest.fixture
def two_hosts() -> Iterator[TwoHosts]:
    """Skips where this user may not make network namespaces."""
    names = [f"rookery-{os.getpid()}-{end}" for end in "ab"]
    ips = ("10.213.7.1", "10.213.7.2")
    made: list[str] = []
    try:
        try:
            for name in names:
                ip("ip", "netns", "add", name)
                made.append(name)
            ends = [
                "link",
                "add",
                "cable",
                "netns",
                names[0],
                "type",
                "veth",
                "peer",
                "name",
                "cable",
                "netns",
                names[1],
            ]
            ip("ip", *ends)
            for name, address in zip(names, ips, strict=True):
                ip("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
                ip("ip", "-n", name, "link", "set", "cable", "up")
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here: {error}")
        first, second = (("ip", "netns", "exec", name) for name in names)
        yield TwoHosts((first, second), ips)
    finally:
        for name in made:
            ip("ip", "netns", "delete", name)


@pytest.mark.parametrize("unplugged", [0, pytest.param(1, marks=pytest.mark.full)], ids=["the dialler's", "the other"])
def test_interface_set_down_ends_the_connection_as_dead_on_both_hosts(
    real: RealWorld, two_hosts: TwoHosts, unplugged: int
) -> None:
    """Nobody is told that the cable is gone, so it is the heartbeats that find out, in their time, and say so."""
    beats = {"heartbeat_interval": 0.1, "heartbeat_timeout": 0.6}
    one, other = (
        {"run_in": run_in, "listen": f"tcp://{host}:0", **beats}
        for run_in, host in zip(two_hosts.run_in, two_hosts.ips, strict=True)
    )
    with child("alice", **one) as alice, child("bob", **other) as bob:
        alice.tell(f"dial bob {bob.address}")
        real.until(lambda: alice.counts()["links"] == bob.counts()["links"] == 1)
        two_hosts.unplug(unplugged)
        real.until(lambda: alice.counts()["closed"] and bob.counts()["closed"], timeout=30)
        assert alice.counts()["closed"] == bob.counts()["closed"] == [Reason.DEAD.value]


def stalled(real: RealWorld, messages: int, stall: float, **limits: Any) -> None:
    """Send to a peer that is stopped for a while; then account for every message."""
    alice = real.node("alice", heartbeat_timeout=60.0, backlog_messages=messages // 4, **limits)
    with child("bob", heartbeat_timeout=60.0, flood_drops=10**9) as bob:
        link = connect(real, alice, bob, "bob")
        bob.process.send_signal(signal.SIGSTOP)
        accepted = sum(alice.net.send(link, 16, number.to_bytes(8, "big")).accepted for number in range(messages))
        real.pass_time(stall)
        bob.process.send_signal(signal.SIGCONT)
        real.until(lambda: alice.counted("sent") + alice.counted("lost", "backlog") == accepted, timeout=60)
        sent = alice.counted("sent")
        real.until(lambda: bob.counts()["received"] + bob.counts()["dropped"] == sent, timeout=60)
        assert alice.links()
        assert accepted + alice.net.inbox.rejected == messages


def test_every_message_to_a_stalled_peer_is_delivered_or_counted_as_lost(real: RealWorld) -> None:
    stalled(real, 20_000, 0.2)


@pytest.mark.full
@pytest.mark.timeout(180)
def test_every_one_of_400000_messages_to_a_peer_stalled_for_12_s_is_delivered_or_counted(real: RealWorld) -> None:
    stalled(real, 400_000, 12.0)
