"""Who can be asked right now, and whom to prefer.

* A *candidate* has an open link, is in the latest peer set's allowed roles, and is not ourselves (FLOWS 3.7.1).
  Exclusion of a liar is nothing but the absence of its link, so it ends when the block ends and it connects again.
* A candidate is *ready* unless it rests (its rate limit, or a refused send, named a time) or has
  `max_requests_per_peer` requests out. A rest is remembered, so a limited peer is looked at once, not once per key.
* A fresh key prefers the lowest cost: score x (1 + requests out), which spreads keys that are asked for together.
  At equal costs a peer without a sample goes first: a newcomer that stands at the score of the only known peer would
  else never be tried. Then decides a number drawn when the link opened, so that not every node begins at the same peer.
* A retry asks a random peer among those that did not fail this key yet; when all did, among all.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .scores import Scores
from .subscribers import Comparable

P = TypeVar("P", bound=Comparable)


@dataclass(slots=True)
class _Link:
    id: int
    tie_break: float
    rests_until: float = -math.inf
    requests: set[int] = field(default_factory=set)


class Peers(Generic[P]):
    def __init__(self, me: P | None, max_requests_per_peer: int, scores: Scores[P], rng: random.Random) -> None:
        self._me = me
        self._max_requests = max_requests_per_peer
        self._scores = scores
        self._rng = rng
        self._links: dict[P, _Link] = {}
        self._peer_of: dict[int, P] = {}
        self._allowed: frozenset[P] = frozenset()
        self._candidates: dict[P, _Link] = {}
        self._index: int | None = None

    def open(self, peer: P, link_id: int) -> None:
        if peer in self._links:
            raise AssertionError(f"{peer} has link {self._links[peer].id} still: its `closed` comes before `opened`")
        self._links[peer] = _Link(link_id, self._rng.random())
        self._peer_of[link_id] = peer
        if self._may_be_asked(peer):
            self._candidates[peer] = self._links[peer]

    def close(self, link_id: int) -> tuple[int, ...]:
        """The ids of the requests that were out on this link; none for a link that is not known (any more)."""
        peer = self._peer_of.pop(link_id, None)
        if peer is None:
            return ()
        self._candidates.pop(peer, None)
        return tuple(sorted(self._links.pop(peer).requests))

    def reconcile(self, index: int, allowed: AbstractSet[P]) -> bool:
        """A new peer set; False for one that is not newer than the last. Scores of absent peers are forgotten."""
        if self._index is not None and index <= self._index:
            return False
        self._index = index
        self._allowed = frozenset(allowed)
        self._candidates = {peer: link for peer, link in self._links.items() if self._may_be_asked(peer)}
        self._scores.retain(self._allowed)
        return True

    def link_of(self, peer: P) -> int | None:
        return self._links[peer].id if peer in self._links else None

    def lacks_link(self, peer: P) -> bool:
        """May be asked, but there is no connection."""
        return peer not in self._links and self._may_be_asked(peer)

    def is_rated(self, peer: P) -> bool:
        """Only members of the peer set have a score: that of the others was forgotten."""
        return peer in self._allowed

    def ready(self, now: float) -> list[P]:
        limit = self._max_requests
        return [p for p, link in self._candidates.items() if link.rests_until <= now and len(link.requests) < limit]

    def ready_at(self) -> list[tuple[P, float]]:
        """The candidates with requests to spare, and until when each rests; in order of their links."""
        limit = self._max_requests
        return [(p, link.rests_until) for p, link in self._candidates.items() if len(link.requests) < limit]

    def rest(self, peer: P, until: float) -> None:
        self._links[peer].rests_until = until

    def asked(self, peer: P, request_id: int) -> None:
        self._links[peer].requests.add(request_id)

    def ended(self, peer: P, request_id: int) -> None:
        if peer in self._links:
            self._links[peer].requests.discard(request_id)

    def choose(self, ready: list[P], is_retry: bool, failed: Collection[P]) -> P:
        """The one of these to ask for a key which those in `failed` did not deliver."""
        if not is_retry:
            return min(ready, key=self._preference)
        return self._rng.choice([peer for peer in ready if peer not in failed] or ready)

    def _preference(self, peer: P) -> tuple[float, bool, float]:
        link = self._links[peer]
        return self._scores.of(peer) * (1 + len(link.requests)), peer in self._scores, link.tie_break

    def _may_be_asked(self, peer: P) -> bool:
        return peer in self._allowed and peer != self._me
