"""Between what the tracker knows and what its book holds: the same facts, with other clocks.

* Monotonic seconds mean nothing after a restart, unix seconds may jump. A `Clock` ties the two at one moment.
* What is read back never waits longer than it would have when it was written, however the clock was set meanwhile;
  what was in the past stays so.
* Peers come back as a hint would: no set lists them, and nobody vouches for their addresses. What is known by now, and
  is newer, stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from ..core.known_peer import NEVER, KnownPeer, Pace
from ..core.known_peers import KnownPeers
from .entries import BlockEntry, PeerEntry

FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Clock:
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

    def future(self, unix: float | None, saved_at: float, now: float, most: float = FOREVER) -> float:
        """A moment to wait for: not longer than it was when it was saved, nor than `most` seconds.

        `NEVER` for None and for what is over.
        """
        if unix is None:
            return NEVER
        left = min(unix - self.unix(now), unix - saved_at, most)
        return now + left if left > 0 else NEVER


def peer_entry(record: KnownPeer, clock: Clock, now: float) -> PeerEntry | None:
    """What is to be stored of a peer; None if nobody knows where to find it."""
    if record.address is None:
        return None
    pace = record.known_pace
    return PeerEntry(
        peer=record.peer,
        address=record.address,
        signed=record.signed,
        source=record.source,
        seen_at=clock.unix_or_none(record.seen_at),
        failed_at=clock.unix_or_none(record.failed_at),
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
    record = peers.make(entry.peer)
    if entry.signed is not None and (record.signed is None or entry.signed.newer_than(record.signed)):
        record.signed = entry.signed
    if record.address is None:
        record.address = entry.address
    if record.source is None:
        record.source = entry.source
    record.seen_at = _later(record.seen_at, clock.past(entry.seen_at, now))
    record.failed_at = _later(record.failed_at, clock.past(entry.failed_at, now))
    if _has_waited(entry):
        _restore_pace(record.pace, entry, config, clock, now)
    peers.refresh(record, now)
    return True


def _has_waited(entry: PeerEntry) -> bool:
    waits = entry.missed_at, entry.reservable_at, entry.retry_at, entry.rest_until
    return entry.delay != 0.0 or any(each is not None for each in waits)


def _restore_pace(pace: Pace, entry: PeerEntry, config: Config, clock: Clock, now: float) -> None:
    """Only what this life has not found out by itself."""

    def waits(unix: float | None, most: float) -> float:
        return clock.future(unix, entry.saved_at, now, most)

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
