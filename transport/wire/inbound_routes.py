"""Inbound routes of a ROUTER: whose they are, by their own sockets, and which of them have ended.

* A routing id is a claim. Who an inbound route belongs to comes from the `User-Id` that our own ZAP answer set, read
  from the first message; the descriptor is duplicated then, so that the route can be shut. A duplicate is the same
  socket for as long as we hold it, whatever becomes of the number.
* A first message may be read when its socket is gone and its number another's. A second message proves that the
  duplicate was taken while the socket lived. Before that, a number that was announced as ended lately is not trusted:
  such a route is ignored, not shut.
* An inbound route's end is announced by a descriptor number only, which another socket may have by then. So the number
  is a hint: a route is down when its own duplicate is hung up, or when libzmq has no route of its name any more.
"""

from __future__ import annotations

import socket as sockets
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

from . import Route
from .descriptors import Mark, hung_up, received, shut
from .unfinished_messages import Intake

_REMEMBERED = 8192
_TRUST_NUMBER_AFTER = 2.0  # seconds
_LOOKS = 10  # at a suspect, until it is none: the event was of an earlier socket with that number


@dataclass(slots=True)
class InboundRoute:
    """Somebody's connect. number: of its descriptor, a hint. duplicate: our own descriptor of the same socket."""

    route: Route
    number: int
    duplicate: sockets.socket
    mark: Mark
    proven: bool = False
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        self.intake = Intake(self.route, lambda: nullcontext(self.duplicate), lambda: received(self.duplicate))


class InboundRoutes:
    """Those of one wire. by_route: that live. suspects: announced as ended, and how often looked at since."""

    def __init__(self) -> None:
        """None yet."""
        self.by_route: dict[Route, InboundRoute] = {}
        self.suspects: dict[Route, int] = {}
        self._by_number: dict[int, InboundRoute] = {}
        self._over: OrderedDict[Route, None] = OrderedDict()  # routes of which libzmq may still have data
        self._freed: OrderedDict[int, float] = OrderedDict()  # descriptor numbers announced as ended, and when

    def has_seen(self, route: Route) -> bool:
        """Whether there is such a route, or was one lately."""
        return route in self.by_route or route in self._over

    def marks(self) -> set[Mark]:
        """The sockets of those that live."""
        return {inbound.mark for inbound in self.by_route.values()}

    def begin(self, inbound: InboundRoute) -> None:
        """A first message came."""
        self.by_route[inbound.route] = self._by_number[inbound.number] = inbound
        if hung_up(inbound.duplicate):
            self.suspects[inbound.route] = 0

    def announced_ended(self, number: int, now: float) -> bool:
        """The connection with this number has ended; whether a route has it, which then is a suspect."""
        _remember(self._freed, number, now)
        inbound = self._by_number.get(number)
        if inbound is None:
            return False
        self.suspects[inbound.route] = 0
        return True

    def suspected(self) -> list[InboundRoute]:
        """Those that may have ended."""
        return [self.by_route[route] for route in self.suspects]

    def looked_at(self, suspect: InboundRoute) -> None:
        """It has not ended by now; it is cleared after some looks."""
        looks = self.suspects[suspect.route] + 1
        if looks > _LOOKS:
            del self.suspects[suspect.route]
        else:
            self.suspects[suspect.route] = looks

    def end(self, inbound: InboundRoute, now: float) -> bool:
        """Take it out, and end its socket where that is surely its own; whether it was."""
        del self.by_route[inbound.route]
        self.suspects.pop(inbound.route, None)
        if self._by_number.get(inbound.number) is inbound:
            del self._by_number[inbound.number]
        _remember(self._over, inbound.route, None)
        freed_at = self._freed.get(inbound.number)
        if inbound.proven or freed_at is None or now - freed_at > _TRUST_NUMBER_AFTER:
            shut(inbound.duplicate)
            return True
        inbound.duplicate.close()
        return False

    def close(self) -> None:
        """End every socket, for a forked process as well."""
        for inbound in self.by_route.values():
            shut(inbound.duplicate)


K = TypeVar("K")
V = TypeVar("V")


def _remember(entries: OrderedDict[K, V], key: K, value: V) -> None:
    """Keep the newest `_REMEMBERED` entries: of ended routes, and of their numbers."""
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > _REMEMBERED:
        entries.popitem(last=False)
