"""Reads the address book at the start.

* Blocks and trust are there before the first gate; peers follow, the most lately seen first, while the node runs.
* What this life has changed already, and not yet written, is newer than what stands in the book.
* What is over, cannot be read or has no place here is noted in the journal, and so deleted.
* A read that fails is tried again after a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ....runtime import Message, Slices
from ....transport.identity import PeerId
from ..core.blocks import parse_target
from ..core.peer_sets import Job
from ..errors import CannotBlock
from .book import Keeper
from .entries import BlockEntry, Head, PeerEntry, Read
from .restoring import block_until, restore
from .storage import Storage, StorageError

READ_SLICE = 100
"""Peers read at a time: the pool has the interpreter for 2 ms."""
RETRY_AFTER = 60.0
READ_COST = 0.002
"""Virtual seconds, in a simulation."""


@dataclass(frozen=True, slots=True)
class ReadOn(Message):
    """The engine's timer: try to read once more."""


class Reader:
    """Used on the engine's thread."""

    def __init__(self, keeper: Keeper, storage: Storage, slices: Slices, restored: Callable[[], object]) -> None:
        """slices: of the engine, for what is much. restored: called when something was taken in."""
        self._keeper = keeper
        self._storage = storage
        self._slices = slices
        self._restored = restored
        self._has_head = False
        self._unread: list[PeerId] | None = None  # the most lately seen last

    def start(self) -> None:
        """Take in blocks and trust, on this thread, then begin to read the peers."""
        try:
            head = self._storage.head()
        except StorageError as error:
            self._on_head(error)
        else:
            self._on_head(head)

    def go_on(self) -> None:
        """Read what comes next of what was not read yet."""
        storage, unread = self._storage, self._unread
        if not self._has_head:
            self._keeper.ask(storage.head, self._on_head, READ_COST)
        elif unread is None:
            self._keeper.ask(storage.peers, self._on_peers, READ_COST)
        elif unread:
            some = unread[-READ_SLICE:]
            self._keeper.ask(lambda: storage.read(some), self._on_read, READ_COST)

    def _on_head(self, head: Head | Exception) -> None:
        if isinstance(head, Exception):
            self._cannot_read(head)
            return
        self._has_head = True
        self._slices.run(self._taking_in(head), lambda _none: self._taken_in())

    def _taking_in(self, head: Head) -> Job[None]:
        now = self._keeper.engine.now()
        for peer, trusted in head.trust:
            self._trust(peer, trusted, now)
            yield 1
        for entry in head.blocks:
            yield from self._blocking(entry, now)

    def _taken_in(self) -> None:
        self._restored()
        self.go_on()
        self._keeper.recovered()

    def _trust(self, peer: PeerId, trusted: bool, now: float) -> None:
        if peer in self._keeper.unsaved.trust:
            return
        with self._keeper.unsaved.silent():
            if trusted:
                self._keeper.peers.trust(peer, now)
            elif self._keeper.peers.distrust(peer, now) is not None:
                words = "the configuration trusts a peer that was distrusted by hand: it is not trusted"
                self._keeper.engine.log.warning(words, peer=peer)

    def _blocking(self, entry: BlockEntry, now: float) -> Job[None]:
        """Take a block in, or have it deleted if it is over."""
        until = block_until(entry, self._keeper.clock, now)
        try:
            target = parse_target(entry.target)
            if until is None:
                self._keeper.unsaved.block(target)
                return
            if target in self._keeper.unsaved.blocks:
                return
            yield from self._keeper.peers.block_job(target, until - now, now, at_least=True)
            self._keeper.unsaved.blocks.pop(target, None)  # it stands there
        except (ValueError, CannotBlock) as error:
            self._keeper.metrics.read.inc("spoiled")
            self._keeper.engine.log.warning("a block of the address book cannot be read", why=str(error))

    def _on_peers(self, peers: tuple[PeerId, ...] | Exception) -> None:
        if isinstance(peers, Exception):
            self._cannot_read(peers)
            return
        self._unread = list(reversed(peers))
        self._keeper.is_read = not self._unread
        self.go_on()

    def _on_read(self, read: Read | Exception) -> None:
        if isinstance(read, Exception):
            self._cannot_read(read)
            return
        assert self._unread is not None
        del self._unread[-READ_SLICE:]
        self._keeper.is_read = not self._unread
        for peer in read.spoiled:
            self._keeper.unsaved.peer(peer)
        self._keeper.metrics.read.inc("spoiled", by=len(read.spoiled))
        if read.spoiled:
            self._keeper.engine.log.warning("entries of the address book cannot be read", peers=len(read.spoiled))
        self._slices.run(self._restoring(read.peers), lambda _none: self._taken_in())

    def _restoring(self, entries: tuple[PeerEntry, ...]) -> Job[None]:
        now = self._keeper.engine.now()
        for entry in entries:
            with self._keeper.unsaved.silent():  # what comes from the book need not be written to it
                kept = restore(entry, self._keeper.peers, self._keeper.config, self._keeper.clock, now)
            if not kept:
                self._keeper.unsaved.peer(entry.peer)
            self._keeper.metrics.read.inc("kept" if kept else "dropped")
            yield 1

    def _cannot_read(self, error: Exception) -> None:
        self._keeper.failed("read", error)
        self._keeper.engine.after(RETRY_AFTER, ReadOn())
