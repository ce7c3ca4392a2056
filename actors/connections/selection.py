"""Who is given up first: the victims of a trim in the order of `ranking`, found in slices while the table changes.

* Whoever is protected, or in grace, is no candidate; in an emergency grace does not count, and the protected come last,
  or not at all.
* Of a peer's connections the youngest goes first. Each is taken singly, so a quota is met exactly.
* `gather` sorts some peers at a time into runs, `next` merges the runs. A peer that changed since it was gathered is
  judged anew when its turn comes: gone, protected, or risen in rank, it is passed over or waits for its new turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush, merge
from itertools import islice
from operator import attrgetter

from ...transport.gatekeeper import Link
from ...transport.identity import PeerId
from .ranking import emergency_rank, rank
from .table import Peer, State, Table

_rank = attrgetter("rank")


@dataclass(frozen=True, slots=True)
class Mode:
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

    def available(self, table: Table) -> int:
        """How many open connections may be given up, at most: who is spared by name is counted too."""
        return sum(table.count(state) for state in State if state <= self.least_ready)


class Selection:
    """The candidates of one trim, in order."""

    def __init__(self, table: Table, mode: Mode) -> None:
        """Look at the peers that are in the table now; none is gathered yet. Whose entry ends has no links any more."""
        self._rank_of = _emergency_rank if mode.emergency else rank
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
        run = [peer for peer in peers if peer.links and peer.state <= self._least_ready and peer.id not in self._spare]
        ranked = self._rank_of
        for peer in run:
            peer.rank = ranked(peer)
        run.sort(key=_rank)
        self._runs.append(run)
        return len(peers) < limit

    def next(self) -> Link | None:
        """The connection to give up next, None if there is no other. It must be closing before the next call."""
        while (peer := self._take()) is not None:
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

    def _put_back(self, peer: Peer, rank: int) -> None:
        peer.rank = rank
        self._pushed += 1
        heappush(self._again, (rank, self._pushed, peer))

    def _take(self) -> Peer | None:
        """The lowest of the merged runs and of those that were put back."""
        if self._order is None:
            self._order = merge(*self._runs, key=_rank)
            self._head = next(self._order, None)
        if self._again and (self._head is None or self._again[0][0] <= self._head.rank):
            return heappop(self._again)[2]
        head, self._head = self._head, next(self._order, None)
        return head


def _emergency_rank(peer: Peer) -> int:
    return emergency_rank(peer, protected=peer.state is State.PROTECTED)


def choose(table: Table, quota: int, mode: Mode) -> tuple[Link, ...]:
    """The first `quota` connections to give up, all at once; they are closing afterwards."""
    selection = Selection(table, mode)
    selection.gather(len(table.peers) + 1)
    victims: list[Link] = []
    while len(victims) < quota and (link := selection.next()) is not None:
        table.begin_closing(link)
        victims.append(link)
    return tuple(victims)
