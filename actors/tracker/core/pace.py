"""How soon a peer may be tried again.

::

    cooldown    from an inbound reservation, or after a trim: no new reservation in either direction
    back-off    after a failed dial: a random part of a delay that grows with each failure; no dial
    rest        after a link that broke: no dial either, unless the node is short of connections

* Full jitter: the wait is anywhere between nothing and the delay. It also parts two peers that dial each other.
* A failure of our own making (our limit, a dial overtaken by the peer's, an address that changed) is no miss.
* A refusal that says "not now" or "you have me already" is no miss either, but waits the initial delay.
* A link that was opened is no miss, however it ends. Only one that broke costs the rest, never one that a side closed.
* One that broke in its first seconds is not lost but was never whole (the other side may have given up its handshake):
  it costs the back-off, which grows when that recurs, and no rest.
* The delay starts anew after any other break, or after a link that lived as long as the rest.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ....transport.reasons import Reason
from ..config import Config

NEVER = float("-inf")
_OURS = frozenset({Reason.SUPERSEDED, Reason.REPLACED, Reason.STALE, Reason.ADDRESS_CHANGED})
_NOT_NOW = frozenset({Reason.LIMIT, Reason.DUPLICATE, Reason.COOLDOWN})
_BROKEN = frozenset({Reason.LOST, Reason.DEAD})
BRIEF = 5.0
"""Seconds that a link must have lived to be one that was lost: as long as the other side has for its handshake."""


@dataclass(slots=True)
class Pace:
    """When one peer may be reserved and dialled; monotonic seconds."""

    reservable_at: float = NEVER
    retry_at: float = NEVER
    rest_until: float = NEVER
    delay: float = 0.0  # the last back-off delay; 0 before the first
    last_miss: float | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether there is nothing to wait for, and no miss."""
        return self.quiet_until == NEVER and self.last_miss is None

    @property
    def dial_at(self) -> float:
        """When a dial that somebody insists on may start."""
        return max(self.reservable_at, self.retry_at)

    @property
    def quiet_until(self) -> float:
        """When the peer is dialled without anybody insisting."""
        return max(self.dial_at, self.rest_until)

    def accepted(self, config: Config, now: float) -> None:
        """An inbound connection was reserved."""
        self.reservable_at = now + config.cooldown

    def dial_failed(self, reason: Reason, config: Config, rng: random.Random, now: float) -> bool:
        """A dial ended without a link; True if that is a miss."""
        if reason in _OURS:
            return False
        if reason in _NOT_NOW:
            self.retry_at = now + rng.uniform(0, config.backoff_initial)
            return False
        self._back_off(config, rng, now)
        self.last_miss = now
        return True

    def link_opened(self) -> None:
        """The peer can be reached: it has missed nothing."""
        self.last_miss = None

    def link_ended(self, reason: Reason, lived: float, config: Config, rng: random.Random, now: float) -> None:
        """A link that was open `lived` seconds is over."""
        lost = reason in _BROKEN and lived >= BRIEF
        if lost or lived >= config.rest_after_loss:
            self.delay = 0.0
        if lost:
            self.rest_until = now + config.rest_after_loss
        elif reason is Reason.TRIMMED:
            self.reservable_at = now + config.cooldown
        elif reason not in _OURS:
            self._back_off(config, rng, now)

    def address_given(self) -> None:
        """Another address: what failed at the old one says nothing. The cooldown stays."""
        self.retry_at = self.rest_until = NEVER
        self.delay = 0.0
        self.last_miss = None

    def _back_off(self, config: Config, rng: random.Random, now: float) -> None:
        grown = self.delay * config.backoff_factor if self.delay else config.backoff_initial
        self.delay = min(grown, config.backoff_cap)
        self.retry_at = now + rng.uniform(0, self.delay)


NO_WAIT = Pace()  # of whoever has none of its own; never changed
