"""The address book: writes what has changed, and reads what was written at the start.

::

    change ──▶ unsaved ──0.5 s──▶ batch ──▶ storage (a thread of its own)      one batch at a time; what changes
    block  ──▶ unsaved ──at once─▶ batch, durable ──▶ the asker's answer       meanwhile is in the next one

* A batch holds the state at the moment it is made. If it fails, its names are unsaved again, and it is tried again
  after 1 s, doubling up to 60 s. Whoever waits for a batch that failed is told NotStored.
* The first failure is told as `BookFailed`, the first success after it as `BookRecovered`; each is logged and counted.
* At the end, what is still unsaved is written at once.
* When the wall clock has been set, everything is written again: a stamp counts from what it now says.

At the start:

* Blocks and trust are there before the first gate; peers follow, the most lately seen first, while the node runs.
* What this life has changed already, and not yet written, is newer than what stands in the book.
* What is over, cannot be read or has no place here is noted as unsaved, and so deleted.
* A read that fails is tried again after a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TypeVar

from msgspec import Struct

from .... import runtime
from ....runtime import Message, Reply, Slices
from ....transport.identity import PeerId
from ..config import Config
from ..core.blocks import parse_target
from ..core.known_peers import KnownPeers
from ..core.peer_sets import Job
from ..errors import CannotBlock, NotStored
from ..mailbox import BookFailed, BookRecovered, Mailbox
from ..metrics import BookMetrics
from .storage import (
    Batch,
    BlockEntry,
    Clock,
    Head,
    PeerEntry,
    Read,
    Storage,
    StorageError,
    block_entry,
    block_until,
    peer_entry,
    restore,
)

T = TypeVar("T")

FLUSH_AFTER = 0.5
"""Seconds from a change to its batch. As much again is left for the writing: together the second that may be lost."""
WRITE_SLICE = 500
"""How many peers a batch has at most."""
RETRY_FIRST, RETRY_LIMIT = 1.0, 60.0
"""Seconds after which a batch that failed is tried again: the first time, and at most."""
READ_SLICE = 100
"""Peers read at a time: the pool has the interpreter for 2 ms."""
READ_AGAIN_AFTER = 60.0
"""Seconds after which a read that failed is tried again."""
CLOCK_PERIOD = 60.0
"""Seconds between two looks whether the wall clock was set."""
CLOCK_SLACK = 2.0
"""Seconds it may drift before that counts as set."""
FORGOTTEN_LIMIT = 10_000
"""Forgotten peers that are remembered to be deleted while the disk cannot be written."""
CALL_TIMEOUT = 60.0
"""Seconds after which a read or write counts as failed."""
READ_COST, WRITE_COST = 0.002, 0.005
"""Virtual seconds, in a simulation."""


class Flush(Message, Struct, frozen=True):
    """The engine's timer: it is time to write."""


class CheckClock(Message, Struct, frozen=True):
    """The engine's timer: has somebody set the clock?"""


class ReadOn(Message, Struct, frozen=True):
    """The engine's timer: try to read once more."""


