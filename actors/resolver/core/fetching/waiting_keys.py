"""The keys that wait to be sent: each with its time and its targets, in the order that `pending.py` keeps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Generic, TypeVar

from ..key_subscribers import Comparable
from ..key_table import KeyTable
from .key_targets import KeyTargets
from .pending import Entry, Pending

P = TypeVar("P", bound=Comparable)


class WaitingKeys(Generic[P]):
    """targets: whose sets only this changes while a key waits, as a key stands in a queue of each of its targets."""

    def __init__(self, targets: KeyTargets[P]) -> None:
        self._targets = targets
        self._entries: KeyTable[Entry] = KeyTable()
        self._pending: Pending[P] = Pending(self._is_current)

    def __contains__(self, key: bytes) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._entries)

    @property
    def untargeted(self) -> int:
        """How many any peer may answer."""
        return self._pending.untargeted

    def waits_for(self, peer: P) -> bool:
        """Whether some key that waits names this peer as its target."""
        return self._pending.waits_for(peer)

    # What waits

    def add(self, key: bytes, at: float, *, is_retry: bool) -> None:
        """Let a key wait that does not, until this time."""
        self._add((is_retry, at, key))

    def take(self, key: bytes) -> Entry | None:
        """The key waits no longer; what it was, None if it did not wait."""
        entry = self._entries.pop(key)
        if entry is not None:
            self._pending.forget(entry, self._targets.of(key))
        return entry

    def hasten(self, key: bytes, at: float) -> None:
        """Let the key, if it waits, wait as a retry until this time and no longer."""
        entry = self._entries.get(key)
        if entry is not None and at < entry[1]:
            self.take(key)
            self.add(key, at, is_retry=True)

    def widen(self, key: bytes, targets: Iterable[P]) -> None:
        """More targets, if the key has a set of them."""
        added = self._targets.widen(key, targets)
        entry = self._entries.get(key)
        if entry is not None and added:
            self._pending.push(entry, added)

    def open_to_all(self, key: bytes) -> None:
        """Let any peer answer a key that has targets."""
        entry = self.take(key)
        self._targets.forget(key)
        if entry is not None:
            is_retry, not_before, _ = entry
            self._add((is_retry, not_before, key))  # another object: the old one is a leftover now

    def block(self, peer: P) -> None:
        """Take the peer out of every set of targets."""
        self._targets.block(peer)
        self._pending.drop(peer)

    # What is due

    def due(self, now: float, ready: Collection[P]) -> Entry | None:
        """The first whose time has come and that one of these peers may be asked for; None too if it looked so far."""
        entry = self._pending.due(now, ready)
        return None if entry is None or not self._is_current(entry) else entry

    def wake_up(self, ready_at: Collection[tuple[P, float]]) -> float:
        """When one will first have both its time and a ready peer, given when each candidate is ready."""
        return self._pending.wake_up(ready_at)

    def _add(self, entry: Entry) -> None:
        self._entries[entry[2]] = entry
        self._pending.push(entry, self._targets.of(entry[2]))

    def _is_current(self, entry: Entry) -> bool:
        return self._entries.get(entry[2]) is entry
