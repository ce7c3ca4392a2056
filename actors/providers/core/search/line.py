"""Which key comes next where many wait: what a person has asked to see, then what is new, then the rest.

Of the new ones the newest and the oldest come in turn. So somebody who wants one file does not wait for the thousand
that an application wants, and these are not put off for ever by others. Nor is what comes last: of what waits behind
others one comes after `PASSED` of these.
"""

from __future__ import annotations

import enum
from collections import Counter, OrderedDict
from collections.abc import Callable

PASSED = 3
"""How many keys of earlier ranks come before one of a later rank does."""


class Rank(enum.IntEnum):
    """What comes first."""

    LIST = 0
    NEW = 1
    AGAIN = 2


class Line:
    """Keys that wait, each once."""

    def __init__(self) -> None:
        """None yet."""
        self._keys: tuple[OrderedDict[bytes, None], ...] = tuple(OrderedDict() for _ in Rank)
        self._newest = True  # of the new ones, comes next
        self._passed: Counter[Rank] = Counter()  # how many came while one of this rank waited that might have come

    def __len__(self) -> int:
        return sum(map(len, self._keys))

    def __contains__(self, hashed: object) -> bool:
        return any(hashed in keys for keys in self._keys)

    def put(self, hashed: bytes, rank: Rank) -> None:
        """A key waits from now on, or for something else than before."""
        if hashed not in self._keys[rank]:
            self.leave(hashed)
            self._keys[rank][hashed] = None

    def leave(self, hashed: bytes) -> None:
        """A key waits no more."""
        for keys in self._keys:
            keys.pop(hashed, None)

    def first(self, rank: Rank) -> bytes | None:
        """Which of a rank waits for longest."""
        return next(iter(self._keys[rank]), None)

    def take(self, may: Callable[[Rank], bool] = lambda _rank: True) -> tuple[bytes, Rank] | None:
        """The next of those whose rank may come now."""
        waiting = [rank for rank in Rank if self._keys[rank] and may(rank)]
        if not waiting:
            return None
        taken = max((rank for rank in waiting if self._passed[rank] >= PASSED), default=waiting[0])
        self._passed.update(rank for rank in waiting if rank > taken)
        self._passed[taken] = 0
        newest = taken is Rank.NEW and self._newest
        if taken is Rank.NEW:
            self._newest = not newest
        return self._keys[taken].popitem(last=newest)[0], taken
