"""Who has said that they have a key, by key and by peer: they are asked for it before others."""

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
        self._keys: dict[P, dict[bytes, None]] = {}

    def of(self, key: bytes) -> Collection[P]:
        """Who has said that they have the key."""
        return self._peers.get(key, ())

    def keys_of(self, peer: P) -> tuple[bytes, ...]:
        """What the peer has said that it has, in that order."""
        return tuple(self._keys.get(peer, ()))

    def add(self, key: bytes, peer: P) -> bool:
        """The peer has said it; False if so many have that this one does not count."""
        peers = self._peers.setdefault(key, set())
        if len(peers) >= MAX_NAMED and peer not in peers:
            return False
        peers.add(peer)
        self._keys.setdefault(peer, {})[key] = None
        return True

    def forget(self, key: bytes) -> None:
        """Nobody wants the key any more."""
        for peer in self._peers.pop(key, ()):
            keys = self._keys[peer]
            del keys[key]
            if not keys:
                del self._keys[peer]
