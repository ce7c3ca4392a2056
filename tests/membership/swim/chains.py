"""Proofs as only their owner can make them, without keys: hashes with a secret that tests know and liars do not use."""

import hashlib
from collections.abc import Iterable

from rookery.actors.membership.swim import ANSWER_BYTES, PROOF_BYTES, Member, MemberId, State, Verdict

__all__ = ["Chains", "answer", "proved"]


def _hash(*parts: object, size: int = PROOF_BYTES) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=size).digest()


def proof_of(update: Member) -> bytes:
    if update.state is State.LEFT:
        return _hash("farewell", update.id)
    return _hash("link", update.id, update.incarnation) if update.incarnation else b""


def proved(update: Member) -> Member:
    """The update with its owner's proof."""
    return Member(update.id, update.incarnation, update.state, update.accusers, proof_of(update))


def answer(target: MemberId, origin: MemberId, number: int) -> bytes:
    return _hash("answer", target, origin, number, size=ANSWER_BYTES)


class Chains:
    """A `Proofs`. unknown: lives whose records are not here; `checked`: every update that was to be checked."""

    def __init__(self, unknown: Iterable[MemberId] = ()) -> None:
        self.unknown = set(unknown)
        self.checked: list[Member] = []

    def link(self, identity: MemberId, incarnation: int) -> bytes:
        return proof_of(Member(identity, incarnation))

    def farewell(self, identity: MemberId) -> bytes:
        return proof_of(Member(identity, 0, State.LEFT))

    def answer(self, identity: MemberId, origin: MemberId, number: int) -> bytes:
        return answer(identity, origin, number)

    def check(self, update: Member, held: Member | None) -> Verdict:
        self.checked.append(update)
        assert held is None or held.id == update.id
        if update.id in self.unknown:
            return Verdict.UNKNOWN
        return Verdict.PROVED if update.proof == proof_of(update) else Verdict.FALSE

    def check_answer(self, target: MemberId, origin: MemberId, number: int, given: bytes) -> bool:
        return given == answer(target, origin, number)
