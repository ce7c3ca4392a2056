"""How often somebody is wished for whom stuck keys need. Pure; who that is says `Peers.name_unlinked` (flows: fetch 2).

* One peer is wished for at a time, however many keys are stuck: another each time, until there is a candidate or no
  such key. The next one follows at once when the last one is connected and cannot help either. If it does not come, the
  next follows after `PROMPT_SHARE` of the interval, for the first `MAX_PROMPT` in vain, each named once; then after the
  interval, until somebody is new.
* Where connections are few, each that comes may cost another. So once as many were wished for as the set has peers, the
  interval is kept whoever comes, or a key that nobody has would cost one every second.
"""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Generic, TypeVar

P = TypeVar("P")

PROMPT_SHARE = 0.05
"""Of the interval: what a wished-for peer has to be connected in before the next one is wished for."""

MAX_PROMPT = 8
"""Peers that may be wished for in vain before the whole interval is kept."""


class Wishes(Generic[P]):
    """When the next one is due. interval and all times: in seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._last: P | None = None  # who was wished for last, until it comes
        self._wished_at = -math.inf
        self._in_vain = 0  # wishes since somebody of them came
        self._turn = 0  # wishes since the set had somebody new, or nobody was wished for in two intervals
        self.until = -math.inf
        """Until then nobody else is wished for; infinity if there is nobody."""

    def is_due(self, now: float, linked: Container[P], allowed: int) -> bool:
        """Whether another may be wished for. linked: the candidates; allowed: how many peers the set has."""
        if self.until == math.inf:
            return False
        if self._last is not None and self._last in linked:
            self._last = None
            self._in_vain = 0
            if self._turn < allowed:
                self.until = min(self.until, now)
        return self.until <= now

    def wished(self, peer: P, now: float, unlinked: int, allowed: int) -> None:
        """This one was wished for, of so many without a connection."""
        if now - self._wished_at > 2 * self._interval:
            self._turn = 0
        self._last = peer
        self._wished_at = now
        self._in_vain += 1
        self._turn += 1
        is_prompt = self._in_vain < min(unlinked, MAX_PROMPT) and self._turn < allowed
        self.until = now + self._interval * (PROMPT_SHARE if is_prompt else 1)

    def nobody(self) -> None:
        """There is nobody to wish for, until `may_wish`."""
        self.until = math.inf

    def may_wish(self) -> None:
        """A connection is gone, or there is another set: there may be somebody."""
        if self.until == math.inf:
            self.until = -math.inf

    def somebody_new(self, now: float) -> None:
        """The set lists somebody whom the one before did not."""
        self._in_vain = self._turn = 0
        self.until = min(self.until, now + self._interval * PROMPT_SHARE)

    def over(self, *, is_stuck: bool) -> None:
        """`until` has come. is_stuck: whether somebody is needed still."""
        self.until = -math.inf
        if not is_stuck:
            self._in_vain = 0
