"""Whom to ask for peers, whom to answer, and what to tell. Pure: time and random numbers are given.

Rules (flows: peer exchange):

* Asked are the connected peers that say where they are. Who conceals it is private, or knows no more than we do.
* Told are the records of peers we are connected with, so that an invented one goes no further than who was told it by
  its inventor: at most `MAX_RECORDS`, at most `per_subnet` of one subnet (/24, IPv6: /48). Never the asker itself, nor
  who said it is private, nor a loopback address to somebody on another machine.
* A peer is answered once per `answer_every` seconds, and twice at once; who asks more often is not answered.
* An Advertise is taken once for each time the peer was asked, and of it at most as much as is told. One that nobody
  asked for is not read.
* A private node asks nobody, answers nobody and takes nothing. It says at once that it is private.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address

from msgspec import Struct

from ....transport.address import Subnet, is_global, subnet
from ....transport.core.buckets import TokenBuckets
from ....transport.errors import DecodeError
from ....transport.gatekeeper import Link
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from .codec import MAX_RECORDS

_AT_ONCE = 2  # answers


class ExchangeLimits(Struct, frozen=True):
    """See `Config`. answer_every: seconds. private: this node is."""

    per_subnet: int
    answer_every: float
    private: bool


class _Peer(Struct):
    link: Link
    subnet: Subnet | None  # None for one that is not public
    private: bool = False
    asked: bool = False  # and has not answered


class ExchangeRules:
    """The peers connected now, and what was said with them."""

    def __init__(self, limits: ExchangeLimits, rng: random.Random) -> None:
        self.limits = limits
        self._rng = rng
        self._peers: dict[int, _Peer] = {}
        self._answers = TokenBuckets(1 / limits.answer_every, _AT_ONCE)

    def opened(self, link: Link) -> None:
        """A link opened: its peer may be asked, and be told of."""
        ip = ip_address(link.ip)
        self._peers[link.id] = _Peer(link, subnet(ip) if is_global(ip) else None)

    def closed(self, link_id: int) -> None:
        """A connection is gone. How often its peer was answered is not forgotten."""
        self._peers.pop(link_id, None)

    def link(self, link_id: int) -> Link | None:
        """The connection with this id, if it is there."""
        peer = self._peers.get(link_id)
        return None if peer is None else peer.link

    def links(self) -> list[Link]:
        """The connections there are, in the order in which they opened."""
        return [peer.link for peer in self._peers.values()]

    def crowded_subnets(self, limit: int, among: frozenset[PeerId] | None = None) -> dict[Subnet, int]:
        """The public subnets with at least `limit` of the connections, and how many each has beyond that.

        among: count connections with these peers only; None for all.
        """
        counted = (peer for peer in self._peers.values() if among is None or peer.link.peer in among)
        counts = Counter(peer.subnet for peer in counted if peer.subnet is not None)
        return {net: count - limit for net, count in counts.items() if count >= limit}

    def ask(self) -> list[Link]:
        """Whom to ask now, each once; from now on they may answer."""
        asked = [peer for peer in self._peers.values() if not peer.private and peer.link.record.address is not None]
        if self.limits.private:
            return []
        for peer in asked:
            peer.asked = True
        return [peer.link for peer in asked]

    def said_private(self, link_id: int) -> None:
        """The peer of this link said that it is private: it is neither asked, answered nor told of."""
        if link_id in self._peers:
            self._peers[link_id].private = True

    def answer(self, link_id: int, now: float) -> tuple[PeerRecord, ...] | str:
        """What to tell the peer, which asked; or one word why not."""
        asker = self._peers.get(link_id)
        if asker is None:
            return "closed"
        if self.limits.private or asker.private:
            return "private"
        if not self._answers.take(asker.link.peer, now):
            return "rate"
        told = [peer.link.record for peer in self._peers.values() if peer is not asker and not peer.private]
        useful = [record for record in told if record.may_be_told(asker.link.ip)]
        self._rng.shuffle(useful)
        return tuple(self._spread(useful)[:MAX_RECORDS])

    def expects(self, link_id: int) -> str | None:
        """The peer sent an Advertise: None if it was asked to, which it now has answered; else one word why not."""
        peer = self._peers.get(link_id)
        if peer is None:
            return "closed"
        if self.limits.private:
            return "private"
        if not peer.asked:
            return "unasked"
        peer.asked = False
        return None

    def useful(self, records: Iterable[PeerRecord], link: Link) -> tuple[PeerRecord, ...]:
        """What of an Advertise to pass on to the tracker, which knows who we are. link: of who sent it."""
        others = [record for record in records if record.peer != link.peer and record.may_be_told(link.ip)]
        return tuple(self._spread(others))

    def _spread(self, records: Iterable[PeerRecord]) -> list[PeerRecord]:
        """Without those beyond the first `per_subnet` of their subnet. A name counts as a subnet of its own."""
        found, counts = [], Counter[Subnet]()
        for record in records:
            ip = record.address.endpoint.ip if record.address is not None else None
            if ip is not None:
                counts[subnet(ip)] += 1
            if ip is None or counts[subnet(ip)] <= self.limits.per_subnet:
                found.append(record)
        return found


def read_records(encoded: Iterable[bytes], network: str) -> tuple[tuple[PeerRecord, ...], int]:
    """The records that are well-formed and of this network, and how many are not. Signatures are the tracker's affair.

    Each takes some 30 us, so a hundred belong on the pool.
    """
    valid: dict[PeerId, PeerRecord] = {}
    invalid = 0
    for data in encoded:
        try:
            record = PeerRecord.decode(data, network=network, verify=False)
        except DecodeError:
            invalid += 1
        else:
            valid.setdefault(record.peer, record)
    return tuple(valid.values()), invalid
