"""What an operation leaves for its caller: packets to send, timers to schedule and notifications, in one list.

Timers are values: the caller hands each back, once, after its delay. Order them by (deadline, rank): when the process
stalls and both probe timers are overdue, the indirect stage must run first. A timer whose token is no longer the
awaited one is ignored, so a late or repeated one does no harm (defects: D6).

Notifications are what the program that runs `Swim` learns from it (membership: swim without rookery). Within one
packet: MemberUp of the sender first, then what each update causes, in its order; Active or Idle last.
"""

from typing import ClassVar

from msgspec import Struct

from .member import Member, MemberId

__all__ = [
    "Active",
    "AddressInUse",
    "AnnounceToSeeds",
    "Answered",
    "BeginCheck",
    "ChangeSuspectToDown",
    "Cheated",
    "CheckSuspect",
    "Defunct",
    "Effect",
    "Idle",
    "MemberDown",
    "MemberUp",
    "Notification",
    "Notify",
    "Outbox",
    "PeriodicAnnounce",
    "PeriodicAnnounceDown",
    "PeriodicGossip",
    "PeriodicSync",
    "ProbeFailed",
    "ProbeRandomMember",
    "Refuted",
    "Rejoin",
    "RemoveDown",
    "Rename",
    "Repeating",
    "RoundTrip",
    "Schedule",
    "Send",
    "SendIndirectProbe",
    "SendNack",
    "SendSyncPart",
    "Suspected",
    "Timer",
    "UnknownLife",
]


class Repeating(Struct, frozen=True):
    """A timer that arms itself again; at most one of each kind is awaited, and `token` says which."""

    rank: ClassVar[int]
    token: int


class SendIndirectProbe(Struct, frozen=True):
    """The direct answer is overdue: ask helpers."""

    rank: ClassVar[int] = 0
    target: MemberId
    token: int


class ProbeRandomMember(Repeating, frozen=True):
    """The period is over: judge the last probe and begin the next."""

    rank = 1


class ChangeSuspectToDown(Struct, frozen=True):
    """The time to refute is over for this identity at this incarnation."""

    rank: ClassVar[int] = 2
    member: MemberId
    incarnation: int
    token: int


class PeriodicAnnounce(Repeating, frozen=True):
    """Ask active members for a Feed."""

    rank = 3


class PeriodicGossip(Repeating, frozen=True):
    """Send waiting updates to some members."""

    rank = 4


class RemoveDown(Struct, frozen=True):
    """Forget the member with this key if it has been Down for long enough. Valid in every epoch: it has no token."""

    rank: ClassVar[int] = 5
    member: MemberId


class PeriodicAnnounceDown(Repeating, frozen=True):
    """Announce to members that we hold Down: a partition may have healed."""

    rank = 6


class AnnounceToSeeds(Repeating, frozen=True):
    """Announce to the seeds again, if we are still isolated or nothing was heard of some."""

    rank = 7


class PeriodicSync(Repeating, frozen=True):
    """Begin a sync with a random member."""

    rank = 8


class SendSyncPart(Repeating, frozen=True):
    """Send the next part of a transfer."""

    rank = 9


class SendNack(Struct, frozen=True):
    """`target`, which `origin` asked us to ping, has not answered in time: send `origin` a Nack."""

    rank: ClassVar[int] = 10
    origin: MemberId
    target: MemberId
    number: int


class CheckSuspect(Struct, frozen=True):
    """The next step of our own check of an accused member: see `checks`."""

    rank: ClassVar[int] = 11
    member: MemberId
    number: int


class BeginCheck(Repeating, frozen=True):
    """Begin the next check that waits."""

    rank = 12


Timer = CheckSuspect | Repeating | SendIndirectProbe | ChangeSuspectToDown | RemoveDown | SendNack


class MemberUp(Struct, frozen=True):
    """The active set gained a member."""

    member: MemberId


