"""What this node knows of the members: their records, who has answered it, and who takes part in keeping the index.

A member takes part if it has answered this node, can be reached, and does not say `providers: none` in its tags: so do
private nodes, and those where this actor is off.
"""

from __future__ import annotations

from msgspec import Struct

from ....transport.address import Address
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ...membership.core.tags import is_secondary, tags_of
from .ring import Ring, subnet_of

TAG, NONE = "providers", "none"
"""The tag of who does not take part, and its value."""


class _Member(Struct):
    record: PeerRecord
    proved: bool
    takes_part: bool


class Members:
    """Of one node. `ring` has those that take part, and this node itself once `use_record` was called."""

    def __init__(self, me: PeerId) -> None:
        """Nobody yet."""
        self.ring = Ring()
        self.own: PeerRecord | None = None
        self._me = me
        self._members: dict[PeerId, _Member] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, peer: object) -> bool:
        return peer in self._members

    def use_record(self, own: PeerRecord) -> bool:
        """This node's record; it takes part itself once it has an address. Whether that changes the ring."""
        self.own = own
        return own.address is not None and self.ring.add(self._me, subnet_of(own.address))

    def put(self, record: PeerRecord) -> bool:
        """A visible member has this record; whether that changes the ring, or is a later life of who is in it."""
        peer = record.peer
        member = self._members.get(peer)
        if member is None:
            self._members[peer] = _Member(record, False, takes_part(record))
            return False
        later = record.generation > member.record.generation
        member.record, member.takes_part = record, takes_part(record)
        return self._place(peer, member) or (later and peer in self.ring)

    def prove(self, peer: PeerId) -> bool:
        """It has answered this node; whether that changes the ring."""
        member = self._members.get(peer)
        if member is None or member.proved:
            return False
        member.proved = True
        return self._place(peer, member)

    def remove(self, peer: PeerId) -> bool:
        """It is no member any more; whether that changes the ring."""
        self._members.pop(peer, None)
        return self.ring.discard(peer)

    def record(self, peer: PeerId) -> PeerRecord | None:
        """The record of a member, or of this node."""
        if peer == self._me:
            return self.own
        member = self._members.get(peer)
        return None if member is None else member.record

    def address(self, peer: PeerId) -> Address | None:
        """Where a member can be reached; None if it is none."""
        record = self.record(peer)
        return None if record is None else record.address

    def is_secondary(self, peer: PeerId) -> bool:
        """Whether a member asks not to be dialled."""
        record = self.record(peer)
        return record is not None and is_secondary(record)

    def named(self, encoded: bytes, network: str) -> PeerId | None:
        """Whom a record names, if it may be asked: it takes part and has answered this node, None else.

        Its signature is not looked at, as its address is not used. Raises DecodeError for what is none of this network.
        """
        peer = PeerRecord.decode(encoded, network=network, verify=False).peer
        return peer if peer in self.ring and peer != self._me else None

    def _place(self, peer: PeerId, member: _Member) -> bool:
        if member.proved and member.takes_part:
            return self.ring.add(peer, subnet_of(member.record.address))
        return self.ring.discard(peer)


def takes_part(record: PeerRecord) -> bool:
    """Whether the owner of a record keeps an index, and can be asked."""
    return record.address is not None and tags_of(record).get(TAG) != NONE
