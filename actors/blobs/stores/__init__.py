"""Where blocks live: the `Store` protocol and its errors.

Rules, each with a test in `tests/stores/`, the same for every store:

* A key is the SHA-256 of its value. `put` refuses anything else, so a store never learns a false block.
* `put` returns when the block is as durable as the store can make it; putting a block again changes nothing.
* `get` answers the bytes, or None when the store has no whole copy: a damaged copy counts as missing.
* `delete` of a missing key is no error. `keys` goes in ascending order, and survives changes under way.
* `mark` lasts as blocks do, and is of no use to a block that is missing; `unmark` and `delete` end it.
* A store that has no room raises `StoreFull` and is otherwise unchanged.
* After `close`, which may be called twice, every method raises `StoreError`.
* Methods may be called from several threads at once; they wait for the disk or network, so never on an engine's thread.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ..core.keys import KEY_SIZE, check_block, check_key

__all__ = ["KEY_SIZE", "Store", "StoreError", "StoreFull", "StoreLocked", "check_block", "check_key"]


class StoreError(Exception):
    """A store could not do what was asked; `path` names the file or folder, where there is one."""

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class StoreFull(StoreError):
    """There is no room for the block; what is already stored stays."""


class StoreLocked(StoreError):
    """Another owner has the folder; `pid` is its process, where that could be read."""

    def __init__(self, message: str, path: Path | None = None, pid: int | None = None) -> None:
        super().__init__(message, path)
        self.pid = pid


class Store(Protocol):
    """A map from SHA-256 digest to the bytes it is the digest of. All methods raise `StoreError`."""

    def get(self, key: bytes) -> bytes | None:
        """The block, or None when the store has no whole copy of it."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a block. Raises ValueError when `key` is not its SHA-256, `StoreFull` when there is no room."""

    def has(self, key: bytes) -> bool:
        """Whether there is a copy; cheaper than `get`, and unlike it does not look for damage."""

    def delete(self, key: bytes) -> None:
        """Forget a block; a missing one is no error."""

    def keys(self) -> Iterator[bytes]:
        """Every key, ascending; holds no more than a small part of them at a time where the store allows."""

    def mark(self, key: bytes) -> None:
        """Remember that this block is the root of a file that is here as a whole; more than once changes nothing."""

    def unmark(self, key: bytes) -> None:
        """Forget that; nothing if it was not remembered."""

    def marked(self) -> Iterator[bytes]:
        """Every root that was marked and whose block is here, in no order."""

    def count(self) -> int | None:
        """How many blocks there are, or None where counting is not cheap."""

    def close(self) -> None:
        """Let go of the store; blocks stay if the store is a lasting one. May be called twice."""
