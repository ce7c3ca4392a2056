"""What one search knows for its next lookup: when it begins, whether members are swept, and who was tried before.

* A lookup that somebody waits for, because the key is to be fetched, begins again after its end: soon at first, and
  with a sweep ever more rarely.
* Who says yes is remembered: if the fetch is not over soon, the next lookup sweeps at once, and asks those last.
* Who was named and did not answer is remembered too, and named in each result until it answers.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from .....transport.identity import PeerId
from .lookup import MAX_CHECKS, MORE_PATIENCE, Result

LOOK_AGAIN, LONGEST = 5.0, 60.0
"""Seconds until a search that somebody waits for begins again; twice as long each time, up to the second."""
SWEEP_AGAIN, LONGEST_SWEEP = 60.0, 960.0
"""The same from one whole sweep to the next; who says yes changes nothing about it."""
REMEMBERED, MAX_TRIED = 300.0, 256
"""Seconds for which a search remembers who has said yes, or nothing, and how many have said yes."""


class NextLookup:
    """Of one search. at: when it begins by itself; infinite if it does not. Times are monotonic seconds."""

    def __init__(self) -> None:
        """None was made yet."""
        self.at = math.inf
        self.sweep_at = -math.inf
        self._ended_at = -math.inf
        self._pause = LOOK_AGAIN
        self._gap = LOOK_AGAIN  # how soon after a lookup the next one may begin as a holder is gone
        self._sweep_pause = SWEEP_AGAIN
        self._swept: Result | None = None  # by the last whole sweep
        self._said_yes: dict[PeerId, float] = {}  # and when first
        self._silent: dict[PeerId, float] = {}  # who was named and did not answer, and when last; the latest is last

    @property
    def has_swept(self) -> bool:
        """Whether a whole sweep was made."""
        return self._swept is not None

    def may_sweep(self, now: float) -> bool:
        """Whether members may be swept."""
        return now >= self.sweep_at

    def may_begin(self, now: float) -> bool:
        """Whether it may begin as a holder that was connected is gone; each time that is later."""
        if now < self._ended_at + self._gap:
            return False
        self._gap = min(2 * self._gap, LONGEST)
        return True

    def tried(self, now: float) -> frozenset[PeerId]:
        """Who has said yes before."""
        for peer in [peer for peer, at in self._said_yes.items() if at + REMEMBERED <= now]:
            del self._said_yes[peer]
        return frozenset(self._said_yes)

    def said_yes(self, peer: PeerId, now: float) -> None:
        """A peer says that it has the key."""
        self._said_yes.setdefault(peer, now)
        if len(self._said_yes) > MAX_TRIED:
            del self._said_yes[next(iter(self._said_yes))]

    def said_no(self, peer: PeerId) -> bool:
        """A peer says that it has not, or is silent; whether it said yes before."""
        return self._said_yes.pop(peer, None) is not None

    def answered(self, peer: PeerId) -> None:
        """A peer says whether it has the key."""
        self._silent.pop(peer, None)

    def ended(self, result: Result, started: float, now: float) -> Result:
        """A lookup is over; what to say of it. started: when it was."""
        if result.whole and result.asked:
            self.sweep_at = now + self._sweep_pause
            self._sweep_pause = min(2 * self._sweep_pause, LONGEST_SWEEP)
            self._swept = result
        elif not result.holders and (swept := self._swept) is not None:
            result = replace(result, asked=swept.asked, answered=swept.answered, members=swept.members)
        result = replace(result, silent=self._all_silent(result.silent, now))
        self._ended_at = now
        doubt_at = max(now, started + MORE_PATIENCE)
        if result.holders and not result.asked and self.sweep_at <= doubt_at:
            self.at = doubt_at
        else:
            self.at = now + self._pause
            self._pause = min(2 * self._pause, LONGEST)
        return result

    def _all_silent(self, peers: tuple[PeerId, ...], now: float) -> tuple[PeerId, ...]:
        """These, and who was before; at most as many as one lookup asks."""
        for peer in peers:
            self._silent.pop(peer, None)
            self._silent[peer] = now
        for peer in [peer for peer, at in self._silent.items() if at + REMEMBERED <= now]:
            del self._silent[peer]
        while len(self._silent) > MAX_CHECKS:
            del self._silent[next(iter(self._silent))]
        return tuple(self._silent)
