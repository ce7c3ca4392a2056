"""The other side of the control socket: what the command line, scripts and `Cluster` use. It blocks.

* Each call has its own connection, so one client serves any number of threads.
* A call ends with the node's answer, with NoNode as soon as nobody listens any more, or with CallTimeout.
* A call has at most `timeout` seconds, by default the client's; `put`, `get` and `wait` as long as they are given.
* A `get` that its caller gives up (an exception, Ctrl-C) is cancelled in the node.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import zmq

from ...config import load
from ..status import MemberRow, PeerRow, Status
from . import place
from .errors import CallTimeout, CommandFailed, ControlError, NoNode
from .packed import unpack
from .protocol import MAX_ANSWER, Answer, Call, Kind, Plain, ProtocolError, decode_answer, encode_call
from .remote.connections import Connections
from .remote.files import Files
from .remote.tracker import Tracker

LOOK_EVERY = 0.25
"""Seconds between two looks whether somebody still listens."""
LAST_ANSWER = 0.2
"""Seconds that an answer of a node that is gone may need through our own socket's thread."""
NEVER = 2**31 - 1
"""Milliseconds until libzmq connects again. With -1 it would drop what it has not handed up when the node closes."""
GRACE = 10.0
"""Seconds that the node has beyond a time-out it was told, to say so itself."""


class Client:
    """One node's control socket."""

    def __init__(self, socket: str | os.PathLike[str], *, timeout: float = 10.0) -> None:
        """socket: the path in the node's configuration. timeout: seconds. Nothing is sent before the first command."""
        self.socket = Path(socket)
        self.timeout = timeout
        self.blobs = Files(self)
        self.tracker = Tracker(self)
        self.connections = Connections(self)
        self._numbers = itertools.count(1)
        self._context = zmq.Context()

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
        """The sum of a metric over its labels; 0 if there is none of this name."""
        return sum(float(row["value"]) for row in _rows(self.call("metrics")) if row["name"] == name)

    def wait(self, *, connected: int = 0, members: int = 0, within: float | None = None) -> Status:
        """Return when at least so many connections are open and so many nodes, this one too, alive.

        Raises CommandFailed of kind `NotReached` after `within` seconds.
        """
        arguments: dict[str, Plain] = {"connected": connected, "members": members, "within": within}
        return _status(self.call("wait", arguments, timeout=None if within is None else within + GRACE))

    def stop(self) -> None:
        """Ask the node to stop, and return when nobody listens any more, or raise CallTimeout."""
        self.call("stop")
        deadline = time.monotonic() + self.timeout
        while place.somebody_listens(place.find(self.socket)):
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

        progress: called with what the node says meanwhile. Raises NoNode, CallTimeout, CommandFailed.
        """
        limit = self.timeout if timeout is not None and timeout < 0 else timeout
        deadline = None if limit is None else time.monotonic() + limit
        path = place.find(self.socket)
        number = next(self._numbers)
        with self._context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.reconnect_ivl = NEVER
            socket.maxmsgsize = MAX_ANSWER
            self._look(path)
            socket.connect(f"ipc://{path}")
            socket.send(encode_call(Call(number, command, arguments or {})))
            while True:
                answer = self._next(socket, path, deadline, limit)
                if answer.kind is Kind.RESULT:
                    return answer.body
                if answer.kind is Kind.ERROR:
                    error = cast("dict[str, Any]", answer.body)
                    raise CommandFailed(error["kind"], error["message"], error.get("details", {}))
                if progress is not None:
                    progress(answer.body)

    def _next(self, socket: zmq.Socket[bytes], path: Path, deadline: float | None, limit: float | None) -> Answer:
        """The next answer; meanwhile a look now and then whether the node is still there."""
        while True:
            left = LOOK_EVERY if deadline is None else min(LOOK_EVERY, deadline - time.monotonic())
            if left <= 0:
                raise CallTimeout(f"the node at {self.socket} did not answer within {limit:g} s")
            # whoever is gone may have answered before: so look first, and then once more for an answer
            listens = place.somebody_listens(path)
            if socket.poll(int((left if listens else min(left, LAST_ANSWER)) * 1000) + 1):
                try:
                    return decode_answer(socket.recv())
                except ProtocolError as error:
                    raise ControlError(f"the node at {self.socket} answered nonsense: {error}") from None
            if not listens:
                raise self._nobody()

    def _look(self, path: Path) -> None:
        if not place.somebody_listens(path):
            raise self._nobody()

    def _nobody(self) -> NoNode:
        return NoNode(f"no node listens at {self.socket}; start it with `rookery run`")

    def close(self) -> None:
        """Release everything. May be called twice."""
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rows(body: Plain) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", body)


def _status(body: Plain) -> Status:
    return Status(**cast("dict[str, Any]", body))
