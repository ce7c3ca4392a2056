"""The control socket itself: a ROUTER on `ipc://` that only its owner can open. Used on the engine's thread."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import zmq

from ...runtime import Waiter
from ...transport.socket_waiter import SocketWaiter
from . import place
from .place import SocketTaken
from .protocol import MAX_CALL

_QUEUED = 1000  # answers for one client that does not read them; more are dropped
_LINGER = 200  # milliseconds for the last answers to leave
_GONE = (zmq.EHOSTUNREACH, zmq.EAGAIN)


class Door:
    """Frames from clients and answers to them."""

    def __init__(self, wanted: Path) -> None:
        """wanted: the path; see `place`. Raises SocketTaken."""
        self.wanted = wanted
        self.path = place.take(wanted)
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.router_mandatory = 1
        self._router.maxmsgsize = MAX_CALL
        self._router.sndhwm = self._router.rcvhwm = _QUEUED
        self._router.linger = _LINGER
        self._waiter = SocketWaiter(self._router)
        try:
            self._bind()
        except (zmq.ZMQError, OSError) as error:
            self.close()
            raise SocketTaken(f"{wanted}: {error.strerror or error}") from error

    def _bind(self) -> None:
        """Bind where nobody else can look, and show the socket when its mode is right."""
        folder = tempfile.mkdtemp(prefix=place.PREFIX, dir=self.path.parent)
        hidden = os.path.join(folder, place.HIDDEN)
        try:
            self._router.bind(f"ipc://{hidden}")
            os.chmod(hidden, 0o600)
            os.rename(hidden, self.path)
        finally:
            os.rmdir(folder)

    def poll(self, take: Callable[[bytes, bytes], None], budget: int) -> bool:
        """Hand `take(client, frame)` at most `budget` frames; True if there may be more."""
        for _ in range(budget):
            try:
                client, *frames = self._router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            take(client, frames[0] if len(frames) == 1 else b"")
        return True

    def send(self, client: bytes, frame: bytes) -> bool:
        """Queue an answer; False if the client is gone or does not read."""
        try:
            self._router.send_multipart([client, frame], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno in _GONE:
                return False
            raise
        return True

    def waiter(self) -> Waiter:
        """Waits for frames."""
        return self._waiter

    def close(self) -> None:
        """Release and remove the socket."""
        self._waiter.close()
        self._router.close()
        self._context.term()
        place.leave(self.wanted)
