"""What the connections actor can be asked, and the events it emits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ... import runtime
from ...runtime import Feedback, Message, Overflow, Reply, Request
from ...transport.identity import PeerId
from ...transport.mailbox import Link
from ...transport.reasons import Reason

# Events: told to subscribers -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts(Message):
    """How many connections there are. closing: chosen to be closed and not yet gone; not among `open`."""

    overflow: ClassVar[Overflow] = Overflow.LATEST
    open: int
    closing: int


@dataclass(frozen=True, slots=True)
class PeerConnected(Message):
    """The first connection to a peer is there."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerDisconnected(Message):
    """The last connection to a peer is gone, for this reason."""

    peer: PeerId
    reason: Reason


EVENTS: tuple[type[Message], ...] = (Counts, PeerConnected, PeerDisconnected)

# Requests and commands -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe(Message):
    """Tell `subscriber` the events of these kinds from now on; for `Counts` also the present ones."""

    subscriber: runtime.Mailbox
    kinds: tuple[type[Message], ...]


@dataclass(frozen=True, slots=True)
class Info:
    """What there is. links: those that are open, oldest first. last_trim: monotonic seconds, None before the first."""

    open: int
    closing: int
    links: tuple[Link, ...]
    last_trim: float | None


@dataclass(frozen=True, slots=True)
class GetInfo(Request[Info]):
    """The counts and the open links."""


@dataclass(frozen=True, slots=True)
class TrimReport:
    """What a trim did. closed: links that are gone. short_by: links that it chose and that did not close in time."""

    closed: tuple[Link, ...]
    short_by: int


@dataclass(frozen=True, slots=True)
class Trim(Request[TrimReport]):
    """Close connections until at most `target` are open."""

    target: int


class Mailbox(runtime.Mailbox):
    """How the other actors reach connections."""

    def subscribe(self, subscriber: runtime.Mailbox, *kinds: type[Message]) -> Feedback:
        """Tell `subscriber` the events of these kinds, of all kinds if none is named.

        Raises ValueError for a kind that is not an event of this actor, `UnhandledMessage` if the subscriber's engine
        has no handler for one.
        """
        unknown = [kind.__name__ for kind in kinds if kind not in EVENTS]
        if unknown:
            allowed = ", ".join(kind.__name__ for kind in EVENTS)
            raise ValueError(f"connections has no event {', '.join(unknown)}; it has {allowed}")
        wanted = kinds or EVENTS
        subscriber.require(*wanted)
        return self.tell(Subscribe(subscriber, wanted))

    def get_info(self) -> Reply[Info]:
        """The counts and the open links."""
        return self.ask(GetInfo())

    def trim_open_connections(self, target: int) -> Reply[TrimReport]:
        """Close connections until at most `target` are open. Raises ValueError for a negative target."""
        if target < 0:
            raise ValueError(f"a target of connections is at least 0, not {target}")
        return self.ask(Trim(target))
