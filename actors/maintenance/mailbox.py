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


EVENTS: tuple[type[Message], ...] = (
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


@dataclass(frozen=True, slots=True)
class Subscribe(Message):
    """Tell `subscriber` the events of these kinds from now on; for `Standing` also the present one."""

    subscriber: runtime.Mailbox
    kinds: tuple[type[Message], ...]


class Mailbox(runtime.Mailbox):
    """How the other actors reach maintenance."""

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
        """Hint that `peer` be dialled: at most one attempt in the next round, none if there is no room."""
        return self.tell(Want(peer))

    def standing(self) -> Reply[Standing]:
        """How it stands: `standing.explain()` is a line for the operator."""
        return self.ask(GetStanding())

    def subscribe(self, subscriber: runtime.Mailbox, *kinds: type[Message]) -> Feedback:
        """Tell `subscriber` the events of these kinds, of all kinds if none is named.

        Raises ValueError for what is no event of maintenance, `UnhandledMessage` if the subscriber's engine has no
        handler for one.
        """
        unknown = [kind.__name__ for kind in kinds if kind not in EVENTS]
        if unknown:
            allowed = ", ".join(kind.__name__ for kind in EVENTS)
            raise ValueError(f"maintenance has no event {', '.join(unknown)}; it has {allowed}")
        wanted = kinds or EVENTS
        subscriber.require(*wanted)
        return self.tell(Subscribe(subscriber, wanted))
