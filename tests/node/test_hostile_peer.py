"""A peer that a whole node has let in, and that sends what no decoder takes: to every actor that listens to peers."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zmq

from rookery.config import load
from rookery.node import Node, new
from rookery.transport import Identity
from rookery.transport.core.codec import PACKET_HEADS, encode_batch
from rookery.transport.identity import curve_key
from tests.fuzzing import DECODERS, damaged, reshaped
from tests.runtime.runtime_kit import wait_until
from tests.transport.raw import RawPeer
from tests.transport.scene import pour

CHANNELS = {0: "exchange", 1: "resolver"}
PACKETS = ("envelope", "swim")


def harm(name: str, rng: random.Random) -> bytes:
    return rng.choice((damaged, reshaped))(rng.choice(DECODERS[name].good), rng)


def attack(raw: RawPeer, rng: random.Random, messages: int) -> None:
    """Within what quotas let through."""
    for _ in range(messages):
        channel = rng.choice(list(CHANNELS))
        pour(raw, [encode_batch([(channel, harm(CHANNELS[channel], rng))])])
        pour(raw, [[PACKET_HEADS[rng.choice((0, 0, 0, 1, 200))], harm(rng.choice(PACKETS), rng)]])


def door(node: Node) -> Any:
    """What a raw peer needs of it."""
    return SimpleNamespace(identity=SimpleNamespace(curve_public=curve_key(node.peer)), address=node.address)


@pytest.mark.parametrize("peers", [4, pytest.param(100, marks=[pytest.mark.full, pytest.mark.timeout(300)])])
def test_hostile_messages_of_peers_that_were_let_in_harm_no_actor(tmp_path: Path, peers: int) -> None:
    rng, identities = random.Random(peers), [Identity.from_seed(b"hostile %24d" % number) for number in range(peers)]
    tracked = "".join(f'\n    - "{each.peer}@tcp://127.0.0.1:1"' for each in identities)
    limits = "{network: test, handshakes_per_ip: 1000, handshakes_per_subnet: 1000, handshake_burst: 1000}"
    new.make_node(tmp_path / "node", f"transport: {limits}\ntracker:\n  source: static\n  peers:{tracked}\n")
    (tmp_path / "file").write_bytes(b"what the node has " * 999)
    with Node(load(tmp_path / "node")) as node:
        key, count = node.blobs.put(tmp_path / "file"), node.runtime.registry.value

        def was_heard(number: int) -> bool:
            return min(count("transport_received_total"), count("transport_packets_total", "received")) >= 100 * number

        for number, identity in enumerate(identities, 1):
            with RawPeer(door(node), identity) as raw:
                raw.join()
                raw.socket.setsockopt(zmq.SNDTIMEO, 2000)
                attack(raw, rng, 500)
                wait_until(partial(was_heard, number))  # what is unread when it goes is lost
        assert node.failure is None
        node.blobs.get(key, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == (tmp_path / "file").read_bytes()
        assert node.status().peer == str(node.peer)
    assert node.failure is None
