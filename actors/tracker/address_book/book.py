"""Keeps the address book: writes what the journal notes, and has a `Reader` read it at the start.

::

    change ──▶ journal ──0.5 s──▶ batch ──▶ storage (a thread of its own)      one batch at a time; what changes
    block  ──▶ journal ──at once─▶ batch, durable ──▶ the asker's answer       meanwhile is in the next one

* A batch holds the state at the moment it is made. If it fails, its names go back into the journal, and it is tried
  again after 1 s, doubling up to 60 s. Whoever waits for a batch that failed is told NotStored.
* The first failure is told as `BookFailed`, the first success after it as `BookRecovered`; each is logged and counted.
* At the end, what is still in the journal is written at once.
* When the wall clock has been set, everything is written again: a stamp counts from what it now says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from .... import runtime
from ....runtime import Message, Reply
from ....transport.identity import PeerId
from ..config import Config
from ..core.blocks import parse_target
from ..core.known_peers import KnownPeers
from ..errors import NotStored
from ..mailbox import BookFailed, BookRecovered, Mailbox
from ..metrics import BookMetrics
from .entries import Batch
from .restoring import Clock, block_entry, peer_entry
from .storage import Storage, StorageError

T = TypeVar("T")

FLUSH_AFTER = 0.5
"""Seconds from a change to its batch. As much again is left for the writing: together the second that may be lost."""
WRITE_SLICE = 500
"""Peers in a batch."""
RETRY_FIRST, RETRY_MOST = 1.0, 60.0
LOOK_AT_CLOCK = 60.0
"""Seconds between two looks whether the wall clock was set."""
CLOCK_SLACK = 2.0
"""Seconds it may drift before that counts as set."""
MOST_FORGOTTEN = 10_000
"""Forgotten peers that are remembered to be deleted while the disk cannot be written."""
PATIENCE = 60.0
"""Seconds after which a read or write counts as failed."""
WRITE_COST = 0.005
"""Virtual seconds, in a simulation."""


@dataclass(frozen=True, slots=True)
class Flush(Message):
    """The engine's timer: it is time to write."""


@dataclass(frozen=True, slots=True)
class LookAtClock(Message):
    """The engine's timer: has somebody set the clock?"""


