"""pyre's end of a transport measurement: whispers between two nodes that found each other by its beacon, unencrypted.

A whisper is sent by the node's own thread. Its socket drops what is over 1,000 messages per peer without a word, so the
sender waits for the other end's count every 500 messages, as somebody who needs every message has to.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import zmq
from pyre import Pyre

from benchmarks.transport_shared import BALL, QUESTION, SERVER
from rookery.transport import Identity

_WINDOW = 500  # messages


class PyreEnd:
    """A node; the one that listens serves whoever whispers."""

    def __init__(self, identity: Identity) -> None:
        self.serves = identity.peer == SERVER.peer
        self.thread: threading.Thread | None = None
        self.address = ""
        if self.serves:
            self.node = _node()
            self.node.start()
            self.address = self.node.uuid().hex
            self.thread = threading.Thread(target=self._serve)
            self.thread.start()

    def dial(self, address: str) -> float:
        """See `End`. address: the other's uuid; its beacon says where it is."""
        self.other = uuid.UUID(address)
        self.node = _node()
        started = time.perf_counter()
        self.node.start()
        while True:
            if not self.node.socket().poll(10_000):
                raise TimeoutError("pyre's beacon was not heard")
            if self.node.recv()[:2] == [b"ENTER", self.other.bytes]:
                break
        return time.perf_counter() - started

    def stream(self, payload: bytes, times: int) -> float:
        """See `End`."""
        started = time.perf_counter()
        left = times
        while left:
            burst = min(left, _WINDOW)
            for _ in range(burst):
                self.node.whisper(self.other, payload)
            self.node.whisper(self.other, QUESTION)
            assert self._hear() == b"=%d" % (burst + 1)
            left -= burst
        return time.perf_counter() - started

    def trips(self, times: int) -> float:
        """See `End`."""
        started = time.perf_counter()
        for _ in range(times):
            self.node.whisper(self.other, BALL)
            self._hear()
        return (time.perf_counter() - started) / times

    def close(self) -> None:
        """See `End`."""
        if self.thread is not None:
            self.thread.join()
        self.node.stop()

    def _hear(self) -> bytes:
        while True:
            event: list[bytes] = self.node.recv()
            if event[0] == b"WHISPER":
                return event[3]

    def _serve(self) -> None:
        """Until the other one leaves."""
        received = 0
        while True:
            kind, sender, _, *rest = self.node.recv()
            if kind == b"EXIT":
                return
            if kind != b"WHISPER":
                continue
            received += 1
            payload = rest[0]
            if len(payload) == 1:
                self.node.whisper(uuid.UUID(bytes=sender), b"=%d" % received)
                received = 0
            elif payload[:1] == b"!":
                received -= 1
                self.node.whisper(uuid.UUID(bytes=sender), b"=" + payload[1:])


def _node() -> Any:
    return Pyre(ctx=zmq.Context())
