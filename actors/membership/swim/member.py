"""A member as the protocol sees it, and which update about one replaces which.

A member is its identity (key and generation), its state, and the incarnation that the state is of. What replaces what:

* Another generation of the same key: the higher one wins, whatever its state. Its owner's record proves it.
* Left is final for that life.
* Else the higher incarnation wins. At the same one Down replaces Suspect and Alive, and Suspect replaces Alive.

Only the accused itself can raise its incarnation, and proves that, so only it can refute: a suspicion, and a death too.
However news is ordered on its way, all members end with the same.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from msgspec import Struct

__all__ = [
    "ACCUSER_BYTES",
    "GENERATION_LIMIT",
    "KEY_BYTES",
    "MAX_ACCUSERS",
    "MAX_INCARNATION",
    "Member",
    "MemberId",
    "State",
    "supersedes",
]

KEY_BYTES = 32
"""A key is an Ed25519 public key."""

GENERATION_LIMIT = 1 << 63
"""Generations stay below this, so that every language reads them as a signed 64-bit number."""

MAX_INCARNATION = 1_024
"""The last incarnation: a member that is accused at it must begin a new life (membership: members)."""

ACCUSER_BYTES = 8
"""An accuser is named by the last bytes of its key, which are enough to distinguish a few of them."""

MAX_ACCUSERS = 8
"""More have no effect: fewer already make the time of a suspicion the shortest."""


class State(IntEnum):
    """Alive and Suspect are both *active*. Down is what others say, and can be refuted; Left is the end of a life.

    Left is announced by the member itself: nobody announces to it any more. The numbers are those on the wire.
    """

    ALIVE = 0
    SUSPECT = 1
    DOWN = 2
    LEFT = 3

    @property
    def is_active(self) -> bool:
        return self < State.DOWN


class MemberId(Struct, frozen=True, order=True):
    """One life of one peer. At most one member is held per `key`; `generation` distinguishes its lives.

    Between two identities with one key the higher generation is the one to keep.
    Raises ValueError unless the key has 32 bytes and 0 <= generation < 2**63.
    """

    key: bytes
    generation: int

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"a member key has {KEY_BYTES} bytes, not {len(self.key)}")
        if not 0 <= self.generation < GENERATION_LIMIT:
            raise ValueError(f"a generation is 0 or more and below 2**63, not {self.generation}")

    def __str__(self) -> str:
        return f"{self.key.hex()[:8]}/{self.generation}"


@dataclass(frozen=True, slots=True)
class Member:
    """What is known about an identity; also the unit of gossip, an update (design: records and updates).

    Only the owner raises `incarnation`, to refute; a new identity starts at 0. `accusers` of a Suspect are the members
    whose own probe failed, each the last 8 bytes of its key. `proof` is the owner's, of the incarnation, or of its
    farewell if it has left. Two updates are equal whoever the accusers and whatever the proof.
    Raises ValueError unless 0 <= incarnation <= 1,024.
    """

    id: MemberId
    incarnation: int = 0
    state: State = State.ALIVE
    accusers: tuple[bytes, ...] = field(default=(), compare=False)
    proof: bytes = field(default=b"", compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.incarnation <= MAX_INCARNATION:
            raise ValueError(f"an incarnation is between 0 and {MAX_INCARNATION}, not {self.incarnation}")

    @property
    def is_active(self) -> bool:
        return self.state < State.DOWN


def supersedes(held: Member, incoming: Member) -> bool:
    """Whether `incoming` replaces `held`; both are about one key (membership: how a death is noticed)."""
    if incoming.id.generation != held.id.generation:
        return incoming.id.generation > held.id.generation
    if held.state is State.LEFT or incoming.state is State.LEFT:
        return held.state is not State.LEFT
    if incoming.incarnation != held.incarnation:
        return incoming.incarnation > held.incarnation
    return incoming.state > held.state