class Keeper:
    """Used on the engine's thread."""

    def __init__(
        self,
        engine: runtime.Engine[Mailbox],
        config: Config,
        peers: KnownPeers,
        storage: Storage | None,
        *,
        tell: Callable[[Message], object],
    ) -> None:
        """storage: None keeps nothing. tell: an event."""
        self.engine = engine
        self.config = config
        self.peers = peers
        self.unsaved = peers.unsaved
        self._storage = storage
        self._tell = tell
        self.metrics = BookMetrics(engine.runtime.registry)
        self._named = frozenset(peers.trusted)  # by the configuration
        self.clock = self._look()
        self._timer: runtime.Timer | None = None
        self._writing: Batch | None = None
        self._waiting: list[Reply[None]] = []  # for the next batches, until the journal is empty
        self._promised: list[Reply[None]] = []  # for the batch that is being written
        self._retry = 0.0
        self.broken: BookFailed | None = None  # since its failure was told, until its recovery is
        self.is_read = False  # whether `reader` has read everything

    # At the start and at the end -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Note what changes, and write it from now on."""
        if self._storage is None:
            return
        self.unsaved.on = True
        self.engine.every(LOOK_AT_CLOCK, LookAtClock())
        if self._storage.aside is not None:
            self.metrics.aside.inc()

    def stop(self) -> None:
        """Write what is left, on this thread: the pool may have ended."""
        if self._storage is None:
            return
        self._put_back(self._writing)
        try:
            while self.unsaved:
                self._storage.write(self._batch())
        except StorageError as error:
            self.failed("write", error)
        try:
            self._storage.close()
        except StorageError as error:
            self.failed("close", error)

    # While it runs ---------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Something may have changed: see to it that it is written in time."""
        if self.unsaved and self._writing is None and self._timer is None:
            self._timer = self.engine.after(FLUSH_AFTER, Flush())
        self._show()

    def stored(self) -> Reply[None]:
        """Write now who is blocked and trusted; resolved when it is stored. Fails with NotStored."""
        if self._storage is None or not (self.unsaved or self._writing):
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
        if self.unsaved:
            batch = self._writing = self._batch()
            self.ask(lambda: storage.write(batch), self._on_written, WRITE_COST)
        else:
            self._answer_promised(None)

    def look_at_clock(self) -> None:
        """Write everything again if the wall clock was set."""
        clock = self._look()
        by = clock.offset - self.clock.offset
        if abs(by) <= CLOCK_SLACK:
            return
        self.clock = clock
        self.metrics.jumps.inc()
        self.engine.log.warning("the wall clock was set: the address book is written again", by_seconds=round(by, 1))
        self.unsaved.peers.update(dict.fromkeys(self.peers.peers()))
        self.unsaved.blocks.update(dict.fromkeys(block.target for block in self.peers.blocks))
        self.follow()

    def _on_written(self, result: object) -> None:
        batch, self._writing = self._writing, None
        if isinstance(result, Exception):
            self._put_back(batch)
            self.failed("write", result)
            self._answer_promised(NotStored(f"in force, but not stored, so a restart would forget it: {result}"))
            self._retry = min(max(RETRY_FIRST, self._retry * 2), RETRY_MOST)
            self._timer = self.engine.after(self._retry, Flush())
        else:
            self.metrics.batches.inc()
            self._retry = 0.0
            self.recovered()
            self._answer_promised(None)
        if self._waiting or (self._timer is None and len(self.unsaved.peers) >= WRITE_SLICE):
            self.flush()
        self.follow()

    def _answer_promised(self, error: NotStored | None) -> None:
        promised, self._promised = self._promised, []
        for reply in promised:
            reply.resolve(error)

    def failed(self, what: str, error: Exception) -> None:
        """Count and log what could not be done; tell it if nothing else is broken."""
        why = f"no answer within {PATIENCE:g} s" if isinstance(error, runtime.ReplyTimeout) else str(error)
        self.metrics.failures.inc(what)
        self.engine.log.error("the address book failed", what=what, why=why, unwritten=len(self.unsaved.peers))
        if self.broken is None:
            self.broken = BookFailed(why)
            self._tell(self.broken)

    def recovered(self) -> None:
        """Something went well: tell so if everything does again."""
        if self.broken is not None and self.is_read and self._retry == 0.0:
            self.broken = None
            self.engine.log.info("the address book is whole again")
            self._tell(BookRecovered())

    # Parts -----------------------------------------------------------------------------------------------------------

    def _batch(self) -> Batch:
        """Take from the journal: all blocks and trust, and some peers."""
        journal, table = self.unsaved, self.peers
        now, clock = self.engine.now(), self.clock
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
        return Clock.at(self.engine.now(), self.engine.wall())

    def ask(self, function: Callable[[], T], handler: Callable[[T | Exception], object], cost: float) -> None:
        """Have the storage do something, one call after the other. cost: virtual seconds."""
        self.engine.on_reply(self.engine.work(function, cost=cost, serial="book"), handler, within=PATIENCE)

    def _show(self) -> None:
        journal = self.unsaved
        self.metrics.unwritten.set(len(journal.peers) + len(journal.blocks) + len(journal.trust))

    def _put_back(self, batch: Batch | None) -> None:
        """Note again what was not written. Of the forgotten, who may be any number, only while they are few."""
        if batch is None:
            return
        journal = self.unsaved
        for entry in batch.peers:
            journal.peer(entry.peer)
        for peer in batch.forgotten:
            journal.peer(peer)
        for target in (*(block.target for block in batch.blocks), *batch.unblocked):
            journal.block(parse_target(target))
        for peer, _trusted in batch.trust:
            journal.trusts(peer)
        if len(journal.peers) > 2 * len(self.peers) + MOST_FORGOTTEN:
            journal.peers = {peer: None for peer in journal.peers if self.peers.get(peer) is not None}

    def _by_hand(self, peer: PeerId) -> bool | None:
        """What somebody said of this peer beyond the configuration."""
        trusted = peer in self.peers.trusted
        return None if trusted == (peer in self._named) else trusted
