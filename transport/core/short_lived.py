"""The places of short-lived connections, beside all others: who has one, whose turn it is, and whose time is over.

A node whose connections are as many as they may be still fetches and serves, by connections that last as long as a
fetch does. They are counted here and in no other limit, and take no other connection's place.

* All places but one may be inbound, and all but one may be outbound: who asks much of a node keeps it from no fetch.
* An inbound one that finds no place waits for it. What comes free goes round: first to who comes from an IP that has
  fewer places, then to who has waited longest. It has to ask again: after `PATIENCE` without it waits no more.
* A connection on which nothing has been said for `IDLE` seconds ends, unless an answer is to come over it, or what was
  said has not arrived. While another wants its place, one that was quiet for `QUIET` seconds does (an inbound one not
  while this node owes an answer), or that is `TURN` seconds old whatever it does; and at once one that this node has
  dialled, if it has asked for something there and got nothing. What it says to a peer that is silent is no use.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from ..address import counted_ip
from ..gatekeeper import Direction
from ..identity import PeerId
from ..reasons import Reason

PATIENCE = 5.0  # seconds; who waits asks every one or two
IDLE = 5.0  # seconds
QUIET = 1.5  # seconds; longer than most answers take
TURN = 10.0  # seconds
LOOK_EVERY = 0.5
"""Seconds between two looks at whether something was said on a connection."""
MAX_WAITING = 256
"""Peers that wait; of more the newest goes, of the IP of which most wait."""
ENDS = frozenset({Reason.IDLE, Reason.TURN_OVER})
"""Why a short-lived connection ends by itself."""


class _Waiting(Struct):
    ip: str
    asked_at: float


class ShortLivedPlaces:
    """The places of one node. Times are monotonic seconds."""

    def __init__(self, places: int) -> None:
        """places: how many there are; with less than two there are none."""
        self._places = places
        self._used: Counter[Direction] = Counter()
        self._of_ip: Counter[str] = Counter()
        self._waiting: dict[PeerId, _Waiting] = {}  # who has waited longest is first

    @property
    def used(self) -> int:
        """Places that are taken."""
        return self._used.total()

    @property
    def waiting(self) -> int:
        """Peers that wait, as of when one asked last."""
        return len(self._waiting)

    def free(self, direction: Direction) -> int:
        """Places for more of this direction."""
        return max(0, min(self._places - self.used, self._places - 1 - self._used[direction]))

    def frees(self, ended: Direction, wanted: Direction) -> bool:
        """Whether the end of a connection of the one direction makes a place for one of the other."""
        return ended is wanted or self._used[wanted] < self._places - 1

    def take_outbound(self) -> Reason | None:
        """Take a place for a dial, or say why not."""
        if not self.free(Direction.OUT):
            return Reason.LIMIT
        self._used[Direction.OUT] += 1
        return None

    def take_inbound(self, peer: PeerId, ip: str, now: float) -> Reason | None:
        """Take a place for this peer, or say why not; then it waits for one."""
        ip = counted_ip(ip)
        self._forget(now)
        if self.free(Direction.IN) <= self._ahead(peer, ip):
            self._wait(peer, ip, now)
            return Reason.QUEUED
        self._waiting.pop(peer, None)
        self._used[Direction.IN] += 1
        self._of_ip[ip] += 1
        return None

    def give_back(self, direction: Direction, ip: str) -> None:
        """What had a place is over."""
        self._used[direction] -= 1
        if direction is Direction.IN:
            ip = counted_ip(ip)
            self._of_ip[ip] -= 1
            if not self._of_ip[ip]:
                del self._of_ip[ip]

    def _ahead(self, peer: PeerId, ip: str) -> int:
        """How many that wait have their turn before this peer."""
        ahead, mine, has_come = 0, self._of_ip[ip], False
        for other, waiting in self._waiting.items():
            has_come = has_come or other == peer
            theirs = self._of_ip[waiting.ip]
            ahead += other != peer and (theirs < mine or (theirs == mine and not has_come))
        return ahead

    def _wait(self, peer: PeerId, ip: str, now: float) -> None:
        known = self._waiting.get(peer)
        if known is None and len(self._waiting) >= MAX_WAITING:
            by_ip = Counter(each.ip for each in self._waiting.values())
            crowd, most = by_ip.most_common(1)[0]
            if by_ip[ip] >= most:
                return
            del self._waiting[next(other for other in reversed(self._waiting) if self._waiting[other].ip == crowd)]
        if known is None:
            self._waiting[peer] = _Waiting(ip, now)
        else:
            known.ip, known.asked_at = ip, now

    def _forget(self, now: float) -> None:
        for peer in [peer for peer, each in self._waiting.items() if each.asked_at < now - PATIENCE]:
            del self._waiting[peer]


class Use(Struct):
    """What is said on one connection. said: messages of both directions, until `said_at`. Times are in seconds.

    used_at: when something was last said or to come. awaited: how many of its users wait for an answer, or owe one.
    in_vain, fruitful: some have got nothing by their answers, and some have. heard: the peer has said something.
    """

    opened_at: float
    said_at: float
    used_at: float
    said: int = 0
    awaited: int = 0
    in_vain: bool = False
    fruitful: bool = False
    heard: bool = False

    def awaits(self, delta: int, now: float, *, in_vain: bool | None = None) -> None:
        """So many more of its users wait for an answer, or owe one. in_vain: whether it got nothing by its own."""
        self.awaited = max(0, self.awaited + delta)
        self.in_vain |= in_vain is True
        self.fruitful |= in_vain is False
        self.used_at = now

    def look(self, said: int, now: float, *, on_its_way: bool = False) -> bool:
        """There were so many messages until now; whether its time is over, though nobody waits.

        on_its_way: some of what we said has not arrived, as far as is known.
        """
        if said != self.said:
            self.said, self.said_at, self.used_at = said, now, now
        elif self.awaited or on_its_way:
            self.used_at = now
        return now - self.used_at >= IDLE

    def is_useless(self, direction: Direction) -> bool:
        """Whether this node has dialled it and got nothing by it, so that there is no reason to dial it again."""
        return direction is Direction.OUT and not self.fruitful and (self.in_vain or not self.heard)

    def over_at(self, direction: Direction) -> float:
        """When its time is over for others that want its place."""
        if self.awaited and direction is Direction.IN:
            return self.opened_at + TURN
        if self.is_useless(direction):
            return self.opened_at + (0 if self.in_vain else QUIET)
        return min(self.opened_at + TURN, self.said_at + QUIET)
