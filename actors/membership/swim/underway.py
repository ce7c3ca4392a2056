"""Operations that last: a suspicion whose time runs, and a transfer of our state to another member."""

from dataclasses import dataclass

from .member import MemberId

__all__ = ["Suspicion", "Transfer"]


@dataclass(slots=True)
class Suspicion:
    """A suspicion whose time runs; `suspicion` has the rules.

    `expected`: confirmations with which the time is shortest. `accusers`: in the order in which they were heard of.
    `began`, `deadline`: in monotonic seconds. `token`: of the timer that is awaited.
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
    """Members that are still to be sent to `to`; `sync` has the rules.

    `keys`: of these members, the next one last. `asks`: 1 to ask for the state of `to` with the first packet.
    """

    to: MemberId
    keys: list[bytes]
    asks: int
