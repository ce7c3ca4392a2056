"""How costly each peer has been: the score that orders peers when a fresh key chooses one. Lower is better.

A score is in seconds, a moving average in which the newest sample weighs one half (resolver: who is asked),
in floats, so that no rounding flattens small differences. One sample:

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

from bisect import bisect_left, insort
from collections.abc import Container
from typing import Generic, TypeVar

P = TypeVar("P")

ANSWER_UNIT = 64 * 1024
"""Bytes up to which an answer counts by its time alone."""


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
