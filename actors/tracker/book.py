"""What is remembered of peers that no set lists, and for how long. Bounded, so that nobody can fill it.

* A hint is remembered in any admission mode; whether such a peer may be dialled or accepted is the mode's affair.
* When the book is full, the unlisted peer with the oldest miss makes room; never a trusted one, never one that has not
  missed. If there is none, the hint is refused: whoever comes first cannot be pushed out by a flood.
* A forgotten peer's cooldown and back-off are remembered until they are over (at most as many as hints).
"""

from __future__ import annotations

from ...transport.identity import PeerId
from .pace import Pace
from .record import Record, Status


class Book:
    """The unlisted peers with an address, and the paces of forgotten peers."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._hinted: dict[PeerId, None] = {}
        self._missed: dict[PeerId, None] = {}  # oldest miss first
        self._paces: dict[PeerId, Pace] = {}

    def __len__(self) -> int:
        return len(self._hinted)

    @property
    def full(self) -> bool:
        """Whether somebody has to make room."""
        return len(self._hinted) >= self._limit

    def update(self, record: Record) -> None:
        """The record has changed."""
        if record.listing is None and record.address is not None:
            self._hinted[record.peer] = None
        else:
            self._hinted.pop(record.peer, None)

    def missed(self, peer: PeerId) -> None:
        """A dial of this peer failed just now."""
        self._missed.pop(peer, None)
        self._missed[peer] = None

    def reached(self, peer: PeerId) -> None:
        """The peer was connected to."""
        self._missed.pop(peer, None)

    def victim(self, records: dict[PeerId, Record], trusted: set[PeerId]) -> Record | None:
        """The unlisted peer that makes room; None if nobody has to."""
        for peer in self._missed:
            record = records.get(peer)
            idle = record is not None and record.status is Status.INERT
            if record is not None and idle and peer in self._hinted and peer not in trusted:
                return record
        return None

    def forget(self, record: Record, now: float) -> None:
        """The record goes; what it has to wait for stays."""
        self._hinted.pop(record.peer, None)
        self._missed.pop(record.peer, None)
        while self._paces:
            oldest = next(iter(self._paces))
            if self._paces[oldest].quiet_until > now and len(self._paces) < self._limit:
                break
            del self._paces[oldest]
        if record.pace.quiet_until > now:
            self._paces[record.peer] = record.pace

    def pace(self, peer: PeerId) -> Pace:
        """What a forgotten peer still has to wait for; a fresh pace if nothing."""
        return self._paces.get(peer) or Pace()

    def recall(self, peer: PeerId) -> Pace:
        """The same, for a record that is made again."""
        return self._paces.pop(peer, None) or Pace()
