"""A peer's entry as a row of the address book's table, and back. The order is that of `schema.PEER_COLUMNS`.

An address that the peer's own record says is not written twice. Whom nobody knows where to find has no entry.
"""

from __future__ import annotations

from typing import Any

from ....transport.address import Address
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from .entries import PeerEntry


def to_row(entry: PeerEntry) -> tuple[Any, ...]:
    """The row of an entry."""
    return (
        entry.peer,
        None if entry.signed is not None and entry.signed.address == entry.address else str(entry.address),
        None if entry.signed is None else entry.signed.encode(),
        entry.source,
        entry.seen_at,
        entry.failed_at,
        entry.missed_at,
        entry.delay,
        entry.reservable_at,
        entry.retry_at,
        entry.rest_until,
        entry.saved_at,
    )


def from_row(row: tuple[Any, ...], network: str) -> PeerEntry:
    """The entry in a row. Raises ValueError or TypeError for what nobody wrote.

    Signatures are not looked at: the file is as private as the key, and 100,000 of them would take ten seconds.
    """
    (
        peer,
        address,
        signed,
        source,
        seen_at,
        failed_at,
        missed_at,
        delay,
        reservable_at,
        retry_at,
        rest_until,
        saved_at,
    ) = row
    record = None if signed is None else PeerRecord.decode(signed, network=network, verify=False)
    if record is not None and record.peer != peer:
        raise ValueError("the record of another peer")
    where = Address.parse(address) if address is not None else record.address if record is not None else None
    if where is None:
        raise ValueError("no address")
    return PeerEntry(
        peer=PeerId(peer),
        address=where,
        signed=record,
        source=None if source is None else PeerId(source),
        seen_at=_moment(seen_at),
        failed_at=_moment(failed_at),
        missed_at=_moment(missed_at),
        delay=float(delay),
        reservable_at=_moment(reservable_at),
        retry_at=_moment(retry_at),
        rest_until=_moment(rest_until),
        saved_at=float(saved_at),
    )


def _moment(value: Any) -> float | None:
    return None if value is None else float(value)
