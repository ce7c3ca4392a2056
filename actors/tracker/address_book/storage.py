"""Where the address book is kept: the seam between the tracker and a disk.

`SqliteStorage` is a file. `MemoryStorage` is for simulations: it outlives the node that wrote it, as a disk does.

* `head` is asked once, before the node lets anybody in; everything else is called off the engine's thread, one call at
  a time and in order, but for `write` and `close` at the very end.
* A batch is written whole or not at all. Whatever a call cannot do is a StorageError that says why.
* Entries that cannot be read are named, not raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ....transport.identity import PeerId
from .entries import Batch, BlockEntry, Head, PeerEntry, Read


class StorageError(Exception):
    """The book cannot be read or written; the text names the file and says what is wrong."""


class BookUnusable(StorageError):
    """Nothing can be kept at this place: it may not be written, is in use, or is of a newer version."""


class Storage(Protocol):
    """What the tracker needs of a disk."""

    @property
    def aside(self) -> str | None:
        """Where a damaged file was moved when this was opened; None if there was none."""

    def head(self) -> Head:
        """The blocks, and the trust that was changed by hand."""

    def peers(self) -> tuple[PeerId, ...]:
        """Everybody who has an entry, the most lately seen first."""

    def read(self, peers: Sequence[PeerId]) -> Read:
        """The entries of these."""

    def write(self, batch: Batch) -> None:
        """Keep a batch."""

    def close(self) -> None:
        """The last call; may be repeated. What comes afterwards is a StorageError."""


class MemoryStorage:
    """A book without a disk. Hand it to the node that is started in the place of a crashed one."""

    aside: str | None = None

    def __init__(self) -> None:
        self.entries: dict[PeerId, PeerEntry] = {}
        self.blocks: dict[str, BlockEntry] = {}
        self.trust: dict[PeerId, bool] = {}

    def head(self) -> Head:
        return Head(tuple(self.blocks.values()), tuple(self.trust.items()))

    def peers(self) -> tuple[PeerId, ...]:
        return tuple(sorted(self.entries, key=lambda peer: (-(self.entries[peer].seen_at or 0.0), peer)))

    def read(self, peers: Sequence[PeerId]) -> Read:
        return Read(tuple(self.entries[peer] for peer in peers if peer in self.entries))

    def write(self, batch: Batch) -> None:
        self.entries.update((entry.peer, entry) for entry in batch.peers)
        self.blocks.update((entry.target, entry) for entry in batch.blocks)
        for peer in batch.forgotten:
            self.entries.pop(peer, None)
        for target in batch.unblocked:
            self.blocks.pop(target, None)
        for peer, trusted in batch.trust:
            if trusted is None:
                self.trust.pop(peer, None)
            else:
                self.trust[peer] = trusted

    def close(self) -> None:
        """It stays readable: the next node has it."""
