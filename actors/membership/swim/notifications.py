"""Notifications: what the program that runs `Swim` learns from it (membership: swim without rookery).

Within one packet: MemberUp of the sender first, then what each update causes, in its order; Active or Idle last.
"""

from dataclasses import dataclass

from .member import MemberId

__all__ = [
    "Active",
    "AddressInUse",
    "Defunct",
    "Idle",
    "MemberDown",
    "MemberUp",
    "Notification",
    "ProbeFailed",
    "Refuted",
    "Rejoin",
    "Rename",
    "RoundTrip",
    "Suspected",
]


@dataclass(frozen=True, slots=True)
class MemberUp:
    """The active set gained a member."""

    member: MemberId


@dataclass(frozen=True, slots=True)
class MemberDown:
    """A member that was active is Down now; never for one first heard of as Down. `left`: it announced that itself."""

    member: MemberId
    left: bool = False


@dataclass(frozen=True, slots=True)
class Rename:
    """A member has a new identity; MemberUp or MemberDown follows only if its liveness changed too."""

    old: MemberId
    new: MemberId


@dataclass(frozen=True, slots=True)
class Active:
    """The first other active member is known: we went from Disconnected to Connected."""


@dataclass(frozen=True, slots=True)
class Idle:
    """No active member is left: we went from Connected to Disconnected."""


@dataclass(frozen=True, slots=True)
class Defunct:
    """We have become Undead. Notified once, on the transition (defects: D9)."""


@dataclass(frozen=True, slots=True)
class Rejoin:
    """We were declared Down and have renewed our identity, which is `member` now."""

    member: MemberId


@dataclass(frozen=True, slots=True)
class AddressInUse:
    """We are declared Down more often than `max_rejoins_per_minute`: another process seems to live under our key.

    We keep the present identity and renew again when a minute has room for it. Notified once until then.
    """

    member: MemberId


@dataclass(frozen=True, slots=True)
class Suspected:
    """An active member is suspected now. It still counts as active."""

    member: MemberId


@dataclass(frozen=True, slots=True)
class Refuted:
    """A suspected member has refuted the suspicion."""

    member: MemberId


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """Neither the member nor a helper answered our probe of it in time."""

    member: MemberId


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """The member answered our probe directly, after so many seconds."""

    member: MemberId
    seconds: float


Notification = (
    MemberUp
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
