"""Where the address book is kept, what it holds, and what the tracker makes of that.

`SqliteStorage` is a file. `MemoryStorage` is for simulations: it outlives the node that wrote it, as a disk does.

* `head` is asked once, before the node lets anybody in; everything else is called off the engine's thread, one call at
  a time and in order, but for `write` and `close` at the very end.
* A batch is written whole or not at all. Whatever a call cannot do is a StorageError that says why.
* Entries that cannot be read are named, not raised.
* An entry's times are unix seconds, infinite for good, None for never or not known: the monotonic clock ends with the
  machine. Unix seconds may jump, so a `Clock` ties the two at one moment.
* What is read back never waits longer than it would have when it was written, however the clock was set meanwhile;
  what was in the past stays so.
* Peers come back as a hint would: no set lists them, and nobody vouches for their addresses. What is known by now, and
  is newer, stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from ....transport.address import Address
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..config import Config
from ..core.blocks import FOREVER
from ..core.known_peer import NEVER, KnownPeer, Pace
from ..core.known_peers import KnownPeers


class PeerEntry(Struct, frozen=True):
    """One peer. signed: its own record, if one is known. source: who named it first, None if that was no peer.

    delay: seconds of the last back-off, 0 before the first. seen_at, failed_at, missed_at: see `KnownPeer` and `Pace`.
    The other times are how long it is left alone.
    """

    peer: PeerId
    address: Address
    signed: PeerRecord | None = None
    source: PeerId | None = None
    seen_at: float | None = None
    failed_at: float | None = None
    missed_at: float | None = None
    delay: float = 0.0
    reservable_at: float | None = None
    retry_at: float | None = None
    rest_until: float | None = None
    saved_at: float = 0.0


class BlockEntry(Struct, frozen=True):
    """One block. target: as text. saved_at: when it was written."""

    target: str
    until: float
    saved_at: float


class Head(Struct, frozen=True):
    """What is needed before anybody may connect: who is blocked, and in whom trust was begun or ended by hand."""

    blocks: tuple[BlockEntry, ...] = ()
    trust: tuple[tuple[PeerId, bool], ...] = ()


class Read(Struct, frozen=True):
    """Some peers. corrupt: whose entries cannot be read, and are to be written again or deleted."""

    peers: tuple[PeerEntry, ...] = ()
    corrupt: tuple[PeerId, ...] = ()


class Batch(Struct, frozen=True):
    """Changes that are written together or not at all. durable: they are to survive a loss of power too.

    trust: None ends what was said by hand, so that the configuration decides again.
    """

    peers: tuple[PeerEntry, ...] = ()
    forgotten: tuple[PeerId, ...] = ()
    blocks: tuple[BlockEntry, ...] = ()
    unblocked: tuple[str, ...] = ()
    trust: tuple[tuple[PeerId, bool | None], ...] = ()
    durable: bool = False


class StorageError(Exception):
    """The book cannot be read or written; the text names the file and says what is wrong."""


class BookUnusable(StorageError):
    """Nothing can be kept at this place: it may not be written, is in use, or is of a newer version."""


class Storage(Protocol):
    """What the tracker needs of a disk."""

    @property
    def quarantined(self) -> str | None:
        """Where a damaged file was moved when this was opened; None if there was none."""

    def head(self) -> Head:
        """The blocks, and the trust that was changed by hand."""

    def peers(self) -> tuple[PeerId, ...]:
        """Everybody who has an entry, the most lately seen first."""

    def read(self, peers: Sequence[PeerId]) -> Read:
        """The entries of these peers, in their order; whoever has none is left out."""

    def write(self, batch: Batch) -> None:
        """Write a batch, whole or not at all; what it says of somebody takes the place of what was there."""

    def close(self) -> None:
        """The last call; may be repeated. What comes afterwards is a StorageError."""


class MemoryStorage:
    """A book without a disk. Hand it to the node that is started in the place of a crashed one."""

    quarantined: str | None = None

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


# Between entries and what is known -----------------------------------------------------------------------------------


class Clock(Struct, frozen=True):
    """offset: what to add to a monotonic moment to have unix seconds."""

    offset: float

    @classmethod
    def at(cls, now: float, wall: float) -> Clock:
        """The clock of this moment."""
        return cls(wall - now)

    def unix(self, at: float) -> float:
        """To the millisecond, so that one moment is written alike each time."""
        return round(at + self.offset, 3)

    def unix_or_none(self, at: float | None) -> float | None:
        """None for None and for `NEVER`."""
        return None if at is None or at == NEVER else self.unix(at)

    def past(self, unix: float | None, now: float) -> float | None:
        """A moment that cannot be later than now."""
        return None if unix is None else min(unix - self.offset, now)

    def future(self, unix: float | None, saved_at: float, now: float, limit: float = FOREVER) -> float:
        """A moment to wait for: not longer than it was when it was saved, nor than `limit` seconds.

        `NEVER` for None and for what is over.
        """
        if unix is None:
            return NEVER
        left = min(unix - self.unix(now), unix - saved_at, limit)
        return now + left if left > 0 else NEVER


def peer_entry(known: KnownPeer, clock: Clock, now: float) -> PeerEntry | None:
    """What is to be stored of a peer; None if nobody knows where to find it."""
    if known.address is None:
        return None
    pace = known.known_pace
    return PeerEntry(
        peer=known.peer,
        address=known.address,
        signed=known.signed,
        source=known.source,
        seen_at=clock.unix_or_none(known.seen_at),
        failed_at=clock.unix_or_none(known.failed_at),
        missed_at=clock.unix_or_none(pace.last_miss),
        delay=pace.delay,
        reservable_at=clock.unix_or_none(pace.reservable_at),
        retry_at=clock.unix_or_none(pace.retry_at),
        rest_until=clock.unix_or_none(pace.rest_until),
        saved_at=clock.unix(now),
    )


def block_entry(target: str, until: float, clock: Clock, now: float) -> BlockEntry:
    """What is to be stored of a block."""
    return BlockEntry(target, clock.unix(until), clock.unix(now))


def block_until(entry: BlockEntry, clock: Clock, now: float) -> float | None:
    """When a stored block ends, monotonic seconds; None if it is over."""
    until = clock.future(entry.until, entry.saved_at, now)
    return until if until > now else None


def restore(entry: PeerEntry, peers: KnownPeers, config: Config, clock: Clock, now: float) -> bool:
    """Take a stored peer in; False if there is no place for it here, so that it is to be forgotten."""
    if peers.rules.is_me(entry.peer):
        return False
    if peers.get(entry.peer) is None:
        proven = entry.seen_at is not None
        if peers.make_room(entry.peer, entry.address, entry.source, now, proven=proven) is not None:
            return False
    known = peers.make(entry.peer)
    if entry.signed is not None and (known.signed is None or entry.signed.newer_than(known.signed)):
        known.signed = entry.signed
    if known.address is None:
        known.address = entry.address
    if known.source is None:
        known.source = entry.source
    known.seen_at = _later(known.seen_at, clock.past(entry.seen_at, now))
    known.failed_at = _later(known.failed_at, clock.past(entry.failed_at, now))
    if _has_waited(entry):
        _restore_pace(known.pace, entry, config, clock, now)
    peers.refresh(known, now)
    return True


def _has_waited(entry: PeerEntry) -> bool:
    waits = entry.missed_at, entry.reservable_at, entry.retry_at, entry.rest_until
    return entry.delay != 0.0 or any(each is not None for each in waits)


def _restore_pace(pace: Pace, entry: PeerEntry, config: Config, clock: Clock, now: float) -> None:
    """Only what this life has not found out by itself."""

    def waits(unix: float | None, limit: float) -> float:
        return clock.future(unix, entry.saved_at, now, limit)

    pace.reservable_at = max(pace.reservable_at, waits(entry.reservable_at, config.cooldown))
    if pace.delay == 0.0:
        pace.delay = min(max(entry.delay, 0.0), config.backoff_cap)
        pace.retry_at = max(pace.retry_at, waits(entry.retry_at, config.backoff_cap))
        pace.rest_until = max(pace.rest_until, waits(entry.rest_until, config.rest_after_loss))
    if pace.last_miss is None:
        pace.last_miss = clock.past(entry.missed_at, now)


def _later(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
