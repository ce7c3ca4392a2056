"""What is believed of a peer's own signed record, whoever passed it on: a hint, the membership, or the peer itself.

* It never lowers trust, never ends or moves a block, and never closes a link.
* It gives an address to who has none, and replaces a given one only where the configuration says so.
* Only a newer one counts; an equal one gives back an address that went with the last set. Of two with one generation
  the membership's counts, and the one that the peer shows as it connects: that is where it lives now.
* A peer that no set lists needs room in the book.
"""

from __future__ import annotations

import enum

from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..config import Config
from .known_peer import Record
from .known_peers import Table
from .unlisted_peers import Bound


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


def learn(
    table: Table, config: Config, signed: PeerRecord, now: float, source: PeerId | None, *, shown: bool = False
) -> Learned:
    """Take in a record whose signature was checked. source: who named it, None if that was no peer.

    shown: by the peer itself, as it connects.
    """
    peer, address = signed.peer, signed.address
    if table.is_me(peer):
        return Learned.SELF
    if table.blocks.until(peer, now) is not None:
        return Learned.BLOCKED
    if address is not None and table.blocks.ip_until(address.endpoint.ip, now) is not None:
        return Learned.BLOCKED
    record = table.get(peer)
    if record is not None and not (_is_newer(signed, record) or (shown and _is_another(signed, record))):
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
    if address is not None:
        if not record.given or config.learn_addresses:
            record.address = address
    elif not record.given and not record.seed:  # a seed that tells nobody where it is can still be dialled
        record.address = None
    table.settle(record, now)
    return Learned.LEARNED


def believe(record: Record, config: Config, signed: PeerRecord) -> bool:
    """Take in what the membership has of a listed peer; says whether the address is another one now.

    Also an older record moves the peer: the membership hears from it there, and what is newer may be of a life before.
    """
    is_newer = record.signed is None or signed.generation > record.signed.generation
    if is_newer or _is_another(signed, record):
        record.signed = signed
    if signed.address is None or (record.given and not (is_newer and config.learn_addresses)):
        return False
    return record.move(signed.address)


def _is_newer(signed: PeerRecord, record: Record) -> bool:
    known = record.signed
    if known is None or signed.generation > known.generation:
        return True
    return signed.generation == known.generation and record.address is None and signed.address is not None


def _is_another(signed: PeerRecord, record: Record) -> bool:
    """Whether it is of the generation that is known, and says something else."""
    known = record.signed
    return known is not None and signed.generation == known.generation and signed != known
