"""What maintenance can be asked and told."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from ... import runtime
from ...runtime import Feedback, Message, Overflow, Reply, Request
from ...transport.identity import PeerId
from .standing import Standing
from .steps import Motive

# Events: told to subscribers -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MaintenanceStarted(Message):
    """The connections have left their bounds. motive: why it was looked."""

    motive: Motive
    open: int


@dataclass(frozen=True, slots=True)
class MaintenanceEnded(Message):
    """They are inside their bounds again. seconds: since the start."""

    seconds: float
    open: int


@dataclass(frozen=True, slots=True)
class TooFewConnections(Message):
    """There are `open`, and `wanted` would do. Once until there are enough."""

    open: int
    wanted: int


@dataclass(frozen=True, slots=True)
class TooManyConnections(Message):
    """There are `open`, and `target` shall be left. Once until there are few enough."""

    open: int
    target: int


@dataclass(frozen=True, slots=True)
class CannotTrim(Message):
    """Connections could not give up enough: `open` are left above `target`. Once until there are few enough."""

    open: int
    target: int


@dataclass(frozen=True, slots=True)
class BootstrapSent(Message):
    """A peer was asked for others."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class BootstrapReceived(Message):
    """A peer asks for others."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class AdvertiseSent(Message):
    """It was told of so many."""

    peer: PeerId
    records: int


@dataclass(frozen=True, slots=True)
class AdvertiseReceived(Message):
    """A peer named others. records: taken over as hints. ignored: malformed, useless, or too many of one subnet."""

    peer: PeerId
    records: int
    ignored: int


@dataclass(frozen=True, slots=True)
class ExchangeRefused(Message):
    """What a peer said about peers was not heeded. why: invalid, rate, unasked, private, closed or busy."""

    peer: PeerId
    why: str


# Requests and commands -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
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


@dataclass(frozen=True, slots=True)
class Activate(Message):
    """Begin."""


@dataclass(frozen=True, slots=True)
class Maintain(Request[Report]):
    """Look now, past the floor."""


@dataclass(frozen=True, slots=True)
class Shutdown(Request[None]):
    """Neither dial nor trim any more."""


@dataclass(frozen=True, slots=True)
class Want(Message):
    """A connection to `peer` would be useful."""

    overflow: ClassVar[Overflow] = Overflow.LATEST
    peer: PeerId

    def key(self) -> Hashable:
        """One wish per peer waits."""
        return self.peer


@dataclass(frozen=True, slots=True)
class GetStanding(Request[Standing]):
    """Ask how it stands."""


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
        BootstrapSent,
        BootstrapReceived,
        AdvertiseSent,
        AdvertiseReceived,
        ExchangeRefused,
        Standing,
    )

    def activate(self) -> Feedback:
        """Begin. Repeated, it changes nothing; after `shutdown` it is refused with a log line."""
        return self.tell(Activate())

    def maintain(self) -> Reply[Report]:
        """Look, repair, and report at the end, also if nothing was to be done. Before `activate` it waits for that.

        Fails with `MaintenanceStopped` after `shutdown`.
        """
        return self.ask(Maintain())

    def shutdown(self) -> Reply[None]:
        """End; answered when no further dial or trim can start. May be repeated."""
        return self.ask(Shutdown())

    def want(self, peer: PeerId) -> Feedback:
        """Hint that `peer` be dialled: at most one attempt in the next round, none if there is no room.

        Raises ValueError for what is no peer.
        """
        return self.tell(Want(PeerId(peer)))

    def standing(self) -> Reply[Standing]:
        """How it stands: `standing.explain()` is a line for the operator."""
        return self.ask(GetStanding())
