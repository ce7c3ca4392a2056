"""Who wants which key: key -> subscribers in their own order. A key is here exactly while somebody wants it.

A subscriber is a local tag that never leaves the node. Subscribers of one resolver are hashable and comparable with
each other; one that needs no tags uses `()`. Every verb says what changed, so that the caller decides what follows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, Self, TypeVar


class Comparable(Protocol):
    """A hashable value with an order of its own."""

    def __hash__(self) -> int: ...

    def __lt__(self, other: Self, /) -> bool: ...


S = TypeVar("S", bound=Comparable)


class UnusableSubscriber(TypeError):
    """A subscriber cannot be compared with the others of its key. Nothing was changed."""


class Subscribers(Generic[S]):
    def __init__(self) -> None:
        # A sorted list and not a set: most keys have one subscriber, and a million small lists are a third of the sets.
        self._subscribers: dict[bytes, list[S]] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._subscribers

    def __len__(self) -> int:
        return len(self._subscribers)

    def __iter__(self) -> Iterator[bytes]:
        """The keys, in the order in which they were first wanted."""
        return iter(self._subscribers)

    def of(self, key: bytes) -> tuple[S, ...]:
        """The key's subscribers, sorted; empty when nobody wants it."""
        return tuple(self._subscribers.get(key, ()))

    def add(self, key: bytes, subscriber: S) -> bool:
        """False if this subscriber had the key already. UnusableSubscriber if it does not compare with who is there."""
        present = self._subscribers.setdefault(key, [])
        try:
            place = bisect_left(present, subscriber)
            is_known = place < len(present) and present[place] == subscriber
        except Exception as error:  # comparing is the application's code
            raise UnusableSubscriber(f"{subscriber!r} does not compare with {present[0]!r}: {error!r}") from error
        if not is_known:
            present.insert(place, subscriber)
        return not is_known

    def satisfy(self, key: bytes, delivered: Iterable[S]) -> tuple[S, ...]:
        """Remove those that got the bytes. Who came later remains and is returned."""
        satisfied = frozenset(delivered)
        return self._keep(key, [each for each in self._subscribers.get(key, []) if each not in satisfied])

    def retain(self, key: bytes, predicate: Callable[[bytes, S], bool]) -> tuple[S, ...]:
        """Remove the subscribers of this key for which the predicate is false. Who remains is returned."""
        return self._keep(key, [each for each in self._subscribers.get(key, []) if predicate(key, each)])

    def drop(self, key: bytes) -> None:
        """Nobody wants the key any more; a key that nobody wants is no error."""
        self._subscribers.pop(key, None)

    def _keep(self, key: bytes, remaining: list[S]) -> tuple[S, ...]:
        if remaining:
            self._subscribers[key] = remaining
        else:
            self.drop(key)
        return tuple(remaining)
