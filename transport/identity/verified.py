"""What has been found good before, so that it is not checked again.

* Only what was found good is kept: bad input cannot push good entries out.
* The least recently used entry goes when the cache is full.
* Safe to share between threads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict


class VerifiedCache:
    """A bounded set of digests, least recently used out first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._digests: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, digest: bytes) -> bool:
        with self._lock:
            if digest not in self._digests:
                return False
            self._digests.move_to_end(digest)
            return True

    def add(self, digest: bytes) -> None:
        with self._lock:
            self._digests[digest] = None
            if len(self._digests) > self._capacity:
                self._digests.popitem(last=False)

    def __len__(self) -> int:
        return len(self._digests)
