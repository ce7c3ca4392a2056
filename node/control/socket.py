"""The control socket itself: a UNIX stream socket that only its owner can open. Used on the engine's thread.

libzmq has sockets of this kind too, but aborts the process where one cannot be accepted for want of a descriptor, and
strangers take descriptors. Here such a client is told so and closed, by a descriptor that is kept for that.

* A frame goes as its length, four bytes, big endian, and its bytes. One that is too long ends its connection.
* So is one more client than may be connected at once: `SPARE_CLIENTS` more than commands may be under way.
* An answer for a client that has as much as `MAX_ANSWER` bytes unread is dropped.
* Clients take turns, each with an equal share of what is handed up at a time. While a client has a whole frame here,
  nothing more of it is read: it has one call and `_PIECE` bytes here at most, and then waits in its own `send`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket as sockets
import tempfile
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path

from msgspec import Struct, field

from ...runtime import Waiter
from ...runtime.actor.waiter import poll_timeout
from ...runtime.log import Log
from . import socket_path
from .protocol import HEAD, MAX_ANSWER, MAX_CALL, Answer, Kind, encode_answer, framed
from .socket_path import SocketTaken

SPARE_CLIENTS = 64
_BACKLOG = 128
_PIECE = 256 * 1024  # bytes read at once
_LINGER = 0.2  # seconds for the last answers to leave
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


class _Client(Struct, eq=False):
    """read: bytes that are not handed up yet. unsent: what it has not taken yet."""

    name: bytes
    socket: sockets.socket
    read: bytearray = field(default_factory=bytearray)
    unsent: deque[memoryview] = field(default_factory=deque)
    queued: int = 0

    def has_frame(self) -> bool:
        """Whether a whole frame was read, or the length of one that is too long."""
        if len(self.read) < HEAD.size:
            return False
        length: int = HEAD.unpack_from(self.read)[0]
        return bool(length > MAX_CALL or len(self.read) >= HEAD.size + length)


class ControlSocket:
    """Frames from clients and answers to them; also the `Waiter` of who uses it."""

    def __init__(
        self, wanted: Path, *, max_calls: int = 256, left: Callable[[bytes], object] = lambda _client: None
    ) -> None:
        """wanted: the path; see `socket_path`. max_calls: under way at once. left: told once of a client that is gone.

        Raises SocketTaken.
        """
        self.wanted = wanted
        self._most = max_calls + SPARE_CLIENTS
        self._left = left
        self.path = socket_path.take(wanted)
        self._log = Log("control")
        self._names = count(1)
        self._clients: dict[int, _Client] = {}  # by descriptor number
        self._by_name: dict[bytes, _Client] = {}
        self._due: dict[_Client, None] = {}  # who has said something that is not handed up yet, in turn
        self._poller = select.poll()
        with contextlib.ExitStack() as opened:
            try:
                self._listener = opened.enter_context(sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM))
                opened.callback(socket_path.leave, wanted)
                self._bind()
                self._wake_read, self._wake_write = sockets.socketpair()
            except OSError as error:
                raise SocketTaken(f"{wanted}: {error.strerror or error}") from error
            opened.pop_all()
        self._spare: sockets.socket | None = sockets.socket(sockets.AF_UNIX)
        for end in (self._listener, self._wake_read):
            end.setblocking(False)
            self._poller.register(end, select.POLLIN)
        self._wake_write.setblocking(False)

    def _bind(self) -> None:
        """Bind where nobody else can look, and show the socket when its mode is right."""
        folder = tempfile.mkdtemp(prefix=socket_path.PREFIX, dir=self.path.parent)
        hidden = os.path.join(folder, socket_path.HIDDEN)
        try:
            self._listener.bind(hidden)
            os.chmod(hidden, 0o600)
            self._listener.listen(_BACKLOG)
            os.rename(hidden, self.path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(hidden)
            os.rmdir(folder)

    def poll(self, take: Callable[[bytes, bytes], None], budget: int) -> bool:
        """Hand `take(client, frame)` `budget` frames at most; True if there may be more: then poll again at once."""
        left, more = budget, False
        for number, events in self._poller.poll(0):
            client = self._clients.get(number)
            if client is not None:
                if events & select.POLLOUT:
                    self._flush(client)
                if events & ~select.POLLOUT and client.name in self._by_name:
                    self._due.setdefault(client)
            elif number == self._listener.fileno():
                more = self._accept() or more
        share = max(1, budget // max(1, len(self._due)))
        while left > 0 and self._due:
            client = next(iter(self._due))
            del self._due[client]
            left -= self._read(client, take, min(share, left))
        return more or left < budget

    def send(self, client: bytes, frame: bytes) -> bool:
        """Queue an answer; False if the client is gone or does not read."""
        to = self._by_name.get(client)
        if to is None or to.queued > MAX_ANSWER:
            return False
        to.unsent.append(memoryview(framed(frame)))
        to.queued += len(to.unsent[-1])
        self._flush(to)
        return client in self._by_name

    def waiter(self) -> Waiter:
        """Waits for clients and their frames."""
        return self

    def wait(self, timeout: float | None) -> None:
        """See `Waiter`. Returns at once while something that was read is not handed up."""
        if self._due:
            timeout = 0.0
        for number, _ in self._poller.poll(poll_timeout(timeout)):
            if number == self._wake_read.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._wake_read.recv(4096)

    def wake(self) -> None:
        """See `Waiter`. A full pipe wakes as well."""
        with contextlib.suppress(OSError):
            self._wake_write.send(b"\0")

    def close(self) -> None:
        """Release and remove the socket. What was answered last has `_LINGER` to leave."""
        for end in (self._listener, self._spare):
            if end is not None:
                end.close()
        until = time.monotonic() + _LINGER
        for client in list(self._clients.values()):
            with contextlib.suppress(OSError):
                for piece in client.unsent:
                    client.socket.settimeout(max(0.001, until - time.monotonic()))
                    client.socket.sendall(piece)
            self._drop(client)
        self._wake_read.close()
        self._wake_write.close()
        try:
            socket_path.leave(self.wanted)
        except (SocketTaken, OSError) as error:
            self._log.warning("the control socket cannot be removed", socket=str(self.wanted), why=str(error))

    # Clients ---------------------------------------------------------------------------------------------------------

    def _accept(self) -> bool:
        """Take one client, or tell it why not; whether there may be more."""
        try:
            if self._spare is None:
                self._spare = sockets.socket(sockets.AF_UNIX)
            connection, _ = self._listener.accept()
        except OSError as error:
            return error.errno in _NO_DESCRIPTOR and self._turn_away()
        if len(self._clients) >= self._most:
            _refuse(connection, f"{self._most} clients are connected, which is the limit")
            self._log.warning("a client of the control socket was refused", why="too many clients")
            return True
        connection.setblocking(False)
        client = _Client(next(self._names).to_bytes(8, "big"), connection)
        self._clients[connection.fileno()] = self._by_name[client.name] = client
        self._poller.register(connection, select.POLLIN)
        return True

    def _turn_away(self) -> bool:
        """Accept by the descriptor that is kept for it, only to close; else it would be announced for ever."""
        if self._spare is not None:
            self._spare.close()
            self._spare = None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return False  # somebody else has taken the descriptor: look again at the next poll
        _refuse(connection, "the node has no file descriptor left")
        with contextlib.suppress(OSError):
            self._spare = sockets.socket(sockets.AF_UNIX)
        self._log.warning("a client of the control socket was refused", why="no file descriptor left")
        return True

    def _read(self, client: _Client, take: Callable[[bytes, bytes], None], limit: int) -> int:
        """Hand up at most `limit` frames of a client; how many, and 1 where none is whole: reading is work as well."""
        if not client.has_frame():
            self._receive(client)
        frames = 0
        while frames < limit and client.has_frame() and client.name in self._by_name:
            (length,) = HEAD.unpack_from(client.read)
            if length > MAX_CALL:
                self._log.warning("a call on the control socket is too long", length=length, allowed=MAX_CALL)
                self._drop(client)
                break
            end = HEAD.size + length
            frame = bytes(client.read[HEAD.size : end])
            del client.read[:end]
            frames += 1
            take(client.name, frame)
        if client.has_frame() and client.name in self._by_name:
            self._due[client] = None  # behind the others
        return max(1, frames)

    def _receive(self, client: _Client) -> None:
        """Read a piece of what a client has said."""
        try:
            data = client.socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            client.read += data
        else:
            self._drop(client)

    def _flush(self, client: _Client) -> None:
        """Send what the client takes now, and wait for it to take the rest."""
        waiting = bool(client.unsent)
        try:
            while client.unsent:
                sent = client.socket.send(client.unsent[0])
                client.queued -= sent
                rest = client.unsent[0][sent:]
                if rest:
                    client.unsent[0] = rest
                else:
                    client.unsent.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        if waiting:
            self._poller.modify(client.socket, select.POLLIN | (select.POLLOUT if client.unsent else 0))

    def _drop(self, client: _Client) -> None:
        if self._by_name.pop(client.name, None) is not None:
            self._due.pop(client, None)
            del self._clients[client.socket.fileno()]
            self._poller.unregister(client.socket)
            client.socket.close()
            self._left(client.name)


def _refuse(connection: sockets.socket, why: str) -> None:
    with connection, contextlib.suppress(OSError):
        connection.setblocking(False)
        connection.send(
            framed(encode_answer(Answer(0, Kind.ERROR, {"kind": "Refused", "message": why, "details": {}})))
        )
