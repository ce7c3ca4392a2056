"""Which key comes next where many wait: what a person has asked to see, then what is new, then the rest.

Of the new ones the newest and the oldest come in turn. So somebody who wants one file does not wait for the thousand
that an application wants, and these are not put off for ever by others.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable


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

    def take(self, may: Callable[[Rank], bool] = lambda _rank: True) -> tuple[bytes, Rank] | None:
        """The next of those whose rank may come now."""
        for rank in Rank:
            if self._keys[rank] and may(rank):
                newest = rank is Rank.NEW and self._newest
                if rank is Rank.NEW:
                    self._newest = not newest
                return self._keys[rank].popitem(last=newest)[0], rank
        return None
