"""Operations that last: a probe, a suspicion whose time runs, and a transfer of our state to another member.

The probe of a period:

             Ack of the target                         period over
begun ---------------------------> succeeded ------------------------> judged: fine
  | probe_rtt over                     ^
  v                ForwardedAck        |               period over
helpers asked -------------------------+    otherwise -----------------> judged: suspect

A helper that neither forwards an answer nor sends a Nack was not reached, or does not reach us: a sign of our own
health, not of the target's (membership: lifeguard).
"""

from dataclasses import dataclass

from ..member import Member, MemberId

__all__ = ["Probe", "Suspicion", "Transfer"]


class Probe:
    """The probe of this period. Numbers only grow, so an answer to an earlier probe never counts for this one."""

    __slots__ = ("_helpers", "_silent", "began", "number", "stage_two_reached", "succeeded", "target")

    def __init__(self) -> None:
        self.number = 0
        self.clear()

    def clear(self) -> None:
        self.target: Member | None = None
        self.succeeded = False
        self.stage_two_reached = False
        self.began = 0.0
        self._helpers: set[MemberId] = set()
        self._silent: set[MemberId] = set()

    def begin(self, target: Member, now: float) -> None:
        self.clear()
        self.target = target
        self.began = now
        self.number += 1

    @property
    def is_complete(self) -> bool:
        """Whether the indirect stage has run, or there was nothing to probe."""
        return self.target is None or self.stage_two_reached

    @property
    def silent_helpers(self) -> int | None:
        """How many helpers have not sent a Nack; None if none was asked."""
        return len(self._silent) if self._helpers else None

    def ask(self, helper: MemberId) -> None:
        self._helpers.add(helper)
        self._silent.add(helper)

    def ack(self, sender: MemberId, number: int) -> bool:
        """The target itself answers; returns whether that is the first answer, and to this probe."""
        if self.succeeded or self.target is None or (sender, number) != (self.target.id, self.number):
            return False
        self.succeeded = True
        return True

    def nack(self, helper: MemberId, target: MemberId, number: int) -> None:
        """A helper reports that the target has not answered it yet; an answer that it forwards later still counts."""
        if self.target is not None and (target, number) == (self.target.id, self.number):
            self._silent.discard(helper)

    def forwarded_ack(self, helper: MemberId, origin: MemberId, number: int) -> None:
        """A helper reports that the target answered it; only helpers that we asked are believed."""
        if self.target is not None and helper in self._helpers and (origin, number) == (self.target.id, self.number):
            self.succeeded = True


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
