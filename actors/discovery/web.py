"""Fetching a record from a host, within a time and a size whatever the host does. Blocking: for the pool."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from ...transport.errors import DecodeError
from .texts import MAX_RECORD_TEXT, bracketed, read_text

PATH = "/record"
_LARGEST = MAX_RECORD_TEXT + 2048  # bytes of an answer, its head included


class Fetch:
    """Fetches records one after another, until it is closed."""

    def __init__(self) -> None:
        """Nothing is fetched yet."""
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._closed = False

    def __call__(self, host: str, port: int, timeout: float) -> bytes:
        """The encoded record that `http://host:port/record` serves. host: an IP. timeout: seconds in all.

        Raises OSError (also TimeoutError) if nobody answers in time or `close` was called, DecodeError for a wrong
        answer.
        """
        deadline = time.monotonic() + timeout
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as connection:
            self._hold(connection)
            try:
                return self._exchange(connection, host, port, deadline)
            finally:
                self._hold(None)

    def close(self) -> None:
        """End the fetch that is under way, and refuse further ones. From any thread."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)

    def _hold(self, connection: socket.socket | None) -> None:
        with self._lock:
            if connection is not None and self._closed:
                raise ConnectionAbortedError("discovery has stopped")
            self._connection = connection

    def _exchange(self, connection: socket.socket, host: str, port: int, deadline: float) -> bytes:
        connection.settimeout(_left(deadline))
        connection.connect((host, port))
        connection.settimeout(_left(deadline))
        connection.sendall(
            f"GET {PATH} HTTP/1.0\r\nHost: {bracketed(host)}:{port}\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        answer = b""
        while len(answer) <= _LARGEST:
            connection.settimeout(_left(deadline))
            part = connection.recv(4096)
            if not part:
                return _body(answer)
            answer += part
        raise DecodeError(f"answer of more than {_LARGEST} bytes")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no whole answer in time")
    return left


def _body(answer: bytes) -> bytes:
    head, separator, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if not separator or not status[0].startswith(b"HTTP/1.") or len(status) < 2:
        raise DecodeError("the answer is not HTTP")
    if status[1] != b"200":
        raise DecodeError(f"answered with status {status[1][:10]!r} (allowed: 200)")
    return read_text(body)
