"""What maintenance can be asked and told."""

from __future__ import annotations

import enum
from collections.abc import Hashable
from typing import ClassVar

from msgspec import Struct

from ... import runtime
from ...runtime import Feedback, Message, Overflow, Reply, Request
from ...transport.identity import PeerId, check_owned
from .core.actions import Motive

# Events: told to subscribers -----------------------------------------------------------------------------------------


class MaintenanceStarted(Message, Struct, frozen=True):
    """The connections have left their bounds. motive: why it was checked."""

    motive: Motive
    open: int


class MaintenanceEnded(Message, Struct, frozen=True):
    """They are inside their bounds again. seconds: since the start."""

    seconds: float
    open: int


class TooFewConnections(Message, Struct, frozen=True):
    """There are `open`, and `wanted` would do. Once until there are enough."""

    open: int
    wanted: int


class TooManyConnections(Message, Struct, frozen=True):
    """There are `open`, and `target` shall be left. Once until there are few enough."""

    open: int
    target: int


class CannotTrim(Message, Struct, frozen=True):
    """Connections could not give up enough: `open` are left above `target`. Once until there are few enough."""

    open: int
    target: int


class RoomWithheld(Message, Struct, frozen=True):
    """At the maximum, no peer of the set gets the place of another for so many seconds: others did not stay.

    Once per wait, and only if there is somebody who needs the place.
    """

    seconds: float


class BootstrapSent(Message, Struct, frozen=True):
    """A peer was asked for others."""

    peer: PeerId


class BootstrapReceived(Message, Struct, frozen=True):
    """A peer asks for others."""

    peer: PeerId


class AdvertiseSent(Message, Struct, frozen=True):
    """A peer that asked was told of so many others."""

    peer: PeerId
    records: int


class AdvertiseReceived(Message, Struct, frozen=True):
    """A peer named others. records: taken over as hints. ignored: malformed, useless, or too many of one subnet."""

    peer: PeerId
    records: int
    ignored: int


class NotReached(Message, Struct, frozen=True):
    """A peer that a fetch needs is not connected yet, and why. Told again when the reason is another.

    waits: for a place, here or there, so that it only has to be patient.
    """

    peer: PeerId
    reason: str
    waits: bool


class ExchangeRefused(Message, Struct, frozen=True):
    """What a peer said about peers was not heeded. why: invalid, rate, unasked, private, closed or busy."""

    peer: PeerId
    why: str


class Level(enum.StrEnum):
    """What there is too much or too little of."""

    IN_BAND = "in_band"
    TOO_FEW = "too_few"
    TOO_MANY = "too_many"


class Doing(enum.StrEnum):
    """What maintenance does at the moment."""

    INACTIVE = "inactive"  # not activated yet
    RESTING = "resting"
    LOOKING = "looking"  # asks the tracker, or keeps the distance between two rounds
    DIALLING = "dialling"
    WAITING = "waiting"  # nobody can be dialled now
    TRIMMING = "trimming"
    STUCK = "stuck"  # nothing can be trimmed
    STOPPED = "stopped"


class Standing(Message, Struct, frozen=True):
    """An event: how it stands, told whenever that changes.

    open: connections. low, high: the bounds, both inclusive; low is None where every peer is dialled (policy `all`).
    surplus: connections that count for nothing, being too many of one subnet. dialling: dials under way. asked: peers
    that were last asked for others. unconnected: peers of the set without a connection; None where no set lists any.
    """

    overflow: ClassVar[Overflow] = Overflow.LATEST
    level: Level
    doing: Doing
    open: int
    low: int | None
    high: int
    surplus: int = 0
    dialling: int = 0
    asked: int = 0
    unconnected: int | None = None

    @property
    def has_all(self) -> bool:
        """Whether there are fewer connections than would do only because there are no more peers."""
        return self.level is Level.TOO_FEW and self.unconnected == 0 and not self.surplus

    def explain(self) -> str:
        """One line: how it stands, and what is done about it."""
        if self.has_all and self.doing is Doing.WAITING:
            return "connected to " + ("the only known peer" if self.open == 1 else f"all {self.open} known peers")
        return f"{_count(self.open, 'connection')}, {self._where()}: {self._what()}"

    def _where(self) -> str:
        if self.low is None:
            return f"of at most {self.high}"
        match self.level:
            case Level.TOO_FEW:
                return f"{self.low - self.open + self.surplus} below {self.low}{self._but()}"
            case Level.TOO_MANY:
                return f"{self.open - self.high} above {self.high}"
        return f"within {self.low} to {self.high}{self._but()}"

    def _but(self) -> str:
        return f" without {self.surplus} too many of one subnet" if self.surplus else ""

    def _what(self) -> str:
        match self.doing:
            case Doing.INACTIVE:
                return "maintenance has not begun"
            case Doing.STOPPED:
                return "maintenance was shut down"
            case Doing.RESTING:
                return "nothing to do" if self.low is not None else "nobody else may be dialled"
            case Doing.LOOKING:
                return "looking for what to do"
            case Doing.DIALLING:
                return f"dialling {_count(self.dialling, 'peer')}"
            case Doing.TRIMMING:
                return "closing the least useful"
            case Doing.STUCK:
                return "none of them can be given up, waiting until one closes"
        if self.asked:
            return f"nobody to dial now, waiting after asking {_count(self.asked, 'peer')} for others"
        return "nobody to dial now, waiting until somebody can be"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# Requests and commands -----------------------------------------------------------------------------------------------


