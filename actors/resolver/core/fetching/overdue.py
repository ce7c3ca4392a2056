"""Whom to ask beside a peer that does not answer in time (flows: fetch 5).

* A request that is *overdue* (`Requests`) makes its peer silent, and another one that did not fail the key is asked.
* Where all others failed it, they have their rest (`Rounds`) and then are asked anew, beside those that do not answer.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from ..key_subscribers import Comparable
from .candidates import Candidates
from .peers import Peers, Scores
from .requests import Active, Requests
from .rounds import Rounds
from .stuck_keys import StuckKeys

P = TypeVar("P", bound=Comparable)


class Overdue(Generic[P]):
    """Of the requests that are out, the newest of each key is watched."""

    def __init__(
        self,
        requests: Requests[P],
        rounds: Rounds[P],
        peers: Peers[P],
        scores: Scores[P],
        candidates: Candidates[P],
        stuck: StuckKeys[P],
    ) -> None:
        self._requests = requests
        self._rounds = rounds
        self._peers = peers
        self._scores = scores
        self._candidates = candidates
        self._stuck = stuck

    def watch(self, request: Active[P], now: float) -> None:
        """The newest request of a key is out: see to it that it is overdue in time."""
        self._requests.watch(request, now, self._scores.elapsed(request.peer) or 0.0)

    def next(self, now: float) -> tuple[bytes, list[P]] | None:
        """A key to ask another peer for, and the peers to choose from; None if nothing is overdue any more."""
        while (request := self._requests.pop_overdue(now)) is not None:
            key = request.key
            if self._peers.is_rated(request.peer):
                self._scores.silent(request.peer)
            if self._requests.has_most(key):
                continue
            candidates = self._beside(key, now)
            if candidates and not self._requests.has_most_extra:
                return key, candidates
            self.watch(request, now)
        return None

    def _beside(self, key: bytes, now: float) -> list[P]:
        """Who is ready and may be asked for a key too: not who failed it, unless a round begins anew."""
        out, ready = {each.peer for each in self._requests.of(key)}, self._peers.ready(now)
        in_vain = out.union(self._rounds.failed(key))
        self._stuck.failed(key, in_vain)
        candidates = self._candidates.untried(key, ready, in_vain)
        if not candidates and self._begins_anew(key, out, now):
            candidates = self._candidates.untried(key, ready, out)
        return candidates

    def _begins_anew(self, key: bytes, out: set[P], now: float) -> bool:
        """Whether a round of a key begins now, beside requests that are overdue, as all others failed it in the last.

        That takes its time, in which each waits for the one before to be overdue; so much shorter is the rest before.
        """
        others = self._candidates.of_round(key) - out
        return self._rounds.begins_anew(key, now, others, len(others) * self._requests.overdue_after)
