"""What is believed of a peer's own signed record, whoever passed it on.

* It never lowers trust, never ends or moves a block, and never closes a link.
* It gives an address to who has none, and replaces a given one only where the configuration says so.
* Only a newer one counts; an equal one gives back an address that went with the last set.
* A peer that no set lists needs room in the book.
"""

from __future__ import annotations

import enum

from ...transport.identity import PeerId
from ...transport.record import PeerRecord
from .book import Bound
from .config import Config
from .record import Record
from .table import Table


class Learned(enum.StrEnum):
    """What became of a hint."""

    LEARNED = "learned"
    OLD = "old"  # not newer than what is known
    SELF = "self"
    BLOCKED = "blocked"  # the peer, or the IP where it says it is
    NO_ADDRESS = "no_address"  # nor does any set list it
    SOURCE_FULL = Bound.SOURCE
    SUBNET_FULL = Bound.NETWORK
    BOOK_FULL = Bound.BOOK
    FORGED = "forged"  # the signature is not the peer's

    def __bool__(self) -> bool:
        return self is Learned.LEARNED


def learn(table: Table, config: Config, signed: PeerRecord, now: float, source: PeerId | None) -> Learned:
    """Take in a record whose signature was checked. source: who named it, None if that was no peer."""
    peer, address = signed.peer, signed.address
    if table.is_me(peer):
        return Learned.SELF
    if table.blocks.until(peer, now) is not None:
        return Learned.BLOCKED
    if address is not None and table.blocks.ip_until(address.endpoint.ip, now) is not None:
        return Learned.BLOCKED
    record = table.get(peer)
    if record is not None and not _is_newer(signed, record):
        return Learned.OLD
    listed = record is not None and record.listing is not None
    if address is None and not listed and (record is None or record.hold is None):
        return Learned.NO_ADDRESS
    if record is not None and record.source is not None:
        source = record.source
    if address is not None and not listed:
        proven = record is not None and record.seen_at is not None
        bound = table.make_room(peer, address, source, now, proven=proven)
        if bound is not None:
            return Learned(bound)
    record = table.make(peer)
    record.signed, record.source = signed, source
    if not record.given or (config.learn_addresses and address is not None):
        record.address = address
    table.settle(record, now)
    return Learned.LEARNED


def _is_newer(signed: PeerRecord, record: Record) -> bool:
    known = record.signed
    if known is None or signed.generation > known.generation:
        return True
    return signed.generation == known.generation and record.address is None and signed.address is not None
