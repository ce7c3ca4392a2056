"""Routes by which a message comes that never ends: libzmq keeps its frames until the last, however many there are.

It bounds a frame, and the whole messages that wait. So what a route has sent is compared with what was read from it,
where the system tells (Linux does):

* What came since a whole message was read last is part of one message, or of several that wait to be read. So a route
  with more than the largest message has is a *suspect*, and is severed if it gives none until the socket was read
  empty, or, as libzmq reads its routes in turn, until each could have given some.
* Bytes that wait in the system do not count: libzmq takes no more of a slow reader's peer while enough messages wait.
* What came is counted anew with each message, so that nothing adds up over the life of a route. It is not the moment of
  the message that counts but the next look: a liar gains what comes in between.
* `AT_ONCE` routes are looked at every `LOOK_EVERY` seconds, in turn. Most are quiet, and a look at one of them is no
  more than one question to the system: nothing has come since the last look, when all was well.
"""

from __future__ import annotations

import math
import socket as sockets
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import islice

from msgspec import Struct

from . import Route
from .descriptors import COUNTS_RECEIVED, received, unread

LOOK_EVERY = 0.1
"""Seconds; a line of 1 Gbit/s carries 12 MB meanwhile."""

AT_ONCE = 128
"""Routes; to look at one takes 1 us, and 10 us if something has come."""

_PER_FRAME = 48  # bytes of encryption and framing, and 42 at most
_SLACK = 64 * 1024  # what libzmq reads at once, of which the last message may not have been handed over: 8 KiB

Socket = Callable[[], AbstractContextManager[sockets.socket]]


class Intake(Struct, eq=False):
    """What comes by a route. heard: a whole message was read since the last look; its reader sets that.

    socket: the route's for as long as the context lasts, or OSError. before: bytes that count no more. since: messages
    read of all routes when it became a suspect. max_bytes: of one message, where that is less than by other routes.
    count: what `received` says, perhaps of another socket, or OSError. well_at: that count when it was no suspect, and
    will be none while the count stays; None if that cannot be said.
    """

    route: Route
    socket: Socket
    count: Callable[[], int]
    heard: bool = True
    before: int = 0
    since: int = 0
    max_bytes: int | None = None
    well_at: int | None = None


class UnfinishedMessages:
    """Watches the routes of one wire. Times are monotonic seconds.

    suspects: by route. While there are any, the socket should soon be read empty.
    """

    def __init__(self, *, max_bytes: int, max_frames: int) -> None:
        """max_bytes, max_frames: of one message."""
        self._max_bytes = max_bytes
        self._beside = max_frames * _PER_FRAME + _SLACK
        self._watched: OrderedDict[Route, Intake] = OrderedDict()  # the one looked at last at the end
        self.suspects: dict[Route, Intake] = {}
        self._look_at = -math.inf

    def most(self, max_bytes: int | None = None) -> int:
        """Bytes of which a route may have given no message. max_bytes: as in `Intake`."""
        return (self._max_bytes if max_bytes is None else min(max_bytes, self._max_bytes)) + self._beside

    def watch(self, intake: Intake) -> None:
        """Watch a route from now on, where the system says what came."""
        if COUNTS_RECEIVED:
            self._watched[intake.route] = intake

    def forget(self, route: Route) -> None:
        """It is over, if it was watched."""
        self._watched.pop(route, None)
        self.suspects.pop(route, None)

    def next_look(self, now: float) -> float | None:
        """Seconds until `look` has something to do; None if there is nothing to wait for."""
        return max(0.0, self._look_at - now) if self._watched else None

    def look(self, now: float, messages: int) -> None:
        """Look at the next routes, if it is time. messages: read of all routes by now."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        for intake in self._next():
            if intake.route not in self.suspects and self._is_over(intake):
                intake.since = messages
                self.suspects[intake.route] = intake

    def endless(self, messages: int | None) -> list[Route]:
        """Suspects that gave no message though they could have; they are forgotten, and watched no more.

        messages: read of all routes, less the number of routes that take turns; None if the socket was read empty.
        """
        endless: list[Route] = []
        for route, intake in list(self.suspects.items()):
            if intake.heard:
                del self.suspects[route]
            elif messages is None or messages > intake.since:
                endless.append(route)
                self.forget(route)
        return endless

    def _next(self) -> list[Intake]:
        if len(self._watched) <= AT_ONCE:
            return list(self._watched.values())
        intakes = list(islice(self._watched.values(), AT_ONCE))
        for intake in intakes:
            self._watched.move_to_end(intake.route)
        return intakes

    def _is_over(self, intake: Intake) -> bool:
        """Each count is taken so that what comes between two of them is to the route's good."""
        try:
            if intake.well_at is not None and not intake.heard and intake.count() == intake.well_at:
                return False
            intake.well_at = None
            with intake.socket() as socket:
                if not intake.heard:
                    count, most = received(socket), self.most(intake.max_bytes)
                    came = count - intake.before
                    if came > most:
                        return came - unread(socket) > most
                    intake.well_at = count
                    return False
                waits, count = unread(socket), received(socket)
                intake.heard, intake.before = False, count - waits
                intake.well_at = None if waits else count
        except OSError:
            pass  # it has ended
        return False
