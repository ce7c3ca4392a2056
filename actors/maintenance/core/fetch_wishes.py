"""Connections that fetches wait for. Pure: time and random numbers are given.

A round of the planner is for the number of connections; a fetch wants one with this very peer, now. So such a wish
waits for no round, and for no place among the connections:

* Wishes are followed at once, `RATE` a second; who has been due longest first.
* While there is room in the band the connection is like any other. Where there is none, here or at the far end, it is a
  *short-lived* one, in a place of its own (transport counts these, and has who asks for them take turns). That there is
  none is mostly found out by a dial: it is followed at once by one for such a place.
* Who has to wait for a place or a moment is tried again after `RETRY` seconds, who cannot be reached after `BACK_OFF`
  and then ever later. Why is kept until it is another reason, for whoever asks.
* A wish is over once there is a connection, when nobody has it any more, or `LASTS` seconds after it was said last.
  Beyond `MAX_WISHES` the one that was tried longest ago makes room.
"""

from __future__ import annotations

import math
import random
from heapq import heapify, heappop, heappush
from itertools import count

from msgspec import Struct

from ....transport.core.buckets import TokenBuckets
from ....transport.identity import PeerId
from ....transport.reasons import Reason

RATE, BURST = 4.0, 8
"""Dials a second, and at once."""
RETRY = 1.0  # seconds; up to half as long again at random
BACK_OFF, BACK_OFF_CAP = 5.0, 60.0  # seconds
LASTS = 90.0  # seconds
MAX_WISHES = 1024

NO_PLACE = frozenset({Reason.LIMIT, Reason.TOO_MANY, Reason.QUEUED})
"""Reasons that are over when another connection ends."""
SOON = NO_PLACE | {Reason.COOLDOWN, Reason.DUPLICATE, Reason.SUPERSEDED, Reason.REPLACED}


class _Wish(Struct):
    until: float
    next_at: float
    delay: float = BACK_OFF
    crowded: bool = False  # the far end has no room among its connections
    why: str = ""


class FetchWishes:
    """The wishes of one node. Times are monotonic seconds."""

    def __init__(self, rng: random.Random) -> None:
        """None yet."""
        self._rng = rng
        self._wishes: dict[PeerId, _Wish] = {}  # in the order in which they were last tried
        self._due: list[tuple[float, int, PeerId]] = []  # of each wish its `next_at`, and of some that are over
        self._numbers = count()
        self._dials: dict[PeerId, _Wish] = {}  # under way
        self._tokens = TokenBuckets(RATE, BURST)
        self._full_until = -math.inf  # our own places

    def __len__(self) -> int:
        """How many there are, those that are being dialled left out."""
        return len(self._wishes)

    def want(self, peer: PeerId, now: float) -> PeerId | None:
        """A fetch needs a connection to this peer; whose wish makes room for this one."""
        wish = self._wishes.get(peer) or self._dials.get(peer)
        if wish is not None:
            wish.until = now + LASTS
            return None
        dropped = next(iter(self._wishes)) if len(self._wishes) >= MAX_WISHES else None
        if dropped is not None:
            del self._wishes[dropped]
        self._add(peer, _Wish(now + LASTS, now))
        return dropped

    def forget(self, peer: PeerId) -> None:
        """It is connected, or no fetch needs it any more."""
        self._wishes.pop(peer, None)
        self._dials.pop(peer, None)

    def next_at(self, now: float) -> float:
        """When the next one may be followed; infinity if there is none."""
        self._forget_what_is_over(now)
        if not self._due:
            return math.inf
        return max(self._due[0][0], self._full_until, self._tokens.ready_at(None, now))

    def take(self, now: float) -> PeerId | None:
        """Whom to dial now, if anybody; `ended` must follow."""
        if self.next_at(now) > now:
            return None
        *_, peer = heappop(self._due)
        self._tokens.take(None, now)
        self._dials[peer] = self._wishes.pop(peer)
        return peer

    def is_crowded(self, peer: PeerId) -> bool:
        """Whether there was no room among the connections, here or at the peer that is dialled, the last time."""
        return peer in self._dials and self._dials[peer].crowded

    def ended(self, peer: PeerId, reason: Reason | str | None, now: float, *, short_lived: bool) -> bool:
        """A dial ended, for this reason if it failed; whether that is another one than before."""
        wish = self._dials.pop(peer, None)
        if wish is None or reason is None:
            return False
        if not short_lived and not wish.crowded and reason in NO_PLACE:
            wish.crowded = True
            wish.next_at = now
        elif reason in SOON:
            wish.next_at = now + RETRY * (1 + self._rng.random() / 2)
        else:
            wish.next_at = now + wish.delay * (1 + self._rng.random() / 2)
            wish.delay = min(2 * wish.delay, BACK_OFF_CAP)
        if short_lived and reason == Reason.LIMIT:
            self._full_until = now + RETRY
        self._add(peer, wish)
        is_new, wish.why = wish.why != reason, str(reason)
        return is_new

    def _add(self, peer: PeerId, wish: _Wish) -> None:
        self._wishes[peer] = wish
        heappush(self._due, (wish.next_at, next(self._numbers), peer))
        if len(self._due) > 64 + 2 * len(self._wishes):  # most were forgotten before they were due
            self._due = [(wish.next_at, next(self._numbers), peer) for peer, wish in self._wishes.items()]
            heapify(self._due)

    def _forget_what_is_over(self, now: float) -> None:
        """Until the first that is due is a wish of somebody."""
        while self._due:
            at, _, peer = self._due[0]
            wish = self._wishes.get(peer)
            if wish is not None and wish.next_at == at:
                if now < wish.until:
                    return
                del self._wishes[peer]
            heappop(self._due)
