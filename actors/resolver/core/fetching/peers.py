"""Who can be asked right now, and whom to prefer.

* A *candidate* has an open link, is in the latest peer set's allowed roles, and is not ourselves (flows: fetch 2).
  Exclusion of a liar is nothing but the absence of its link, so it ends when the block ends and it connects again.
* A candidate is *ready* unless it rests (its rate limit, or a refused send, named a time) or has
  `max_requests_per_peer` requests out. A rest is remembered, so a limited peer is looked at once, not once per key.
* A fresh key prefers the lowest cost: score x (1 + requests out), which spreads keys that are asked for together.
  A peer that never answered counts as if it had one more request out: it is tried when those that have are busy, and
  at equal costs before them, as it would else never be. Then decides a number drawn when the link opened, so that not
  every node begins at the same peer.
* One fresh key of `EXPLORED` goes to a peer that never answered, if others have: it may be the better one.
* `choose` is given whom to choose from: those that did not fail this key yet; when all did, all (`candidates.py`). A
  retry asks a random one, of them first who has answered before.
* Who is silent (see below) is asked when nobody else is ready, or everybody else failed this key.
* Primary peers come first: a secondary one is asked when no primary one is ready that did not fail this key and is
  not silent.
* Somebody to be connected with is a primary peer without a link, as only these are dialled: the next one after this
  node itself (or after any, if it is not known who that is), then in order, so that nobody is named twice before each
  was, and not every node begins with the same.

A *score* says how costly a peer has been, and orders peers when a fresh key chooses one. Lower is better. It is in
seconds, a moving average in which the newest sample weighs one half (resolver: who is asked), in floats, so that no
rounding flattens small differences. One sample:

* an answer with bytes costs the time it took; above `ANSWER_UNIT` bytes, its time per `ANSWER_UNIT`. Below that
  size latency is what matters, above it bytes per time, and a peer is not punished for large values;
* "no data" costs its own elapsed time, and the delay after which the key can be asked for elsewhere: honesty beats
  silence, and who is quick to say that he has nothing is not asked before who takes a little longer to send it;
* a time-out or a refused send costs `fetch_timeout`, and nothing ever costs more.

A peer whose request is overdue, or timed out, is *silent* until it answers anything, be it late: who is silent is
asked behind all others, whatever its score.

A peer without a sample stands at the median of the peers that have one, or at `initial` while nobody has. It moves with
them, so a newcomer is neither starved behind old favourites nor put before everybody.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections.abc import Collection, Container, Iterator
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from msgspec import Struct, field

from ..key_subscribers import Comparable

P = TypeVar("P", bound=Comparable)

ANSWER_UNIT = 64 * 1024
"""Bytes up to which an answer counts by its time alone."""

EXPLORED = 16
"""Of so many fresh keys one, at random, is asked of a peer that never answered."""


class Scores(Generic[P]):
    """Seconds per peer. `initial` and `fetch_timeout` are in seconds, both above zero."""

    def __init__(self, initial: float, fetch_timeout: float) -> None:
        self._initial = initial
        self._fetch_timeout = fetch_timeout
        self._scores: dict[P, float] = {}
        self._sorted: list[float] = []
        self._elapsed: dict[P, float] = {}
        self._silent: set[P] = set()

    def __contains__(self, peer: P) -> bool:
        """Whether this peer has a score of its own."""
        return peer in self._scores

    def of(self, peer: P) -> float:
        score = self._scores.get(peer)
        return self.neutral if score is None else score

    @property
    def neutral(self) -> float:
        """Where a peer without samples stands: the (lower) median of the known scores, or `initial`."""
        return self._sorted[(len(self._sorted) - 1) // 2] if self._sorted else self._initial

    def has_answered(self, peer: P) -> bool:
        """Whether this peer has ever answered anything, with data or without."""
        return peer in self._elapsed

    def elapsed(self, peer: P) -> float | None:
        """How long an answer of this peer takes, whatever its size; None before the first."""
        return self._elapsed.get(peer)

    def is_silent(self, peer: P) -> bool:
        """Whether it has not answered anything since a request to it became overdue."""
        return peer in self._silent

    def silent(self, peer: P) -> None:
        """A request is overdue."""
        self._silent.add(peer)

    def heard(self, peer: P) -> None:
        """The peer has answered something, be it late."""
        self._silent.discard(peer)

    def answered(self, peer: P, elapsed: float, size: int) -> None:
        """An answer of `size` bytes came after `elapsed` seconds."""
        self._took(peer, elapsed)
        self._record(peer, elapsed * min(1.0, ANSWER_UNIT / max(size, 1)))

    def missing(self, peer: P, elapsed: float) -> None:
        """The peer said that it has no data, and the key lost `elapsed` seconds by it."""
        self._took(peer, elapsed)
        self._record(peer, elapsed)

    def failed(self, peer: P) -> None:
        """A request timed out, or the peer's link refused it."""
        self._record(peer, self._fetch_timeout)

    def retain(self, peers: Container[P]) -> None:
        """Forget everybody else: who leaves the peer set and returns starts anew."""
        self._scores = {peer: score for peer, score in self._scores.items() if peer in peers}
        self._sorted = sorted(self._scores.values())
        self._elapsed = {peer: elapsed for peer, elapsed in self._elapsed.items() if peer in peers}
        self._silent = {peer for peer in self._silent if peer in peers}

    def _took(self, peer: P, elapsed: float) -> None:
        before = self._elapsed.get(peer)
        self._elapsed[peer] = elapsed if before is None else (before + elapsed) / 2
        self._silent.discard(peer)

    def _record(self, peer: P, sample: float) -> None:
        score = (self.of(peer) + min(sample, self._fetch_timeout)) / 2
        if peer in self._scores:
            del self._sorted[bisect_left(self._sorted, self._scores[peer])]
        self._scores[peer] = score
        insort(self._sorted, score)


