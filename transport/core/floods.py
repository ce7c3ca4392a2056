"""Who keeps on over its quota: the drops of each peer in the present window, with the clock given.

By peer and not by link, so that a new link does not begin at nothing.
"""

from __future__ import annotations

from collections import Counter

from ..identity import PeerId

_WINDOW = 10.0  # seconds


class Floods:
    """Counts drops. All peers share the window, so it costs nothing while nobody is over a quota."""

    __slots__ = ("_drops", "_limit", "_window_ends")

    def __init__(self, limit: int) -> None:
        """limit: drops in a window that make a peer a flooder."""
        self._limit = limit
        self._drops: Counter[PeerId] = Counter()
        self._window_ends = 0.0

    def dropped(self, peer: PeerId, count: int, now: float) -> bool:
        """So many messages of the peer were dropped; whether that makes it a flooder."""
        if now >= self._window_ends:
            self._window_ends = now + _WINDOW
            self._drops.clear()
        self._drops[peer] += count
        return self._drops[peer] >= self._limit