class Report(Struct, frozen=True):
    """What a check found, and what was done since the last one.

    in_band: nothing more is to be done. For policy `band`: the count is within the thresholds; for `all`: every peer
    that may be dialled is connected, or `max_connections` are. open: connections by then. dialled: dials that really
    began, `opened` of them well. trimmed: connections closed by trims.
    """

    in_band: bool
    open: int
    dialled: int
    opened: int
    trimmed: int


class Activate(Message, Struct, frozen=True):
    """Begin to dial and to trim."""


class Maintain(Request[Report], Struct, frozen=True):
    """Check now, past the floor."""


class Shutdown(Request[None], Struct, frozen=True):
    """Neither dial nor trim any more."""


class Want(Message, Struct, frozen=True):
    """A connection to `peer` would be useful."""

    overflow: ClassVar[Overflow] = Overflow.LATEST
    peer: PeerId

    def key(self) -> Hashable:
        """One wish per peer waits."""
        return self.peer


class WantForFetch(Message, Struct, frozen=True):
    """A fetch needs a connection to `peer`, or (`needed` false) it does no more."""

    peer: PeerId
    needed: bool


class GetStanding(Request[Standing], Struct, frozen=True):
    """Ask for the `Standing`."""


class Mailbox(runtime.EventMailbox):
    """How the other actors reach maintenance.

    Who subscribes to Standing is told the present one at once.
    """

    events: ClassVar = (
        MaintenanceStarted,
        MaintenanceEnded,
        TooFewConnections,
        TooManyConnections,
        CannotTrim,
        RoomWithheld,
        BootstrapSent,
        BootstrapReceived,
        AdvertiseSent,
        AdvertiseReceived,
        ExchangeRefused,
        NotReached,
        Standing,
    )

    def activate(self) -> Feedback:
        """Begin. Repeated, it changes nothing; after `shutdown` it is refused with a log line."""
        return self.tell(Activate())

    def maintain(self) -> Reply[Report]:
        """Check, repair, and report at the end, also if nothing was to be done. Before `activate` it waits for that.

        Fails with `MaintenanceStopped` after `shutdown`.
        """
        return self.ask(Maintain())

    def shutdown(self) -> Reply[None]:
        """End; answered when no further dial or trim can start. May be repeated."""
        return self.ask(Shutdown())

    def want(self, peer: PeerId) -> Feedback:
        """Hint that `peer` be dialled: at most one attempt in the next round, none if there is no room.

        Raises ValueError for what is no peer, and for an id that nobody can own.
        """
        return self.tell(Want(check_owned(peer)))

    def want_for_fetch(self, peer: PeerId) -> Feedback:
        """Connect to `peer` for a fetch, now: among the connections if there is room, else in a short-lived place.

        It is tried again and again, until `peer` is connected, `want_no_more`, or for a minute and a half; `NotReached`
        tells why it is not yet. Raises as `want`.
        """
        return self.tell(WantForFetch(check_owned(peer), needed=True))

    def want_no_more(self, peer: PeerId) -> Feedback:
        """No fetch needs `peer` any more. A connection that there is stays, or ends by itself."""
        return self.tell(WantForFetch(check_owned(peer), needed=False))

    def standing(self) -> Reply[Standing]:
        """How it stands: `standing.explain()` is a line for the operator."""
        return self.ask(GetStanding())
