"""A life of a node, from one generation to the next, and what only its owner can show of it.

* Its *chain* is 1,024 links long, each the SHA-256 of the next one, cut to 16 bytes. Link 0 stands in the node's signed
  record; link n shows that the owner itself has gone up to incarnation n, and costs n hashes to check at most: fewer
  from a link that was checked before. A chain that is used up is followed by a new life.
* Its *farewell* is 16 bytes whose hash stands in the record: who has them knows that the owner has left.
* An *answer* is the owner's signature that it, in this life, has answered a certain probe of a certain other.

::

    link(1024) = HMAC-SHA256(seed, "rookery-life-2\\0" + generation u64), cut to 16 bytes
    link(n)    = SHA-256(link(n + 1)), cut to 16 bytes            chain = link(0)
    farewell   = HMAC-SHA256(seed, "rookery-farewell-2\\0" + generation u64), cut to 16 bytes
    answer     = Ed25519 over "rookery-answer-2\\0" + generation u64 + origin + origin's generation u64 + number u64

All follows from the key and the generation, so a second process of the same life, or a restart, says the same. Numbers
are big-endian. 16 bytes are enough: a false link needs a second preimage, not a collision.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final, NoReturn

from .keys import KEY_BYTES, Identity, PeerId, verify

LINKS: Final = 1024
"""The last link of a chain: as often can an incarnation rise in one life."""
PROOF_BYTES: Final = 16
"""Bytes of a link and of a farewell, and of what stands for them in a record."""
_LIFE, _FAREWELL, _ANSWER = b"rookery-life-2\0", b"rookery-farewell-2\0", b"rookery-answer-2\0"
_MOST = 2**64 - 1  # of each number
_U64 = struct.Struct(">Q")
_ANSWERED = struct.Struct(f">{len(_ANSWER)}sQ{KEY_BYTES}sQQ")


class Life:
    """What the owner of one life can show of it. Made in about 0.5 ms; `repr` shows nothing of it."""

    __slots__ = ("_farewell", "_identity", "_links", "chain", "farewell_hash", "generation")

    def __init__(self, identity: Identity, generation: int) -> None:
        """The life of `identity` that begins with this generation. ValueError for one that is no unsigned 64-bit."""
        if isinstance(generation, bool) or not 0 <= generation <= _MOST:
            raise ValueError(f"the generation of a life {generation}: allowed is 0 to 2^64 - 1")
        link = identity.derive(_LIFE + _U64.pack(generation))[:PROOF_BYTES]
        links = [link]
        for _ in range(LINKS):
            link = _hash(link)
            links.append(link)
        self._identity = identity
        self._links = b"".join(reversed(links))
        self._farewell = identity.derive(_FAREWELL + _U64.pack(generation))[:PROOF_BYTES]
        self.generation = generation
        self.chain = link
        self.farewell_hash = _hash(self._farewell)

    @property
    def peer(self) -> PeerId:
        """Whose life it is."""
        return self._identity.peer

    def link(self, incarnation: int) -> bytes:
        """The proof of an incarnation. ValueError for one outside 0 to 1,024."""
        if isinstance(incarnation, bool) or not 0 <= incarnation <= LINKS:
            raise ValueError(f"link {incarnation} of a life: allowed is 0 to {LINKS}")
        return self._links[incarnation * PROOF_BYTES : (incarnation + 1) * PROOF_BYTES]

    @property
    def farewell(self) -> bytes:
        """The proof that the owner has left: whoever has it can say so to all."""
        return self._farewell

    def answer(self, origin: PeerId, origin_generation: int, number: int) -> bytes:
        """64 bytes that show: the owner, in this life, has answered `origin`'s probe of this number.

        ValueError for a number or generation outside 0 to 2^64 - 1.
        """
        return self._identity.sign(_answered(self.generation, origin, origin_generation, number))

    def later(self, generation: int) -> Life:
        """Another life of the same owner. ValueError as in `Life`."""
        return Life(self._identity, generation)

    def __repr__(self) -> str:
        return f"Life({self._identity.peer.short}, {self.generation})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a life is not pickled: its proofs must not leave the process by accident")


def verify_link(chain: bytes, incarnation: int, link: bytes, *, known: tuple[int, bytes] | None = None) -> bool:
    """Tell whether `link` is the one of `incarnation` in the chain that ends with `chain`; never raises.

    known: an incarnation and its link that were found good before, so that only the hashes between are computed. At
    most 1,024, which take 0.5 ms.
    """
    if isinstance(incarnation, bool) or not 0 <= incarnation <= LINKS or len(link) != PROOF_BYTES:
        return False
    base, end = (0, chain) if known is None else known
    if incarnation < base:
        incarnation, base, link, end = base, incarnation, end, link
    for _ in range(incarnation - base):
        link = _hash(link)
    return link == end


def verify_farewell(farewell_hash: bytes, farewell: bytes) -> bool:
    """Tell whether `farewell` is the one whose hash a record has; never raises."""
    return len(farewell) == PROOF_BYTES and _hash(farewell) == farewell_hash


def verify_answer(
    peer: PeerId, generation: int, origin: PeerId, origin_generation: int, number: int, answer: bytes
) -> bool:
    """Tell whether `peer`, in the life of this generation, has signed this answer; never raises. About 0.1 ms."""
    try:
        answered = _answered(generation, origin, origin_generation, number)
    except ValueError:
        return False
    return verify(peer, answer, answered)


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:PROOF_BYTES]


def _answered(generation: int, origin: PeerId, origin_generation: int, number: int) -> bytes:
    for value in (generation, origin_generation, number):
        if isinstance(value, bool) or not 0 <= value <= _MOST:
            raise ValueError(f"a number of an answer {value}: allowed is 0 to 2^64 - 1")
    return _ANSWERED.pack(_ANSWER, generation, origin, origin_generation, number)
