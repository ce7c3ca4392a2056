"""Whom we lost because a link broke, and when to try one of them again.

* One at a time, in turn: after the looking interval, then after twice as long, and so on up to the idle time.
* A new loss begins with the looking interval again, at most once per looking interval.
* Remembered are the last `MOST`, each for `TRIES` attempts, or until there is a connection.
"""

from __future__ import annotations

from ...transport.identity import PeerId
from .steps import Pacing

MOST = 16
TRIES = 12


class Missing:
    """Peers, the next to be tried first."""

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._tries: dict[PeerId, int] = {}
        self._gap = pacing.looking
        self.next_at: float | None = None
        """When `due` has somebody; None for never."""

    def miss(self, peer: PeerId, now: float) -> None:
        """The link to this peer broke."""
        self._tries.pop(peer, None)
        self._tries[peer] = 0
        if len(self._tries) > MOST:
            del self._tries[next(iter(self._tries))]
        self._gap = self._pacing.looking
        soon = now + self._gap
        self.next_at = soon if self.next_at is None else min(soon, self.next_at)

    def forget(self, peer: PeerId) -> None:
        """There is a connection."""
        self._tries.pop(peer, None)
        if not self._tries:
            self.next_at = None

    def due(self, now: float) -> PeerId | None:
        """Whom to try now, if it is time."""
        if self.next_at is None or now < self.next_at:
            return None
        peer = next(iter(self._tries))
        tries = self._tries.pop(peer) + 1
        if tries < TRIES:
            self._tries[peer] = tries
        self._gap = max(self._gap, min(2 * self._gap, self._pacing.idle))
        self.next_at = now + self._gap if self._tries else None
        return peer
