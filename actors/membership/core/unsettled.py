"""The members that have not been heard for long yet, and what they may bring and have checked together.

A stream of keys, each of which comes, answers and dies again, has a share for each. So what is beyond the limits of a
few members is refused to all who have not settled, and who has settled does not suffer from it.
"""

from __future__ import annotations

from collections.abc import Callable

from ....transport.core.buckets import TokenBuckets
from ....transport.identity import PeerId

BROUGHT_BY_NEW, CHECKED_FOR_NEW = (64.0, 512), (128.0, 1024)
"""Newcomers a second, and at once, that all members bring together which have not settled, and signatures that are
checked for them: a stream of keys, each with a share of its own, is no more than a few members."""

SETTLED_AFTER, SETTLED_AT_LEAST_AFTER = 30.0, 5.0
"""Seconds from the first that is heard of a member itself until it counts as one that stays. Half of the time since the
first of all is enough, but for so many seconds: else nobody has settled in a young cluster, and any stream of keys that
come and go makes all members slow."""


class Unsettled:
    """Of the members that have shown themselves."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._since: dict[bytes, float] = {}
        self._first: float | None = None
        self._brought = TokenBuckets(*BROUGHT_BY_NEW)
        self._checked = TokenBuckets(*CHECKED_FOR_NEW)

    def add(self, peer: PeerId, now: float) -> None:
        """The peer becomes a member."""
        self._since.setdefault(peer, now)
        self._first = now if self._first is None else self._first

    def hear(self, peer: PeerId, now: float) -> None:
        """The peer shows that it is there: it has settled if that is for long enough."""
        since, first = self._since.get(peer), self._first
        if since is None or first is None:
            return
        if now - since >= min(SETTLED_AFTER, max(SETTLED_AT_LEAST_AFTER, (now - first) / 2)):
            del self._since[peer]

    def forget(self, peer: PeerId) -> None:
        """The peer is no member any more."""
        self._since.pop(peer, None)

    def settled(self, members: int) -> Callable[[bytes], bool] | None:
        """Tells, of so many members, those that have settled from the others; None if all are alike."""
        since = self._since
        return (lambda key: key not in since) if 0 < len(since) < members else None

    def may_bring(self, sender: PeerId, now: float) -> bool:
        """Whether a sender that is within its own limits brings another newcomer. Asked last, as `may_check`: what is
        beyond a sender's own limits must take nothing of the others'.
        """
        return sender not in self._since or self._brought.take(None, now)

    def may_check(self, sender: PeerId, now: float) -> bool:
        """Whether one more signature is checked for a sender that is within its own limits."""
        return sender not in self._since or self._checked.take(None, now)
