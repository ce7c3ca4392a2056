"""The updates still to be sent, each a bounded number of times.

* One update per key: a newer one replaces the older and starts with all its copies.
* What has most copies left goes first, then what has waited longest.
* Being put in a packet costs one copy; at none the update is gone. What does not fit costs nothing.
"""

__all__ = ["Backlog"]


class Backlog:
    """A queue by copies left: `_shelves[n]` holds the encoded updates with n copies to go, oldest first."""

    __slots__ = ("_copies", "_shelves")

    def __init__(self) -> None:
        self._copies: dict[bytes, int] = {}
        self._shelves: dict[int, dict[bytes, bytes]] = {}

    def __len__(self) -> int:
        return len(self._copies)

    def add(self, key: bytes, encoded: bytes, copies: int) -> None:
        self.discard(key)
        self._put(key, encoded, copies)

    def discard(self, key: bytes) -> None:
        copies = self._copies.pop(key, None)
        if copies is not None:
            self._take(key, copies)

    def fill(self, room: int, max_items: int) -> list[bytes]:
        """Encoded updates of at most `room` bytes together; one copy of each is spent."""
        chosen: list[tuple[bytes, int]] = []
        for copies in sorted(self._shelves, reverse=True):
            for key, encoded in self._shelves[copies].items():
                if len(chosen) == max_items or len(encoded) > room:
                    return self._spend(chosen)
                chosen.append((key, copies))
                room -= len(encoded)
        return self._spend(chosen)

    def _spend(self, chosen: list[tuple[bytes, int]]) -> list[bytes]:
        result = []
        for key, copies in chosen:
            encoded = self._take(key, copies)
            del self._copies[key]
            if copies > 1:
                self._put(key, encoded, copies - 1)
            result.append(encoded)
        return result

    def _put(self, key: bytes, encoded: bytes, copies: int) -> None:
        self._copies[key] = copies
        self._shelves.setdefault(copies, {})[key] = encoded

    def _take(self, key: bytes, copies: int) -> bytes:
        shelf = self._shelves[copies]
        encoded = shelf.pop(key)
        if not shelf:
            del self._shelves[copies]
        return encoded
