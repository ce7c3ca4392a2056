"""Which index members name holders that do not have the key, and are passed over for a while.

Who is named may lie as well as who names, so nobody is blocked for it: a member that was wrong `MARGIN` times more
often than right is not asked first for `PASSED_OVER` seconds, and then begins anew.
"""

from __future__ import annotations

from .....transport.identity import PeerId

MARGIN = 8
PASSED_OVER = 600.0
"""Seconds; also after which half of what was counted is forgotten."""
MAX_MEMBERS = 1024


class Charges:
    """Of one node."""

    def __init__(self) -> None:
        """Nothing was wrong yet."""
        self._wrong: dict[PeerId, tuple[float, float]] = {}  # how much more often than right, and when that was
        self._until: dict[PeerId, float] = {}

    def judge(self, member: PeerId, right: bool, now: float) -> bool:
        """What it has named was right, or wrong; whether that makes it passed over from now on."""
        if self._until.get(member, now) > now:
            return False
        wrong, at = self._wrong.pop(member, (0.0, now))
        wrong = max(0.0, wrong * 0.5 ** ((now - at) / PASSED_OVER) + (-1.0 if right else 1.0))
        if wrong >= MARGIN:
            self._until[member] = now + PASSED_OVER
            return True
        if wrong > 0:
            if len(self._wrong) >= MAX_MEMBERS:
                del self._wrong[next(iter(self._wrong))]
            self._wrong[member] = wrong, now
        return False

    def passed_over(self, now: float) -> frozenset[PeerId]:
        """Who is passed over now."""
        for member in [member for member, until in self._until.items() if until <= now]:
            del self._until[member]
        return frozenset(self._until)
