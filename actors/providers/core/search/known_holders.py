"""Who has said yes to which key that is looked for, by key and by peer."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .....transport.identity import PeerId

_NOBODY: Mapping[PeerId, float | None] = {}
_NOTHING: Collection[bytes] = ()


class KnownHolders:
    """Of all searches of a node. Each with its age: seconds since it told its index member, None if none named it."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._peers: dict[bytes, dict[PeerId, float | None]] = {}
        self._keys: dict[PeerId, dict[bytes, None]] = {}

    def of(self, hashed: bytes) -> Mapping[PeerId, float | None]:
        """Who has a key, with the ages."""
        return self._peers.get(hashed, _NOBODY)

    def keys_of(self, peer: PeerId) -> Collection[bytes]:
        """What a peer has."""
        return self._keys.get(peer, _NOTHING)

    def add(self, hashed: bytes, peer: PeerId, age: float | None) -> None:
        """A peer has a key."""
        self._peers.setdefault(hashed, {})[peer] = age
        self._keys.setdefault(peer, {})[hashed] = None

    def discard(self, hashed: bytes, peer: PeerId) -> bool:
        """It has it no more; whether it had."""
        peers, keys = self._peers.get(hashed, {}), self._keys.get(peer, {})
        if peer not in peers:
            return False
        del peers[peer], keys[hashed]
        if not peers:
            del self._peers[hashed]
        if not keys:
            del self._keys[peer]
        return True

    def forget(self, hashed: bytes) -> list[PeerId]:
        """A key is looked for no more; of those who have it, whoever has no other that is."""
        peers = list(self.of(hashed))
        for peer in peers:
            self.discard(hashed, peer)
        return [peer for peer in peers if peer not in self._keys]
