"""Whose search has its turn, where more keys are looked for than may be at once.

They come as `line` says: mostly those that are new. One of which a lookup is over waits a while at least.
"""

from __future__ import annotations

import math

from .line import Line, Rank
from .next_lookup import LONGEST


class Turns:
    """The keys that wait for theirs."""

    def __init__(self, at_once: int) -> None:
        """at_once: keys that are looked for at the same time."""
        self.at_once = at_once
        self._line = Line()
        self._from: dict[bytes, float] = {}  # when each may have its turn

    def __len__(self) -> int:
        return len(self._line)

    def __contains__(self, hashed: object) -> bool:
        return hashed in self._from

    def new(self, hashed: bytes, now: float) -> None:
        """A key waits that was not looked for yet."""
        self._wait(hashed, Rank.NEW, now)

    def again(self, hashed: bytes, now: float) -> None:
        """A key waits of which a lookup is over."""
        self._wait(hashed, Rank.AGAIN, now + LONGEST)

    def leave(self, hashed: bytes) -> bool:
        """A key waits no more; whether it did."""
        self._line.leave(hashed)
        return self._from.pop(hashed, None) is not None

    def take(self, running: int, now: float) -> tuple[bytes, bool] | None:
        """The key whose turn it is, if there is one, and whether it is new. running: keys that are looked for."""
        taken = self._line.take(lambda rank: self._next_of(rank) <= now) if running < self.at_once else None
        if taken is None:
            return None
        hashed, rank = taken
        del self._from[hashed]
        return hashed, rank is Rank.NEW

    def next_at(self, running: int) -> float:
        """When the next one has its turn; infinite if there is no room, or nobody waits."""
        return min(map(self._next_of, Rank)) if running < self.at_once else math.inf

    def _next_of(self, rank: Rank) -> float:
        first = self._line.first(rank)
        return math.inf if first is None else self._from[first]

    def _wait(self, hashed: bytes, rank: Rank, at: float) -> None:
        self._line.put(hashed, rank)
        self._from[hashed] = at
