"""Keeps the address book: reads it at the start, and writes what the journal notes.

::

    change ──▶ journal ──0.5 s──▶ batch ──▶ storage (a thread of its own)      one batch at a time; what changes
    block  ──▶ journal ──at once─▶ batch, durable ──▶ the asker's answer       meanwhile is in the next one

* Blocks and trust are there before the first gate; peers follow in slices while the node runs.
* A batch holds the state at the moment it is made. If it fails, its names go back into the journal, and it is tried
  again after 1 s, doubling up to 60 s. Whoever waits for a batch that failed is told NotStored.
* A read that fails is tried again after 60 s.
* The first failure is told as `BookFailed`, the first success after it as `BookRecovered`; each is logged and counted.
* At the end, what is still in the journal is written at once.
* When the wall clock has been set, everything is written again: a stamp counts from what it now says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from ... import runtime
from ...runtime import Message, Reply
from ...transport.identity import PeerId
from .config import Config
from .entries import Batch, BlockEntry, Head, PeerEntry, Read
from .errors import CannotBlock, NotStored
from .mailbox import BookFailed, BookRecovered, Mailbox
from .metrics import BookMetrics
from .restoring import Clock, block_entry, block_until, peer_entry, restore
from .slicing import Slices
from .steps import Steps
from .storage import Storage, StorageError
from .table import Table
from .targets import parse_target

T = TypeVar("T")

FLUSH_AFTER = 0.5
"""Seconds from a change to its batch. As much again is left for the writing: together the second that may be lost."""
WRITE_SLICE = 500
"""Peers in a batch."""
READ_SLICE = 100
"""Peers read at a time: the pool has the interpreter for 2 ms."""
RETRY_FIRST, RETRY_MOST = 1.0, 60.0
LOOK_AT_CLOCK = 60.0
"""Seconds between two looks whether the wall clock was set."""
CLOCK_SLACK = 2.0
"""Seconds it may drift before that counts as set."""
MOST_FORGOTTEN = 10_000
"""Forgotten peers that are remembered to be deleted while the disk cannot be written."""
PATIENCE = 60.0
"""Seconds after which a read or write counts as failed."""
READ_COST, WRITE_COST = 0.002, 0.005
"""Virtual seconds, in a simulation."""


@dataclass(frozen=True, slots=True)
class Flush(Message):
    """The engine's timer: it is time to write."""


@dataclass(frozen=True, slots=True)
class ReadOn(Message):
    """The engine's timer: try to read once more."""


@dataclass(frozen=True, slots=True)
class LookAtClock(Message):
    """The engine's timer: has somebody set the clock?"""


