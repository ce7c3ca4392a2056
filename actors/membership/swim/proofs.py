"""What only the owner of a life can show: the proofs beside incarnations, farewells and answers.

`Swim` believes a member everything about its own life, and others nothing about it without the owner's proof. It asks
the `Proofs` it was given for ours, and whether those of others are right; it only carries the bytes.

    link(incarnation)   shows that the owner has raised its incarnation so far; none is needed for 0
    farewell            shows that the owner has left, or ended this life
    answer              shows that the owner has answered one probe of one member
"""

from enum import Enum, auto
from typing import Protocol

from .member import Member, MemberId

__all__ = ["ANSWER_BYTES", "PROOF_BYTES", "Proofs", "Trusting", "Verdict"]

PROOF_BYTES = 16
"""A link of a chain of incarnations, or a farewell."""

ANSWER_BYTES = 64
"""An Ed25519 signature."""


class Verdict(Enum):
    """What a check has found. UNKNOWN: nothing is known of that life that its proofs could be held against."""

    PROVED = auto()
    UNKNOWN = auto()
    FALSE = auto()


class Proofs(Protocol):
    """Gives our proofs, and checks those of others. No method may raise or take long: they run for each piece of news.

    The proofs have 16 bytes and answers 64, or all of them none.
    """

    def link(self, identity: MemberId, incarnation: int) -> bytes:
        """The proof of this incarnation, 1 to 1,024, of our own life `identity`."""

    def farewell(self, identity: MemberId) -> bytes:
        """The proof that we have ended our own life `identity`."""

    def answer(self, identity: MemberId, origin: MemberId, number: int) -> bytes:
        """The proof that we, in our life `identity`, have answered the probe `number` of `origin`."""

    def check(self, update: Member, held: Member | None) -> Verdict:
        """Whether `update.proof` shows the incarnation of the update, or for Left the farewell; 0 needs no proof.

        held: what is held about the same life, whose incarnation and proof were checked before, so that a chain need
        not be followed to its end; None if nothing is. The update may be about a life of our own.
        """

    def check_answer(self, target: MemberId, origin: MemberId, number: int, answer: bytes) -> bool:
        """Whether `answer` shows that `target` has answered the probe `number` of `origin`."""


class Trusting:
    """Proves nothing and believes everybody, for programs that trust all members or have no keys."""

    def link(self, identity: MemberId, incarnation: int) -> bytes:
        """No bytes."""
        return b""

    def farewell(self, identity: MemberId) -> bytes:
        """No bytes."""
        return b""

    def answer(self, identity: MemberId, origin: MemberId, number: int) -> bytes:
        """No bytes."""
        return b""

    def check(self, update: Member, held: Member | None) -> Verdict:
        """PROVED."""
        return Verdict.PROVED

    def check_answer(self, target: MemberId, origin: MemberId, number: int, answer: bytes) -> bool:
        """True."""
        return True
