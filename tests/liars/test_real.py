"""The rows of the table against whole nodes over loopback, with the liar as a process of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rookery.actors import membership
from rookery.actors.tracker import StaticPeer
from rookery.runtime import ThreadRuntime
from rookery.testing import NETWORK, Peers, Plan, settings
from tests.flows.real import Disk, RealNode
from tests.liars.real import ROWS

ROOT = Path(__file__).parent.parent.parent
SEED = hashlib.sha256(b"a liar").digest()
NODES = 3
FETCH = 6.0  # seconds that one may take while somebody lies
PEACE = 30.0
WATCHED = 0.25


class Values:
    """Produces every value that was asked for in this test."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def add(self) -> bytes:
        value = f"value {len(self.values)}".encode() * 20
        key = hashlib.sha256(value).digest()
        self.values[key] = value
        return key

    def produce(self, key: bytes) -> bytes | None:
        return self.values.get(key)


def generation(node: RealNode) -> int:
    own = node.membership.members().get(timeout=30).own
    return 0 if own is None else own.generation


class Honest:
    """Three nodes, the first of which has the values, and whoever joins later."""

    def __init__(self) -> None:
        self.known = Peers()
        self.values = Values()
        self.nodes: dict[str, RealNode] = {}
        self.disks: dict[str, Disk] = {}
        self.trouble: list[str] = []

    def start(self, name: str) -> RealNode:
        seeds = [StaticPeer(node.peer, node.address) for node in list(self.nodes.values())[-1:]]
        config = settings(
            seeds=seeds,
            transport={"heartbeat_interval": 0.5, "heartbeat_timeout": 4.0},
            tracker={"rest_after_loss": 1.0, "backoff_cap": 1.0, "max_peers_per_set": 256},
            membership={"probe_period": 0.5, "probe_rtt": 0.25, "suspect_to_down_after": 2.0},
        )
        producer = self.values if not self.nodes else None
        return self._start(Plan(name, "127.0.0.1", config, producer, True))

    def restart(self, name: str) -> None:
        self.nodes[name].crash()
        self._start(self.nodes[name].plan)

    def _start(self, plan: Plan) -> RealNode:
        disk = self.disks.setdefault(plan.name, Disk())
        node = self.nodes[plan.name] = RealNode(plan, self.known.identity(plan.name), ThreadRuntime, disk)
        return node

    def active(self, node: RealNode) -> dict[Any, membership.MemberInfo]:
        return {each.peer: each for each in node.membership.members().get(timeout=30).active}

    def see_each_other(self) -> bool:
        peers = {node.peer for node in self.nodes.values()}
        return all(self.active(node).keys() >= peers - {node.peer} for node in self.nodes.values())

    def until(self, condition: Any, seconds: float, words: str) -> None:
        """Note it if this does not come about."""
        pause = threading.Event()
        for _ in range(int(seconds / WATCHED)):
            if condition():
                return
            pause.wait(WATCHED)
        self.trouble.append(words)

    def fetch(self, node: RealNode, seconds: float, words: str) -> None:
        reply = node.resolver.get(self.values.add(), timeout=seconds)
        self.until(lambda: reply.done, seconds + 1, words)
        if reply.done and not isinstance(reply.result(), bytes):
            self.trouble.append(f"{words}: {reply.result()!r}")

    def look_at_lives(self, since: dict[str, int]) -> None:
        for name, node in self.nodes.items():
            for peer, info in self.active(node).items():
                whose = next((other for other, each in self.nodes.items() if each.peer == peer), None)
                if whose is not None and info.incarnation > 100:
                    self.trouble.append(f"incarnation {info.incarnation} of {whose} at {name}")
            if name in since and generation(node) > since[name]:
                self.trouble.append(f"{name} renewed")


@contextmanager
def lying(row: str, honest: Honest) -> Iterator[Callable[[], str]]:
    """As long as this is open. Gives what waits for the end of a round of lies, with what the liar says of it."""
    nodes = [f"{node.peer}@{node.address}" for node in honest.nodes.values()]
    command = [sys.executable, "-m", "tests.liars.real", row, NETWORK, SEED.hex(), *nodes]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as liar:
        assert liar.stdin is not None
        assert liar.stdout is not None
        try:
            assert json.loads(liar.stdout.readline())["met"] == len(nodes)
            yield liar.stdout.readline
        finally:
            liar.stdin.close()
            said = liar.stdout.read()
    assert liar.returncode == 0
    assert json.loads(said.splitlines()[-1])["sent"] > 0


QUICK = {"empty_frames", "invented_with_records"}
"""One of each kind: of transport, of the room that members take, of what is said of others."""


@pytest.mark.processes
@pytest.mark.parametrize("row", [row if row in QUICK else pytest.param(row, marks=pytest.mark.full) for row in ROWS])
def test_nodes_to_which_a_real_process_lies_are_none_the_worse(row: str) -> None:
    check(row, rounds=3)


@pytest.mark.full
@pytest.mark.processes
@pytest.mark.parametrize("row", ROWS)
def test_nodes_to_which_a_real_process_lies_for_a_minute_are_none_the_worse(row: str) -> None:
    check(row, rounds=60)


def check(row: str, rounds: int) -> None:
    """rounds: of lies, a second each with one fetch, before a node restarts and another one joins."""
    honest = Honest()
    try:
        nodes = [honest.start(f"n{number}") for number in range(NODES)]
        honest.until(honest.see_each_other, 30, "the nodes did not find each other by themselves")
        assert honest.trouble == []
        since = {node.name: generation(node) for node in nodes}
        with lying(row, honest) as end_of_round:
            for number in range(rounds):
                honest.fetch(nodes[1 + number % 2], FETCH, f"fetch {number} while it lies")
                assert end_of_round(), "the liar has ended"
            honest.look_at_lives(since)
            honest.until(honest.see_each_other, 5, "the nodes do not see each other while it lies")
            honest.restart("n0")
            honest.until(honest.see_each_other, 15, "a node that restarts while it lies is not seen")
            newcomer = honest.start("newcomer")
            honest.until(honest.see_each_other, 15, "a newcomer does not find all while it lies")
            honest.until(newcomer.connected, 15, "a newcomer has no connection while it lies")
        honest.until(honest.see_each_other, PEACE, "the nodes do not see each other afterwards")
        for name in ("n0", "n1"):
            honest.restart(name)
            honest.until(honest.see_each_other, 15, f"{name} restarts afterwards and is not seen")
        honest.start("latecomer")
        honest.until(honest.see_each_other, 15, "a newcomer does not find all afterwards")
        honest.until(honest.nodes["latecomer"].connected, 15, "a newcomer has no connection afterwards")
        honest.fetch(honest.nodes["latecomer"], FETCH, "the fetch afterwards")
        assert honest.trouble == []
    finally:
        for node in honest.nodes.values():
            if not node.ended:
                node.crash()
