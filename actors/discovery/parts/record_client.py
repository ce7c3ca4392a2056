"""Fetches a record from a host, within a time and a size whatever the host does. Blocking: for the pool."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from ....transport.errors import DecodeError
from ..core.text_forms import MAX_ANSWER_BYTES, RECORD_PATH, bracketed, read_answer


class RecordClient:
    """Fetches records one after another, until it is closed from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._closed = False

    def fetch(self, host: str, port: int, timeout: float) -> bytes:
        """The encoded record that `http://host:port/record` serves. host: an IP. timeout: seconds in all.

        Raises OSError (also TimeoutError) if nobody answers in time or `close` was called, DecodeError for a wrong
        answer.
        """
        deadline = time.monotonic() + timeout
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as connection:
            self._set_connection(connection)
            try:
                return self._exchange(connection, host, port, deadline)
            finally:
                self._set_connection(None)

    def close(self) -> None:
        """End the fetch that is under way, and refuse further ones. From any thread."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)

    def _set_connection(self, connection: socket.socket | None) -> None:
        with self._lock:
            if connection is not None and self._closed:
                raise ConnectionAbortedError("discovery has stopped")
            self._connection = connection

    def _exchange(self, connection: socket.socket, host: str, port: int, deadline: float) -> bytes:
        connection.settimeout(_time_left(deadline))
        connection.connect((host, port))
        connection.settimeout(_time_left(deadline))
        connection.sendall(
            f"GET {RECORD_PATH} HTTP/1.0\r\nHost: {bracketed(host)}:{port}\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        answer = b""
        while len(answer) <= MAX_ANSWER_BYTES:
            connection.settimeout(_time_left(deadline))
            part = connection.recv(4096)
            if not part:
                return read_answer(answer)
            answer += part
        raise DecodeError(f"answer of more than {MAX_ANSWER_BYTES} bytes")


def _time_left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no whole answer in time")
    return left
