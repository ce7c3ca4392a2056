"""Token buckets by key, with the clock given. No kept library takes a clock, so this is ours.

A bucket holds `burst` tokens and gains `rate` per second. It is stored as the one moment at which it is full again
(the virtual scheduling of GCRA), so an idle key costs nothing and a check changes nothing.
"""

from __future__ import annotations

from collections.abc import Hashable

_SWEEP_AT = 16_384  # keys; the bound commonware prunes its limiters at


class TokenBuckets:
    """A bucket for each key. Keys whose bucket is full again are forgotten when there are many."""

    __slots__ = ("_full_at", "_interval", "_slack")

    def __init__(self, rate: float, burst: int) -> None:
        """rate: tokens per second, above 0. burst: tokens a full bucket holds, at least 1."""
        if rate <= 0 or burst < 1:
            raise ValueError(f"a bucket has a rate above 0 and a burst of at least 1, not {rate} and {burst}")
        self._interval = 1.0 / rate
        self._slack = (burst - 1) * self._interval
        self._full_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        """Keys that are remembered."""
        return len(self._full_at)

    def ready_at(self, key: Hashable, now: float) -> float:
        """The moment from which a token may be taken; not after `now` if there is one."""
        return max(now, self._full_at.get(key, now) - self._slack)

    def take(self, key: Hashable, now: float) -> bool:
        """Take a token if there is one. A refusal changes nothing."""
        full_at = max(now, self._full_at.get(key, now))
        if full_at - self._slack > now:
            return False
        if key not in self._full_at and len(self._full_at) >= _SWEEP_AT:
            self._full_at = {other: at for other, at in self._full_at.items() if at > now}
        self._full_at[key] = full_at + self._interval
        return True

    def forget(self, key: Hashable) -> None:
        """The key's bucket is full again."""
        self._full_at.pop(key, None)