class _Link(Struct):
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
        self.allowed: frozenset[P] = frozenset()
        """Who the latest set lets be asked."""
        self._secondary: frozenset[P] = frozenset()
        self._linked: set[P] = set()  # the candidates
        self._candidates: dict[P, _Link] = {}  # those of them with requests to spare
        self._named: P | None = None  # the last, as somebody to be connected with
        self._index: int | None = None

    def open(self, peer: P, link_id: int) -> None:
        if peer in self._links:
            raise AssertionError(f"{peer} has link {self._links[peer].id} still: its `closed` comes before `opened`")
        self._links[peer] = _Link(link_id, self._rng.random())
        self._peer_of[link_id] = peer
        if self._may_be_asked(peer):
            self._linked.add(peer)
        self._consider(peer)

    def close(self, link_id: int) -> tuple[int, ...]:
        """The ids of the requests that were out on this link; none for a link that is not known (any more)."""
        peer = self._peer_of.pop(link_id, None)
        if peer is None:
            return ()
        self._candidates.pop(peer, None)
        self._linked.discard(peer)
        return tuple(sorted(self._links.pop(peer).requests))

    def reconcile(self, index: int, primary: AbstractSet[P], secondary: AbstractSet[P]) -> bool:
        """A new peer set; False for one that is not newer than the last. Scores of absent peers are forgotten."""
        if self._index is not None and index <= self._index:
            return False
        self._index = index
        self.allowed = frozenset(primary | secondary)
        self._secondary = frozenset(secondary - primary)
        self._candidates = {}
        self._linked = {peer for peer in self._links if self._may_be_asked(peer)}
        for peer in self._links:
            self._consider(peer)
        self._scores.retain(self.allowed)
        return True

    def peer_of(self, link_id: int) -> P | None:
        """Who is at the other end of this link."""
        return self._peer_of.get(link_id)

    def link_of(self, peer: P) -> int | None:
        return self._links[peer].id if peer in self._links else None

    @property
    def connected(self) -> Collection[P]:
        """Everybody who has a connection, whether it may be asked or not."""
        return self._links.keys()

    @property
    def candidates(self) -> int:
        return len(self._candidates)

    @property
    def linked(self) -> set[P]:
        """Everybody who may be asked and has a connection, busy or not."""
        return self._linked

    @property
    def busy(self) -> Collection[P]:
        """Those of them who have as many requests out as may be."""
        return self._linked - self._candidates.keys() if len(self._candidates) < len(self._linked) else ()

    def name_unlinked(self) -> tuple[P | None, int]:
        """Somebody to be connected with, another each time, of so many; None if every primary peer is.

        Costs a look at each.
        """
        unlinked = [peer for peer in self.allowed if peer not in self._secondary and self.lacks_link(peer)]
        if not unlinked:
            return None, 0
        last = self._named or self._me or self._rng.choice(sorted(unlinked))
        self._named = min((peer for peer in unlinked if last < peer), default=None) or min(unlinked)
        return self._named, len(unlinked)

    def unlinked(self) -> Iterator[P]:
        """Those who may be asked and have no connection, in no order."""
        return (peer for peer in self.allowed if self.lacks_link(peer))

    def lacks_link(self, peer: P) -> bool:
        """May be asked, but there is no connection."""
        return peer not in self._links and self._may_be_asked(peer)

    def is_rated(self, peer: P) -> bool:
        """Only members of the peer set have a score: that of the others was forgotten."""
        return peer in self.allowed

    def ready(self, now: float) -> list[P]:
        return [peer for peer, link in self._candidates.items() if link.rests_until <= now]

    def ready_at(self) -> list[tuple[P, float]]:
        """The candidates with requests to spare, and until when each rests."""
        return [(peer, link.rests_until) for peer, link in self._candidates.items()]

    def rest(self, peer: P, until: float) -> None:
        self._links[peer].rests_until = until

    def asked(self, peer: P, request_id: int) -> None:
        requests = self._links[peer].requests
        requests.add(request_id)
        if len(requests) >= self._max_requests:
            self._candidates.pop(peer, None)

    def ended(self, peer: P, request_id: int) -> None:
        link = self._links.get(peer)
        if link is not None:
            link.requests.discard(request_id)
            if peer not in self._candidates:
                self._consider(peer)

    def choose(self, ready: list[P], is_retry: bool) -> P:
        """The one of these to ask for a key."""
        ready = [peer for peer in ready if not self._scores.is_silent(peer)] or ready
        if self._secondary:
            ready = [peer for peer in ready if peer not in self._secondary] or ready
        if is_retry:
            return self._rng.choice([peer for peer in ready if self._scores.has_answered(peer)] or ready)
        newcomers = [peer for peer in ready if not self._scores.has_answered(peer)]
        if 0 < len(newcomers) < len(ready) and self._rng.random() * EXPLORED < 1:
            ready = newcomers
        return ready[0] if len(ready) == 1 else min(ready, key=self._preference)

    def _preference(self, peer: P) -> tuple[float, bool, float]:
        link = self._links[peer]
        answered = self._scores.has_answered(peer)
        return self._scores.of(peer) * (1 + (not answered) + len(link.requests)), answered, link.tie_break

    def _consider(self, peer: P) -> None:
        link = self._links[peer]
        if self._may_be_asked(peer) and len(link.requests) < self._max_requests:
            self._candidates[peer] = link

    def _may_be_asked(self, peer: P) -> bool:
        return peer in self.allowed and peer != self._me
