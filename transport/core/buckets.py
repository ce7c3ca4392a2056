"""Token buckets by key, with the clock given. No kept library takes a clock, so this is ours.

A bucket holds `burst` tokens and gains `rate` per second. What is stored is its level when a token was last taken, so
an idle key costs nothing, a check changes nothing, and no token is lost to rounding however long the clock has run.
"""

from __future__ import annotations

from collections.abc import Hashable

_SWEEP_AT = 16_384  # keys; the bound commonware prunes its limiters at
_ROUNDING = 1e-9  # of a token


class TokenBuckets:
    """A bucket for each key. Keys whose bucket is full again are forgotten when there are many."""

    __slots__ = ("_burst", "_levels", "_rate", "_sweep_at")

    def __init__(self, rate: float, burst: int) -> None:
        """rate: tokens per second, above 0. burst: tokens a full bucket holds, at least 1."""
        if rate <= 0 or burst < 1:
            raise ValueError(f"a bucket has a rate above 0 and a burst of at least 1, not {rate} and {burst}")
        self._rate = rate
        self._burst = burst
        self._levels: dict[Hashable, tuple[float, float]] = {}  # tokens, and when there were so many
        self._sweep_at = _SWEEP_AT

    def __len__(self) -> int:
        """Keys that are remembered."""
        return len(self._levels)

    def ready_at(self, key: Hashable, now: float) -> float:
        """The moment from which a token may be taken; `now` if there is one."""
        missing = 1.0 - self._level(key, now)
        return now if missing <= _ROUNDING else now + missing / self._rate

    def take(self, key: Hashable, now: float) -> bool:
        """Take a token if there is one. A refusal changes nothing."""
        return self.take_many(key, 1, now) == 1

    def take_many(self, key: Hashable, wanted: int, now: float) -> int:
        """Take as many tokens as there are, at most `wanted`; how many that was."""
        stored = self._levels.get(key)
        level: float = self._burst
        if stored is not None:
            level = min(level, stored[0] + (now - stored[1]) * self._rate)
        taken = wanted if level >= wanted else int(level + _ROUNDING)
        if taken:
            if stored is None and len(self._levels) >= self._sweep_at:
                self._sweep(now)
            self._levels[key] = (level - taken, now)
        return taken

    def forget(self, key: Hashable) -> None:
        """The key's bucket is full again."""
        self._levels.pop(key, None)

    def _level(self, key: Hashable, now: float) -> float:
        stored = self._levels.get(key)
        return self._burst if stored is None else min(self._burst, stored[0] + (now - stored[1]) * self._rate)

    def _sweep(self, now: float) -> None:
        """Forget the full ones; again when there are twice as many as are left."""
        self._levels = {key: stored for key, stored in self._levels.items() if self._level(key, now) < self._burst}
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._levels))
