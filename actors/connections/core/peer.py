"""One peer as a trim sees it: what is kept of it, and its place among the victims.

Whoever has the lowest rank is given up first. The first difference decides (go-libp2p's order, with ties that nobody
can aim at):

=====  ===============================  ==================
place  criterion                        goes first
=====  ===============================  ==================
1      protected (emergency only)       not protected
2      value                            lower
3      busy at all                      not busy
4      any inbound connection           inbound
5      how busy                         less; in an emergency more
6      first seen                       later
7      hash with the process's secret   lower
=====  ===============================  ==================

A rank is one integer, each criterion in bits of its own: sorting integers costs a fifth of comparing peers. Criteria 3
to 7 are the *tiebreak* of peers with equal values. It changes seldom, so it is kept, and a trim only adds the value.
"""

from __future__ import annotations

import enum
import hashlib

from msgspec import Struct, field

from ....runtime import arguments
from ....transport.gatekeeper import Direction, Link
from ....transport.identity import PeerId

MAX_WEIGHT = 2**31 - 1
"""A weight is from -2**31 + 1 to this, so that no sum of weights that fits into memory has more than 64 bits."""

_HASH_BITS = 32
_AGE_BITS = 56  # microseconds: two thousand years
_SENIORITY_BITS = _AGE_BITS + _HASH_BITS
_BUSY_BITS = 24
_MAX_BUSY = (1 << _BUSY_BITS) - 1
_TIEBREAK_BITS = 2 + _BUSY_BITS + _SENIORITY_BITS
_VALUE_BITS = 64
_MIDDLE = 1 << _VALUE_BITS - 1


def weight_of(given: int) -> int:
    """A weight. Raises ValueError for one with more than 32 bits, TypeError for what is no whole number."""
    return arguments.whole(given, "a weight", -MAX_WEIGHT, MAX_WEIGHT)


class State(enum.IntEnum):
    """Whether an open connection may be given up, the readiest first."""

    ELIGIBLE = 0
    IN_GRACE = 1
    PROTECTED = 2


class Peer(Struct, eq=False):
    """One peer. first_seen: monotonic seconds. links, closing: oldest first. short_lived: links that count nowhere.

    What a trim reads of every peer is kept here, though it could be found out: value, the sum of all its tags, decaying
    ones too; busy; state; seniority (criteria 6 and 7) and tiebreak (3 to 7). rank: of the trim under way.
    """

    id: PeerId
    first_seen: float
    seniority: int
    value: int = 0
    tags: dict[str, int] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    closing: tuple[Link, ...] = ()
    short_lived: tuple[Link, ...] = ()
    tiebreak: int = 0
    state: State = State.ELIGIBLE
    busy: int = 0
    rank: int = 0

    @property
    def is_temporary(self) -> bool:
        """Whether the peer has tags only."""
        return not self.links and not self.closing and not self.short_lived


def seniority(peer: PeerId, first_seen: float, secret: bytes) -> int:
    """Criteria 6 and 7. first_seen: seconds."""
    hashed = hashlib.blake2b(peer, key=secret, digest_size=_HASH_BITS // 8).digest()
    age = (1 << _AGE_BITS) - 1 - int(first_seen * 1e6)
    return age << _HASH_BITS | int.from_bytes(hashed)


def tiebreak(peer: Peer, *, emergency: bool = False) -> int:
    """Criteria 3 to 7. More work than 24 bits hold is as good as that."""
    coarse = 2 if peer.busy else 0
    if not any([link.direction is Direction.IN for link in peer.links]):  # noqa: C419  # half the time of a generator
        coarse |= 1
    busy = min(peer.busy, _MAX_BUSY)
    return (coarse << _BUSY_BITS | (_MAX_BUSY - busy if emergency else busy)) << _SENIORITY_BITS | peer.seniority


def rank(peer: Peer) -> int:
    """Criteria 2 to 7."""
    return (peer.value << _TIEBREAK_BITS) + peer.tiebreak


def emergency_rank(peer: Peer) -> int:
    """Criteria 1 to 7. Values beyond 64 bits are all one."""
    value = min(max(peer.value, -_MIDDLE), _MIDDLE - 1) + _MIDDLE
    is_protected = peer.state is State.PROTECTED
    return (is_protected << _VALUE_BITS | value) << _TIEBREAK_BITS | tiebreak(peer, emergency=True)
