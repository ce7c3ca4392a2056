"""A set of keys from which distinct random ones are drawn without walking through it."""

import random
from collections.abc import Callable, Iterable, Iterator

__all__ = ["Pool"]


class Pool:
    """Adding, removing and drawing one key cost O(1); the order depends on calls and `rng` alone, never on hashes."""

    __slots__ = ("_keys", "_positions")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._keys = list(keys)
        self._positions = {key: position for position, key in enumerate(self._keys)}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: bytes) -> bool:
        return key in self._positions

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._keys)

    def copy(self) -> "Pool":
        return Pool(self._keys)

    def add(self, key: bytes) -> None:
        if key not in self._positions:
            self._positions[key] = len(self._keys)
            self._keys.append(key)

    def discard(self, key: bytes) -> None:
        if key in self._positions:
            self._swap(self._positions[key], len(self._keys) - 1)
            self._keys.pop()
            del self._positions[key]

    def sample(self, count: int, rng: random.Random, accept: Callable[[bytes], bool]) -> list[bytes]:
        """At most `count` distinct accepted keys, uniformly.

        A shuffle that stops as soon as enough are found, so the cost follows `count`, not the size of the pool.
        """
        chosen: list[bytes] = []
        for position in range(len(self._keys)):
            if len(chosen) == count:
                break
            self._swap(position, rng.randrange(position, len(self._keys)))
            if accept(self._keys[position]):
                chosen.append(self._keys[position])
        return chosen

    def _swap(self, one: int, other: int) -> None:
        keys = self._keys
        keys[one], keys[other] = keys[other], keys[one]
        self._positions[keys[one]] = one
        self._positions[keys[other]] = other
