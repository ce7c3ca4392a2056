"""A process in which no descriptor is left, and a wire that listens in it."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from rookery.transport import Endpoint, Identity, Reason
from rookery.transport.wire.zmq_wire import ZmqWire

LOOPBACK = Endpoint("127.0.0.1", 0)


@contextlib.contextmanager
def descriptors_left(number: int) -> Iterator[None]:
    """For the block, no more than so many descriptors can be opened."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    fillers = []
    lowest, highest = os.dup(0), max(int(name) for name in os.listdir("/dev/fd"))
    os.close(lowest)
    while lowest <= highest:  # no gap is left below the limit
        fillers.append(os.dup(0))
        lowest = fillers[-1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1 + number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for filler in fillers:
            os.close(filler)


class Heard:
    """Remembers what a wire hands up."""

    def __init__(self) -> None:
        self.silent_ended: list[Reason] = []
        self.downs: list[tuple[bytes, Reason]] = []

    def accept_connection(self, _ip: str, _curve_key: bytes) -> bool:
        return True

    def silent_connection_ended(self, _ip: str | None, reason: Reason, _left: int) -> None:
        self.silent_ended.append(reason)

    def route_down(self, route: bytes, reason: Reason) -> None:
        self.downs.append((route, reason))

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_arguments: None


class Listening:
    """A wire that listens, polled on this thread."""

    def __init__(self, *, max_silent: int = 1000) -> None:
        self.identity = Identity.from_seed(b"l" * 32)
        self.wire = ZmqWire(
            self.identity, max_frame=4096, max_frames=4, high_water=16, handshake_timeout=60.0, max_silent=max_silent
        )
        self.heard: Any = Heard()
        bound = self.wire.bind(LOOPBACK)
        self.where = (bound.host, bound.port)
        self.poll()

    def poll(self) -> None:
        self.wire.poll(self.heard, 100)

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            self.wire.waiter().wait(0.01)
            self.poll()


def is_over(client: socket.socket) -> bool:
    """Whether the other end has closed it. libzmq may have sent its greeting before."""
    try:
        while client.recv(100):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
