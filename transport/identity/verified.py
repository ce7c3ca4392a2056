"""What was found good, or read, before, so that it is not done again; shared fairly among those that it came from.

* Only what was found good is kept: bad input cannot push good entries out.
* When the cache is full, whoever has most entries loses the one of its own that was used longest ago. So nobody can
  empty it for the others by sending much.
* Safe to share between threads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class FairCache(Generic[V]):
    """A bounded number of values by key, each put down to a source."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: dict[bytes, tuple[V, bytes | None]] = {}
        self._sources: dict[bytes | None, OrderedDict[bytes, None]] = {}  # the keys of each
        self._lock = threading.Lock()

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def __len__(self) -> int:
        return len(self._values)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._sources.clear()

    def get(self, key: bytes) -> V | None:
        """The value, which counts as used now; None if there is none."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._sources[found[1]].move_to_end(key)
            return found[0]

    def add(self, key: bytes, value: V, source: bytes | None = None) -> None:
        """Keep a value. source: the peer that it came from; None for nobody in particular."""
        with self._lock:
            if key in self._values:
                return
            self._values[key] = value, source
            self._sources.setdefault(source, OrderedDict())[key] = None
            if len(self._values) > self._capacity:
                self._drop_one(source)

    def _drop_one(self, newest: bytes | None) -> None:
        """Drop one of whoever has most; who has more than an equal share is one of these, and quickly found."""
        sources = self._sources
        most = newest
        if len(sources[newest]) * len(sources) <= self._capacity:
            most = max(sources, key=lambda source: len(sources[source]))
        key, _ = sources[most].popitem(last=False)
        del self._values[key]
        if not sources[most]:
            del sources[most]
