"""What lasts: a probe, an accusation and our check of it, a question to who is no member, a transfer of our state to
another member, an allowance.

The probe of a period:

             Ack of the target                         period over
begun ---------------------------> succeeded ------------------------> judged: fine
  | probe_rtt over                     ^
  v                ForwardedAck        |               period over
helpers asked -------------------------+    otherwise -----------------> judged: suspect

A helper that neither forwards an answer nor sends a Nack was not reached, or does not reach us: a sign of our own
health, not of the target's (membership: lifeguard).
"""

from msgspec import Struct

from ..member import Member, MemberId

__all__ = ["Allowance", "Check", "Greeting", "Probe", "Suspicion", "Transfer"]


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

    def begin(self, target: Member, now: float, number: int) -> None:
        self.clear()
        self.target = target
        self.began = now
        self.number = number

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

    def awaits(self, helper: MemberId, origin: MemberId, number: int) -> bool:
        """Whether an answer that a helper forwards is to this probe; only helpers that we asked are heard."""
        return self.target is not None and helper in self._helpers and (origin, number) == (self.target.id, self.number)


class Suspicion(Struct):
    """An accusation that is undecided; `suspicion` has the rules of its time, `checks` those of our own check.

    `expected`: confirmations with which the time is shortest. `accusers`: in the order in which they were heard of.
    `began`, `deadline`: in monotonic seconds. `token`: of the timer that is awaited; 0 if no time runs.
    `failed`: the member did not answer a probe of ours since then. `due`: decide as soon as our own check has ended.
    `was_checked`: one has ended. `check_token`: of the timer of our check that is awaited.
    """

    member: MemberId
    incarnation: int
    began: float
    expected: int
    accusers: dict[bytes, None]
    deadline: float = 0.0
    token: int = 0
    failed: bool = False
    due: bool = False
    check: "Check | None" = None
    was_checked: bool = False
    check_token: int = 0


class Check(Struct):
    """Our own probe of an accused member. `number`: of its pings. `began`: when it was pinged; None while it waits.

    `helpers`: those that were asked; None before. `step`: when its timer is due.
    """

    number: int
    began: float | None = None
    helpers: tuple[MemberId, ...] | None = None
    step: float = 0.0


class Greeting(Struct):
    """Our question to one who is no member. `number`: of its pings. `helpers`: those that were asked to ping it too."""

    target: MemberId
    number: int
    helpers: dict[MemberId, None]


class Allowance(Struct):
    """So many at once, and `rate` a second after that."""

    burst: float
    rate: float
    _left: float = -1.0
    _at: float = 0.0

    def take(self, now: float) -> bool:
        """Use up one, if there is one."""
        if self._left < 0:
            self._left, self._at = self.burst, now
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Transfer(Struct):
    """Members that are still to be sent to `to`; `sync` has the rules.

    `keys`: of these members, the next one last. `asks`: 1 to ask for the state of `to` with the first packet.
    """

    to: MemberId
    keys: list[bytes]
    asks: int
