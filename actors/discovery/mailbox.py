"""What discovery can be asked, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ... import runtime
from ...runtime import Feedback, Lane, Message, Overflow
from ...transport.record import PeerRecord


@dataclass(frozen=True, slots=True)
class Wake(Message):
    """Connections are missing: look up all sources now, and often for a while."""

    overflow: ClassVar[Overflow] = Overflow.LATEST


@dataclass(frozen=True, slots=True)
class Heard(Message):
    """A source that listens has heard a record; encoded, and not looked at yet."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.REJECT
    source: str
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Found(Message):
    """A source gave these records, which are now hints to the tracker. Their signatures are not checked yet."""

    source: str
    records: tuple[PeerRecord, ...]


@dataclass(frozen=True, slots=True)
class SourceFailed(Message):
    """A source that had worked, or was never tried, does not work. Told once."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class SourceRecovered(Message):
    """A source works again."""

    source: str


class Mailbox(runtime.EventMailbox):
    """How the other actors reach discovery."""

    events: ClassVar = (Found, SourceFailed, SourceRecovered)
    limits: ClassVar = {Heard: runtime.Limit(256)}

    def wake(self) -> Feedback:
        """Look for peers now. Any number of calls that wait are one."""
        return self.tell(Wake())
