"""Connections that fetches wait for. Pure: time and random numbers are given.

A round of the planner is for the number of connections; a fetch wants one with this very peer, now. So such a wish
waits for no round, and for no place among the connections:

* Wishes are followed at once, `RATE` a second; who waited longest first.
* While there is room in the band the connection is like any other. Where there is none, here or at the far end, it is a
  *short-lived* one, in a place of its own (transport counts these, and has who asks for them take turns).
* Who has to wait for a place or a moment is tried again after `RETRY` seconds, who cannot be reached after `BACK_OFF`
  and then ever later. Why is kept until it is another reason, for whoever asks.
* A wish is over once there is a connection, when nobody has it any more, or `LASTS` seconds after it was said last.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

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


@dataclass(slots=True)
class _Wish:
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
        self._dials: dict[PeerId, _Wish] = {}  # under way
        self._tokens = TokenBuckets(RATE, BURST)
        self._full_until = -math.inf  # our own places

    def __len__(self) -> int:
        """How many there are, those that are being dialled left out."""
        return len(self._wishes)

    def want(self, peer: PeerId, now: float) -> None:
        """A fetch needs a connection to this peer."""
        wish = self._wishes.get(peer) or self._dials.get(peer)
        if wish is not None:
            wish.until = now + LASTS
            return
        if len(self._wishes) >= MAX_WISHES:
            del self._wishes[next(iter(self._wishes))]
        self._wishes[peer] = _Wish(now + LASTS, now)

    def forget(self, peer: PeerId) -> None:
        """It is connected, or no fetch needs it any more."""
        self._wishes.pop(peer, None)
        self._dials.pop(peer, None)

    def next_at(self, now: float) -> float:
        """When the next one may be followed; infinity if there is none."""
        first = min((wish.next_at for wish in self._wishes.values()), default=math.inf)
        return first if first == math.inf else max(first, self._full_until, self._tokens.ready_at(None, now))

    def take(self, now: float) -> PeerId | None:
        """Whom to dial now, if anybody; `ended` must follow."""
        for peer in [peer for peer, wish in self._wishes.items() if wish.until <= now]:
            del self._wishes[peer]
        if self.next_at(now) > now:
            return None
        peer = next(peer for peer, wish in self._wishes.items() if wish.next_at <= now)
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
        if reason in SOON:
            wish.next_at = now + RETRY * (1 + self._rng.random() / 2)
        else:
            wish.next_at = now + wish.delay * (1 + self._rng.random() / 2)
            wish.delay = min(2 * wish.delay, BACK_OFF_CAP)
        if not short_lived:
            wish.crowded = wish.crowded or reason in NO_PLACE
        elif reason == Reason.LIMIT:
            self._full_until = now + RETRY
        self._wishes[peer] = wish
        is_new, wish.why = wish.why != reason, str(reason)
        return is_new
