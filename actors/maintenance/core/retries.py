"""When something is tried again: dialling peers we lost, and peers of the set, making room, and asking for others.

Peers whose link broke (`LostPeers`):

* One at a time, in turn: first after half the idle time, which by default is as long as the tracker lets a lost peer
  rest (design: waits), then once per idle time. Who is short of connections has dialled it before that.
* One whose link broke within the looking interval was never really there, and does not rest: it is the next, after the
  looking interval. If that recurs, whosever link it is, after twice as long, and so on up to half the idle time.
* Remembered are the last `MAX_LOST_PEERS`, each for `LOST_PEER_TRIES` attempts, or until there is a connection.

Peers of the latest set, though there are enough connections with others (`SetPeers`):

* At once, then after the looking interval, after twice as long, and so on up to the idle time: `SET_PEER_TRIES` times.
  A key that needs somebody of the set asks for him anyway.
* From the beginning once the set has somebody new, or when enough peers of the set were connected for the idle time:
  not sooner, so that a peer that lets many in and gives them up again is not called on without an end.

Closing a connection with another for one of the set (`Room`):

* Room at the maximum is made at once, as long as those for whom it is made stay. Once one did not (the dial failed, or
  the link lived less than the idle time), one is closed per looking interval, then per twice as long, and so on up to
  the idle time: members that let us in and sever would else empty a node of its other connections. Several that fail
  within the looking interval count as one. At once again when somebody for whom room was made stayed the idle time.

Asking connected peers for others, and waking discovery (`SearchTimes`):

* At once, then after the looking interval, then after twice as long, and so on up to the idle time, until somebody is
  offered. If no peer was there to be asked, the next one is asked as soon as it is. Discovery is woken at most once per
  looking interval.
"""

from __future__ import annotations

import math

from ....transport.identity import PeerId
from .actions import Pacing, Search

MAX_LOST_PEERS = 16
LOST_PEER_TRIES = 12
SET_PEER_TRIES = 8
MAX_ROOMS = 64  # peers for whom room was made that are remembered, until they stayed or went


class LostPeers:
    """Peers, the next to be tried first."""

    def __init__(self, pacing: Pacing) -> None:
        self._idle, self._looking = pacing.idle, pacing.looking
        self._gap, self._brief_at = 0.0, float("-inf")  # the wait after the last brief link, and when it broke
        self._tries: dict[PeerId, int] = {}
        self.next_at: float | None = None
        """When `due` has somebody; None for never."""

    def lost(self, peer: PeerId, now: float, *, lived: float = float("inf")) -> None:
        """The link to this peer broke. lived: seconds."""
        self._tries.pop(peer, None)
        self._tries[peer] = 0
        if len(self._tries) > MAX_LOST_PEERS:
            del self._tries[next(iter(self._tries))]
        wait = self._idle / 2
        if lived < self._looking:
            recurs = now - self._brief_at < self._idle
            self._gap = min(2 * self._gap, wait) if recurs else min(self._looking, wait)
            self._brief_at, wait = now, self._gap
            self._tries = {peer: 0} | self._tries
            if self.next_at is not None:
                self.next_at = min(self.next_at, now + wait)
        if self.next_at is None:
            self.next_at = now + wait

    def forget(self, peer: PeerId) -> None:
        """There is a connection to this peer: it is not tried any more."""
        self._tries.pop(peer, None)
        if not self._tries:
            self.next_at = None

    def due(self, now: float) -> PeerId | None:
        """Whom to try now, if it is time."""
        if self.next_at is None or now < self.next_at:
            return None
        peer = next(iter(self._tries))
        tries = self._tries.pop(peer) + 1
        if tries < LOST_PEER_TRIES:
            self._tries[peer] = tries
        self.next_at = now + self._idle if self._tries else None
        return peer


class SetPeers:
    """Whom the latest set lists, and when they are sought again. Times are monotonic seconds."""

    def __init__(self, pacing: Pacing) -> None:
        """There is no set yet; the first may be sought at once."""
        self.peers: frozenset[PeerId] = frozenset()
        """The peers of the set."""
        self.others = 0
        """Connections with nobody of the set, while there is one."""
        self.absent = 0
        """Peers of the set that are not connected."""
        self._pacing = pacing
        self._enough_since: float | None = None
        self._gap = pacing.looking
        self._tries = 0
        self.next_at = -math.inf
        """From when they may be sought again; infinity for not before something changes."""

    def set_changed(self, peers: frozenset[PeerId]) -> None:
        """The tracker has another latest set: with somebody new in it, begin from the start."""
        if not peers <= self.peers:
            self.start_over()
        self.peers = peers

    def is_due(self, now: float) -> bool:
        """Whether it is time, and there is anybody to dial, and connections with others in the place."""
        return self.absent > 0 and self.others > 0 and now >= self.next_at

    def due_later(self, now: float) -> float:
        """When it will be time; infinity if it never will, or has been."""
        return self.next_at if self.absent > 0 and self.others > 0 and now < self.next_at else math.inf

    def start_over(self) -> None:
        """As if nobody had been dialled yet."""
        self.next_at, self._gap, self._tries = -math.inf, self._pacing.looking, 0

    def began(self, now: float) -> None:
        """The planner begins to seek them."""
        self._tries += 1
        self.next_at = now + self._gap if self._tries < SET_PEER_TRIES else math.inf
        self._gap = max(self._gap, min(2 * self._gap, self._pacing.idle))

    def ended(self, now: float) -> None:
        """None of them could be dialled."""
        self.next_at = max(self.next_at, now + self._pacing.looking)

    def note_enough(self, enough: bool, now: float) -> None:
        """Take note whether enough peers of the set are connected now."""
        if enough:
            self._enough_since = now if self._enough_since is None else self._enough_since
        elif self._enough_since is not None:
            if now - self._enough_since >= self._pacing.idle:
                self.start_over()
            self._enough_since = None


