"""What discovery can be asked, and what it tells."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from ... import runtime
from ...runtime import Feedback, Lane, Message, Overflow
from ...transport.record import PeerRecord


class Wake(Message, Struct, frozen=True):
    """Connections are missing: look up all sources now, and often for a while."""

    overflow: ClassVar[Overflow] = Overflow.LATEST


class Heard(Message, Struct, frozen=True):
    """A source that listens has heard a record; encoded, and not looked at yet."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.REJECT
    source: str
    encoded: bytes


class Found(Message, Struct, frozen=True):
    """A source gave these records, which are now hints to the tracker. Their signatures are not checked yet."""

    source: str
    records: tuple[PeerRecord, ...]


class SourceFailed(Message, Struct, frozen=True):
    """A source that had worked, or was never tried, does not work. Told once."""

    source: str
    why: str


class SourceRecovered(Message, Struct, frozen=True):
    """A source works again."""

    source: str


class Mailbox(runtime.EventMailbox):
    """How the other actors reach discovery."""

    events: ClassVar = (Found, SourceFailed, SourceRecovered)
    limits: ClassVar = {Heard: runtime.Limit(256)}

    def wake(self) -> Feedback:
        """Look for peers now. Any number of calls that wait are one."""
        return self.tell(Wake())
