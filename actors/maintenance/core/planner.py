"""What maintenance does next. Pure: time and random numbers are given, and its answers are values.

Tell it what happened (`counted`, `set_changed`, `lost`, `trigger`, `wanted`, `candidates`, `dial_ended`, `searched`,
`trimmed`), then ask `next(now)` until it says `Wait`, doing what it says each time.

Rules:

* A *check* happens when something changed since the last one, or its time has come. A change that comes while a
  question is under way is remembered: nothing between a check and a wait is lost.
* A check that finds all well ends the repair. Every other one is a *round* and keeps the floor, with jitter.
* How far a repair goes is in `goal.py`. A round asks for as many candidates as lead to the upper target, and keeps the
  surplus for dials that fail.
* Connections beyond the share of their subnet (`surplus`) are no reason to rest, but one to trim.
* Only a peer of the latest set may be asked for data. So where there are enough connections, some of them with others,
  the planner *seeks*: peers of the set alone count, and candidates of the set alone are asked for. When none of them
  can be dialled the others count too, so that a node does not dial for ever.
* A peer of the set is dialled up to the maximum, above the band too, and at the maximum one connection with another is
  closed for it. A trim closes those with others first; where only their youth spares these, it waits for them.
* Dials under way count towards the goal. Counts lag behind the ends of dials, so within a round the connections are
  taken to be at least those it began with plus those it opened. The next round believes the count alone.
* Excluded from the candidates: dials under way, and until the repair ends who was dialled in it (seen; not if the link
  was lost again) or refused to be. A candidate that was not dialled is neither, so it is offered again.
* Nobody offered and no dial under way: the repair ends. If dials of it failed, one more round starts without their
  exclusion; otherwise the next check waits for a change, for `next_at`, or for the looking interval; if all is well and
  nobody was excluded, for the idle time.
* A trim that could not reach its target ends the repair; the next check waits for a change or for the idle time, or
  where only their youth spares connections, for the looking interval.
* A peer whose link broke is dialled again, also with enough connections: two parts of a network that were cut from
  each other have enough connections each, and would else stay apart.
* Wanted peers go first in the next round, each once, if there is room; they are forgotten otherwise. A peer of the set
  may have the room of the others.
* Fewer candidates than are needed: the connected peers are asked for others, and discovery is woken. How often that,
  seeking, making room and dialling a lost peer are repeated is in `retries.py`.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable

from ....transport.identity import PeerId
from .actions import Action, Ask, Dial, DialOutcome, Done, Motive, Pacing, Trim, Wait, Withhold
from .goal import Goal
from .retries import LostPeers, Room, SearchTimes, SetPeers


class Planner:
    """What happened, what is under way and what was tried in this repair; `next` says what to do."""

    def __init__(self, goal: Goal, pacing: Pacing, rng: random.Random) -> None:
        """The first check is due at once."""
        self.open = self.surplus = 0
        self.listed = 0
        """Connections with peers of the set, as far as they count."""
        self.dials: set[PeerId] = set()
        self._goal = goal
        self._pacing = pacing
        self._rng = rng
        self._reached = 0  # what counts of open when the round began, plus what it opened
        self._wants: dict[PeerId, None] = {}  # for the next round
        self._wanted: deque[PeerId] = deque()  # of this round
        self._queue: deque[PeerId] = deque()
        self._seen: set[PeerId] = set()
        self._refused: set[PeerId] = set()
        self._lost_peers = LostPeers(pacing)
        self._found_at: dict[PeerId, float] = {}  # of those that are connected
        self._failures = 0
        self._repairing = False
        self._question: Ask | Trim | None = None  # that is under way
        self._set = SetPeers(pacing)
        self._room = Room(pacing)
        self._withhold: Withhold | None = None  # to be said
        self._seeking = False  # in this round
        self._repairing_listed = False
        self._seeks_now = False  # this round goes on with an Ask
        self._making_room = self._is_cramped = False  # a Trim for one more is under way; the last closed nobody
        self._spared_all = False  # the others could not be closed, or were not enough
        self._ending: Done | None = None
        self._searches = SearchTimes(pacing)
        self._changed = True
        self._cause: Motive | None = Motive.ACTIVATION  # the first since the last check; None: only time has passed
        self._check_at: float | None = None
        self._not_before = -math.inf
        self.motive = Motive.ACTIVATION
        """Why the last check happened."""

    # What happened ---------------------------------------------------------------------------------------------------

    def counted(
        self, connections: int, surplus: int = 0, *, listed: int | None = None, others: int = 0, absent: int = 0
    ) -> None:
        """How many connections are open now. surplus: those that count for nothing, being too many of one subnet.

        listed: with peers of the set, but for the surplus among these; None for all that count. others: with peers that
        it does not list. absent: peers of the set that are not connected.
        """
        seek, listed = self._set, connections - surplus if listed is None else listed
        changed = (connections, surplus, listed, others) != (self.open, self.surplus, self.listed, seek.others)
        self.open, self.surplus, self.listed, seek.others, seek.absent = connections, surplus, listed, others, absent
        if changed:
            self.trigger(self._goal.motive(self.useful, connections))

    def set_changed(self, peers: frozenset[PeerId]) -> None:
        """The tracker has another latest set: check whether some of it can be dialled."""
        self._set.set_changed(peers)
        self.trigger(Motive.NEW_PEER)

    @property
    def useful(self) -> int:
        """Connections that count where nobody of the set can be dialled."""
        return self.open - self.surplus

    @property
    def unconnected(self) -> int | None:
        """Peers of the set that are not connected; None if it lists nobody."""
        return self._set.absent if self._set.peers else None

    def lost(self, peer: PeerId, now: float, *, broken: bool) -> None:
        """The connection is gone, so the peer may be dialled again in the same repair. broken: nobody closed it."""
        self._seen.discard(peer)
        self._room.lost(peer, now)
        lived = now - self._found_at.pop(peer, -math.inf)
        if broken and self._goal.reunites:
            self._lost_peers.lost(peer, now, lived=lived)

    def found(self, peer: PeerId, now: float) -> None:
        """There is a connection to this peer."""
        self._found_at[peer] = now
        self._room.found(peer, now)
        self._lost_peers.forget(peer)

    def trigger(self, motive: Motive) -> None:
        """Something changed that makes a check worth it."""
        self._changed = True
        self._cause = self._cause or motive

    def wanted(self, peer: PeerId, motive: Motive = Motive.WANTED) -> None:
        """A connection to this peer would be useful."""
        self._wants[peer] = None
        self.trigger(motive)

    def dials_at_once(self, peer: PeerId, now: float) -> bool:
        """Whether a peer that a fetch needs has room in the band; then it is dialled: `dial_ended` must follow."""
        if peer in self.dials or not self._fits(peer):
            return False
        self.dials.add(peer)
        self._room.dialled(peer, now)
        return True

    def candidates(self, peers: Iterable[PeerId], next_at: float | None, now: float) -> None:
        """The answer to `Ask`. next_at: when the tracker has more, None if it knows of nobody."""
        self._question = None
        known = self._excluded()
        self._queue.extend(peer for peer in peers if peer not in known)
        if self._seeking:
            if not (self._queue and self._may_have_room(now, needed=True)) and self._set.peers.isdisjoint(self.dials):
                self._stop_seeking(now)
            return
        self._searches.wanted = self._repairing and self._goal.searches(self._expected() + len(self._queue))
        if self._queue:
            self._searches.start_over()
            return
        later = now + self._pacing.looking if next_at is None else min(next_at, now + self._pacing.looking)
        if self.dials:
            self._check_at = later  # their ends are checked too
            return
        retry = self._failures > 0
        in_band = self._goal.met_when_exhausted(self.useful, self.open, waiting=retry or next_at is not None)
        quiet = in_band and not known  # else who was left out is asked for once more
        self._end(now, in_band=in_band, check_at=now + self._pacing.idle if quiet else later)
        if retry:
            self.trigger(Motive.LAST_MAINTENANCE)

    def dial_ended(self, peer: PeerId, outcome: DialOutcome, now: float) -> None:
        """A dial ended: whoever really was dialled is not offered again in this repair."""
        self.dials.discard(peer)
        self.trigger(Motive.LAST_MAINTENANCE)
        if outcome is not DialOutcome.OPENED:
            self._room.failed(peer, now)
        if outcome is DialOutcome.REFUSED:
            self._refused.add(peer)
            return
        self._seen.add(peer)
        if outcome is DialOutcome.OPENED:
            self._reached += not self._seeking or peer in self._set.peers
            self._not_before = max(self._not_before, now + self._pacing.floor)  # by then it is counted
        else:
            self._failures += 1

    def trimmed(self, closed: int, *, short: bool, now: float, passing: bool = False) -> None:
        """The answer to `Trim`: how many are gone, and whether that is less than was needed.

        passing: what spared the others ends by itself, as the grace of young connections does.
        """
        trim, self._question = self._question, None
        if self._making_room:
            self._made_room(closed, now)
        elif not short and closed:
            self.trigger(Motive.LAST_MAINTENANCE)
        elif isinstance(trim, Trim) and trim.spare and not (passing and not self._goal.excess(self.listed)):
            self._spared_all = True
            self.trigger(Motive.LAST_MAINTENANCE)
        elif self._seeks(now) and not self._goal.met(self.listed, repairing=self._repairing_listed):
            self._seeking = self._seeks_now = True  # above the band, and for nothing
            self._start_repair(now)
        else:
            self._exhausted(now, check_at=now + (self._pacing.looking if passing else self._pacing.idle))

    def searched(self, asked: int, now: float) -> None:
        """How many peers were asked for others."""
        if asked:
            self._searches.asked(now)

    # What to do ------------------------------------------------------------------------------------------------------

    def next(self, now: float) -> Action:
        """The next action. Call again until it is `Wait`."""
        action = self._decide(now)
        if isinstance(action, Wait) and self._withhold is not None:
            action, self._withhold = self._withhold, None
        return action

    def _decide(self, now: float) -> Action:
        search = self._searches.due(now)
        if search is not None:
            return search
        if self._ending is not None:
            ending, self._ending = self._ending, None
            return ending
        if self._seeks_now:
            self._seeks_now = False
            return self._ask()
        action = self._make_room(now) or self._dial(now)
        if action is not None:
            return action
        if self._question is not None:
            return Wait(None)
        missing = self._lost_peers.due(now)
        if missing is not None:
            self.wanted(missing, Motive.MISSING)
        if not self._changed and (self._check_at is None or now < self._check_at):
            times = (time for time in (self._check_at, self._lost_peers.next_at) if time is not None)
            return Wait(min(times, default=None))
        return self._check(now)

    def _check(self, now: float) -> Action:
        self._set.note_enough(self.listed >= self._goal.start_below, now)
        seeks = self._seeks(now)
        if seeks and not self._seeking:
            self._queue.clear()  # they were asked for among all peers
        self._seeking = seeks
        if not self._wants and self._is_met():
            return self._rest(now)
        if not self._excess() and len(self.dials) >= self._pacing.dials:
            return Wait(None)  # the end of a dial is a change
        if now < self._not_before:
            self.trigger(Motive.TIMER)  # if nothing else was the cause
            return Wait(self._not_before)
        self._start_round(now)
        if self._excess():
            self._question = Trim(self._goal.bounds.max_target, spare=self._set.others > 0 and not self._spared_all)
            return self._question
        self._spared_all = False
        self._start_repair(now)
        if (self._repairing or self._repairing_listed) and self._expected() < self._goal.dial_to:
            return self._ask()
        wanted = self._make_room(now) or self._dial(now)
        return wanted or (Wait(None) if self.dials else self._rest(now))

    def _seeks(self, now: float) -> bool:
        goes_on = self._repairing_listed and self._set.absent > 0 and self._set.others > 0
        may_seek = self._goal.seeks and (goes_on or self._set.is_due(now))
        return may_seek and self._goal.met(self.useful, repairing=self._repairing)

    def _is_met(self) -> bool:
        if self._excess() or not self._goal.met(self.useful, repairing=self._repairing):
            return False
        return not self._seeking or self._goal.met(self.listed, repairing=self._repairing_listed)

    def _excess(self) -> bool:
        return self._goal.excess(self.open) or (self._spared_all and self.open > self._goal.bounds.max_target)

    def _start_repair(self, now: float) -> None:
        self._repairing = not self._goal.met(self.useful, repairing=self._repairing)
        before = self._repairing_listed
        self._repairing_listed = self._seeking and not self._goal.met(self.listed, repairing=before)
        if self._repairing_listed and not before:
            self._set.began(now)
        self._seeking = self._repairing_listed
        self._reached = self._counting()

    def _stop_seeking(self, now: float) -> None:
        """Nobody of the set can be dialled: the others count too."""
        self._set.ended(now)
        self._seeking = self._repairing_listed = False
        self._reached = self.useful
        self._queue.clear()
        if self.dials:
            self._check_at = now + self._pacing.looking
        else:
            self._exhausted(now, check_at=now + self._pacing.idle)

    def _ask(self) -> Ask:
        if self._seeking:
            limit, urgent = self._goal.dial_to - self._expected(), self._goal.bounds.too_few(self.listed)
        else:
            limit, urgent = self._goal.aim_to - self._expected_open(), self._goal.bounds.too_few(self.useful)
        ask = self._question = Ask(max(1, limit), self._excluded(), urgent, listed=self._seeking)
        return ask

    def _start_round(self, now: float) -> None:
        self._checked()
        self._check_at = None
        self._reached = self._counting()
        self._is_cramped = False
        self._room.unused(now)
        self._not_before = now + self._pacing.floor * (1 + self._rng.random() / 2)
        self._queue.clear()
        self._wanted = deque(self._wants)
        self._wants.clear()

    def _checked(self) -> None:
        self.motive, self._cause = self._cause or Motive.TIMER, None
        self._changed = False

    def _rest(self, now: float) -> Action:
        self._checked()
        self._searches.start_over()
        self._end(now, in_band=True, check_at=now + self._pacing.idle)
        return self._decide(now)

    def _exhausted(self, now: float, *, check_at: float) -> None:
        """The repair ends, inside the band or not: nothing more can be done now."""
        in_band = self._goal.met_when_exhausted(self.useful, self.open, waiting=False)
        self._end(now, in_band=in_band, check_at=check_at)

    def _end(self, now: float, *, in_band: bool, check_at: float) -> None:
        """The repair is over; the next one starts without its memories."""
        if self._goal.seeks and self.listed < self._goal.start_below:
            check_at = min(check_at, self._set.due_later(now))
        self._repairing = self._seeking = self._repairing_listed = self._spared_all = False
        self._failures = 0
        self._seen.clear()
        self._refused.clear()
        self._queue.clear()
        self._check_at = check_at
        self._ending = Done(in_band)

    # Whom to dial ----------------------------------------------------------------------------------------------------

    def _dial(self, now: float) -> Dial | None:
        peer = self._next_peer()
        if peer is None:
            return None
        self.dials.add(peer)
        self._room.dialled(peer, now)
        return Dial(peer)

    def _next_peer(self) -> PeerId | None:
        """Whom to dial now, if there is a place, a need and somebody."""
        if len(self.dials) >= self._pacing.dials or self._making_room:
            return None
        while self._wanted:
            peer = self._wanted.popleft()
            if peer not in self.dials and self._fits(peer):
                return peer
        while self._queue and self._expected() < self._goal.dial_to and self._has_room():
            peer = self._queue.popleft()
            if peer not in self.dials:
                return peer
        return None

    def _fits(self, wanted: PeerId) -> bool:
        if wanted in self._set.peers and self._set.others:
            return self._has_room()
        return self._expected_open() < self._goal.want_to

    def _has_room(self) -> bool:
        return self.open + len(self.dials) < self._goal.maximum

    def _may_have_room(self, now: float, *, needed: bool) -> bool:
        """Whether there is room, or it may be made. needed: for somebody of the set."""
        if self._has_room() or self._set.others == 0 or self._is_cramped:
            return self._has_room()
        due = self._room.is_due(now)
        until = self._room.withhold() if needed and not due else None
        if until is not None:
            self._withhold = Withhold(until)
        return due

    def _make_room(self, now: float) -> Trim | None:
        """Room for one peer of the set, where it needs some and there can be."""
        full = self._question is None and len(self.dials) < self._pacing.dials and not self._has_room()
        if not (full and self._goal.seeks):
            return None
        wanted = bool(self._wanted) and self._wanted[0] in self._set.peers and self._wanted[0] not in self.dials
        needed = wanted or (self._seeking and bool(self._queue) and self._expected() < self._goal.dial_to)
        if not (self._may_have_room(now, needed=needed) and needed):
            return None
        self._making_room = True
        self._question = Trim(max(0, self._goal.maximum - 1 - len(self.dials)), spare=True)
        return self._question

    def _made_room(self, closed: int, now: float) -> None:
        self._making_room = False
        self._reached = min(self._reached, self._counting())  # it is gone
        if closed:
            self._room.made(now)
        if closed and self._has_room():
            return  # who waits for it is dialled next
        self._room.unused(now)
        self._is_cramped = True
        self._wanted.clear()
        if self._seeking:
            self._stop_seeking(now)
        elif not self.dials:
            self._exhausted(now, check_at=now + self._pacing.idle)

    def _expected(self) -> int:
        """Connections that count, plus those that dials will or did bring."""
        dials = len(self.dials & self._set.peers) if self._seeking else len(self.dials)
        return max(self._counting(), self._reached) + dials

    def _counting(self) -> int:
        return self.listed if self._seeking else self.useful

    def _expected_open(self) -> int:
        """The same with those that do not count."""
        return max(self._expected(), self.open + len(self.dials))

    def _excluded(self) -> frozenset[PeerId]:
        return frozenset(self._seen | self._refused | self.dials)
