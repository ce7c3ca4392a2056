"""A line of a known rate between the two ends of a measurement: a TCP proxy on loopback that forwards at that rate.

It takes no more from a sender than the line carries, so that what waits does so where it would before a real line: in
the sender's kernel, in ZeroMQ, and in what is above.
"""

from __future__ import annotations

import socket
import threading
import time

RATE = 12_500_000  # bytes per second each way: 100 Mbit/s
_PIECE = 8192  # bytes
_BUFFER = 32 * 1024  # bytes that the line itself holds
_CATCH_UP = 0.005  # seconds: what it may make good when its thread was late


class Line:
    """Forwards one connection to a port of this machine."""

    def __init__(self, port: int, rate: float = RATE) -> None:
        """rate: bytes per second, each way. The line listens on `address`."""
        self._rate = rate
        self._to = port
        self._sockets = [socket.socket()]
        listener = self._sockets[0]
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        try:
            near, _ = self._sockets[0].accept()
        except OSError:
            return  # closed before anybody came
        far = socket.socket()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        far.connect(("127.0.0.1", self._to))
        self._sockets += [near, far]
        for source, target in ((near, far), (far, near)):
            target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._carry, args=(source, target))
            self._threads.append(thread)
            thread.start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        free = 0.0  # when the line has carried what it was given
        try:
            while piece := source.recv(_PIECE):
                free = max(free, time.perf_counter() - _CATCH_UP) + len(piece) / self._rate
                time.sleep(max(0.0, free - time.perf_counter()))
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of the two ends is gone

    def close(self) -> None:
        """End what is carried."""
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # not connected, or no more
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()
