"""What discovery can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ... import runtime
from ...runtime import Feedback, Message, Overflow


@dataclass(frozen=True, slots=True)
class Wake(Message):
    """Connections are missing: look now, and look often for a while."""

    overflow: ClassVar[Overflow] = Overflow.LATEST


class Mailbox(runtime.Mailbox):
    """How the other actors reach discovery."""

    def wake(self) -> Feedback:
        """Look for peers now. Any number of calls that wait are one."""
        return self.tell(Wake())
