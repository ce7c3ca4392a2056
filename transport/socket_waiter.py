"""Idle time spent on ZeroMQ sockets."""

from __future__ import annotations

import socket as sockets

import zmq


class SocketWaiter:
    """Waits on ZeroMQ sockets and on a pipe that `wake` writes to."""

    def __init__(self, watched: list[zmq.Socket[bytes]]) -> None:
        """watched: waking when one of them can be read."""
        self._read_end, self._write_end = sockets.socketpair()
        self._read_end.setblocking(False)
        self._write_end.setblocking(False)
        self._poller = zmq.Poller()
        for socket in watched:
            self._poller.register(socket, zmq.POLLIN)
        self._poller.register(self._read_end, zmq.POLLIN)
        self.at_most: float | None = None

    def wait(self, timeout: float | None) -> None:
        """See `Waiter`."""
        limits = [limit for limit in (timeout, self.at_most) if limit is not None]
        if dict(self._poller.poll(int(min(limits) * 1000) if limits else None)).get(self._read_end.fileno()):
            try:
                self._read_end.recv(4096)
            except BlockingIOError:
                pass

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