class MemberDown(Struct, frozen=True):
    """A member that was active is Down now; never for one first heard of as Down. `left`: it announced that itself."""

    member: MemberId
    left: bool = False


class Rename(Struct, frozen=True):
    """A member has a new identity; MemberUp or MemberDown follows only if its liveness changed too."""

    old: MemberId
    new: MemberId


class Active(Struct, frozen=True):
    """The first other active member is known: we went from Disconnected to Connected."""


class Idle(Struct, frozen=True):
    """No active member is left: we went from Connected to Disconnected."""


class Defunct(Struct, frozen=True):
    """We have become Undead. Notified once, on the transition (defects: D9)."""


class Rejoin(Struct, frozen=True):
    """Our life was over, by our own proof, and we have begun another: `member`."""

    member: MemberId


class UnknownLife(Struct, frozen=True):
    """`source` says this about a life that nothing here proves, so it was not applied.

    Once the record of that life is known hand it back to `Swim.apply_many`, with the source.
    """

    update: Member
    source: bytes


class Cheated(Struct, frozen=True):
    """`peer`, a key, has shown a proof that is not its owner's. `about`: the update that it came with, if it did.

    A false proof of its own, or a false answer, it can only have made itself. One about somebody else may also come
    from an owner that signed two records of one life, so that those who believe the one call the others liars: ask
    `peer` for its record of that life first.
    """

    peer: bytes
    why: str
    about: Member | None = None


class AddressInUse(Struct, frozen=True):
    """We must begin new lives more often than `max_rejoins_per_minute`: another process seems to live under our key.

    We keep the present identity and renew again when a minute has room for it. Notified once until then.
    """

    member: MemberId


class Suspected(Struct, frozen=True):
    """An active member is suspected now. It still counts as active."""

    member: MemberId


class Refuted(Struct, frozen=True):
    """A suspected member has refuted the suspicion, or our own evidence has."""

    member: MemberId


class ProbeFailed(Struct, frozen=True):
    """Neither the member nor a helper answered our probe of it in time."""

    member: MemberId


class RoundTrip(Struct, frozen=True):
    """The member answered our probe directly, after so many seconds."""

    member: MemberId
    seconds: float


class Answered(Struct, frozen=True):
    """One who is no member, and was asked by `greet`, has proved through a helper that it is there."""

    member: MemberId


Notification = (
    Answered
    | Cheated
    | UnknownLife
    | MemberUp
    | MemberDown
    | Rename
    | Active
    | Idle
    | Defunct
    | Rejoin
    | AddressInUse
    | Suspected
    | Refuted
    | ProbeFailed
    | RoundTrip
)


class Send(Struct, frozen=True):
    """Send `data` to `to`; best effort."""

    to: MemberId
    data: bytes


class Schedule(Struct, frozen=True):
    """Hand `timer` to `handle_timer` after `delay` seconds, exactly once."""

    timer: Timer
    delay: float


class Notify(Struct, frozen=True):
    """Pass `notification` to the rest of the program."""

    notification: Notification


Effect = Send | Schedule | Notify


class Outbox:
    """Collects effects; drain it after every operation, also after one that raised."""

    __slots__ = ("_effects",)

    def __init__(self) -> None:
        self._effects: list[Effect] = []

    def send(self, to: MemberId, data: bytes) -> None:
        self._effects.append(Send(to, data))

    def schedule(self, timer: Timer, delay: float) -> None:
        self._effects.append(Schedule(timer, delay))

    def notify(self, notification: Notification) -> None:
        self._effects.append(Notify(notification))

    def drain(self) -> list[Effect]:
        """Every effect since the last drain, in order of emission."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def to_send(self) -> list[Send]:
        return [effect for effect in self._effects if isinstance(effect, Send)]

    @property
    def to_schedule(self) -> list[Schedule]:
        return [effect for effect in self._effects if isinstance(effect, Schedule)]

    @property
    def to_notify(self) -> list[Notification]:
        return [effect.notification for effect in self._effects if isinstance(effect, Notify)]
