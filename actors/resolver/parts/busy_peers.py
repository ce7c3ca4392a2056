"""Telling connections how many of our requests each peer works on, so that others go first (design: busy peers).

Said at the end of a turn, and only where the number differs from what was said before: an answer that is followed by
the next request says nothing. What others ask of us does not count, or asking would be a way to stay connected.
"""

from __future__ import annotations

from ....transport.identity import PeerId
from ...connections.mailbox import Mailbox as Connections


class BusyPeers:
    """How many requests are out to each peer, as told to connections and as changed since."""

    def __init__(self, connections: Connections | None) -> None:
        """connections: without it nothing is said."""
        self._connections = connections
        self._unsaid: dict[PeerId, int] = {}
        self._said: dict[PeerId, int] = {}

    def change(self, peer: PeerId, by: int) -> None:
        """So many more requests are out to this peer, or less."""
        if self._connections is not None:
            self._unsaid[peer] = self._unsaid.get(peer, 0) + by

    def say(self) -> None:
        """Tell connections what changed in this turn, which is over."""
        if self._connections is None or not self._unsaid:
            return
        for peer, delta in self._unsaid.items():
            if delta:
                self._connections.busy(peer, delta)
                self._said[peer] = self._said.get(peer, 0) + delta
                if not self._said[peer]:
                    del self._said[peer]
        self._unsaid.clear()

    def stop(self) -> None:
        """Tell connections that no request is out any more."""
        self.say()
        self._unsaid = {peer: -count for peer, count in self._said.items()}
        self.say()
