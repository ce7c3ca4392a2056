"""The proofs of members' lives (`transport.identity.life`): this node's own, and those of others by their records.

* What is said of a life is checked by the record of that very life, which its owner has signed. Nothing can be checked
  without it: the update waits, and the record is asked for (`outgoing`).
* Of a chain only the links since the last good one are followed: SWIM holds that with each member. Who tells of one
  that is farther than `NEAR` pays for the hashes as for signatures: a false proof costs nothing to make.
* This node shows nothing of a life whose record is still to be signed; so long it sends nothing (`session`).
"""

from __future__ import annotations

from collections.abc import Callable

from ....transport.identity import PeerId
from ....transport.identity.life import Life, verify_answer, verify_farewell, verify_link
from ....transport.record import PeerRecord
from ..swim import Member, MemberId, State, Verdict
from ..swim.member import supersedes

NEAR = 8
"""Links that are followed whoever tells of them: 4 us."""


class RecordProofs:
    """What `Swim` is given as `Proofs`. life: this node's own, as its newest record says."""

    def __init__(
        self,
        life: Life,
        record_of: Callable[[PeerId, int], PeerRecord | None],
        told_of: Callable[[PeerId], Member | None],
        may_follow: Callable[[int], bool] = lambda _links: True,
    ) -> None:
        """record_of: the genuine record of a peer of exactly this generation, if it is here.

        told_of: the most that is proved of a member that `Swim` does not hold. may_follow: whether so many links are
        followed for who tells of them; if not, the update is one that cannot be checked.
        """
        self.life = life
        self._next: Life | None = None
        self._record_of = record_of
        self._told_of = told_of
        self._may_follow = may_follow

    def link(self, identity: MemberId, incarnation: int) -> bytes:
        """See `Proofs`."""
        life = self._own(identity)
        return b"" if life is None else life.link(incarnation)

    def farewell(self, identity: MemberId) -> bytes:
        """See `Proofs`."""
        life = self._own(identity)
        return b"" if life is None else life.farewell

    def answer(self, identity: MemberId, origin: MemberId, number: int) -> bytes:
        """See `Proofs`."""
        life = self._own(identity)
        return b"" if life is None else life.answer(PeerId(origin.key), origin.generation, number)

    def check(self, update: Member, held: Member | None) -> Verdict:
        """See `Proofs`."""
        peer = PeerId(update.id.key)
        if peer == self.life.peer:
            life = self._own(update.id)
            return Verdict.UNKNOWN if life is None else _verdict(_is_of(life, update))
        if held is None and (held := self._told_of(peer)) is not None and not supersedes(held, update):
            return Verdict.PROVED  # it says no more
        record = self._record_of(peer, update.id.generation)
        if record is None:
            return Verdict.UNKNOWN
        good = _last_good_link(update, held)
        links = abs(update.incarnation - (0 if good is None else good[0]))
        if update.state is not State.LEFT and links > NEAR and not self._may_follow(links):
            return Verdict.UNKNOWN
        return _verdict(shows(record.chain, record.farewell, update, good))

    def check_answer(self, target: MemberId, origin: MemberId, number: int, answer: bytes) -> bool:
        """See `Proofs`."""
        life = PeerId(target.key), target.generation
        return verify_answer(*life, PeerId(origin.key), origin.generation, number, answer)

    def _own(self, identity: MemberId) -> Life | None:
        """Our life of this generation; one that has just begun has its proofs before its record is signed."""
        if identity.key != self.life.peer or identity.generation < self.life.generation:
            return None
        if identity.generation == self.life.generation:
            return self.life
        if self._next is None or self._next.generation != identity.generation:
            self._next = self.life.later(identity.generation)
        return self._next


def shows(chain: bytes, farewell: bytes, update: Member, good: tuple[int, bytes] | None = None) -> bool:
    """Whether the update has the proof that it needs, by the chain and the farewell of a record.

    good: an incarnation of the same life, and its link, that were checked before.
    """
    if update.state is State.LEFT:
        return verify_farewell(farewell, update.proof)
    if update.incarnation == 0:
        return not update.proof
    return verify_link(chain, update.incarnation, update.proof, known=good)


def _last_good_link(update: Member, held: Member | None) -> tuple[int, bytes] | None:
    if held is not None and held.id == update.id and held.incarnation and held.proof and held.state is not State.LEFT:
        return held.incarnation, held.proof
    return None


def _is_of(life: Life, update: Member) -> bool:
    """Whether the proof is this node's own, which it has."""
    if update.state is State.LEFT:
        return update.proof == life.farewell
    if update.incarnation == 0:
        return not update.proof
    return update.proof == life.link(update.incarnation)


def _verdict(proved: bool) -> Verdict:
    return Verdict.PROVED if proved else Verdict.FALSE
