"""docs/protocol.md is enough to be a member: `examples/stranger.py`, which shares no code with Rookery, is one."""

from __future__ import annotations

import ast
import hashlib
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rookery.actors.membership import MemberInfo
from rookery.actors.membership.swim import State
from rookery.config import load
from rookery.node import Node, new
from rookery.transport import Identity, Life, PeerId
from rookery.transport.identity.life import verify_answer

STRANGER = Path(__file__).parent.parent / "examples" / "stranger.py"
SEED, HELPER, PROBER = (hashlib.sha256(name).digest() for name in (b"stranger", b"helper", b"prober"))
ACK, INDIRECT_PING, INDIRECT_ACK, GOSSIP, TURN_UNDEAD = 2, 4, 5, 9, 10
TEXT = "what the stranger has"
WITHIN = 60.0  # seconds; a bound for a busy machine, not a measure
YAML = """
transport: {network: strange, listen: "tcp://127.0.0.1:0"}
tracker: {source: membership}
membership:
  probe_period: 200ms
  probe_rtt: 100ms
  suspect_to_down_after: 30s
  seeds: []
"""


def until(condition: Callable[[], object], what: str, within: float = WITHIN) -> None:
    """Wait for a condition, looking often."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {within} s"
        threading.Event().wait(0.02)


class Stranger:
    """The program, with what it has printed so far."""

    def __init__(self, node: Node, wanted: object) -> None:
        arguments = [f"{node.peer}@{node.address}", "strange", str(wanted), TEXT]
        self.process = subprocess.Popen(
            [sys.executable, str(STRANGER), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        until(lambda: self.lines, "its first line")
        peer, self.offers = self.lines[0].removeprefix("I am ").split(" and have ")
        self.peer = PeerId.parse(peer)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def leave(self) -> int:
        """End its input."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(timeout=WITHIN)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def two_nodes_and_a_stranger(tmp_path: Path) -> Iterator[tuple[Node, Node, Stranger]]:
    """It knows the first node only."""
    mine = tmp_path / "mine.txt"
    mine.write_bytes(b"what the node has " * 9)
    new.make_node(tmp_path / "first", YAML)
    with Node(load(tmp_path / "first")) as first:
        new.make_node(tmp_path / "second", YAML.replace("[]", f'["{first.peer}@{first.address}"]'))
        stranger = Stranger(first, first.blobs.put(mine))
        try:
            with Node(load(tmp_path / "second")) as second:
                yield first, second, stranger
        finally:
            stranger.close()


def seen(node: Node, stranger: Stranger) -> MemberInfo | None:
    members = {member.peer: member for member in node.membership.members().get(timeout=5).others}
    return members.get(stranger.peer)


def is_in(state: State, node: Node, stranger: Stranger, *, incarnation: int = 0) -> bool:
    member = seen(node, stranger)
    return member is not None and member.state is state and member.incarnation >= incarnation


def round_trip(node: Node, stranger: Stranger) -> float | None:
    member = seen(node, stranger)
    return None if member is None else member.rtt


def count(node: Node, name: str, *labels: str) -> float:
    return node.runtime.registry.value(name, *labels)


