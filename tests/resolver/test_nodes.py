"""Resolvers in whole nodes: several in one node, and blocks for a script."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from rookery.actors import resolver
from rookery.config import load
from rookery.node import Node
from rookery.node.new import make_node
from rookery.runtime import Simulation
from rookery.testing import SimulatedNodes, WholeNode
from rookery.transport import format_peer

SMALL, LARGE = 16, 17  # channels


class Numbers:
    """Has values for keys of its own length, and accepts what is right."""

    def __init__(self, has: bool) -> None:
        self.has = has
        self.got: dict[bytes, bytes] = {}

    def produce(self, key: bytes) -> bytes | None:
        return self.true(key) if self.has else None

    def deliver(self, delivery: resolver.Delivery, value: bytes) -> bool:
        self.got[delivery.key] = value
        return value == self.true(delivery.key)

    @staticmethod
    def true(key: bytes) -> bytes:
        return b"value of " + key


class TwoMore(WholeNode):
    """A node with two resolvers of an application, beside the one of its blobs."""

    def start_engines(self, **arguments: Any) -> Any:
        self.small = self.runtime.mailbox(resolver.Mailbox, "small")
        self.large = self.runtime.mailbox(resolver.Mailbox, "large")
        self.numbers = {SMALL: Numbers(self.name == "bob"), LARGE: Numbers(self.name == "bob")}
        for mailbox, channel, key_length in ((self.small, SMALL, 2), (self.large, LARGE, 20)):
            self.runtime.start(
                mailbox,
                resolver.Engine,
                resolver.Config(key_length=key_length),
                transport=self.transport,
                tracker=self.tracker,
                maintenance=self.maintenance,
                connections=self.connections,
                channel=channel,
                producer=self.numbers[channel],
                consumer=self.numbers[channel],
            )
        return super().start_engines(**arguments)


def connected(simulation: Simulation, *names: str, kind: type[WholeNode] = WholeNode) -> list[Any]:
    nodes = SimulatedNodes(simulation, kind=kind)
    first = nodes.start(names[0])
    others = [nodes.start(name, seeds=[first]) for name in names[1:]]
    nodes.run_until(lambda: all(len(node.connected()) == len(others) for node in nodes.running), timeout=30)
    return [first, *others]


def test_several_resolvers_in_one_node_have_a_channel_a_name_and_a_key_length_each(simulation: Any) -> None:
    alice, _ = connected(simulation, "alice", "bob", kind=TwoMore)
    small, large = b"ab", b"c" * 20
    assert alice.small.get(small, timeout=5).get() == b"value of ab"
    assert alice.large.get(large, timeout=5).get() == b"value of " + large
    assert (alice.numbers[SMALL].got, alice.numbers[LARGE].got) == (
        {small: b"value of ab"},
        {large: b"value of " + large},
    )
    with pytest.raises(resolver.BadKey, match="a key of 2 bytes: keys of this resolver have 20"):
        alice.large.get(small)
    alice.small.get(b"zz")
    alice.small.clear()
    assert alice.large.get(b"d" * 20, timeout=5).get() == b"value of " + b"d" * 20
    fetched = {name: alice.counted("resolver_fetched_total", name) for name in ("small", "large", "resolver")}
    assert fetched == {"small": 1, "large": 2, "resolver": 0}


def test_block_of_a_file_is_got_from_a_nodes_resolver_and_what_is_false_is_not(simulation: Any, tmp_path: Path) -> None:
    alice, bob = connected(simulation, "alice", "bob")
    content = b"some bytes " * 1000
    (tmp_path / "file").write_bytes(content)
    bob.files.put(tmp_path / "file").get(timeout=5)
    assert alice.resolver.get(hashlib.sha256(content).digest(), timeout=5).get() == content
    with pytest.raises(resolver.FetchTimedOut):
        alice.resolver.get(b"k" * 32, timeout=5).get()


def test_false_block_for_a_script_blocks_its_sender_and_another_is_asked(simulation: Any, tmp_path: Path) -> None:
    class Liar:
        def produce(self, _key: bytes) -> bytes:
            return b"a lie"

    nodes = SimulatedNodes(simulation)
    alice = nodes.start("alice")
    mallory = nodes.start("mallory", seeds=[alice], producer=Liar())
    nodes.run_until(lambda: alice.is_connected_to(mallory), timeout=30)
    content = b"the truth"
    (tmp_path / "file").write_bytes(content)
    reply = alice.resolver.get(hashlib.sha256(content).digest(), timeout=60)
    nodes.run_until(lambda: not alice.is_connected_to(mallory), timeout=5)
    bob = nodes.start("bob", seeds=[alice])
    bob.files.put(tmp_path / "file").get(timeout=5)
    assert reply.get() == content
    assert alice.counted("resolver_blocks_total", "resolver") == 1
    assert not alice.is_connected_to(mallory)


@pytest.mark.parametrize("yaml", ["", "runtime: threads\n"])
def test_script_gets_a_block_over_real_sockets_and_a_cancel_ends_its_wait(tmp_path: Path, yaml: str) -> None:
    def make_folder(name: str, yaml: str) -> Path:
        make_node(tmp_path / name, f"transport: {{listen: 'tcp://127.0.0.1:0'}}\n{yaml}")
        return tmp_path / name

    content = b"some bytes " * 1000
    (tmp_path / "file").write_bytes(content)
    with Node(load(make_folder("alice", yaml))) as alice:
        seed = format_peer(alice.peer, alice.address)
        with Node(load(make_folder("bob", f"{yaml}tracker: {{peers: ['{seed}']}}"))) as bob:
            alice.blobs.put(tmp_path / "file")
            assert bob.resolver.get(hashlib.sha256(content).digest(), timeout=20).get() == content
            waiting = [bob.resolver.get(bytes([number]) * 32) for number in range(2)]
            bob.resolver.cancel(bytes(32))
            with pytest.raises(resolver.FetchCancelled):
                waiting[0].get(timeout=5)
            bob.resolver.clear()
            with pytest.raises(resolver.FetchCancelled):
                waiting[1].get(timeout=5)
