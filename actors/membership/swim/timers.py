"""Timers as values: the caller hands each back, once, after its delay.

Order by (deadline, rank): when the process stalls and both probe timers are overdue, the indirect stage must run first.
A timer whose token is no longer the awaited one is ignored, so a late or repeated one does no harm (defects: D6).
"""

from dataclasses import dataclass
from typing import ClassVar

from .member import MemberId

__all__ = [
    "AnnounceToSeeds",
    "ChangeSuspectToDown",
    "PeriodicAnnounce",
    "PeriodicAnnounceDown",
    "PeriodicGossip",
    "PeriodicSync",
    "ProbeRandomMember",
    "RemoveDown",
    "Repeating",
    "SendIndirectProbe",
    "SendNack",
    "SendSyncPart",
    "Timer",
]


@dataclass(frozen=True, slots=True)
class Repeating:
    """A timer that arms itself again; at most one of each kind is awaited, and `token` says which."""

    rank: ClassVar[int]
    token: int


@dataclass(frozen=True, slots=True)
class SendIndirectProbe:
    """The direct answer is overdue: ask helpers."""

    rank: ClassVar[int] = 0
    target: MemberId
    token: int


class ProbeRandomMember(Repeating):
    """The period is over: judge the last probe and begin the next."""

    __slots__ = ()
    rank = 1


@dataclass(frozen=True, slots=True)
class ChangeSuspectToDown:
    """The time to refute is over for this identity at this incarnation."""

    rank: ClassVar[int] = 2
    member: MemberId
    incarnation: int
    token: int


class PeriodicAnnounce(Repeating):
    """Ask active members for a Feed."""

    __slots__ = ()
    rank = 3


class PeriodicGossip(Repeating):
    """Send waiting updates to some members."""

    __slots__ = ()
    rank = 4


@dataclass(frozen=True, slots=True)
class RemoveDown:
    """Forget this identity if it is still Down. Valid in every epoch, so it has no token."""

    rank: ClassVar[int] = 5
    member: MemberId


class PeriodicAnnounceDown(Repeating):
    """Announce to members that we hold Down: a partition may have healed."""

    __slots__ = ()
    rank = 6


class AnnounceToSeeds(Repeating):
    """Announce to the seeds again, if we are still isolated or nothing was heard of some."""

    __slots__ = ()
    rank = 7


class PeriodicSync(Repeating):
    """Begin a sync with a random member."""

    __slots__ = ()
    rank = 8


class SendSyncPart(Repeating):
    """Send the next part of a transfer."""

    __slots__ = ()
    rank = 9


@dataclass(frozen=True, slots=True)
class SendNack:
    """`target`, which `origin` asked us to ping, has not answered in time: send `origin` a Nack."""

    rank: ClassVar[int] = 10
    origin: MemberId
    target: MemberId
    number: int


Timer = Repeating | SendIndirectProbe | ChangeSuspectToDown | RemoveDown | SendNack
