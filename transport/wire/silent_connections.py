"""Inbound connections that have not said anything yet: each is ended when its time is over, or when there are too many.

libzmq gives a connection no route before its first message, so all there is to hold it by is a descriptor number, which
another socket may have by then. So a number is a hint:

* A connection is known by its *mark*: the socket's inode and the addresses of both its ends, as found when libzmq
  announced it. What has another mark by the time it is to be shut is somebody else's and left alone.
* What is gone or does not end at our listening port when it is announced is never shut: the number is another's now.
* Whoever speaks has a route, and its own handshake timers; who the speakers are is asked when something is to be ended.
* When there are too many, the oldest silent ones go: who means well speaks as soon as it is encrypted.
* libzmq bounds a frame, and holds what there is of a message until it is complete. So what a silent one has sent is
  looked at every `LOOK_EVERY` seconds, where the system says it (Linux does): with more than `MAX_FIRST_BYTES` it goes.
"""

from __future__ import annotations

import math
import socket as sockets
from collections.abc import Callable

from msgspec import Struct

from ..address import counted_ip
from ..reasons import Reason
from .descriptors import COUNTS_RECEIVED, Mark, held, received
from .zmq_sockets import canonical

MAX_FIRST_BYTES = 64 * 1024
"""That may come before a connection's first message is complete: the handshake and a `Hello` are below 20 KiB."""

LOOK_EVERY = 0.05
"""Seconds; a line of 1 Gbit/s carries 6 MB meanwhile."""


class _Silent(Struct, frozen=True):
    mark: Mark | None  # None: gone when it was announced, and not ours to shut
    until: float

    @property
    def ip(self) -> str | None:
        return None if self.mark is None else self.mark.there[0]


class Ended(Struct, frozen=True):
    """A connection that ended silent. ip: of its far end, if known. left: silent ones of that IP."""

    ip: str | None
    reason: Reason
    left: int


class SilentConnections:
    """Watches the inbound connections of one listening port. Times are monotonic seconds."""

    def __init__(self, *, timeout: float, limit: int) -> None:
        """timeout: seconds until the first message. limit: connections that may be silent at once."""
        self._port = 0  # nothing is watched before there is one
        self._timeout, self._limit = timeout, limit
        self.connections: dict[int, _Silent] = {}  # by descriptor number, longest silent first
        self._look_at = -math.inf if COUNTS_RECEIVED else math.inf  # when to see next what they have sent

    def __len__(self) -> int:
        """Connections watched."""
        return len(self.connections)

    def watch(self, port: int) -> None:
        """Watch what ends at this listening port from now on."""
        self._port = port

    def accepted(self, number: int, now: float) -> None:
        """A connection was announced under this number."""
        self.connections.pop(number, None)
        mark = _mark(number)
        ours = mark is not None and mark.here[1] == self._port
        self.connections[number] = _Silent(mark if ours else None, now + self._timeout)

    def ended(self, number: int, speakers: Callable[[], set[Mark]]) -> Ended | None:
        """The connection with this number has ended; None if it was not announced, `spoke` or was shut by us."""
        silent = self.connections.pop(number, None)
        return None if silent is None else self._over(silent.ip, Reason.LOST, speakers())

    def refuse(self, number: int, speakers: Callable[[], set[Mark]]) -> Ended | None:
        """Shut a connection that was announced, as there is no room for it; None if there is nothing to shut."""
        silent = self.connections.pop(number, None)
        if silent is None or silent.mark is None:
            return None
        reason = Reason.TOO_MANY if _shut(number, silent.mark) else Reason.LOST
        return self._over(silent.ip, reason, speakers())

    def turned_away(self, ip: str, speakers: Callable[[], set[Mark]]) -> Ended:
        """What to say of a connection from this IP that was closed before libzmq had it."""
        return self._over(ip, Reason.TOO_MANY, speakers())

    def spoke(self, number: int, mark: Mark) -> None:
        """This connection has spoken, and is over."""
        silent = self.connections.get(number)
        if silent is not None and silent.mark == mark:
            del self.connections[number]

    def next_check(self, now: float) -> float | None:
        """Seconds until `end` has something to do; None if there is nothing to wait for."""
        first = next(iter(self.connections.values()), None)
        return None if first is None else max(0.0, min(first.until, self._look_at) - now)

    def end(self, speakers: Callable[[], set[Mark]], now: float) -> list[Ended]:
        """Shut what was silent for too long, or has sent too much, and the oldest of too many; LOST if already over."""
        ended = self._end_talkative(speakers, now)
        first = next(iter(self.connections.values()), None)
        if first is None or (first.until > now and len(self.connections) <= self._limit):
            return ended
        spoken = speakers()
        excess = sum(silent.mark is not None and silent.mark not in spoken for silent in self.connections.values())
        excess -= self._limit
        for number, silent in list(self.connections.items()):
            late = silent.until <= now
            if silent.mark is None or silent.mark in spoken:
                if late:
                    del self.connections[number]
            elif late or excess > 0:
                del self.connections[number]
                excess -= 1
                reason = Reason.TIMEOUT if late else Reason.PENDING
                ended.append(self._over(silent.ip, reason if _shut(number, silent.mark) else Reason.LOST, spoken))
        return ended

    def end_all(self, ip: str, speakers: Callable[[], set[Mark]]) -> list[Ended]:
        """Shut all silent ones of an IP, as text that `canonical` gave; of IPv6 those of its /64."""
        spoken, host = speakers(), counted_ip(ip)
        ended: list[Ended] = []
        for number, silent in list(self.connections.items()):
            mark = silent.mark
            if mark is not None and mark not in spoken and counted_ip(canonical(mark.there[0])) == host:
                del self.connections[number]
                ended.append(self._over(silent.ip, Reason.RATE if _shut(number, mark) else Reason.LOST, spoken))
        return ended

    def _end_talkative(self, speakers: Callable[[], set[Mark]], now: float) -> list[Ended]:
        if now < self._look_at or not self.connections:
            return []
        self._look_at = now + LOOK_EVERY
        watched = self.connections.items()
        talkative = [(number, silent) for number, silent in watched if _received(number) > MAX_FIRST_BYTES]
        spoken = speakers() if talkative else set()
        ended: list[Ended] = []
        for number, silent in talkative:
            del self.connections[number]
            if silent.mark is not None and silent.mark not in spoken:
                reason = Reason.FLOODING if _shut(number, silent.mark) else Reason.LOST
                ended.append(self._over(silent.ip, reason, spoken))
        return ended

    def _over(self, ip: str | None, reason: Reason, spoken: set[Mark]) -> Ended:
        left = sum(other.ip == ip and other.mark not in spoken for other in self.connections.values())
        return Ended(ip, reason, left)


def _mark(number: int) -> Mark | None:
    try:
        with held(number) as socket:
            return Mark.of(socket)
    except OSError:
        return None


def _received(number: int) -> int:
    """Bytes that came for the socket that has this number now, if it is one."""
    try:
        with held(number) as socket:
            return received(socket)
    except OSError:
        return 0


def _shut(number: int, mark: Mark) -> bool:
    """End the socket if the number is still its; a duplicate stays the same socket whatever becomes of the number."""
    try:
        with held(number) as socket:
            if Mark.of(socket) != mark:
                return False
            socket.shutdown(sockets.SHUT_RDWR)
            return True
    except OSError:
        return False
