"""The newest signed record of each peer, and the addresses to send to (design: records and updates).

* Only records that their peer signed, for this node's network, are kept: the newest of each peer.
* A record without an address is refused: nobody could probe such a member.
* A seed's configured address counts until its record is known.
* A peer may present an older record than the one held: it restarted with its clock set back. It is answered at the
  address in that record, as it can only learn there that it is held to be in a later life. If the record that it
  presents has the same generation as the one held, it replaces that: the peer restarted, and is at the new address.
* Two records of one generation with different ends of the chain, or farewells, *contradict* each other: both follow
  from key and generation, so a restart, a copy or a clock that was set back says the same. The last `EARLIER` lives of
  a peer count as well: who begins a new one after each cheat is found out all the same.
* *Discovered* peers (by discovery, or from the file of members) are seeds with a record; the newest 64 are kept.
* Signatures are verified last, and only of records that would change anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from ....transport.address import Address
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..swim.member import GENERATION_LIMIT

MAX_DISCOVERED = 64
EARLIER = 4
"""Earlier lives of a peer whose records are remembered, so that another one of theirs is known for a cheat."""


class Records:
    """The records of other peers, never this node's own."""

    def __init__(self, network: str, me: PeerId) -> None:
        """network: the only one whose records are kept. me: this node."""
        self._network = network
        self._me = me
        self._records: dict[PeerId, PeerRecord] = {}
        self._earlier: dict[PeerId, list[PeerRecord]] = {}  # the latest is last
        self._seeds: dict[PeerId, Address] = {}
        self._discovered: dict[PeerId, None] = {}
        self._presented: dict[PeerId, Address] = {}

    @property
    def me(self) -> PeerId:
        """This node."""
        return self._me

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._records

    def get(self, peer: PeerId) -> PeerRecord | None:
        """The newest record of a peer."""
        return self._records.get(peer)

    def address(self, peer: PeerId) -> Address | None:
        """The address at which to reach a peer; None if none is known."""
        record = self._records.get(peer)
        if record is None:
            return self._seeds.get(peer)
        return self._presented.get(peer, record.address)

    def set_seeds(self, seeds: dict[PeerId, Address]) -> None:
        """Replace the seeds; this node itself must not be one."""
        self._seeds = seeds

    def is_seed(self, peer: PeerId) -> bool:
        """Whether the peer is a seed, or was discovered."""
        return peer in self._seeds or peer in self._discovered

    def is_configured_seed(self, peer: PeerId) -> bool:
        """Whether an operator or the program named the peer as a seed."""
        return peer in self._seeds

    @property
    def seeds(self) -> tuple[PeerId, ...]:
        """The peers to announce to: the seeds, then the discovered ones."""
        return tuple({**dict.fromkeys(self._seeds), **self._discovered})

    def add_discovered(self, peer: PeerId) -> PeerId | None:
        """Treat the peer, whose record is held, as a seed; returns the oldest discovered one if that is dropped."""
        self._discovered.pop(peer, None)
        self._discovered[peer] = None
        if len(self._discovered) <= MAX_DISCOVERED:
            return None
        oldest = next(iter(self._discovered))
        del self._discovered[oldest]
        return oldest

    def read(self, data: bytes, source: PeerId | None = None) -> PeerRecord:
        """Decode a record of this sender without verifying its signature, which `add` does. Raises DecodeError."""
        return PeerRecord.decode(data, network=self._network, verify=False, source=source)

    def is_news(self, record: PeerRecord) -> bool:
        """Whether `add` would have to check the signature of this record."""
        held = self._records.get(record.peer)
        return record.peer != self._me and (held is None or record.newer_than(held))

    def contradicted(self, record: PeerRecord) -> PeerRecord | None:
        """A record that is or was held, if nobody honest can have signed both it and this one, if that is genuine."""
        held = self._records.get(record.peer)
        if held is not None and held.generation != record.generation:
            earlier = self._earlier.get(record.peer, ())
            held = next((each for each in earlier if each.generation == record.generation), None)
        if held is None or (held.chain, held.farewell) == (record.chain, record.farewell):
            return None
        return held

    def is_to_be_checked(self, record: PeerRecord, *, presented: bool) -> bool:
        """Whether to look at its signature. presented: the peer itself shows it."""
        held = self._records.get(record.peer)
        if self.is_news(record) or self.contradicted(record) is not None:
            return True
        return presented and held is not None and held != record

    def add(self, record: PeerRecord, source: PeerId | None = None) -> bool:
        """Keep a record if it is newer than the one held; returns whether it was kept. source: who sent it.

        Raises DecodeError for a record that no member can have: forged, without an address, of too high a generation.
        """
        if record.address is None:
            raise DecodeError(f"record of peer {record.peer.short}: a member has an address")
        if record.generation >= GENERATION_LIMIT:
            raise DecodeError(f"record of peer {record.peer.short}: generation {record.generation} is not below 2^63")
        if not self.is_news(record):
            return False
        if not record.verify(source=source):
            raise DecodeError(f"record of peer {record.peer.short}: the signature is not that peer's")
        held = self._records.get(record.peer)
        if held is not None:
            earlier = self._earlier.setdefault(record.peer, [])
            earlier.append(held)
            del earlier[:-EARLIER]
        self._records[record.peer] = record
        return True

    def add_presented(self, record: PeerRecord) -> bool:
        """Note that the peer itself has shown this record, after `add`; returns whether it replaced another.

        Raises DecodeError if it is forged.
        """
        held = self._records.get(record.peer)
        if held is None or held == record or record.address is None:
            self._presented.pop(record.peer, None)
        elif not record.verify(source=record.peer):
            raise DecodeError(f"record of peer {record.peer.short}: the signature is not that peer's")
        elif record.generation == held.generation:
            self._presented.pop(record.peer, None)
            self._records[record.peer] = record
            return True
        else:
            self._presented[record.peer] = record.address
        return False

    def forget(self, peer: PeerId) -> None:
        """Drop the record of a peer, and the address that it presented."""
        self._records.pop(peer, None)
        self._earlier.pop(peer, None)
        self._presented.pop(peer, None)

    def compact(self) -> None:
        """Give back the room of those that are forgotten, which a dict keeps."""
        self._records = dict(self._records)

    def encoded(self, peers: Iterable[PeerId], limit: int) -> list[bytes]:
        """The encoded records of these peers as far as they are held, at most `limit`."""
        encoded: list[bytes] = []
        for peer in peers:
            if len(encoded) >= limit:
                break
            record = self._records.get(peer)
            if record is not None:
                encoded.append(record.encode())
        return encoded
