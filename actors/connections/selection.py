"""Who is given up first: the order of victims, found in slices over a table that may change meanwhile.

The order, first difference decides (go-libp2p's, with ties that nobody can aim at):

=====  ===============================  ==================
place  criterion                        goes first
=====  ===============================  ==================
1      protected (emergency only)       not protected
2      value                            lower
3      busy at all                      not busy
4      any inbound connection           inbound
5      how busy                         less; in an emergency more
6      first seen                       later
7      hash with the process's secret   lower
=====  ===============================  ==================

* Whoever is protected, or in grace, is no candidate; in an emergency grace does not count, and the protected come last,
  or not at all.
* Of a peer's connections the youngest goes first. Each is taken singly, so a quota is met exactly.
* A rank is one integer, made once per peer: sorting integers costs a fifth of comparing peers.
* `gather` sorts some peers at a time into runs, `next` merges the runs. A peer that changed since it was gathered is
  judged anew when its turn comes: gone, protected, or risen in rank, it is passed over or waits for its new turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush, merge
from itertools import islice
from operator import attrgetter

from ...transport.mailbox import Link
from .table import Peer, State, Table

_SENIORITY_BITS = 128
_BUSY_BITS = 32
_MOST_BUSY = (1 << _BUSY_BITS) - 1
_VALUE_BITS = 64
_LEAST_VALUE, _GREATEST_VALUE = -(1 << _VALUE_BITS - 1), (1 << _VALUE_BITS - 1) - 1
_rank = attrgetter("rank")


@dataclass(frozen=True, slots=True)
class Mode:
    """Which peers are candidates. emergency: also those in grace. protected: also those, after all others."""

    emergency: bool = False
    protected: bool = False

    def admits(self, state: State) -> bool:
        """Whether connections in this state may be given up."""
        match state:
            case State.ELIGIBLE:
                return True
            case State.IN_GRACE:
                return self.emergency
            case State.PROTECTED:
                return self.emergency and self.protected

    def available(self, table: Table) -> int:
        """How many open connections may be given up."""
        return sum(table.count(state) for state in State if self.admits(state))


def rank(peer: Peer, busy: int, state: State, *, emergency: bool) -> int:
    """The criteria as one number, each in bits of its own; the lowest goes first. Values beyond 64 bits are all one."""
    value = min(max(peer.value, _LEAST_VALUE), _GREATEST_VALUE) - _LEAST_VALUE
    coarse = ((state is State.PROTECTED) << _VALUE_BITS | value) << 2 | (busy > 0) << 1 | (not peer.is_inbound)
    most = min(busy, _MOST_BUSY)
    return (coarse << _BUSY_BITS | (_MOST_BUSY - most if emergency else most)) << _SENIORITY_BITS | peer.seniority


class Selection:
    """The candidates of one trim, in order."""

    def __init__(self, table: Table, mode: Mode) -> None:
        """Look at the peers that are in the table now; none is gathered yet."""
        self._table = table
        self._mode = mode
        self._left = iter(tuple(table.peers.values()))
        self._runs: list[list[Peer]] = []
        self._order: Iterator[Peer] | None = None
        self._head: Peer | None = None
        self._again: list[tuple[int, int, Peer]] = []  # out of the runs, and not done with
        self._pushed = 0

    def gather(self, limit: int) -> bool:
        """Sort at most `limit` more peers in; whether all are."""
        run: list[Peer] = []
        looked_at = 0
        for looked_at, peer in enumerate(islice(self._left, limit), 1):  # noqa: B007  # how many, after the loop
            fresh = self._rank_of(peer)
            if fresh is not None:
                peer.rank = fresh
                run.append(peer)
        run.sort(key=_rank)
        self._runs.append(run)
        return looked_at < limit

    def next(self) -> Link | None:
        """The connection to give up next, None if there is no other. It must be closing before the next call."""
        while (peer := self._take()) is not None:
            fresh = self._rank_of(peer)
            if fresh is None:
                continue
            if fresh > peer.rank:
                self._put_back(peer, fresh)
                continue
            if len(peer.links) > 1:
                self._put_back(peer, fresh)
            return peer.links[-1]
        return None

    def _rank_of(self, peer: Peer) -> int | None:
        """The peer's rank now, None if it is no candidate."""
        table = self._table
        if not peer.links or table.peers.get(peer.id) is not peer:
            return None
        state = table.state(peer)
        if not self._mode.admits(state):
            return None
        return rank(peer, table.busy.get(peer.id, 0), state, emergency=self._mode.emergency)

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


def choose(table: Table, quota: int, mode: Mode) -> tuple[Link, ...]:
    """The first `quota` connections to give up, all at once; they are closing afterwards."""
    selection = Selection(table, mode)
    selection.gather(len(table.peers) + 1)
    victims: list[Link] = []
    while len(victims) < quota and (link := selection.next()) is not None:
        table.begin_closing(link)
        victims.append(link)
    return tuple(victims)
