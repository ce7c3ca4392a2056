"""What the gate lets transport tell peers that are turned away: to wait, and whom else to ask.

Each change is a small one and none is urgent, so `changed` says only that the gate is to be pushed some time soon.
"""

from __future__ import annotations

from ....transport.identity import PeerId

MAX_RECENT = 32


class Told:
    """Who has to wait for a connection, and who was connected to lately."""

    def __init__(self) -> None:
        self.changed = False
        self.recent: dict[PeerId, None] = {}
        """Those last connected to, oldest first."""
        self._cooling: dict[PeerId, float] = {}  # in the order of their ends, as every cooldown is as long

    def cool(self, peer: PeerId, until: float, now: float) -> None:
        """The peer is not to connect before `until`, monotonic seconds."""
        if until > now:
            self._cooling.pop(peer, None)
            self._cooling[peer] = until
            self.changed = True

    def saw(self, peer: PeerId) -> None:
        """A connection to the peer was opened."""
        self.recent.pop(peer, None)
        self.recent[peer] = None
        if len(self.recent) > MAX_RECENT:
            del self.recent[next(iter(self.recent))]
        self.changed = True

    def touched(self, peer: PeerId) -> None:
        """Something of the peer has changed."""
        if peer in self.recent:
            self.changed = True

    def cooling(self, now: float) -> dict[PeerId, float]:
        """Until when who has to wait."""
        while self._cooling and self._cooling[oldest := next(iter(self._cooling))] <= now:
            del self._cooling[oldest]
        return dict(self._cooling)
