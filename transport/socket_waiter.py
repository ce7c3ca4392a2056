"""Idle time spent on ZeroMQ sockets."""

from __future__ import annotations

import socket as sockets
from collections.abc import Sequence

import zmq

_POLLIN = int(zmq.POLLIN)


class SocketWaiter:
    """Waits on ZeroMQ sockets and on a pipe that `wake` writes to."""

    def __init__(self, usual: zmq.Socket[bytes], others: Sequence[zmq.Socket[bytes]] = ()) -> None:
        """Waits until one of them can be read. others: those whose stirring is told by `stirred`."""
        self._read_end, self._write_end = sockets.socketpair()
        self._read_end.setblocking(False)
        self._write_end.setblocking(False)
        self._others = frozenset(others)
        self._watched = [
            (usual, _POLLIN),
            *((socket, _POLLIN) for socket in others),
            (self._read_end.fileno(), _POLLIN),
        ]
        self.stirred = True
        self.at_most: float | None = None

    def wait(self, timeout: float | None) -> None:
        """See `Waiter`. At most `at_most` seconds if that is set."""
        limits = [limit for limit in (timeout, self.at_most) if limit is not None]
        for socket, _ in zmq.zmq_poll(self._watched, int(min(limits) * 1000) if limits else -1):
            if socket in self._others:
                self.stirred = True
            elif socket == self._read_end.fileno():
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
