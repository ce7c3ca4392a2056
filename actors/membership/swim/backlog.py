"""What is still to be sent, each item a bounded number of times: one for updates, one for the application's broadcasts.

* One item per key: a newer one replaces the older and starts with all its copies.
* What has most copies left goes first, then what has waited longest.
* Being put in a packet costs one copy; at none the item is gone. What does not fit is kept and costs nothing, and does
  not hold up what does.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["Backlog"]

K = TypeVar("K", bound=Hashable)

_MISSES = 8
"""Items that did not fit before a packet counts as full; so a full packet never costs a walk through a long queue."""


class Backlog(Generic[K]):
    """A queue by copies left: `_shelves[n]` holds the encoded items with n copies to go, oldest first."""

    __slots__ = ("_copies", "_shelves", "size")

    def __init__(self) -> None:
        self._copies: dict[K, int] = {}
        self._shelves: dict[int, dict[K, bytes]] = {}
        self.size = 0
        """Bytes of one copy of everything."""

    def __len__(self) -> int:
        return len(self._copies)

    def __iter__(self) -> Iterator[K]:
        return iter(tuple(self._copies))

    def add(self, key: K, encoded: bytes, copies: int) -> None:
        self.discard(key)
        self._put(key, encoded, copies)

    def discard(self, key: K) -> None:
        copies = self._copies.get(key)
        if copies is not None:
            self._take(key, copies)

    def most_sent(self) -> K:
        """What has fewest copies left, the oldest of those. Raises ValueError if there is nothing."""
        return next(iter(self._shelves[min(self._shelves)]))

    def cut(self, max_bytes: int, limit: int) -> int:
        """Discard what has more than `max_bytes` bytes, then the most sent beyond `limit` items; how many that were."""
        before = len(self)
        for key, copies in tuple(self._copies.items()):
            if len(self._shelves[copies][key]) > max_bytes:
                self._take(key, copies)
        while len(self) > limit:
            self.discard(self.most_sent())
        return before - len(self)

    def fill(self, room: int, max_items: int) -> list[bytes]:
        """Encoded items of at most `room` bytes together; one copy of each is spent."""
        if not self._copies:
            return []
        chosen: list[tuple[K, int]] = []
        misses = 0
        for copies in sorted(self._shelves, reverse=True):
            for key, encoded in self._shelves[copies].items():
                if len(chosen) == max_items or misses == _MISSES:
                    return self._spend(chosen)
                if len(encoded) > room:
                    misses += 1
                    continue
                chosen.append((key, copies))
                room -= len(encoded)
        return self._spend(chosen)

    def _spend(self, chosen: list[tuple[K, int]]) -> list[bytes]:
        """What is chosen goes one shelf down, to the end of it; written out, as every packet does it many times."""
        result, shelves, copies_of = [], self._shelves, self._copies
        for key, copies in chosen:
            shelf = shelves[copies]
            encoded = shelf.pop(key)
            result.append(encoded)
            if not shelf:
                del shelves[copies]
            if copies == 1:
                del copies_of[key]
                self.size -= len(encoded)
                continue
            copies_of[key] = copies - 1
            lower = shelves.get(copies - 1)
            if lower is None:
                shelves[copies - 1] = {key: encoded}
            else:
                lower[key] = encoded
        return result

    def _put(self, key: K, encoded: bytes, copies: int) -> None:
        self._copies[key] = copies
        self._shelves.setdefault(copies, {})[key] = encoded
        self.size += len(encoded)

    def _take(self, key: K, copies: int) -> bytes:
        del self._copies[key]
        shelf = self._shelves[copies]
        encoded = shelf.pop(key)
        if not shelf:
            del self._shelves[copies]
        self.size -= len(encoded)
        return encoded
