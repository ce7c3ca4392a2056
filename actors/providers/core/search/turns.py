"""Whose search has its turn, where more keys are looked for than may be at once.

A key that is new is next. One of which a lookup is over waits until the others were looked for, and a while at least.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from .next_lookup import LONGEST


class Turns:
    """The keys that wait for theirs."""

    def __init__(self, at_once: int) -> None:
        """at_once: keys that are looked for at the same time."""
        self.at_once = at_once
        self._waiting: OrderedDict[bytes, tuple[float, bool]] = OrderedDict()
        """Until when at least, and whether it is new; the next first."""

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, hashed: object) -> bool:
        return hashed in self._waiting

    def new(self, hashed: bytes, now: float) -> None:
        """A key waits that was not looked for yet."""
        self._waiting[hashed] = now, True
        self._waiting.move_to_end(hashed, last=False)

    def again(self, hashed: bytes, now: float) -> None:
        """A key waits of which a lookup is over."""
        self._waiting[hashed] = now + LONGEST, False

    def leave(self, hashed: bytes) -> bool:
        """A key waits no more; whether it did."""
        return self._waiting.pop(hashed, None) is not None

    def take(self, running: int, now: float) -> tuple[bytes, bool] | None:
        """The key whose turn it is, if there is one, and whether it is new. running: keys that are looked for."""
        if self.next_at(running) > now:
            return None
        hashed, (_, is_new) = self._waiting.popitem(last=False)
        return hashed, is_new

    def next_at(self, running: int) -> float:
        """When the next one has its turn; infinite if there is no room, or nobody waits."""
        room = self._waiting and running < self.at_once
        return next(iter(self._waiting.values()))[0] if room else math.inf
