"""Who has said that they have a key: they are asked for it before others.

Who is not connected then ends the rest of the key when it is: once for each time it says so, or a peer that reconnects
all the time would end it each time.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)

MAX_NAMED = 16
"""Peers that are preferred for a key, at most."""


class NamedHolders(Generic[P]):
    """Of the keys that are fetched."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._peers: dict[bytes, set[P]] = {}
        self._keys: dict[P, set[bytes]] = {}
        self._expected: dict[P, dict[bytes, None]] = {}  # who is not connected, with what it has said since it was

    def of(self, key: bytes) -> Collection[P]:
        """Who has said that they have the key."""
        return self._peers.get(key, ())

    def add(self, key: bytes, peer: P, *, is_linked: bool) -> bool:
        """The peer has said it; False if so many have that this one does not count. is_linked: it may be asked now."""
        peers = self._peers.setdefault(key, set())
        if len(peers) >= MAX_NAMED and peer not in peers:
            return False
        peers.add(peer)
        self._keys.setdefault(peer, set()).add(key)
        if not is_linked:
            self._expected.setdefault(peer, {})[key] = None
        return True

    def came(self, peer: P) -> list[bytes]:
        """The peer may be asked from now on; what it has said that it has since it could be last, in that order."""
        return list(self._expected.pop(peer, ()))

    def discard(self, peer: P) -> None:
        """What this peer says counts no more."""
        self._expected.pop(peer, None)
        for key in self._keys.pop(peer, ()):
            self._peers[key].discard(peer)

    def forget(self, key: bytes) -> None:
        """Nobody wants the key any more."""
        for peer in self._peers.pop(key, ()):
            self._keys[peer].discard(key)
            if not self._keys[peer]:
                del self._keys[peer]
            keys = self._expected.get(peer)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del self._expected[peer]