@pytest.mark.processes
@pytest.mark.parametrize("probes", [10, pytest.param(150, marks=[pytest.mark.full, pytest.mark.timeout(900)])])
def test_stranger_is_a_member_of_two_nodes_is_served_serves_refutes_and_leaves(tmp_path: Path, probes: int) -> None:
    """probes: so many that the stranger answers; 150 take a minute, as there is one other to be probed."""
    with two_nodes_and_a_stranger(tmp_path) as (first, second, stranger):
        content = b"what the node has " * 9
        manifest = msgpack.packb([1, 1, len(content), 262_144, hashlib.sha256(content).digest()])
        wanted = {f"block {manifest.hex()}", f"block {content.hex()}"}
        until(lambda: wanted <= set(stranger.lines), "the blocks of the node")
        for node in (second, first):  # the second knows it by the first, and finds the file nowhere else
            until(partial(is_in, State.ALIVE, node, stranger), "alive")
            node.blobs.get(bytes.fromhex(stranger.offers), tmp_path / f"{node.peer}.txt", timeout=WITHIN)
            assert (tmp_path / f"{node.peer}.txt").read_text() == TEXT
        averages: set[float | None] = set()  # of its round trips: another one after each

        def is_probed_enough() -> bool:
            averages.add(round_trip(first, stranger))
            return len(averages) > probes

        until(is_probed_enough, "probes", within=WITHIN + 2 * probes)
        for node in (first, second):
            assert count(node, "membership_changes_total", "MemberDown") == 0
            until(partial(is_in, State.ALIVE, node, stranger), "alive")

        stranger.process.send_signal(signal.SIGSTOP)
        until(lambda: count(first, "membership_changes_total", "MemberSuspected"), "suspected")
        stranger.process.send_signal(signal.SIGCONT)
        until(lambda: any(line.startswith("incarnation ") for line in stranger.lines), "refuted")
        for node in (first, second):
            until(partial(is_in, State.ALIVE, node, stranger, incarnation=1), "believed")

        assert stranger.leave() == 0
        for node in (first, second):
            until(partial(is_in, State.LEFT, node, stranger), "left")
            assert [count(node, "membership_cheats_total", of) for of in ("own", "passed_on")] == [0, 0]
        assert not [line for line in stranger.lines if line.startswith("refused")]


def alone() -> tuple[Any, list[tuple[bytes, int, list[Any]]]]:
    """A stranger without sockets, and what SWIM packets it sends: to whom, the kind, the fields."""
    program = runpy.run_path(str(STRANGER))["Stranger"]
    stranger, sent = program.__new__(program), []
    life = Life(Identity.from_seed(SEED), 7)
    stranger.key = Ed25519PrivateKey.from_private_bytes(SEED)
    stranger.peer, stranger.generation, stranger.incarnation = stranger.key.public_key().public_bytes_raw(), 7, 0
    stranger.chain = [life.chain, *(life.link(number) for number in range(1, 1025))]
    stranger.swim = lambda peer, kind, fields: sent.append((peer, kind, fields))
    return stranger, sent


def test_stranger_answers_a_helper_for_the_prober_with_a_signature_of_that_probe() -> None:
    stranger, sent = alone()
    stranger.packet(HELPER, INDIRECT_PING, [PROBER, 5, 9], [])
    ((to, kind, (*fields, answer)),) = sent
    assert (to, kind, fields) == (HELPER, INDIRECT_ACK, [PROBER, 5, 9])
    assert verify_answer(PeerId(stranger.peer), 7, PeerId(PROBER), 5, 9, answer)


@pytest.mark.parametrize("state", [State.SUSPECT, State.DOWN])
def test_stranger_that_is_accused_goes_above_that_if_it_was_its_own_word(state: State) -> None:
    stranger, _ = alone()
    stranger.packet(HELPER, GOSSIP, [], [[stranger.peer, 7, 0, state]])
    assert stranger.incarnation == 1
    stranger.packet(HELPER, GOSSIP, [], [[stranger.peer, 7, 4, state, stranger.chain[4]]])
    assert stranger.incarnation == 5
    for generation in (7, 8):
        stranger.packet(HELPER, GOSSIP, [], [[stranger.peer, generation, 6, state, bytes(16)]])
    assert stranger.incarnation == 5


def test_stranger_that_is_told_to_be_down_answers_by_the_number_in_a_higher_incarnation() -> None:
    stranger, sent = alone()
    stranger.packet(HELPER, TURN_UNDEAD, [7, 2, State.DOWN, stranger.chain[2], 33], [])
    assert (stranger.incarnation, sent) == (3, [(HELPER, ACK, [33])])


def test_stranger_has_under_150_lines_and_uses_nothing_of_rookery() -> None:
    text = STRANGER.read_text()
    imported: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"msgpack", "zmq", "cryptography"}
    assert len(text.splitlines()) < 150
