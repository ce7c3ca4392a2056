"""A set of keys from which distinct random ones are drawn without walking through it."""

import random
from collections.abc import Callable, Iterable, Iterator

__all__ = ["Pool"]


class Pool:
    """Adding, removing and drawing one key cost O(1); the order depends on calls and `rng` alone, never on hashes."""

    __slots__ = ("_keys", "_places")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._keys = list(keys)
        self._places = {key: place for place, key in enumerate(self._keys)}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._keys)

    def copy(self) -> "Pool":
        return Pool(self._keys)

    def add(self, key: bytes) -> None:
        if key not in self._places:
            self._places[key] = len(self._keys)
            self._keys.append(key)

    def discard(self, key: bytes) -> None:
        if key in self._places:
            self._swap(self._places[key], len(self._keys) - 1)
            self._keys.pop()
            del self._places[key]

    def sample(self, count: int, rng: random.Random, accept: Callable[[bytes], bool]) -> list[bytes]:
        """At most `count` distinct accepted keys, uniformly.

        A shuffle that stops as soon as enough are found, so the cost follows `count`, not the size of the pool.
        """
        chosen: list[bytes] = []
        for place in range(len(self._keys)):
            if len(chosen) == count:
                break
            self._swap(place, rng.randrange(place, len(self._keys)))
            if accept(self._keys[place]):
                chosen.append(self._keys[place])
        return chosen

    def _swap(self, one: int, other: int) -> None:
        keys = self._keys
        keys[one], keys[other] = keys[other], keys[one]
        self._places[keys[one]] = one
        self._places[keys[other]] = other
