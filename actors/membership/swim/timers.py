"""Timers as values: the caller hands each back, once, after its delay.

Order by (deadline, rank): when the process stalls and both probe timers are overdue, the indirect stage must run first.
A timer whose token is no longer the awaited one is ignored, so a late or doubled one does no harm (defects: D6).
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
    """The period is over: judge the probe and begin the next."""

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
    """Push waiting updates."""

    __slots__ = ()
    rank = 4


@dataclass(frozen=True, slots=True)
class RemoveDown:
    """Forget this identity if it is still Down. Valid in every epoch, so it has no token."""

    rank: ClassVar[int] = 5
    member: MemberId


class PeriodicAnnounceDown(Repeating):
    """Try members we hold Down: a partition may have healed."""

    __slots__ = ()
    rank = 6


class AnnounceToSeeds(Repeating):
    """Still isolated: try the seeds again."""

    __slots__ = ()
    rank = 7


class PeriodicSync(Repeating):
    """Exchange all we know with some member."""

    __slots__ = ()
    rank = 8


class SendSyncPart(Repeating):
    """Go on with telling others what we know."""

    __slots__ = ()
    rank = 9


@dataclass(frozen=True, slots=True)
class SendNack:
    """`target` did not answer us in time, whom `origin` asked us to ping."""

    rank: ClassVar[int] = 10
    origin: MemberId
    target: MemberId
    number: int


Timer = Repeating | SendIndirectProbe | ChangeSuspectToDown | RemoveDown | SendNack
