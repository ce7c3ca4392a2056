"""Whom we lost because a link broke, and when to try one of them again.

* One at a time, in turn: first after half the idle time, which by default is as long as the tracker lets a lost peer
  rest (design: waits), then once per idle time. Who is short of connections has dialled it before that.
* One whose link broke within the looking interval was never really there, and does not rest: it is the next, after the
  looking interval. If that recurs, whosever link it is, after twice as long, and so on up to half the idle time.
* Remembered are the last `MOST`, each for `TRIES` attempts, or until there is a connection.
"""

from __future__ import annotations

from ....transport.identity import PeerId
from .steps import Pacing

MOST = 16
TRIES = 12


class Missing:
    """Peers, the next to be tried first."""

    def __init__(self, pacing: Pacing) -> None:
        self._idle, self._looking = pacing.idle, pacing.looking
        self._gap, self._brief_at = 0.0, float("-inf")  # the wait after the last brief link, and when it broke
        self._tries: dict[PeerId, int] = {}
        self.next_at: float | None = None
        """When `due` has somebody; None for never."""

    def miss(self, peer: PeerId, now: float, *, lived: float = float("inf")) -> None:
        """The link to this peer broke. lived: seconds."""
        self._tries.pop(peer, None)
        self._tries[peer] = 0
        if len(self._tries) > MOST:
            del self._tries[next(iter(self._tries))]
        wait = self._idle / 2
        if lived < self._looking:
            recurs = now - self._brief_at < self._idle
            self._gap = min(2 * self._gap, wait) if recurs else min(self._looking, wait)
            self._brief_at, wait = now, self._gap
            self._tries = {peer: 0} | self._tries
            if self.next_at is not None:
                self.next_at = min(self.next_at, now + wait)
        if self.next_at is None:
            self.next_at = now + wait

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
        self.next_at = now + self._idle if self._tries else None
        return peer
