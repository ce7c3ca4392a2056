"""Asking members one after the other, in random order, whether they have the keys that nobody was found for.

There is one sweep of a node, however many keys it looks for: it goes round and round among the members, each of whom is
asked for all these keys at once, and a key leaves when it has been round. So what leaves is bounded by the pace alone.
"""

from __future__ import annotations

import math
import random
from collections import Counter

from msgspec import Struct

from .....transport.identity import PeerId
from .line import Line, Rank

RATE, AT_ONCE = 64.0, 8
"""Members asked in a second, and at once."""
MAX_KEYS = 32
"""Keys that a member is asked for at once; more wait for their turn (`line`)."""
PLACES = {Rank.LIST: MAX_KEYS, Rank.NEW: 28, Rank.AGAIN: 24}
"""How many of those may be of this rank or a later one, so that there is a place for those before it."""
MAX_MEMBERS = 4096
"""Members that are asked for one key."""
TIMEOUT = 60.0
"""Seconds that they are asked for."""


class _Swept(Struct):
    """A key that was begun. left: members that it has still to come by. until: when its time is over, if it had one."""

    rank: Rank
    left: int
    asked: int = 0
    until: float = math.inf


class Sweep:
    """All of the members in the order in which they are asked."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._order: list[PeerId] = []
        self._members: set[PeerId] = set()
        self._cursor = 0
        self._line = Line()
        self._keys: dict[bytes, _Swept] = {}  # their times are over in this order
        self._places: Counter[Rank] = Counter()  # that they take
        self._over: dict[bytes, _Swept] = {}
        self._newly: list[bytes] = []
        self._level, self._level_at = float(AT_ONCE), -math.inf

    def __len__(self) -> int:
        """The members."""
        return len(self._members)

    @property
    def busy(self) -> bool:
        """Whether members are being asked."""
        return bool(self._keys or self._line or self._over)

    def add(self, peer: PeerId) -> None:
        """A member is there. It is asked next by who is under way."""
        if peer in self._members:
            return
        self._members.add(peer)
        if self._keys:
            self._order.insert(self._cursor, peer)
            for key in self._keys.values():
                key.left += 1
            return
        self._order.append(peer)
        at = self._rng.randrange(len(self._order))
        self._order[-1], self._order[at] = self._order[at], self._order[-1]

    def discard(self, peer: PeerId) -> None:
        """A member is gone."""
        if peer not in self._members:
            return
        self._members.discard(peer)
        at = self._order.index(peer)
        ahead = (at - self._cursor) % len(self._order)
        for hashed, key in list(self._keys.items()):
            if ahead < key.left:
                self._take(hashed, key)
        del self._order[at]
        if at < self._cursor:
            self._cursor -= 1

    def begin(self, hashed: bytes, rank: Rank = Rank.NEW) -> None:
        """Ask for this key too."""
        if hashed in self._keys or hashed in self._over:
            return
        if self._order:
            self._line.put(hashed, rank)
        else:
            self._over[hashed] = _Swept(rank, 0)

    def end(self, hashed: bytes) -> None:
        """Ask for it no more."""
        self._line.leave(hashed)
        self._leave(hashed)
        self._over.pop(hashed, None)

    def asked(self, hashed: bytes) -> int:
        """How many members were asked for a key that is swept."""
        swept = self._keys.get(hashed) or self._over.get(hashed)
        return 0 if swept is None else swept.asked

    def pay(self, now: float) -> None:
        """A packet was repeated: the next one leaves later for it."""
        self._ready_at(now)
        self._level -= 1.0

    def next(self, now: float) -> tuple[PeerId, tuple[bytes, ...]] | None:
        """Whom to ask now, for which keys; None if nobody is to be asked now."""
        self._expire(now)
        if not (self._keys and self._order) or self._ready_at(now) > now:
            return None
        keys = dict(self._keys)
        self._level -= 1.0
        self._cursor %= len(self._order)
        peer = self._order[self._cursor]
        self._cursor += 1
        for hashed, key in keys.items():
            key.asked += 1
            key.until = min(key.until, now + TIMEOUT)
            self._take(hashed, key)
        return peer, tuple(keys)

    def over(self, now: float) -> list[bytes]:
        """The keys for which nobody more is to be asked; they stay until `end`, and take nobody's turn."""
        self._expire(now)
        return list(self._over)

    def newly_over(self, now: float) -> list[bytes]:
        """Those of them that this has not said yet."""
        self._expire(now)
        newly, self._newly = self._newly, []
        return [hashed for hashed in newly if hashed in self._over]

    @property
    def has_news(self) -> bool:
        """Whether `newly_over` has something to say, as far as was looked by now."""
        return bool(self._newly)

    def is_over(self, hashed: bytes) -> bool:
        """Whether nobody more is to be asked for a key, as far as was looked by now."""
        return hashed in self._over

    def wake_at(self, now: float) -> float:
        """When somebody is to be asked; infinite if nobody is."""
        self._expire(now)
        return self._ready_at(now) if self._keys and self._order else math.inf

    def _take(self, hashed: bytes, key: _Swept) -> None:
        """One member fewer is to be asked for it."""
        key.left -= 1
        if key.left <= 0:
            self._finish(hashed)

    def _fill(self) -> None:
        """Begin what waits, as far as there are places."""
        while self._line and (taken := self._line.take(self._has_place)) is not None:
            hashed, rank = taken
            self._keys[hashed] = _Swept(rank, min(len(self._order), MAX_MEMBERS))
            self._places[rank] += 1
            if not self._order:
                self._finish(hashed)

    def _has_place(self, rank: Rank) -> bool:
        free = (
            PLACES[each] - sum(self._places[later] for later in Rank if later >= each) for each in Rank if each <= rank
        )
        return min(free) > 0

    def _leave(self, hashed: bytes) -> _Swept | None:
        key = self._keys.pop(hashed, None)
        if key is not None:
            self._places[key.rank] -= 1
        return key

    def _expire(self, now: float) -> None:
        self._fill()
        while self._keys:
            hashed, key = next(iter(self._keys.items()))
            if now < key.until:
                break
            self._finish(hashed)
            self._fill()

    def _finish(self, hashed: bytes) -> None:
        key = self._leave(hashed)
        assert key is not None
        self._over[hashed] = key
        self._newly.append(hashed)

    def _ready_at(self, now: float) -> float:
        if self._level_at < now:
            gained = 0.0 if self._level_at == -math.inf else (now - self._level_at) * RATE
            self._level = min(AT_ONCE, self._level + gained)
            self._level_at = now
        missing = 1.0 - self._level
        return now if missing <= 1e-9 else now + missing / RATE
