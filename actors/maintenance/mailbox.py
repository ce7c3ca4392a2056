"""What maintenance can be asked and told."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from ... import runtime
from ...runtime import Feedback, Message, Overflow, Reply, Request
from ...transport.identity import PeerId


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