class Keeper:
    """Used on the engine's thread."""

    def __init__(
        self,
        engine: runtime.Engine[Mailbox],
        config: Config,
        table: Table,
        storage: Storage | None,
        slices: Slices,
        *,
        tell: Callable[[Message], object],
        restored: Callable[[], object],
    ) -> None:
        """storage: None keeps nothing. slices: of the engine, for what reads much. tell: an event.

        restored: called when something was taken in.
        """
        self._engine = engine
        self._config = config
        self._table = table
        self._journal = table.journal
        self._storage = storage
        self._slices = slices
        self._tell = tell
        self._restored = restored
        self._metrics = BookMetrics(engine.runtime.registry)
        self._named = frozenset(table.trusted)  # by the configuration
        self._clock = self._look()
        self._timer: runtime.Timer | None = None
        self._writing: Batch | None = None
        self._waiting: list[Reply[None]] = []  # for the next batches, until the journal is empty
        self._promised: list[Reply[None]] = []  # for the batch that is being written
        self._retry = 0.0
        self.broken: BookFailed | None = None  # since its failure was told, until its recovery is
        self._has_head = False
        self._unread: list[PeerId] | None = None  # the most lately seen last

    # At the start and at the end -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take in blocks and trust, then begin to read the peers."""
        storage = self._storage
        if storage is None:
            return
        self._journal.on = True
        self._engine.every(LOOK_AT_CLOCK, LookAtClock())
        if storage.aside is not None:
            self._metrics.aside.inc()
        try:
            head = storage.head()
        except StorageError as error:
            self._on_head(error)
        else:
            self._on_head(head)

    def stop(self) -> None:
        """Write what is left, on this thread: the pool may have ended."""
        if self._storage is None:
            return
        self._put_back(self._writing)
        try:
            while self._journal:
                self._storage.write(self._batch())
        except StorageError as error:
            self._failed("write", error)
        self._storage.close()

    def read_on(self) -> None:
        """Read what comes next of what was not read yet."""
        storage, unread = self._storage, self._unread
        if storage is None:
            return
        if not self._has_head:
            self._ask(storage.head, self._on_head, READ_COST)
        elif unread is None:
            self._ask(storage.peers, self._on_peers, READ_COST)
        elif unread:
            some = unread[-READ_SLICE:]
            self._ask(lambda: storage.read(some), self._on_read, READ_COST)

    def _on_head(self, head: Head | Exception) -> None:
        if isinstance(head, Exception):
            self._cannot_read(head)
            return
        self._has_head = True
        self._slices.run(self._taking_in(head), lambda _none: self._taken_in())

    def _taking_in(self, head: Head) -> Steps[None]:
        now = self._engine.now()
        for peer, trusted in head.trust:
            self._trust(peer, trusted, now)
            yield 1
        for entry in head.blocks:
            yield from self._blocking(entry, now)

    def _taken_in(self) -> None:
        self._restored()
        self.read_on()
        self._recovered()

    def _trust(self, peer: PeerId, trusted: bool, now: float) -> None:
        with self._journal.silent():
            if trusted:
                self._table.trust(peer, now)
            elif self._table.distrust(peer, now) is not None:
                words = "the configuration trusts a peer that was distrusted by hand: it is not trusted"
                self._engine.log.warning(words, peer=peer)

    def _blocking(self, entry: BlockEntry, now: float) -> Steps[None]:
        """Take a block in, or have it deleted if it is over."""
        until = block_until(entry, self._clock, now)
        try:
            target = parse_target(entry.target)
            if until is None:
                self._journal.block(target)
                return
            noted = target in self._journal.blocks
            yield from self._table.blocking(target, until - now, now)
            if not noted:
                self._journal.blocks.pop(target, None)  # it stands there
        except (ValueError, CannotBlock) as error:
            self._metrics.read.inc("spoiled")
            self._engine.log.warning("a block of the address book cannot be read", why=str(error))

    def _on_peers(self, peers: tuple[PeerId, ...] | Exception) -> None:
        if isinstance(peers, Exception):
            self._cannot_read(peers)
            return
        self._unread = list(reversed(peers))
        self.read_on()

    def _on_read(self, read: Read | Exception) -> None:
        if isinstance(read, Exception):
            self._cannot_read(read)
            return
        assert self._unread is not None
        del self._unread[-READ_SLICE:]
        for peer in read.spoiled:
            self._journal.peer(peer)
        self._metrics.read.inc("spoiled", by=len(read.spoiled))
        if read.spoiled:
            self._engine.log.warning("entries of the address book cannot be read", peers=len(read.spoiled))
        self._slices.run(self._restoring(read.peers), lambda _none: self._taken_in())

    def _restoring(self, entries: tuple[PeerEntry, ...]) -> Steps[None]:
        now = self._engine.now()
        for entry in entries:
            with self._journal.silent():  # what comes from the book need not be written to it
                kept = restore(entry, self._table, self._config, self._clock, now)
            if not kept:
                self._journal.peer(entry.peer)
            self._metrics.read.inc("kept" if kept else "dropped")
            yield 1

    def _cannot_read(self, error: Exception) -> None:
        self._failed("read", error)
        self._engine.after(RETRY_MOST, ReadOn())

    # While it runs ---------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Something may have changed: see to it that it is written in time."""
        if self._journal and self._writing is None and self._timer is None:
            self._timer = self._engine.after(FLUSH_AFTER, Flush())
        self._show()

    def stored(self) -> Reply[None]:
        """Write now who is blocked and trusted; resolved when it is stored. Fails with NotStored."""
        if self._storage is None or not (self._journal or self._writing):
            return Reply.of(None)
        reply: Reply[None] = Reply()
        self._waiting.append(reply)
        self.flush()
        return reply

    def flush(self) -> None:
        """Write the next batch, unless one is being written."""
        storage = self._storage
        if storage is None or self._writing is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._promised, self._waiting = self._waiting, []
        if self._journal:
            batch = self._writing = self._batch()
            self._ask(lambda: storage.write(batch), self._on_written, WRITE_COST)
        else:
            self._answer_promised(None)

    def look_at_clock(self) -> None:
        """Write everything again if the wall clock was set."""
        clock = self._look()
        by = clock.offset - self._clock.offset
        if abs(by) <= CLOCK_SLACK:
            return
        self._clock = clock
        self._metrics.jumps.inc()
        self._engine.log.warning("the wall clock was set: the address book is written again", by_seconds=round(by, 1))
        self._journal.peers.update(dict.fromkeys(self._table.peers()))
        self._journal.blocks.update(dict.fromkeys(block.target for block in self._table.blocks))
        self.follow()

    def _on_written(self, result: object) -> None:
        batch, self._writing = self._writing, None
        if isinstance(result, Exception):
            self._put_back(batch)
            self._failed("write", result)
            self._answer_promised(NotStored(f"in force, but not stored, so a restart would forget it: {result}"))
            self._retry = min(max(RETRY_FIRST, self._retry * 2), RETRY_MOST)
            self._timer = self._engine.after(self._retry, Flush())
        else:
            self._metrics.batches.inc()
            self._retry = 0.0
            self._recovered()
            self._answer_promised(None)
        if self._waiting or (self._timer is None and len(self._journal.peers) >= WRITE_SLICE):
            self.flush()
        self.follow()

    def _answer_promised(self, error: NotStored | None) -> None:
        promised, self._promised = self._promised, []
        for reply in promised:
            reply.set(None) if error is None else reply.fail(error)

    def _failed(self, what: str, error: Exception) -> None:
        why = f"no answer within {PATIENCE:g} s" if isinstance(error, runtime.ReplyTimeout) else str(error)
        self._metrics.failures.inc(what)
        self._engine.log.error("the address book failed", what=what, why=why, unwritten=len(self._journal.peers))
        if self.broken is None:
            self.broken = BookFailed(why)
            self._tell(self.broken)

    def _recovered(self) -> None:
        """Something went well: tell so if everything does again."""
        if self.broken is not None and self._unread == [] and self._retry == 0.0:
            self.broken = None
            self._engine.log.info("the address book is whole again")
            self._tell(BookRecovered())

    # Parts -----------------------------------------------------------------------------------------------------------

    def _batch(self) -> Batch:
        """Take from the journal: all blocks and trust, and some peers."""
        journal, table = self._journal, self._table
        now, clock = self._engine.now(), self._clock
        names = list(islice(journal.peers, WRITE_SLICE))
        records = [(peer, table.get(peer)) for peer in names]
        entries = {peer: peer_entry(record, clock, now) if record is not None else None for peer, record in records}
        ends = {target: table.blocks.until(target, now) for target in journal.blocks}
        batch = Batch(
            peers=tuple(entry for entry in entries.values() if entry is not None),
            forgotten=tuple(peer for peer, entry in entries.items() if entry is None),
            blocks=tuple(block_entry(str(target), until, clock, now) for target, until in ends.items() if until),
            unblocked=tuple(str(target) for target, until in ends.items() if not until),
            trust=tuple((peer, self._by_hand(peer)) for peer in journal.trust),
            durable=bool(journal.blocks or journal.trust),
        )
        for name in names:
            del journal.peers[name]
        journal.blocks.clear()
        journal.trust.clear()
        return batch

    def _look(self) -> Clock:
        return Clock.at(self._engine.now(), self._engine.wall())

    def _ask(self, function: Callable[[], T], handler: Callable[[T | Exception], object], cost: float) -> None:
        self._engine.on_reply(self._engine.work(function, cost=cost, serial="book"), handler, within=PATIENCE)

    def _show(self) -> None:
        journal = self._journal
        self._metrics.unwritten.set(len(journal.peers) + len(journal.blocks) + len(journal.trust))

    def _put_back(self, batch: Batch | None) -> None:
        """Note again what was not written. Of the forgotten, who may be any number, only while they are few."""
        if batch is None:
            return
        journal = self._journal
        for entry in batch.peers:
            journal.peer(entry.peer)
        for peer in batch.forgotten:
            journal.peer(peer)
        for target in (*(block.target for block in batch.blocks), *batch.unblocked):
            journal.block(parse_target(target))
        for peer, _trusted in batch.trust:
            journal.trusts(peer)
        if len(journal.peers) > 2 * len(self._table) + MOST_FORGOTTEN:
            journal.peers = {peer: None for peer in journal.peers if self._table.get(peer) is not None}

    def _by_hand(self, peer: PeerId) -> bool | None:
        """What somebody said of this peer beyond the configuration."""
        trusted = peer in self._table.trusted
        return None if trusted == (peer in self._named) else trusted
