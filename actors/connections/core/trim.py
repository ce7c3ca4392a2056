"""One trim: what it aims at, in which order it chooses, whom it waits for, and what it did.

::

    Aim ──▶ gathering ──▶ choosing ──▶ waiting ──▶ TrimReport
            (slices)      (slices)     for closes

* With a target all open connections count, without one the eligible ones: low water stands for them, and what is
  protected or in grace comes on top. An emergency always counts all.
* How many are missing is asked before each victim, so that whatever happens between two slices cannot make it close one
  too many.
* Whoever is protected, or in grace, is no candidate; in an emergency grace does not count, and the protected come last,
  or not at all.
* Of a peer's connections the youngest goes first. Each is taken singly, so a quota is met exactly.
* `gather` sorts some peers at a time into runs, `next` merges the runs. A peer that changed since it was gathered is
  ranked anew when its turn comes: gone, protected, or risen in rank, it is passed over or waits for its new turn.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from heapq import heappop, heappush, merge
from itertools import islice
from operator import attrgetter

from msgspec import Struct, field

from ....transport.gatekeeper import Link
from ....transport.identity import PeerId
from .peer import Peer, State, emergency_rank, rank
from .peer_table import PeerTable
from .reports import TrimReport

GATHERED_PER_SLICE = 1000
CHOSEN_PER_SLICE = 200

_rank = attrgetter("rank")


class Trigger(enum.StrEnum):
    """Who wants a trim."""

    BACKGROUND = "background"
    EXPLICIT = "explicit"
    FORCED = "forced"
    MEMORY = "memory"
    CROWD = "crowd"


class Mode(Struct, frozen=True):
    """Which peers are candidates. emergency: also those in grace. protected: also those, after all others.

    spare: peers that are none, whatever their state.
    """

    emergency: bool = False
    protected: bool = False
    spare: frozenset[PeerId] = frozenset()

    @property
    def least_ready(self) -> State:
        """Connections up to this state may be given up."""
        if not self.emergency:
            return State.ELIGIBLE
        return State.PROTECTED if self.protected else State.IN_GRACE

    def available(self, table: PeerTable) -> int:
        """How many open connections may be given up, at most: who is spared by name is counted too."""
        return sum(table.count(state) for state in State if state <= self.least_ready)


class Selection:
    """The candidates of one trim, in order."""

    def __init__(self, table: PeerTable, mode: Mode) -> None:
        """Look at the peers that are in the table now; none is gathered yet. Whose entry ends has no links any more."""
        self._rank_of = emergency_rank if mode.emergency else rank
        self._least_ready = mode.least_ready
        self._spare = mode.spare
        self._left = iter(tuple(table.peers.values()))
        self._runs: list[list[Peer]] = []
        self._order: Iterator[Peer] | None = None
        self._head: Peer | None = None
        self._again: list[tuple[int, int, Peer]] = []  # out of the runs, and not done with
        self._pushed = 0

    def gather(self, limit: int) -> bool:
        """Sort at most `limit` more peers in; whether all are."""
        peers = list(islice(self._left, limit))
        run = [peer for peer in peers if peer.links and peer.state <= self._least_ready]
        if self._spare:  # seldom, so it costs the other trims nothing
            run = [peer for peer in run if peer.id not in self._spare]
        rank_of = self._rank_of
        for peer in run:
            peer.rank = rank_of(peer)
        run.sort(key=_rank)
        self._runs.append(run)
        return len(peers) < limit

    def next(self) -> Link | None:
        """The connection to give up next, None if there is no other. It must be closing before the next call."""
        while (peer := self._take_lowest()) is not None:
            if not peer.links or peer.state > self._least_ready:
                continue
            fresh = self._rank_of(peer)
            if fresh > peer.rank:
                self._put_back(peer, fresh)
                continue
            if len(peer.links) > 1:
                self._put_back(peer, fresh)
            return peer.links[-1]
        return None

    def _put_back(self, peer: Peer, fresh: int) -> None:
        peer.rank = fresh
        self._pushed += 1
        heappush(self._again, (fresh, self._pushed, peer))

    def _take_lowest(self) -> Peer | None:
        """The lowest of the merged runs and of those that were put back."""
        if self._order is None:
            self._order = merge(*self._runs, key=_rank)
            self._head = next(self._order, None)
        if self._again and (self._head is None or self._again[0][0] <= self._head.rank):
            return heappop(self._again)[2]
        head, self._head = self._head, next(self._order, None)
        return head


def choose(table: PeerTable, quota: int, mode: Mode) -> tuple[Link, ...]:
    """The first `quota` connections to give up, all at once; they are closing afterwards."""
    selection = Selection(table, mode)
    selection.gather(len(table.peers) + 1)
    victims: list[Link] = []
    while len(victims) < quota and (link := selection.next()) is not None:
        table.begin_closing(link)
        victims.append(link)
    return tuple(victims)


class Aim(Struct, frozen=True):
    """What a trim is for. target: how many shall be left; eligible: only the eligible ones count."""

    target: int
    trigger: Trigger
    eligible: bool = False
    mode: Mode = Mode()

    def missing(self, table: PeerTable) -> int:
        """How many connections are to be closed still."""
        counted = table.count(State.ELIGIBLE) if self.eligible else table.open
        return max(0, counted - self.target)

    def possible(self, table: PeerTable) -> int:
        """How many of them can be."""
        return min(self.missing(table), self.mode.available(table))

    def covers(self, other: Aim) -> bool:
        """Whether who wants `other` has got it when this one is reached."""
        mode, others = self.mode, other.mode
        willing = (mode.emergency or not others.emergency) and (mode.protected or not others.protected)
        willing = willing and (not mode.spare or mode.spare == others.spare)
        return willing and self.target <= other.target and (other.eligible or not self.eligible)

    @property
    def strictness(self) -> tuple[bool, bool, bool, int]:
        """Of two aims the one that leaves less sorts later."""
        return (self.mode.protected, self.mode.emergency, not self.eligible, -self.target)


class RunningTrim(Struct):
    """A trim from its first victim to its report. since: monotonic seconds."""

    aim: Aim
    selection: Selection | None  # None once every victim is chosen: it keeps all peers alive
    since: float
    waiting: dict[int, Link] = field(default_factory=dict)
    gone: list[Link] = field(default_factory=list)
    gathering: bool = True

    def slice(self, table: PeerTable) -> list[Link]:
        """Go on for some milliseconds at most; the connections to close, marked as closing."""
        victims: list[Link] = []
        if self.selection is None:
            return victims
        if self.gathering:
            self.gathering = not self.selection.gather(GATHERED_PER_SLICE)
            if self.gathering:
                return victims
        while len(victims) < CHOSEN_PER_SLICE:
            link = self.selection.next() if self.aim.missing(table) else None
            if link is None:
                self.selection = None
                break
            table.begin_closing(link)
            victims.append(link)
        self.waiting.update((link.id, link) for link in victims)
        return victims

    def closed(self, link_id: int) -> None:
        """A link is gone, perhaps one that this trim waits for."""
        link = self.waiting.pop(link_id, None)
        if link is not None:
            self.gone.append(link)

    def serves(self, aim: Aim, table: PeerTable) -> bool:
        """Whether who wants `aim` now gets it by this trim: not if all is chosen, and there are too many again."""
        return self.aim.covers(aim) and (self.is_choosing or not aim.missing(table))

    @property
    def is_choosing(self) -> bool:
        """Whether there may be more victims."""
        return self.selection is not None

    @property
    def is_over(self) -> bool:
        """Whether every victim is chosen and gone."""
        return not self.is_choosing and not self.waiting

    def report(self, table: PeerTable) -> TrimReport:
        """What it did, as of now."""
        return report(self.aim, table, tuple(self.gone), len(self.waiting))


def report(aim: Aim, table: PeerTable, closed: tuple[Link, ...] = (), unclosed: int = 0) -> TrimReport:
    """What a trim did, and why its target was not met if it was not."""
    return TrimReport(
        closed=closed,
        short_by=max(0, table.open + unclosed - aim.target),
        protected=table.count(State.PROTECTED),
        in_grace=table.count(State.IN_GRACE),
        unclosed=unclosed,
    )


def memory_target(open: int, share: float, low_water: int | None) -> int:
    """How many connections are left for want of memory: a share less, at least one less, and not below low water."""
    return max(open - max(1, math.ceil(open * share)), low_water or 0, 0)
