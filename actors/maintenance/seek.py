"""The peers of the latest set, and when to look for them though there are enough connections with others.

* At once, then after the looking interval, after twice as long, and so on up to the idle time: `TRIES` times. A key
  that needs somebody of the set asks for him anyway.
* From the beginning once the set has somebody new, or when enough peers of the set were connected for the idle time:
  not sooner, so that a peer that lets many in and gives them up again is not called on without an end.
"""

from __future__ import annotations

import math

from ...transport.identity import PeerId
from .steps import Pacing

TRIES = 8


class Seek:
    """Times are monotonic seconds."""

    def __init__(self, pacing: Pacing) -> None:
        """There is no set yet."""
        self.peers: frozenset[PeerId] = frozenset()
        """Of the set."""
        self.others = 0
        """Connections with nobody of the set, while there is one."""
        self.absent = 0
        """Peers of the set that are not connected."""
        self._pacing = pacing
        self._enough_since: float | None = None
        self._gap = pacing.looking
        self._tries = 0
        self.next_at = -math.inf
        """From when they may be sought again; infinity for not before something changes."""

    def listing(self, peers: frozenset[PeerId]) -> None:
        """The latest set is another one."""
        if not peers <= self.peers:
            self.start_over()
        self.peers = peers

    def is_due(self, now: float) -> bool:
        """Whether it is time, and there is anybody to look for, and others in his place."""
        return self.absent > 0 and self.others > 0 and now >= self.next_at

    def due_later(self, now: float) -> float:
        """When it will be time; infinity if it never will, or has been."""
        return self.next_at if self.absent > 0 and self.others > 0 and now < self.next_at else math.inf

    def start_over(self) -> None:
        """As if nobody had been looked for."""
        self.next_at, self._gap, self._tries = -math.inf, self._pacing.looking, 0

    def began(self, now: float) -> None:
        """They are sought."""
        self._tries += 1
        self.next_at = now + self._gap if self._tries < TRIES else math.inf
        self._gap = max(self._gap, min(2 * self._gap, self._pacing.idle))

    def ended(self, now: float) -> None:
        """In vain."""
        self.next_at = max(self.next_at, now + self._pacing.looking)

    def see(self, enough: bool, now: float) -> None:
        """Whether enough peers of the set are connected."""
        if enough:
            self._enough_since = now if self._enough_since is None else self._enough_since
        elif self._enough_since is not None:
            if now - self._enough_since >= self._pacing.idle:
                self.start_over()
            self._enough_since = None
