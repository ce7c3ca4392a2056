"""The order of victims as numbers: whoever has the lowest rank is given up first.

The first difference decides (go-libp2p's order, with ties that nobody can aim at):

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
to 7 are a peer's *standing*. It changes seldom, so it is kept, and a trim only adds the value.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from ...transport.gatekeeper import Direction, Link
from ...transport.identity import PeerId

_TIE_BITS = 32
_AGE_BITS = 56  # microseconds: two thousand years
_SENIORITY_BITS = _AGE_BITS + _TIE_BITS
_BUSY_BITS = 24
_MOST_BUSY = (1 << _BUSY_BITS) - 1
_STANDING_BITS = 2 + _BUSY_BITS + _SENIORITY_BITS
_VALUE_BITS = 64
_MIDDLE = 1 << _VALUE_BITS - 1


class Ranked(Protocol):
    """What of a peer decides: see the table, and `table.Peer`."""

    value: int
    busy: int
    seniority: int
    standing: int

    @property
    def links(self) -> tuple[Link, ...]:
        """The open ones."""


def seniority(peer: PeerId, first_seen: float, secret: bytes) -> int:
    """Criteria 6 and 7. first_seen: seconds."""
    tie = hashlib.blake2b(peer, key=secret, digest_size=_TIE_BITS // 8).digest()
    age = (1 << _AGE_BITS) - 1 - int(first_seen * 1e6)
    return age << _TIE_BITS | int.from_bytes(tie)


def standing(links: tuple[Link, ...], busy: int, seniority: int, *, emergency: bool = False) -> int:
    """Criteria 3 to 7. links: the open ones. More work than 24 bits hold is as good as that."""
    coarse = 2 if busy else 0
    if not any([link.direction is Direction.IN for link in links]):  # noqa: C419  # half the time of a generator
        coarse |= 1
    most = min(busy, _MOST_BUSY)
    return (coarse << _BUSY_BITS | (_MOST_BUSY - most if emergency else most)) << _SENIORITY_BITS | seniority


def rank(peer: Ranked) -> int:
    """Criteria 2 to 7."""
    return (peer.value << _STANDING_BITS) + peer.standing


def emergency_rank(peer: Ranked, *, protected: bool) -> int:
    """Criteria 1 to 7. Values beyond 64 bits are all one."""
    value = min(max(peer.value, -_MIDDLE), _MIDDLE - 1) + _MIDDLE
    own = standing(peer.links, peer.busy, peer.seniority, emergency=True)
    return (protected << _VALUE_BITS | value) << _STANDING_BITS | own
