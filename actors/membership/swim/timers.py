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
class SendIndirectProbe:
    """The direct answer is overdue: ask helpers."""

    rank: ClassVar[int] = 0
    target: MemberId
    token: int


@dataclass(frozen=True, slots=True)
class ProbeRandomMember:
    """The period is over: judge the probe and begin the next."""

    rank: ClassVar[int] = 1
    token: int


@dataclass(frozen=True, slots=True)
class ChangeSuspectToDown:
    """The time to refute is over for this identity at this incarnation."""

    rank: ClassVar[int] = 2
    member: MemberId
    incarnation: int
    token: int


@dataclass(frozen=True, slots=True)
class PeriodicAnnounce:
    """Ask active members for a Feed."""

    rank: ClassVar[int] = 3
    token: int


@dataclass(frozen=True, slots=True)
class PeriodicGossip:
    """Push waiting updates."""

    rank: ClassVar[int] = 4
    token: int


@dataclass(frozen=True, slots=True)
class RemoveDown:
    """Forget this identity if it is still Down. Valid in every epoch, so it has no token."""

    rank: ClassVar[int] = 5
    member: MemberId


@dataclass(frozen=True, slots=True)
class PeriodicAnnounceDown:
    """Try members we hold Down: a partition may have healed."""

    rank: ClassVar[int] = 6
    token: int


@dataclass(frozen=True, slots=True)
class AnnounceToSeeds:
    """Still isolated: try the seeds again."""

    rank: ClassVar[int] = 7
    token: int


@dataclass(frozen=True, slots=True)
class PeriodicSync:
    """Exchange all we know with some member."""

    rank: ClassVar[int] = 8
    token: int


@dataclass(frozen=True, slots=True)
class SendSyncPart:
    """Go on with telling others what we know."""

    rank: ClassVar[int] = 9
    token: int


@dataclass(frozen=True, slots=True)
class SendNack:
    """`target` did not answer us in time, whom `origin` asked us to ping."""

    rank: ClassVar[int] = 10
    origin: MemberId
    target: MemberId
    number: int


Repeating = (
    ProbeRandomMember
    | PeriodicAnnounce
    | PeriodicGossip
    | PeriodicAnnounceDown
    | AnnounceToSeeds
    | PeriodicSync
    | SendSyncPart
)
"""Those that arm themselves again; at most one of each kind is awaited."""

Timer = Repeating | SendIndirectProbe | ChangeSuspectToDown | RemoveDown | SendNack
