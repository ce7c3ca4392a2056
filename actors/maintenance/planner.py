"""What maintenance does next. Pure: time and random numbers are given, and its answers are values.

Tell it what happened (`counted`, `lost`, `hinted`, `wanted`, `candidates`, `dial_ended`, `searched`, `trimmed`), then
ask `next(now)` until it says `Wait`, doing what it says each time.

Rules:

* A *look* happens when something changed since the last one, or its time has come. A change that comes while a question
  is under way is remembered: nothing between a look and a wait is lost.
* A look that finds all well ends the repair at once. Every other one is a *round* and keeps the floor, with jitter.
* How far a repair goes is in `goal.py`. A round asks for as many candidates as lead to the upper target, and keeps the
  surplus for dials that fail.
* Connections beyond the share of their subnet (`surplus`) are no reason to rest, but one to trim.
* Dials under way count towards the goal. Counts lag behind the ends of dials, so within a round the connections are
  taken to be at least those it began with plus those it opened. The next round believes the count alone.
* Excluded from the candidates: dials under way, and until the repair ends who was dialled in it (seen; not if the link
  was lost again) or refused to be. A candidate that was not dialled is neither, so it is offered again.
* Nobody offered and no dial under way: the repair ends. If dials of it failed, one more round starts without their
  exclusion; otherwise the next look waits for a change, for `next_at`, or for the looking interval; if all is well and
  nobody was excluded, for the idle time.
* Fewer candidates than are needed: the connected peers are asked for others, and discovery is woken. That is repeated
  after the looking interval, then after twice as long, and so on up to the idle time, until somebody is offered. If no
  peer was there to be asked, the next one is asked as soon as it is.
* A trim that could not reach its target ends the repair; the next look waits for a change or for the idle time, or
  where only their youth spares connections, for the looking interval.
* Who was lost because the link broke is dialled again now and then, see `missing.py`: two parts of a network that were
  cut from each other have enough connections each, and would else stay apart.
* Wanted peers go first in the next round, each once, if there is room; they are forgotten otherwise.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable

from ...transport.identity import PeerId
from .goal import Goal
from .missing import Missing
from .steps import Ask, Dial, Done, Motive, Outcome, Pacing, Search, Step, Trim, Wait


class Planner:
    """The state between two steps."""

    def __init__(self, goal: Goal, pacing: Pacing, rng: random.Random) -> None:
        """The first look is due at once."""
        self.open = 0
        self.surplus = 0
        self.dials: set[PeerId] = set()
        self._goal = goal
        self._pacing = pacing
        self._rng = rng
        self._reached = 0  # open when the round began, plus what it opened
        self._wants: dict[PeerId, None] = {}  # for the next round
        self._wanted: deque[PeerId] = deque()  # of this round
        self._queue: deque[PeerId] = deque()
        self._seen: set[PeerId] = set()
        self._refused: set[PeerId] = set()
        self._missing = Missing(pacing)
        self._found_at: dict[PeerId, float] = {}  # of those that are connected
        self._failures = 0
        self._repairing = False
        self._questioning = False  # an Ask or a Trim is under way
        self._ending: Done | None = None
        self._searching = False  # a Search is due
        self._search_from = self._wake_from = -math.inf
        self._search_gap = pacing.looking
        self._changed = True
        self._cause: Motive | None = Motive.ACTIVATION  # the first since the last look; None: only time has passed
        self._look_at: float | None = None
        self._not_before = -math.inf
        self.motive = Motive.ACTIVATION
        """Why the last look happened."""

    # What happened ---------------------------------------------------------------------------------------------------

    def counted(self, connections: int, surplus: int = 0) -> None:
        """How many connections are open now. surplus: those that count for nothing, being too many of one subnet."""
        if (connections, surplus) != (self.open, self.surplus):
            self.open, self.surplus = connections, surplus
            self._change(self._goal.motive(self.useful, connections))

    @property
    def useful(self) -> int:
        """Connections that count."""
        return self.open - self.surplus

    def lost(self, peer: PeerId, now: float, *, broken: bool) -> None:
        """The connection is gone, so the peer may be dialled again in the same repair. broken: nobody closed it."""
        self._seen.discard(peer)
        lived = now - self._found_at.pop(peer, -math.inf)
        if broken and self._goal.reunites:
            self._missing.miss(peer, now, lived=lived)

    def found(self, peer: PeerId, now: float) -> None:
        """There is a connection to this peer."""
        self._found_at[peer] = now
        self._missing.forget(peer)

    def hinted(self, motive: Motive) -> None:
        """Somebody thinks a look is worth it."""
        self._change(motive)

    def wanted(self, peer: PeerId, motive: Motive = Motive.WANTED) -> None:
        """A connection to this peer would be useful."""
        self._wants[peer] = None
        self._change(motive)

    def candidates(self, peers: Iterable[PeerId], next_at: float | None, now: float) -> None:
        """The answer to `Ask`. next_at: when the tracker has more, None if it knows of nobody."""
        self._questioning = False
        known = self._excluded()
        self._queue.extend(peer for peer in peers if peer not in known)
        self._searching = self._repairing and self._goal.searches(self._expected() + len(self._queue))
        if self._queue:
            self._search_gap = self._pacing.looking
            return
        later = now + self._pacing.looking if next_at is None else min(next_at, now + self._pacing.looking)
        if self.dials:
            self._look_at = later  # their ends are looked at too
            return
        retry = self._failures > 0
        in_band = self._goal.met_when_exhausted(self.useful, self.open, waiting=retry or next_at is not None)
        quiet = in_band and not known  # else who was left out is asked for once more
        self._end(in_band=in_band, look_at=now + self._pacing.idle if quiet else later)
        if retry:
            self._change(Motive.LAST_MAINTENANCE)

    def dial_ended(self, peer: PeerId, outcome: Outcome, now: float) -> None:
        """A dial is over."""
        self.dials.discard(peer)
        self._change(Motive.LAST_MAINTENANCE)
        if outcome is Outcome.REFUSED:
            self._refused.add(peer)
            return
        self._seen.add(peer)
        if outcome is Outcome.OPENED:
            self._reached += 1
            self._not_before = max(self._not_before, now + self._pacing.floor)  # by then it is counted
        else:
            self._failures += 1

    def trimmed(self, closed: int, *, short: bool, now: float, passing: bool = False) -> None:
        """The answer to `Trim`: how many are gone, and whether that is less than was needed.

        passing: what spared the others ends by itself, as the grace of young connections does.
        """
        self._questioning = False
        if short or not closed:
            later = self._pacing.looking if passing else self._pacing.idle
            self._end(in_band=self._goal.met_when_exhausted(self.useful, self.open, waiting=False), look_at=now + later)
        else:
            self._change(Motive.LAST_MAINTENANCE)

    def searched(self, asked: int, now: float) -> None:
        """How many peers were asked for others."""
        if asked:
            self._search_from = now + self._search_gap
            self._search_gap = max(self._search_gap, min(2 * self._search_gap, self._pacing.idle))

    def _change(self, motive: Motive) -> None:
        self._changed = True
        self._cause = self._cause or motive

    # What to do ------------------------------------------------------------------------------------------------------

    def next(self, now: float) -> Step:
        """The next step. Call again until it is `Wait`."""
        if self._searching:
            self._searching = False
            if now >= self._search_from:
                return self._search(now)
        if self._ending is not None:
            ending, self._ending = self._ending, None
            return ending
        peer = self._next_peer()
        if peer is not None:
            self.dials.add(peer)
            return Dial(peer)
        if self._questioning:
            return Wait(None)
        missing = self._missing.due(now)
        if missing is not None:
            self.wanted(missing, Motive.MISSING)
        if not self._changed and (self._look_at is None or now < self._look_at):
            return Wait(_earlier(self._look_at, self._missing.next_at))
        return self._look(now)

    def _search(self, now: float) -> Search:
        wake = now >= self._wake_from
        if wake:
            self._wake_from = now + self._pacing.looking
        return Search(wake)

    def _look(self, now: float) -> Step:
        if not self._wants and self._is_met():
            return self._rest(now)
        if not self._goal.excess(self.open) and len(self.dials) >= self._pacing.dials:
            return Wait(None)  # the end of a dial is a change
        if now < self._not_before:
            self._change(Motive.TIMER)  # if nothing else was the cause
            return Wait(self._not_before)
        self._start_round(now)
        if self._goal.excess(self.open):
            self._questioning = True
            return Trim(self._goal.bounds.max_target)
        self._repairing = not self._is_met()
        if self._repairing and self._expected() < self._goal.dial_to:
            self._questioning = True
            limit = max(1, self._goal.aim_to - self._in_sight())
            return Ask(limit, self._excluded(), urgent=self._goal.bounds.too_few(self.useful))
        peer = self._next_peer()  # one that is wanted
        if peer is not None:
            self.dials.add(peer)
            return Dial(peer)
        return Wait(None) if self.dials else self._rest(now)

    def _is_met(self) -> bool:
        return self._goal.met(self.useful, repairing=self._repairing) and not self._goal.excess(self.open)

    def _start_round(self, now: float) -> None:
        self._looked()
        self._look_at = None
        self._reached = self.useful
        self._not_before = now + self._pacing.floor * (1 + self._rng.random() / 2)
        self._queue.clear()
        self._wanted = deque(self._wants)
        self._wants.clear()

    def _looked(self) -> None:
        self.motive, self._cause = self._cause or Motive.TIMER, None
        self._changed = False

    def _rest(self, now: float) -> Step:
        self._looked()
        self._search_gap = self._pacing.looking
        self._end(in_band=True, look_at=now + self._pacing.idle)
        return self.next(now)

    def _end(self, *, in_band: bool, look_at: float) -> None:
        """The repair is over; the next one starts without its memories."""
        self._repairing = False
        self._failures = 0
        self._seen.clear()
        self._refused.clear()
        self._queue.clear()
        self._look_at = look_at
        self._ending = Done(in_band)

    def _next_peer(self) -> PeerId | None:
        """Whom to dial now, if there is a place, a need and somebody."""
        if len(self.dials) >= self._pacing.dials:
            return None
        while self._wanted:
            peer = self._wanted.popleft()
            if peer not in self.dials and max(self._expected(), self.open + len(self.dials)) < self._goal.want_to:
                return peer
        while (
            self._queue and self._expected() < self._goal.dial_to and self.open + len(self.dials) < self._goal.maximum
        ):
            peer = self._queue.popleft()
            if peer not in self.dials:
                return peer
        return None

    def _expected(self) -> int:
        """Connections that count, plus those that dials will or did bring."""
        return max(self.useful, self._reached) + len(self.dials)

    def _in_sight(self) -> int:
        """The same with those that do not count."""
        return max(self._expected(), self.open + len(self.dials))

    def _excluded(self) -> frozenset[PeerId]:
        return frozenset(self._seen | self._refused | self.dials)


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((time for time in (one, other) if time is not None), default=None)
