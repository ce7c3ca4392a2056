"""Where members are, by their own signed word (design: records and updates).

* Of each peer the newest record is kept; only one that its peer signed, for our network, comes in.
* A record without an address is refused: nobody could probe such a member.
* A seed's address counts until there is a record of it.
* A peer that itself presents an older record than the one that is held is answered where that one says: it was started
  again with its clock set back, and can only be told so there. One of the same generation takes the place of the one
  that is held: it was started again within the second, and lives where it says now.
* Those that were *found* (by discovery, or in the file of members) are seeds with a record; the newest 64 stay.
* Signatures are looked at last, after whether a record would change anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...transport.address import Address
from ...transport.errors import DecodeError
from ...transport.identity import PeerId
from ...transport.record import PeerRecord
from .swim.member import GENERATION_LIMIT

MAX_DISCOVERED = 64


class Records:
    """The records of other peers. This node's own is never among them."""

    def __init__(self, network: str, me: PeerId) -> None:
        """network: whose records are taken. me: this node."""
        self._network = network
        self._me = me
        self._records: dict[PeerId, PeerRecord] = {}
        self._seeds: dict[PeerId, Address] = {}
        self._discovered: dict[PeerId, None] = {}
        self._presented: dict[PeerId, Address] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._records

    def get(self, peer: PeerId) -> PeerRecord | None:
        """The newest record of a peer."""
        return self._records.get(peer)

    def address(self, peer: PeerId) -> Address | None:
        """Where to send to a peer."""
        record = self._records.get(peer)
        if record is None:
            return self._seeds.get(peer)
        return self._presented.get(peer, record.address)

    def set_seeds(self, seeds: dict[PeerId, Address]) -> None:
        """The seeds from now on; this node itself must not be one."""
        self._seeds = seeds

    def is_seed(self, peer: PeerId) -> bool:
        """Whether the peer is a seed, or was found."""
        return peer in self._seeds or peer in self._discovered

    @property
    def seeds(self) -> tuple[PeerId, ...]:
        """Whom to announce to: the seeds, then those that were found."""
        return tuple({**dict.fromkeys(self._seeds), **self._discovered})

    def add_discovered(self, peer: PeerId) -> PeerId | None:
        """The peer, whose record is held, is a seed from now on; who is none any more in its place."""
        self._discovered.pop(peer, None)
        self._discovered[peer] = None
        if len(self._discovered) <= MAX_DISCOVERED:
            return None
        oldest = next(iter(self._discovered))
        del self._discovered[oldest]
        return oldest

    def read(self, data: bytes) -> PeerRecord:
        """Read a record, its signature not yet looked at. Raises DecodeError; `add` decides whether to believe it."""
        return PeerRecord.decode(data, network=self._network, verify=False)

    def add(self, record: PeerRecord) -> bool:
        """Keep a record if it is newer than what is held; says whether it was.

        Raises DecodeError for a record that no member can have: forged, without an address, of too high a generation.
        """
        if record.address is None:
            raise DecodeError(f"record of peer {record.peer.short}: a member has an address")
        if record.generation >= GENERATION_LIMIT:
            raise DecodeError(f"record of peer {record.peer.short}: generation {record.generation} is not below 2^63")
        held = self._records.get(record.peer)
        if record.peer == self._me or (held is not None and not record.newer_than(held)):
            return False
        if not record.verify():
            raise DecodeError(f"record of peer {record.peer.short}: the signature is not that peer's")
        self._records[record.peer] = record
        return True

    def add_presented(self, record: PeerRecord) -> bool:
        """The peer itself has shown this record, which was read and, if newer, added; says whether it is kept only now.

        Raises DecodeError if it is forged.
        """
        held = self._records.get(record.peer)
        if held is None or held == record or record.address is None:
            self._presented.pop(record.peer, None)
        elif not record.verify():
            raise DecodeError(f"record of peer {record.peer.short}: the signature is not that peer's")
        elif record.generation == held.generation:
            self._presented.pop(record.peer, None)
            self._records[record.peer] = record
            return True
        else:
            self._presented[record.peer] = record.address
        return False

    def forget(self, peer: PeerId) -> None:
        """The record is not needed any more."""
        self._records.pop(peer, None)
        self._presented.pop(peer, None)

    def encoded(self, peers: Iterable[PeerId], limit: int) -> list[bytes]:
        """The records of these peers as far as they are held, at most `limit`."""
        encoded: list[bytes] = []
        for peer in peers:
            if len(encoded) >= limit:
                break
            record = self._records.get(peer)
            if record is not None:
                encoded.append(record.encode())
        return encoded
