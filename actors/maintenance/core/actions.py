"""What the planner tells the engine to do, and the numbers it keeps time by."""

from __future__ import annotations

import enum

from msgspec import Struct

from ....transport.identity import PeerId


class Pacing(Struct, frozen=True):
    """Seconds, see `Config`. dials: how many may be under way at once."""

    floor: float
    looking: float
    idle: float
    dials: int


class Motive(enum.StrEnum):
    """Why a check happened: the first cause since the one before."""

    ACTIVATION = "activation"
    TIMER = "timer"
    EXTERNAL = "external_event"  # maintain() was called
    NEW_PEER = "new_peer"  # the tracker knows somebody new, or again
    WANTED = "wanted"  # want(peer) was called
    MISSING = "missing"  # a peer whose link broke is dialled again
    TOO_FEW = "too_few_connections"
    TOO_MANY = "too_many_connections"
    CONNECTIONS = "connections"  # their number changed, and is in the band
    LAST_MAINTENANCE = "last_maintenance"  # something that it began has ended


class DialOutcome(enum.StrEnum):
    """How a dial ended. Refused: it never began."""

    OPENED = "opened"
    REFUSED = "refused"
    FAILED = "failed"


class Ask(Struct, frozen=True):
    """Ask the tracker for candidates. urgent: below the lower threshold, so a peer that rests may be offered too.

    listed: only peers of the latest set.
    """

    limit: int
    exclude: frozenset[PeerId]
    urgent: bool
    listed: bool = False


class Dial(Struct, frozen=True):
    """Dial this peer; `dial_ended` must follow."""

    peer: PeerId


class Search(Struct, frozen=True):
    """Ask the connected peers for others; `searched` must follow at once. wake: wake discovery too."""

    wake: bool


class Trim(Struct, frozen=True):
    """Ask connections to trim to the target; `trimmed` must follow. spare: close nobody of the latest set."""

    target: int
    spare: bool = False


class Done(Struct, frozen=True):
    """The repair is over: inside the band, or nothing more can be done now."""

    in_band: bool


class Wait(Struct, frozen=True):
    """Nothing to do until something happens, or until this time."""

    until: float | None


class Withhold(Struct, frozen=True):
    """Say that for a peer of the set no connection with another is closed before this time. Once per wait."""

    until: float


Action = Ask | Dial | Search | Trim | Done | Wait | Withhold
