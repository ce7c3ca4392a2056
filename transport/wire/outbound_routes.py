"""Outbound routes: our own connects, by route and by endpoint, as events name only that.

* An endpoint belongs to at most one of them at a time. A connect that was given up is announced as ended later, which
  would end its successor: until then, or for `_LEAVES_TIMEOUT`, the endpoint stays taken.
* libzmq owns the socket, and a duplicate of each would cost a descriptor. Its number is a hint, and the socket's mark
  says whether it is still that one's.
"""

from __future__ import annotations

import contextlib
import errno
import socket as sockets
from collections.abc import Iterator
from dataclasses import dataclass, field

import zmq

from ..reasons import Reason
from . import Route
from .descriptors import Mark, held, received_by
from .unfinished_messages import Intake
from .zmq_sockets import FAILED_HANDSHAKES

_LEAVES_TIMEOUT = 1.0  # seconds until the end of a connect that was given up is announced at the latest


@dataclass(slots=True)
class OutboundRoute:
    """One of our connects. up: encrypted, and the far end has the right key. over: to be handed up as down.

    severed: to be disconnected, and not handed up, once what is discarded is read.
    """

    route: Route
    endpoint: str
    connected: bool = False
    up: bool = False
    over: bool = False
    severed: bool = False
    intake: Intake = field(init=False)
    _number: int = -1
    _mark: Mark | None = None

    def __post_init__(self) -> None:
        self.intake = Intake(self.route, self._socket, lambda: received_by(self._number))

    def has_socket(self, number: int) -> bool:
        """Its socket had this number when that was announced; whether it still has."""
        try:
            with held(number) as socket:
                self._number, self._mark = number, Mark.of(socket)
        except OSError:
            return False
        return True

    def ends_by(self, event: int, value: int) -> Reason | None:
        """Why it ends by this event of its socket; None if it does not. value: of a failed handshake the error."""
        if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL and value not in (0, errno.EPIPE):
            return Reason.UNREACHABLE  # reset: who has another key reads before it hangs up
        if event in FAILED_HANDSHAKES:
            return Reason.AUTHENTICATION
        if event in (zmq.EVENT_CLOSED, zmq.EVENT_DISCONNECTED):
            return Reason.LOST if self.up else Reason.UNREACHABLE
        return None

    @contextlib.contextmanager
    def _socket(self) -> Iterator[sockets.socket]:
        with held(self._number) as socket:
            if Mark.of(socket) != self._mark:
                raise OSError(errno.EBADF, "this descriptor belongs to another socket")
            yield socket


class OutboundRoutes:
    """Those of one wire. Times are monotonic seconds."""

    def __init__(self) -> None:
        """None yet."""
        self.by_route: dict[Route, OutboundRoute] = {}
        self._by_endpoint: dict[str, OutboundRoute] = {}
        self._leaving: dict[str, float] = {}  # endpoints of connects that were given up, and until when

    def to(self, endpoint: str) -> OutboundRoute | None:
        """The one to an endpoint."""
        return self._by_endpoint.get(endpoint)

    def is_taken(self, endpoint: str, now: float) -> bool:
        """Whether a connect has this endpoint, or one that was given up is not announced as ended yet."""
        if endpoint in self._by_endpoint or self._leaving.get(endpoint, 0.0) > now:
            return True
        self._leaving.pop(endpoint, None)
        return False

    def begin(self, outbound: OutboundRoute) -> None:
        """It connects."""
        self.by_route[outbound.route] = self._by_endpoint[outbound.endpoint] = outbound

    def end(self, outbound: OutboundRoute, now: float) -> None:
        """It is disconnected."""
        del self.by_route[outbound.route], self._by_endpoint[outbound.endpoint]
        if not (outbound.connected or outbound.over):
            self._leaving[outbound.endpoint] = now + _LEAVES_TIMEOUT

    def announced_ended(self, endpoint: str) -> None:
        """Whatever connected there before has ended."""
        self._leaving.pop(endpoint, None)
