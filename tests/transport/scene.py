"""A node under attack beside an honest peer, for the tests of hostile input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import zmq

from rookery.transport import Identity
from tests.transport.raw import RawPeer
from tests.transport.worlds import RealWorld


class Scene:
    """bob, whom somebody attacks, and alice, who has a connection to him all the while."""

    def __init__(self, real: RealWorld, **settings: Any) -> None:
        self.real = real
        self.bob = real.node("bob", **settings)
        self.alice = real.node("alice")
        real.connected(self.alice, self.bob)
        self.mallory = real.known.identity("mallory")
        self.sent = 0

    def raw(self, identity: Identity | None = None) -> RawPeer:
        """mallory, from an IP of its own, as what it does may cost its IP the next handshakes; or somebody honest."""
        return RawPeer(self.bob, identity or self.mallory, ip="127.0.0.2" if identity is None else None)

    def joined(self) -> RawPeer:
        raw = self.raw()
        raw.join()
        self.real.until(lambda: len(self.bob.links()) == 2)
        return raw

    def assert_link_carries(self) -> None:
        """alice is heard."""
        payload = b"still here %d" % self.sent
        self.sent += 1
        self.alice.net.send(self.alice.link_to(self.bob).id, 16, payload)
        self.real.until(lambda: payload in self.bob.payloads())

    def assert_others_are_served(self) -> None:
        """alice is heard, and an honest newcomer joins."""
        self.assert_link_carries()
        with self.raw(Identity.from_seed(b"honest %25d" % self.sent)) as honest:
            honest.join()
            self.real.until(lambda: honest.identity.peer in [link.peer for link in self.bob.links()])

    def assert_unharmed(self) -> None:
        """Others are served, and nothing of mallory is left."""
        self.assert_others_are_served()
        self.real.until(lambda: [link.peer for link in self.bob.links()] == [self.alice.peer])
        self.real.until(lambda: self.bob.counted_slots() == 1)


def pour(raw: RawPeer, messages: Iterable[Sequence[bytes]]) -> int:
    """Send as much of this as goes before the node ends the connection; how many frames that was."""
    poured = 0
    try:
        for frames in messages:
            raw.socket.send_multipart(frames, zmq.NOBLOCK)
            poured += len(frames)
    except zmq.Again:
        pass
    return poured


STATM = Path("/proc/self/statm")


def resident() -> int:
    """Bytes; 0 where that cannot be known."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if STATM.exists() else 0
