"""The peers that each key is restricted to (flows: fetch 2).

* A key without an entry may be asked of any peer; a set, even an empty one, means only these.
* A set is widened by naming more peers, and ends when the key is opened to all or forgotten. There is no fallback.
* A peer that is blocked leaves every set at once, and can be named anew. That costs nothing however many sets name it:
  each name remembers how often its peer had been blocked. What is remembered of a peer goes with the last set that
  names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from ..key_subscribers import Comparable
from ..key_table import KeyTable

P = TypeVar("P", bound=Comparable)


class KeyTargets(Generic[P]):
    """The peers that each key is restricted to."""

    def __init__(self) -> None:
        self._sets: KeyTable[dict[P, int]] = KeyTable()  # each peer with the number of its blocks when it was named
        self._naming: dict[P, int] = {}  # sets that name the peer
        self._blocks: dict[P, int] = {}  # of peers that some set names

    def of(self, key: bytes) -> list[P] | None:
        """The peers of this key's set, None if it has no set."""
        named = self._sets.get(key)
        if named is None:
            return None
        return [peer for peer, blocks in named.items() if blocks == self._blocks.get(peer, 0)]

    def restrict(self, key: bytes, peers: Iterable[P]) -> None:
        """Begin a set for a key that has none."""
        self._sets[key] = {}
        self.widen(key, peers)

    def widen(self, key: bytes, peers: Iterable[P]) -> list[P]:
        """Name more peers, if the key has a set; those that were not in it."""
        named = self._sets.get(key)
        if named is None:
            return []
        added: list[P] = []
        for peer in peers:
            blocks = self._blocks.get(peer, 0)
            if named.get(peer) == blocks:
                continue
            if peer not in named:
                self._naming[peer] = self._naming.get(peer, 0) + 1
            named[peer] = blocks
            added.append(peer)
        return added

    def forget(self, key: bytes) -> None:
        """End the key's set, if it has one."""
        for peer in self._sets.pop(key) or ():
            self._naming[peer] -= 1
            if not self._naming[peer]:
                del self._naming[peer]
                self._blocks.pop(peer, None)

    def block(self, peer: P) -> None:
        """Take the peer out of every set."""
        if peer in self._naming:
            self._blocks[peer] = self._blocks.get(peer, 0) + 1
