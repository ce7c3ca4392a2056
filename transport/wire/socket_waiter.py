"""Idle time spent on ZeroMQ sockets.

A ZeroMQ socket's descriptor signals changes, not states: it may be silent while a message waits, once a call on the
socket has taken the signal. So an engine looks at its sockets (their EVENTS) after whatever it did with them and before
it waits; every engine that polls does. In exchange one wait is one system call, a fifth of what `zmq_poll` costs.
"""

from __future__ import annotations

import select
import socket as sockets
from collections.abc import Sequence

import zmq

from ...runtime.actor.waiter import poll_timeout


class SocketWaiter:
    """Waits on ZeroMQ sockets and on a pipe that `wake` writes to."""

    def __init__(self, usual: zmq.Socket[bytes], others: Sequence[zmq.Socket[bytes]] = ()) -> None:
        """Waits until one of them stirs, which `usual_stirred` and `stirred` tell until who polls clears them."""
        self._read_end, self._write_end = sockets.socketpair()
        self._read_end.setblocking(False)
        self._write_end.setblocking(False)
        self._pipe = self._read_end.fileno()
        self._usual = _descriptor(usual)
        self._others = frozenset(_descriptor(socket) for socket in others)
        self._poller = select.poll()
        for descriptor in (self._usual, self._pipe, *self._others):
            self._poller.register(descriptor, select.POLLIN)
        self.stirred = True
        self.usual_stirred = False
        self.at_most: float | None = None

    def wait(self, timeout: float | None) -> None:
        """See `Waiter`. At most `at_most` seconds if that is set."""
        at_most = self.at_most
        if timeout is None or (at_most is not None and at_most < timeout):
            timeout = at_most
        for descriptor, _ in self._poller.poll(poll_timeout(timeout)):
            if descriptor == self._usual:
                self.usual_stirred = True
            elif descriptor in self._others:
                self.stirred = True
            elif descriptor == self._pipe:
                self._drain()

    def wake(self) -> None:
        """See `Waiter`. A full pipe wakes as well."""
        try:
            self._write_end.send(b"\0")
        except OSError:
            pass

    def close(self) -> None:
        """Release the pipe."""
        self._read_end.close()
        self._write_end.close()

    def _drain(self) -> None:
        try:
            self._read_end.recv(4096)
        except BlockingIOError:
            pass


def _descriptor(socket: zmq.Socket[bytes]) -> int:
    return int(socket.getsockopt(zmq.FD))
