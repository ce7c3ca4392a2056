"""One timer for something that says itself when it is to be asked again."""

from __future__ import annotations

import math
from typing import Any

from .... import runtime
from ....runtime import Message, Timer


class Alarm:
    """Moved forward only: when it rings too early it is set again."""

    def __init__(self, engine: runtime.Engine[Any], due: Message, more: Message) -> None:
        """due: comes when it rings. more: comes behind what waits, when it is to be asked again at once."""
        self._engine = engine
        self._due, self._more = due, more
        self._timer: Timer | None = None
        self._at = math.inf

    def rang(self) -> None:
        """The timer's message has come."""
        self._at = math.inf

    def set(self, at: float) -> None:
        """Ring at this time, in monotonic seconds, or earlier."""
        now = self._engine.now()
        if at <= now:
            self._engine.mailbox.tell(self._more)
        elif at < self._at:
            if self._timer is not None:
                self._timer.cancel()
            self._at = at
            self._timer = self._engine.after(at - now, self._due)
