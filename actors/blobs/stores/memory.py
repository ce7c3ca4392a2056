"""A store in memory, for tests and for nodes that only pass things on.

Its size is bounded: a block that would exceed `max_bytes` is refused, never another one dropped for it, because
a store that forgets by itself would break the files whose chunks it holds. Only the values count, not the overhead.
"""

import threading
from collections.abc import Iterator

from . import StoreError, StoreFull, check_block, check_key

DEFAULT_MAX_BYTES = 256 * 1024 * 1024


class MemoryStore:
    """A `Store` that holds at most `max_bytes` bytes of values (default 256 MiB) and forgets all at `close`."""

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes is a number of bytes, zero or more, not {max_bytes}")
        self.max_bytes = max_bytes
        self._size = 0
        self._blocks: dict[bytes, bytes] | None = {}
        self._marked: set[bytes] = set()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of values held."""
        return self._size

    def get(self, key: bytes) -> bytes | None:
        check_key(key)
        with self._lock:
            return self._opened().get(key)

    def put(self, key: bytes, value: bytes) -> None:
        check_block(key, value)
        with self._lock:
            blocks = self._opened()
            if key in blocks:
                return
            if self._size + len(value) > self.max_bytes:
                raise StoreFull(
                    f"the memory store is full: it holds {self._size} of at most {self.max_bytes} bytes, "
                    f"and a block of {len(value)} does not fit"
                )
            blocks[key] = bytes(value)
            self._size += len(value)

    def has(self, key: bytes) -> bool:
        check_key(key)
        with self._lock:
            return key in self._opened()

    def delete(self, key: bytes) -> None:
        check_key(key)
        with self._lock:
            self._size -= len(self._opened().pop(key, b""))
            self._marked.discard(key)

    def keys(self) -> Iterator[bytes]:
        with self._lock:
            return iter(sorted(self._opened()))

    def mark(self, key: bytes) -> None:
        check_key(key)
        with self._lock:
            self._opened()
            self._marked.add(key)

    def unmark(self, key: bytes) -> None:
        check_key(key)
        with self._lock:
            self._opened()
            self._marked.discard(key)

    def marked(self) -> Iterator[bytes]:
        with self._lock:
            return iter(sorted(self._marked & self._opened().keys()))

    def count(self) -> int:
        with self._lock:
            return len(self._opened())

    def close(self) -> None:
        with self._lock:
            self._blocks = None
            self._size = 0

    def _opened(self) -> dict[bytes, bytes]:
        if self._blocks is None:
            raise StoreError("the memory store is closed")
        return self._blocks
