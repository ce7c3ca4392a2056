"""The other side of the control socket: what the command line, scripts and `Cluster` use. It blocks.

* Each call has its own connection, so one client serves any number of threads.
* A call ends with the node's answer, with NoNode as soon as nobody listens any more, or with CallTimeout.
* A call has at most `timeout` seconds, by default the client's; `put`, `get` and `wait` as long as they are given.
* A `get` that its caller gives up (an exception, Ctrl-C) is cancelled in the node.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket as sockets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from ...config import load
from ...runtime import arguments
from ...runtime.arguments import shortened
from . import socket_path
from .command import seconds
from .commands.connections import Connections
from .commands.files import Files
from .commands.tracker import Tracker
from .errors import CallTimeout, CommandFailed, ControlError, NoNode
from .protocol import (
    HEAD,
    MAX_ANSWER,
    MAX_WHOLE,
    MIN_WHOLE,
    Answer,
    Call,
    Kind,
    Plain,
    ProtocolError,
    decode_answer,
    encode_call,
    framed,
)
from .status import MemberRow, PeerRow, Status, unpack

_LONGEST = 7 * 86_400.0
"""Seconds beyond which a limit is none: a node has given up by then, and sockets count to 24 days."""
GRACE = 10.0
"""Seconds that the node has beyond a time-out it was told, to say so itself."""
_PIECE = 1024 * 1024  # bytes read at once


class Client:
    """One node's control socket."""

    def __init__(self, socket: str | os.PathLike[str], *, timeout: float = 10.0) -> None:
        """socket: the path in the node's configuration. timeout: seconds, ValueError unless above 0.

        Nothing is sent before the first command.
        """
        self.socket = Path(socket)
        self.timeout = arguments.seconds(timeout, "a call")
        self.blobs = Files(self)
        self.tracker = Tracker(self)
        self.connections = Connections(self)
        self._numbers = itertools.count(1)

    @classmethod
    def of(cls, node: str | os.PathLike[str], *, timeout: float = 10.0) -> Self:
        """The client of the node with this `node.yaml`, or in this folder. Raises ConfigError."""
        return cls(load(node).control.socket, timeout=timeout)

    def status(self) -> Status:
        """The node at this moment."""
        return _status(self.call("status"))

    def record(self) -> str:
        """The node's signed record, as `discovery.records` of others takes it."""
        return str(self.call("record"))

    def peers(self) -> tuple[PeerRow, ...]:
        """Every peer that is known for any reason, by id."""
        return unpack(PeerRow, cast("bytes", self.call("peers")))

    def members(self) -> tuple[MemberRow, ...]:
        """Every node that the membership knows, besides this one."""
        return tuple(MemberRow(**row) for row in _rows(self.call("members")))

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels. Raises CommandFailed of kind `NoSuchMetric`."""
        return cast("float", self.call("metric", {"name": name}))

    def wait(self, *, connected: int = 0, members: int = 0, timeout: float | None = None) -> Status:
        """Return when at least so many connections are open and so many nodes, this one too, alive.

        Raises CommandFailed of kind `NotReached` after `timeout` seconds.
        """
        timeout = seconds(timeout, "a wait")
        asked: dict[str, Plain] = {"connected": connected, "members": members, "timeout": timeout}
        return _status(self.call("wait", asked, timeout=None if timeout is None else timeout + GRACE))

    def stop(self) -> None:
        """Ask the node to stop, and return when nobody listens any more, or raise CallTimeout."""
        self.call("stop")
        deadline = time.monotonic() + self.timeout
        while socket_path.somebody_listens(socket_path.find(self.socket)):
            if time.monotonic() > deadline:
                raise CallTimeout(f"the node at {self.socket} still runs after {self.timeout:g} s")
            threading.Event().wait(0.02)

    def call(
        self,
        command: str,
        arguments: dict[str, Plain] | None = None,
        *,
        timeout: float | None = -1.0,
        progress: Callable[[Plain], object] | None = None,
    ) -> Plain:
        """Send a command and wait for its result. timeout: seconds; None for no limit, below 0 for the client's own.

        progress: called with what the node says meanwhile. Raises NoNode, CallTimeout, CommandFailed: of kind
        `BadArguments` for another timeout, and for arguments that are no mapping of names.
        """
        own = isinstance(timeout, (int, float)) and timeout < 0
        limit = self.timeout if own else seconds(timeout, "a call")
        if limit is not None and limit > _LONGEST:
            limit = None
        given = {} if arguments is None else arguments
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            raise CommandFailed("BadArguments", f"arguments are a mapping of names to values, not {shortened(given)}")
        for name, value in given.items():
            if isinstance(value, int) and not MIN_WHOLE <= value <= MAX_WHOLE:
                allowed = f"a whole number from {MIN_WHOLE} to {MAX_WHOLE}"
                message = f"{shortened(name)[1:-1]} must be {allowed}, not {shortened(value)}"
                raise CommandFailed("BadArguments", message)
        try:
            frame = encode_call(Call(next(self._numbers), command, given))
        except ProtocolError as error:
            raise CommandFailed("BadArguments", str(error)) from None
        line = _Line(self, limit)
        with line.connected():
            line.say(frame)
            while True:
                answer = line.hear()
                if answer.kind is Kind.RESULT:
                    return answer.body
                if answer.kind is Kind.ERROR:
                    said = cast("dict[str, Any]", answer.body)
                    raise CommandFailed(said["kind"], said["message"], said.get("details", {}))
                if progress is not None:
                    progress(answer.body)

    def close(self) -> None:
        """Release everything. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Line:
    """One connection to the control socket, for one call."""

    def __init__(self, client: Client, limit: float | None) -> None:
        """limit: seconds for all of it, None for no limit."""
        self._where = client.socket
        self._limit = limit
        self._deadline = None if limit is None else time.monotonic() + limit
        try:
            self._socket = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        except OSError as error:
            raise ControlError(f"no socket can be made to reach {self._where}: {error.strerror}") from error

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Connected for the block. Raises NoNode, or ControlError where the socket may not be used."""
        with self._socket:
            path = socket_path.find(self._where)
            while not self._try(path):  # its queue is full
                self._patience()
                threading.Event().wait(0.01)
            yield

    def _try(self, path: Path) -> bool:
        try:
            self._socket.settimeout(self._patience())
            self._socket.connect(os.fspath(path))
        except ValueError as error:  # no system has such a name
            raise ControlError(f"the control socket {shortened(str(self._where))} cannot be used: {error}") from error
        except (BlockingIOError, TimeoutError):
            return False
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise self._nobody() from None
        except OSError as error:
            if len(os.fsencode(path)) > socket_path.LONGEST:
                raise self._nobody() from None
            raise ControlError(f"the control socket {self._where} cannot be used: {error.strerror or error}") from error
        return True

    def say(self, frame: bytes) -> None:
        """Send a call. Who is refused at once is told by the answer."""
        try:
            self._socket.settimeout(self._patience())
            self._socket.sendall(framed(frame))
        except TimeoutError:
            raise self._late() from None
        except OSError:
            pass

    def hear(self) -> Answer:
        """The next answer."""
        (length,) = HEAD.unpack(self._exactly(HEAD.size))
        if length > MAX_ANSWER:
            raise ControlError(f"the node at {self._where} answered nonsense: a frame of {length} bytes")
        try:
            return decode_answer(self._exactly(length))
        except ProtocolError as error:
            raise ControlError(f"the node at {self._where} answered nonsense: {error}") from None

    def _exactly(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            try:
                self._socket.settimeout(self._patience())
                piece = self._socket.recv(min(size - len(data), _PIECE))
            except TimeoutError:
                raise self._late() from None
            except OSError:
                piece = b""
            if not piece:
                raise self._ended()
            data += piece
        return data

    def _patience(self) -> float | None:
        """Seconds that are left."""
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._late()
        return left

    def _late(self) -> CallTimeout:
        return CallTimeout(f"the node at {self._where} did not answer within {self._limit or 0:g} s")

    def _ended(self) -> ControlError:
        if socket_path.somebody_listens(socket_path.find(self._where)):
            return ControlError(f"the node at {self._where} closed the connection without an answer; see its log")
        return self._nobody()

    def _nobody(self) -> NoNode:
        return NoNode(f"no node listens at {self._where}; start it with `rookery run`")


def _rows(body: Plain) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", body)


def _status(body: Plain) -> Status:
    return Status(**cast("dict[str, Any]", body))
