"""When to look up a source: often after a wake, then ever more rarely. Pure; times are monotonic seconds.

The pauses are `floor`, twice that, four times ... up to `interval`, each with up to a quarter more at random, so that
nodes that started together do not ask together. A wake begins again at `floor`; one that comes during a lookup counts
after it. Success and failure are alike here: a source that is down is a source with nothing to find.
"""

from __future__ import annotations

import random


class Schedule:
    """The lookups of one source. The first is due at once."""

    def __init__(self, *, floor: float, interval: float, rng: random.Random) -> None:
        """floor, interval: seconds, the shortest and the longest pause."""
        self._floor, self._interval = floor, interval
        self._rng = rng
        self._pause = floor
        self._ended_at = -floor
        self._due_at = 0.0
        self._running = False

    @property
    def due_at(self) -> float | None:
        """When the next lookup may begin; None during one."""
        return None if self._running else self._due_at

    def begin(self) -> None:
        """Begin a lookup; none is due until its end."""
        self._running = True

    def end(self, now: float) -> float:
        """End a lookup; when the next one is due."""
        self._running = False
        self._ended_at = now
        self._due_at = now + self._pause * self._rng.uniform(1.0, 1.25)
        self._pause = min(2 * self._pause, self._interval)
        return self._due_at

    def wake(self) -> None:
        """Connections are missing: the next lookup is due as early as `floor` allows."""
        self._pause = self._floor
        if not self._running:
            self._due_at = min(self._due_at, self._ended_at + self._floor)