class Room:
    """Connections with others that are closed for peers of the set, and when the next may be. Times are monotonic."""

    def __init__(self, pacing: Pacing) -> None:
        """Begin with no room made."""
        self._pacing = pacing
        self._free = 0  # places that were made, and nobody was dialled for
        self._since: dict[PeerId, float | None] = {}  # who has such a place, and since when connected
        self._gap = 0.0  # between two; 0 where nobody disappointed
        self._wasted_at = self._next_at = -math.inf
        self._is_withheld = False  # somebody needed room in this wait

    def is_due(self, now: float) -> bool:
        """Whether another connection may be closed."""
        for peer, since in list(self._since.items()):
            if since is not None and now - since >= self._pacing.idle:
                self._stayed(peer)
        return now >= self._next_at

    def withhold(self) -> float | None:
        """Somebody needs room, and none is due: until when, for the first in this wait; None for the others."""
        told, self._is_withheld = self._is_withheld, True
        return None if told else self._next_at

    def made(self, now: float) -> None:
        """A connection with another was closed."""
        self._free += 1
        self._wait(now + self._gap, now)

    def dialled(self, peer: PeerId, now: float) -> None:
        """This peer is dialled, into the place that is free, if one is."""
        if not self._free:
            return
        self._free -= 1
        if self._since.pop(peer, math.inf) is None:
            self._waste(now)  # it was let in, and nothing came of it
        self._since[peer] = None
        if len(self._since) > MAX_ROOMS:
            del self._since[next(iter(self._since))]

    def unused(self, now: float) -> None:
        """Nobody is dialled into the places that are free."""
        if self._free:
            self._free = 0
            self._waste(now)

    def failed(self, peer: PeerId, now: float) -> None:
        """The dial of this peer failed."""
        if self._since.pop(peer, math.inf) is None:
            self._waste(now)

    def found(self, peer: PeerId, now: float) -> None:
        """There is a connection to this peer: from now on it counts how long it stays."""
        if self._since.get(peer, now) is None:
            self._since[peer] = now

    def lost(self, peer: PeerId, now: float) -> None:
        """The connection is gone, whoever closed it."""
        if peer not in self._since:
            return
        since = self._since[peer]
        if since is not None and now - since >= self._pacing.idle:
            self._stayed(peer)
        else:
            del self._since[peer]
            self._waste(now)

    def _stayed(self, peer: PeerId) -> None:
        del self._since[peer]
        self._gap, self._next_at = 0.0, -math.inf

    def _waste(self, now: float) -> None:
        if now - self._wasted_at >= self._pacing.looking:
            self._gap = max(self._gap, min(2 * self._gap or self._pacing.looking, self._pacing.idle))
            self._wasted_at = now
        self._wait(max(self._next_at, now + self._gap), now)

    def _wait(self, until: float, now: float) -> None:
        if now >= self._next_at:
            self._is_withheld = False  # the wait before is over
        self._next_at = until


class SearchTimes:
    """When the connected peers are asked for others. Times are monotonic seconds."""

    def __init__(self, pacing: Pacing) -> None:
        """The first search may be at once."""
        self.wanted = False
        """Candidates are missing: `due` may give a search, once."""
        self._pacing = pacing
        self._gap = pacing.looking
        self._from = self._wake_from = -math.inf

    def due(self, now: float) -> Search | None:
        """The search that is wanted, if it is time; it is not wanted any more, either way."""
        wanted, self.wanted = self.wanted, False
        if not wanted or now < self._from:
            return None
        wake = now >= self._wake_from
        if wake:
            self._wake_from = now + self._pacing.looking
        return Search(wake)

    def asked(self, now: float) -> None:
        """Somebody was asked: the next search waits, longer each time."""
        self._from = now + self._gap
        self._gap = max(self._gap, min(2 * self._gap, self._pacing.idle))

    def start_over(self) -> None:
        """Candidates were offered, or none are missing: the next wait is the first one again."""
        self._gap = self._pacing.looking
