"""Who wants which key, and since when: subscribers in their own order. A key is here exactly while somebody wants it.

A subscriber is a local tag that never leaves the node. Subscribers of one resolver are hashable and comparable with
each other; one that needs no tags uses `()`. Every verb says what changed, so that the caller decides what follows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from operator import is_
from typing import Generic, Protocol, Self, TypeVar

from .key_table import KeyTable


class Comparable(Protocol):
    """A hashable value with an order of its own."""

    def __hash__(self) -> int: ...

    def __lt__(self, other: Self, /) -> bool: ...


S = TypeVar("S", bound=Comparable)


class UnusableSubscriber(TypeError):
    """A subscriber cannot be compared with the others of its key. Nothing was changed."""


class KeySubscribers(Generic[S]):
    """Per key since when it is wanted, in monotonic seconds, and by whom."""

    def __init__(self) -> None:
        # Since when, then the subscribers: one flat tuple, as `key_table.py` likes them. Most keys have one subscriber.
        self._wanted: KeyTable[tuple[float, *tuple[S, ...]]] = KeyTable()

    def __contains__(self, key: bytes) -> bool:
        return key in self._wanted

    def __len__(self) -> int:
        return len(self._wanted)

    def __iter__(self) -> Iterator[bytes]:
        """The keys, in a reproducible order. A key that stays meanwhile is seen exactly once."""
        return iter(self._wanted)

    def of(self, key: bytes) -> tuple[S, ...]:
        """The key's subscribers, sorted; empty when nobody wants it."""
        wanted = self._wanted.get(key)
        return () if wanted is None else wanted[1:]

    def since(self, key: bytes) -> float:
        """When the key was first wanted. KeyError when nobody wants it."""
        return self._wanted[key][0]

    def add(self, key: bytes, subscriber: S, now: float) -> bool:
        """False if this subscriber had the key already. UnusableSubscriber if it does not compare with who is there."""
        wanted = self._wanted.get(key)
        if wanted is None:
            self._wanted[key] = (now, subscriber)
            return True
        present: tuple[S, ...] = wanted[1:]
        try:
            place = bisect_left(present, subscriber)
            is_known = place < len(present) and present[place] == subscriber
        except Exception as error:  # comparing is the application's code
            raise UnusableSubscriber(f"{subscriber!r} does not compare with {present[0]!r}: {error!r}") from error
        if not is_known:
            widened: tuple[S, ...] = (*present[:place], subscriber, *present[place:])
            self._wanted[key] = (wanted[0], *widened)
        return not is_known

    def satisfy(self, key: bytes, delivered: Iterable[S]) -> tuple[S, ...]:
        """Remove those that got the bytes. Who came later remains and is returned."""
        present, satisfied = self.of(key), tuple(delivered)
        if len(present) == len(satisfied) and all(map(is_, present, satisfied)):  # nobody came later
            self.drop(key)
            return ()
        return self._keep(key, tuple(each for each in present if each not in satisfied))

    def retain(self, key: bytes, predicate: Callable[[bytes, S], bool]) -> tuple[S, ...]:
        """Remove the subscribers of this key for which the predicate is false. Who remains is returned."""
        return self._keep(key, tuple(each for each in self.of(key) if predicate(key, each)))

    def drop(self, key: bytes) -> None:
        """Nobody wants the key any more; a key that nobody wants is no error."""
        self._wanted.pop(key)

    def _keep(self, key: bytes, remaining: tuple[S, ...]) -> tuple[S, ...]:
        wanted = self._wanted.get(key)
        if remaining and wanted is not None:
            self._wanted[key] = (wanted[0], *remaining)
        else:
            self.drop(key)
        return remaining
