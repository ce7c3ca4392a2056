"""What takes more than one step: a suspicion whose time runs, and a transfer to another member."""

from dataclasses import dataclass

from .member import MemberId

__all__ = ["Suspicion", "Transfer"]


@dataclass(slots=True)
class Suspicion:
    """The time of one suspect runs; `suspicion` has the rules.

    `expected`: confirmations that make it shortest. `accusers`: in order. `began`, `deadline`: in seconds. `token`: of
    the timer that counts.
    """

    member: MemberId
    incarnation: int
    began: float
    expected: int
    accusers: dict[bytes, None]
    deadline: float = 0.0
    token: int = 0


@dataclass(slots=True)
class Transfer:
    """What `to` is still to be told; `sync` has the rules.

    `keys`: of members, the next one last. `asks`: 1 to ask for theirs with the first packet.
    """

    to: MemberId
    keys: list[bytes]
    asks: int
