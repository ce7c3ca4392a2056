"""The hashes of this node's own keys, in the order of the ring, and who of the members was told of each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from ....transport.identity import PeerId

_Told = tuple[PeerId, ...]


class Holdings:
    """Sorted in 256 lists by their first byte, so that to add one of a million moves little."""

    def __init__(self) -> None:
        """None yet."""
        self.told: dict[bytes, _Told] = {}
        """Of each hash its index members, as far as this node has looked. Equal ones are one object."""
        self._sorted: list[list[bytes]] = [[] for _ in range(256)]

    def __len__(self) -> int:
        return len(self.told)

    def __contains__(self, hashed: object) -> bool:
        return hashed in self.told

    def add(self, hashed: bytes) -> bool:
        """Hold a key; False if it is held already."""
        if hashed in self.told:
            return False
        self.told[hashed] = ()
        insort(self._sorted[hashed[0]], hashed)
        return True

    def remove(self, hashed: bytes) -> _Told | None:
        """Hold it no more; who was told of it, None if it was not held."""
        told = self.told.pop(hashed, None)
        if told is not None:
            row = self._sorted[hashed[0]]
            del row[bisect_left(row, hashed)]
        return told

    def between(self, low: bytes, high: bytes, limit: int) -> list[bytes]:
        """At most so many from after `low` to `high`, in order; `low` is below `high`, and b"" before all."""
        found: list[bytes] = []
        first = low[0] if low else 0
        for number in range(first, high[0] + 1):
            row = self._sorted[number]
            start = bisect_right(row, low) if number == first else 0
            end = bisect_right(row, high) if number == high[0] else len(row)
            found += row[start : min(end, start + limit - len(found))]
            if len(found) >= limit:
                break
        return found

    def __iter__(self) -> Iterator[bytes]:
        """In the order of the ring."""
        for row in self._sorted:
            yield from row
