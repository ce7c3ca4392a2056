"""A dict by key for very many keys, of which no operation ever takes long.

A dict that grows is copied as a whole: at a million keys that is a pause of tens of milliseconds on the engine's
thread. Here the keys are spread over `PARTS` dicts, so a copy, a snapshot or a step through all keys concerns one part.
The spread is by CRC-32 and not by hash, so that the order of keys is the same in every process.

Values that hold nothing but bytes, numbers and tuples of these also cost the garbage collector nothing: it stops
looking at such tuples, and at dicts of them. A million small objects would be walked through again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar
from zlib import crc32

V = TypeVar("V")

PARTS = 256


class KeyTable(Generic[V]):
    """Key -> value. Its order is reproducible, and not that of insertion."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[dict[bytes, V]] = [{} for _ in range(PARTS)]
        self._size = 0

    def __contains__(self, key: bytes) -> bool:
        return self._size > 0 and key in self._parts[crc32(key) % PARTS]

    def __getitem__(self, key: bytes) -> V:
        return self._parts[crc32(key) % PARTS][key]

    def __setitem__(self, key: bytes, value: V) -> None:
        part = self._parts[crc32(key) % PARTS]
        before = len(part)
        part[key] = value
        self._size += len(part) - before

    def __len__(self) -> int:
        return self._size

    def get(self, key: bytes) -> V | None:
        return self._parts[crc32(key) % PARTS].get(key) if self._size else None

    def pop(self, key: bytes) -> V | None:
        """Remove the key if it is there; its value."""
        if not self._size:
            return None
        part = self._parts[crc32(key) % PARTS]
        before = len(part)
        value = part.pop(key, None)
        self._size += len(part) - before
        return value

    def __iter__(self) -> Iterator[bytes]:
        """The keys. Of those added or removed meanwhile some are seen; a key that stays is seen exactly once."""
        for part in self._parts:
            yield from tuple(part)