class AddressBook:
    """Used on the engine's thread."""

    def __init__(
        self,
        engine: runtime.Engine[Mailbox],
        config: Config,
        peers: KnownPeers,
        storage: Storage | None,
        slices: Slices,
        *,
        tell: Callable[[Message], object],
        restored: Callable[[], object],
    ) -> None:
        """storage: None keeps nothing. slices: of the engine, for what is much. tell: an event.

        restored: called when something was taken in.
        """
        self._engine = engine
        self._config = config
        self._peers = peers
        self._unsaved = peers.unsaved
        self._storage = storage
        self._slices = slices
        self._tell = tell
        self._restored = restored
        self._metrics = BookMetrics(engine.runtime.registry)
        self._configured = frozenset(peers.trusted)  # whom the configuration trusts
        self._clock = self._clock_now()
        self._timer: runtime.Timer | None = None
        self._writing: Batch | None = None
        self._waiting: list[Reply[None]] = []  # for the next batches, until nothing is unsaved
        self._promised: list[Reply[None]] = []  # for the batch that is being written
        self._retry = 0.0
        self._has_head = False
        self._unread: list[PeerId] | None = None  # the most lately seen last; None before it is known who there is
        self.broken: BookFailed | None = None  # since its failure was told, until its recovery is

    # At the start and at the end -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Note what changes from now on; take in blocks and trust, on this thread; then begin to read the peers."""
        if self._storage is None:
            return
        self._unsaved.on = True
        self._engine.every(CLOCK_PERIOD, CheckClock())
        if self._storage.quarantined is not None:
            self._metrics.quarantined.inc()
        try:
            head = self._storage.head()
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
            while self._unsaved:
                self._storage.write(self._batch())
        except StorageError as error:
            self._failed("write", error)
        try:
            self._storage.close()
        except StorageError as error:
            self._failed("close", error)

    # Writing ---------------------------------------------------------------------------------------------------------

    def update(self) -> None:
        """Something may have changed: see to it that it is written in time."""
        if self._unsaved and self._writing is None and self._timer is None:
            self._timer = self._engine.after(FLUSH_AFTER, Flush())
        self._show()

    def stored(self) -> Reply[None]:
        """Write now who is blocked and trusted; resolved when it is stored. Fails with NotStored."""
        if self._storage is None or not (self._unsaved or self._writing):
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
        if self._unsaved:
            batch = self._writing = self._batch()
            self._ask(lambda: storage.write(batch), self._on_written, WRITE_COST)
        else:
            self._answer_promised(None)

    def check_clock(self) -> None:
        """Write everything again if the wall clock was set."""
        clock = self._clock_now()
        by = clock.offset - self._clock.offset
        if abs(by) <= CLOCK_SLACK:
            return
        self._clock = clock
        self._metrics.jumps.inc()
        self._engine.log.warning("the wall clock was set: the address book is written again", by_seconds=round(by, 1))
        self._unsaved.peers.update(dict.fromkeys(self._peers.peers()))
        self._unsaved.blocks.update(dict.fromkeys(block.target for block in self._peers.blocks))
        self.update()

    def _on_written(self, result: object) -> None:
        batch, self._writing = self._writing, None
        if isinstance(result, Exception):
            self._put_back(batch)
            self._failed("write", result)
            self._answer_promised(NotStored(f"in force, but not stored, so a restart would forget it: {result}"))
            self._retry = min(max(RETRY_FIRST, self._retry * 2), RETRY_LIMIT)
            self._timer = self._engine.after(self._retry, Flush())
        else:
            self._metrics.batches.inc()
            self._retry = 0.0
            self._recovered()
            self._answer_promised(None)
        if self._waiting or (self._timer is None and len(self._unsaved.peers) >= WRITE_SLICE):
            self.flush()
        self.update()

    def _answer_promised(self, error: NotStored | None) -> None:
        promised, self._promised = self._promised, []
        for reply in promised:
            reply.resolve(error)

    def _failed(self, what: str, error: Exception) -> None:
        """Count and log what could not be done; tell it if nothing else is broken."""
        why = f"no answer within {CALL_TIMEOUT:g} s" if isinstance(error, runtime.ReplyTimeout) else str(error)
        self._metrics.failures.inc(what)
        self._engine.log.error("the address book failed", what=what, why=why, unwritten=len(self._unsaved.peers))
        if self.broken is None:
            self.broken = BookFailed(why)
            self._tell(self.broken)

    def _recovered(self) -> None:
        """Something went well: tell so if everything does again."""
        if self.broken is not None and self._unread == [] and self._retry == 0.0:
            self.broken = None
            self._engine.log.info("the address book is whole again")
            self._tell(BookRecovered())

    # Reading ---------------------------------------------------------------------------------------------------------

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
        self._slices.run(self._take_in_job(head), lambda _none: self._taken_in())

    def _take_in_job(self, head: Head) -> Job[None]:
        now = self._engine.now()
        for peer, trusted in head.trust:
            self._restore_trust(peer, trusted, now)
            yield 1
        for entry in head.blocks:
            yield from self._restore_block_job(entry, now)

    def _taken_in(self) -> None:
        self._restored()
        self.read_on()
        self._recovered()

    def _restore_trust(self, peer: PeerId, trusted: bool, now: float) -> None:
        if peer in self._unsaved.trust:
            return
        with self._unsaved.silent():
            if trusted:
                self._peers.trust(peer, now)
            elif self._peers.distrust(peer, now) is not None:
                text = "the configuration trusts a peer that was distrusted by hand: it is not trusted"
                self._engine.log.warning(text, peer=peer)

    def _restore_block_job(self, entry: BlockEntry, now: float) -> Job[None]:
        """Take a block in, or have it deleted if it is over."""
        until = block_until(entry, self._clock, now)
        try:
            target = parse_target(entry.target)
            if until is None:
                self._unsaved.block(target)
                return
            if target in self._unsaved.blocks:
                return
            yield from self._peers.block_job(target, until - now, now, at_least=True)
            self._unsaved.blocks.pop(target, None)  # it is written already
        except (ValueError, CannotBlock) as error:
            self._metrics.read.inc("corrupt")
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
        for peer in read.corrupt:
            self._unsaved.peer(peer)
        self._metrics.read.inc("corrupt", by=len(read.corrupt))
        if read.corrupt:
            self._engine.log.warning("entries of the address book cannot be read", peers=len(read.corrupt))
        self._slices.run(self._restore_job(read.peers), lambda _none: self._taken_in())

    def _restore_job(self, entries: tuple[PeerEntry, ...]) -> Job[None]:
        now = self._engine.now()
        for entry in entries:
            with self._unsaved.silent():  # what comes from the book need not be written to it
                kept = restore(entry, self._peers, self._config, self._clock, now)
            if not kept:
                self._unsaved.peer(entry.peer)
            self._metrics.read.inc("kept" if kept else "dropped")
            yield 1

    def _cannot_read(self, error: Exception) -> None:
        self._failed("read", error)
        self._engine.after(READ_AGAIN_AFTER, ReadOn())

    # Parts -----------------------------------------------------------------------------------------------------------

    def _batch(self) -> Batch:
        """Take from what is unsaved: all blocks and trust, and some peers."""
        unsaved, peers = self._unsaved, self._peers
        now, clock = self._engine.now(), self._clock
        names = list(islice(unsaved.peers, WRITE_SLICE))
        entries: dict[PeerId, PeerEntry | None] = {}
        for peer in names:
            known = peers.get(peer)
            entries[peer] = peer_entry(known, clock, now) if known is not None else None
        ends = {target: peers.blocks.until(target, now) for target in unsaved.blocks}
        batch = Batch(
            peers=tuple(entry for entry in entries.values() if entry is not None),
            forgotten=tuple(peer for peer, entry in entries.items() if entry is None),
            blocks=tuple(block_entry(str(target), until, clock, now) for target, until in ends.items() if until),
            unblocked=tuple(str(target) for target, until in ends.items() if not until),
            trust=tuple((peer, self._by_hand(peer)) for peer in unsaved.trust),
            durable=bool(unsaved.blocks or unsaved.trust),
        )
        for name in names:
            del unsaved.peers[name]
        unsaved.blocks.clear()
        unsaved.trust.clear()
        return batch

    def _clock_now(self) -> Clock:
        return Clock.at(self._engine.now(), self._engine.wall())

    def _ask(self, function: Callable[[], T], handler: Callable[[T | Exception], object], cost: float) -> None:
        """Have the storage do something, one call after the other. cost: virtual seconds."""
        self._engine.on_reply(self._engine.work(function, cost=cost, serial="book"), handler, timeout=CALL_TIMEOUT)

    def _show(self) -> None:
        unsaved = self._unsaved
        self._metrics.unwritten.set(len(unsaved.peers) + len(unsaved.blocks) + len(unsaved.trust))

    def _put_back(self, batch: Batch | None) -> None:
        """Note again what was not written. Of the forgotten, who may be any number, only while they are few."""
        if batch is None:
            return
        unsaved = self._unsaved
        for entry in batch.peers:
            unsaved.peer(entry.peer)
        for peer in batch.forgotten:
            unsaved.peer(peer)
        for target in (*(block.target for block in batch.blocks), *batch.unblocked):
            unsaved.block(parse_target(target))
        for peer, _trusted in batch.trust:
            unsaved.trusts(peer)
        if len(unsaved.peers) > 2 * len(self._peers) + FORGOTTEN_LIMIT:
            unsaved.peers = {peer: None for peer in unsaved.peers if self._peers.get(peer) is not None}

    def _by_hand(self, peer: PeerId) -> bool | None:
        """What somebody said of this peer beyond the configuration."""
        trusted = peer in self._peers.trusted
        return None if trusted == (peer in self._configured) else trusted
