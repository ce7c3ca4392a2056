"""What the address book holds, as plain values. Every time is unix seconds: the monotonic clock ends with the machine.

Infinite is for good, None is never or not known.
"""

from __future__ import annotations

from dataclasses import dataclass

from ....transport.address import Address
from ....transport.identity import PeerId
from ....transport.record import PeerRecord


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """One peer. signed: its own record, if one is known. source: who named it first, None if that was no peer.

    delay: seconds of the last back-off, 0 before the first. seen_at, failed_at, missed_at: see `Record` and `Pace`. The
    other times are how long it is left alone.
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


@dataclass(frozen=True, slots=True)
class BlockEntry:
    """One block. target: as text. saved_at: when it was written."""

    target: str
    until: float
    saved_at: float


@dataclass(frozen=True, slots=True)
class Head:
    """What is needed before anybody may connect: who is blocked, and in whom trust was begun or ended by hand."""

    blocks: tuple[BlockEntry, ...] = ()
    trust: tuple[tuple[PeerId, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """Some peers. spoiled: whose entries cannot be read, and are to be written again or deleted."""

    peers: tuple[PeerEntry, ...] = ()
    spoiled: tuple[PeerId, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes that are written together or not at all. durable: they are to survive a loss of power too.

    trust: None ends what was said by hand, so that the configuration decides again.
    """

    peers: tuple[PeerEntry, ...] = ()
    forgotten: tuple[PeerId, ...] = ()
    blocks: tuple[BlockEntry, ...] = ()
    unblocked: tuple[str, ...] = ()
    trust: tuple[tuple[PeerId, bool | None], ...] = ()
    durable: bool = False
