"""The members on a ring, and which of them keep the index of a key.

* A key is known by its hash (`key_hash`), a member stands at the hash of its id (`place_of`); both are 16 bytes.
* The index members of a key are chosen of the `WINDOW` members that follow its hash: the first of each subnet, nearest
  first, and where that gives fewer than `COPIES`, the nearest of the others. So members of one subnet have at most one
  place while two others are that near, and a member changes nothing but the keys of the window before it.
* To choose takes a few microseconds, however many members there are.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Container, Hashable

from ....transport.address import Address, subnet
from ....transport.identity import PeerId

HASH_BYTES = 16
COPIES = 3
"""Index members of a key."""
WINDOW = 32
"""Members that are looked at for them."""

_KEY, _PLACE = b"rookery-key-1\0", b"rookery-place-1\0"
_END = 1 << (8 * HASH_BYTES)
_NOBODY: frozenset[PeerId] = frozenset()


def key_hash(channel: int, key: bytes) -> bytes:
    """What packets name a key by. channel: of the resolver whose key it is, 0 to 255."""
    return hashlib.sha256(_KEY + bytes([channel]) + key).digest()[:HASH_BYTES]


def place_of(peer: PeerId) -> bytes:
    """Where a member stands."""
    return hashlib.sha256(_PLACE + peer).digest()[:HASH_BYTES]


def distance(hashed: bytes, place: bytes) -> int:
    """How far behind the hash of a key a member stands."""
    return (int.from_bytes(place, "big") - int.from_bytes(hashed, "big")) % _END


def subnet_of(address: Address | None) -> Hashable:
    """What a place is counted for: the /24 or /48. All that advertise a name count as one, as a name costs nothing."""
    ip = None if address is None else address.endpoint.ip
    return None if ip is None else subnet(ip)


class Ring:
    """The members that may keep an index."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._places: list[bytes] = []
        self._members: list[tuple[PeerId, Hashable]] = []  # in the same order, with their subnets
        self._subnets: dict[PeerId, Hashable] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, peer: object) -> bool:
        return peer in self._subnets

    def add(self, peer: PeerId, subnet: Hashable) -> bool:
        """A member is there, or has moved to another subnet; False if that is no news."""
        if peer in self._subnets:
            if self._subnets[peer] == subnet:
                return False
            self.discard(peer)
        place = place_of(peer)
        slot = bisect_left(self._places, place)
        self._places.insert(slot, place)
        self._members.insert(slot, (peer, subnet))
        self._subnets[peer] = subnet
        return True

    def discard(self, peer: PeerId) -> bool:
        """A member is gone; False if it was not there."""
        if peer not in self._subnets:
            return False
        slot = bisect_left(self._places, place_of(peer))
        del self._places[slot], self._members[slot], self._subnets[peer]
        return True

    def index_members(self, hashed: bytes, without: Container[PeerId] = _NOBODY) -> tuple[PeerId, ...]:
        """Who keeps the index of a key, the nearest first. without: members that are passed over."""
        members = self._members
        total = len(members)
        slot = bisect_left(self._places, hashed)
        if slot + WINDOW <= total:
            following = members[slot : slot + WINDOW]
        else:
            following = members[slot:] + members[: min(slot, WINDOW - (total - slot))]
        chosen: list[PeerId] = []
        others: list[PeerId] = []
        taken = set()
        for peer, net in following:
            if peer in without:
                continue
            if net in taken:
                if len(others) < COPIES:
                    others.append(peer)
                continue
            taken.add(net)
            chosen.append(peer)
            if len(chosen) == COPIES:
                return tuple(chosen)
        return tuple((chosen + others)[:COPIES])

    def end_of_arc(self, hashed: bytes) -> bytes | None:
        """The place of the next member: all hashes up to it have the same index members. None where the ring ends."""
        slot = bisect_left(self._places, hashed)
        return self._places[slot] if slot < len(self._places) else None

    def before(self, peer: PeerId) -> tuple[bytes, bytes] | None:
        """The hashes, from after the first to the second, whose index members may depend on a member.

        Round the end of the ring if the first is not below the second; None if that is all of them.
        """
        total = len(self._places)
        if total <= WINDOW:
            return None
        place = place_of(peer)
        slot = bisect_left(self._places, place)
        return self._places[slot - WINDOW], place
