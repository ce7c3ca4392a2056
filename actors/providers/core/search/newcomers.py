"""Members that come, or begin a later life, while keys are looked for: they are asked for these, and no round waits.

Each is asked `SETTLES` seconds later, by when it has its files ready and knows who asks it. `RATE` a second are, so
that a storm of joins is none of questions; beyond `MAX_WAITING` they are asked in the next sweep, as all others.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from .....transport.core.buckets import TokenBuckets
from .....transport.identity import PeerId

SETTLES = 1.0
RATE, BURST = 8.0, 8
"""Members that are asked in a second, and at once."""
MAX_WAITING = 256


class Newcomers:
    """Of one node. Times are monotonic seconds."""

    def __init__(self) -> None:
        """Nobody has come yet."""
        self._due: OrderedDict[PeerId, float] = OrderedDict()
        self._tokens = TokenBuckets(RATE, BURST)

    def came(self, peer: PeerId, now: float) -> None:
        """A member is there, or in a later life."""
        self._due.pop(peer, None)
        if len(self._due) < MAX_WAITING:
            self._due[peer] = now + SETTLES

    def gone(self, peer: PeerId) -> None:
        """It is none any more."""
        self._due.pop(peer, None)

    def next_at(self, now: float) -> float:
        """When the next one is to be asked; infinite if there is none."""
        first = next(iter(self._due.values()), math.inf)
        return first if first == math.inf else max(first, self._tokens.ready_at(None, now))

    def take(self, now: float) -> PeerId | None:
        """Whom to ask now, if anybody."""
        if self.next_at(now) > now:
            return None
        self._tokens.take(None, now)
        return self._due.popitem(last=False)[0]
