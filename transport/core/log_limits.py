"""How many log lines strangers can cause: some at once and per second of each IP, and of all; the rest is counted.

Pure: the clock is given. An IP is as in `counted_ip`. Warnings have their own share, so that whoever causes the lesser
lines hides none. Actors count by peer as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from msgspec import Struct

from ..address import counted_ip
from .buckets import TokenBuckets

_OF_AN_IP = (1.0, 64)  # lines per second, and at once
_OF_ALL = (20.0, 640)
_MAX_IPS = 1024  # whose lines are counted by IP
SUMMARY_AFTER = 10.0  # seconds from the first line that was left out to the one that says how many were


class LeftOut(Struct, frozen=True):
    """Lines that were not written. most_of: the IP that caused the most of them, `of_it`."""

    lines: int
    most_of: str
    of_it: int


class LogLimits:
    """Counts the lines of one node."""

    __slots__ = ("_all", "_by_ip", "_left_out", "_lines")

    def __init__(self) -> None:
        """None yet."""
        self._by_ip = TokenBuckets(*_OF_AN_IP)
        self._all = TokenBuckets(*_OF_ALL)
        self._left_out: Counter[str] = Counter()
        self._lines = 0

    def admits(self, ip: str, kind: Hashable, now: float) -> bool:
        """Whether a line of this kind that this IP caused is written; each kind has shares of its own."""
        ip = counted_ip(ip)
        if self._by_ip.take((ip, kind), now) and self._all.take(kind, now):
            return True
        self._lines += 1
        if ip in self._left_out or len(self._left_out) < _MAX_IPS:
            self._left_out[ip] += 1
        return False

    def take_left_out(self) -> LeftOut:
        """What was left out since this was asked last; at least a line."""
        ((most_of, of_it),) = self._left_out.most_common(1)
        left_out = LeftOut(self._lines, most_of, of_it)
        self._left_out.clear()
        self._lines = 0
        return left_out
