"""All searches of a node: for which keys lookups run, and what comes of them.

* A key that is looked for twice is looked for once. At most `AT_ONCE` lookups run; others wait (`line`).
* A search for a fetch lasts until `stop`: lookup follows lookup (`next_lookup`). Any other is over with its lookup.
* Of the keys for fetches beyond those that may be looked for at once, each has its turn (`turns`).
* An answer that comes late counts as long as the search lasts.
* Who becomes a member meanwhile is asked for what is looked for (`newcomers`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from msgspec import Struct, field

from .....transport.identity import PeerId
from ..ring import Ring
from . import lookup as steps
from .charges import Charges
from .inquiries import Event, Inquiries, Said, Send, SilentMember, SweepOver
from .line import Line, Rank
from .lookup import Lookup, Result
from .newcomers import Newcomers
from .next_lookup import NextLookup
from .sweep import MAX_KEYS, Sweep
from .turns import Turns

AT_ONCE = 32
"""Lookups that run; those that only sweep are not counted."""
ENOUGH = 3
"""Holders that are enough for a fetch, in one lookup."""
ENOUGH_TO_LIST = 48
"""Holders that are enough for somebody who wants to see them."""
LISTS = 16
"""Lists that may be looked for beside as many keys as may be at once."""


class Found(Struct, frozen=True):
    """A holder of a key."""

    hashed: bytes
    peer: PeerId
    age: float | None


class Denied(Struct, frozen=True):
    """Who said that it has a key says no by now, or does not answer any more."""

    hashed: bytes
    peer: PeerId


class Charged(Struct, frozen=True):
    """A member named wrongly too often, and is passed over from now on."""

    member: PeerId
    about: PeerId


class Ended(Struct, frozen=True):
    """A lookup is over. again: when the search goes on, if somebody waits for it. listed: it looked for all holders."""

    hashed: bytes
    result: Result
    again: float | None
    listed: bool


Effect = Send | Found | Denied | Charged | Ended


class _Search(Struct, eq=False):
    """A key that is looked for. to_list: all that can be found, by the next lookup; listing: by this one.

    is_new: it had no turn before.
    """

    hashed: bytes
    lasting: bool
    to_list: bool
    is_new: bool = True
    listing: bool = False
    lookup: Lookup | None = None
    next: NextLookup = field(default_factory=NextLookup)

    @property
    def rank(self) -> Rank:
        """Among those that wait for the same."""
        if self.to_list or self.listing:
            return Rank.LIST
        return Rank.NEW if self.is_new and not self.next.has_swept else Rank.AGAIN


class Searches:
    """Of one node."""

    def __init__(self, ring: Ring, *, me: PeerId, at_once: int, rng: random.Random) -> None:
        """ring: of the members that keep an index; `sweep` has all those that may be asked, and not this node.

        at_once: keys that are looked for at the same time; more take turns.
        """
        self._ring, self._me, self._rng = ring, me, rng
        self._inquiries = Inquiries(rng)
        self._charges = Charges()
        self._newcomers = Newcomers()
        self._turns = Turns(at_once)
        self._searches: dict[bytes, _Search] = {}
        self._line = Line()
        self._again: list[tuple[float, bytes]] = []
        self._running: set[bytes] = set()

    @property
    def sweep(self) -> Sweep:
        """Who may be asked."""
        return self._inquiries.sweep

    def __len__(self) -> int:
        """Keys that are looked for, those left out that wait for their turn."""
        return len(self._searches)

    def __contains__(self, hashed: object) -> bool:
        return hashed in self._searches

    def has_room(self, hashed: bytes, *, to_list: bool = False) -> bool:
        """Whether a key is looked for, or may be at once."""
        return hashed in self._searches or len(self._searches) < self._turns.at_once + LISTS * to_list

    @property
    def in_turn(self) -> int:
        """Keys that wait for their turn."""
        return len(self._turns)

    def is_looking(self, hashed: bytes) -> bool:
        """Whether members are asked for it now, or wait to be."""
        search = self._searches.get(hashed)
        return search is not None and (search.lookup is not None or hashed in self._line)

    def result(self, hashed: bytes) -> Result | None:
        """What the present lookup has done so far; None if there is none."""
        search = self._searches.get(hashed)
        if search is None or search.lookup is None:
            return None
        self._inquiries.note_progress(search.lookup)
        return search.lookup.result()

    # What is wanted ---------------------------------------------------------------------------------------------------

    def look(self, hashed: bytes, now: float, *, lasting: bool) -> list[Effect]:
        """Look for a key. lasting: until `stop`, for a fetch; else once, for all that can be found."""
        search = self._searches.get(hashed)
        if search is not None:
            search.lasting = search.lasting or lasting
            search.to_list = search.to_list or not (lasting or search.listing)
            if search.lookup is None and not lasting:
                self._line.put(hashed, search.rank)
            elif search.lookup is not None and search.lookup.sweeping and not lasting:
                self._inquiries.begin_sweep(hashed, Rank.LIST)  # it may wait for that
        elif not lasting:
            self._add(hashed, lasting=self._turns.leave(hashed), to_list=True)
        elif hashed not in self._turns:
            if self.has_room(hashed):
                self._add(hashed, lasting=True)
            else:
                self._turns.new(hashed, now)
        return self._begin(now)

    def look_again(self, hashed: bytes, now: float) -> list[Effect]:
        """A holder that was connected is gone: look now, if that is not too soon; each time that is later."""
        search = self._searches.get(hashed)
        if search is None or not search.lasting or search.lookup is not None or not search.next.may_begin(now):
            return []
        self._line.put(hashed, Rank.NEW)
        return self._begin(now)

    def release(self, hashed: bytes) -> None:
        """It is not for a fetch any more: it ends with the present lookup."""
        search = self._searches.get(hashed)
        if search is not None:
            search.lasting = False
            if search.lookup is None and hashed not in self._line:
                del self._searches[hashed]

    def stop(self, hashed: bytes, now: float) -> list[Effect]:
        """Nobody waits for it any more."""
        self._turns.leave(hashed)
        self._remove(hashed)
        return self._begin(now)

    def _add(self, hashed: bytes, *, lasting: bool, to_list: bool = False, is_new: bool = True) -> None:
        search = self._searches[hashed] = _Search(hashed, lasting, to_list, is_new)
        self._line.put(hashed, search.rank)

    def _remove(self, hashed: bytes) -> None:
        search = self._searches.pop(hashed, None)
        if search is not None:
            self._line.leave(hashed)
            self._end_lookup(search)

    # Answers ----------------------------------------------------------------------------------------------------------

    def asked(self, peer: PeerId, number: int) -> bytes | None:
        """The hash that the peer was asked for under this number; None if no such Who is out."""
        return self._inquiries.asked(peer, number)

    def on_holders(
        self,
        peer: PeerId,
        hashed: bytes,
        named: Sequence[tuple[PeerId, float]],
        nearer: Iterable[PeerId],
        now: float,
    ) -> list[Effect]:
        """An index member has answered what `asked` says."""
        search = self._searches.get(hashed)
        if search is None or search.lookup is None:
            return []
        return [*self._follow(search, search.lookup.holders(peer, named, nearer, now), now), *self._begin(now)]

    def on_having(self, peer: PeerId, number: int, which: int, now: float) -> list[Effect] | None:
        """A member has said what it has; None if it was not asked."""
        said = self._inquiries.answer(peer, number, which)
        return None if said is None else [*self._hear(said, now), *self._begin(now)]

    def came(self, peer: PeerId, now: float) -> None:
        """A member is there that may be asked, or in a later life: it is, soon, if anybody waits for a key."""
        if self._searches:
            self._newcomers.came(peer, now)

    def gone(self, peer: PeerId, now: float) -> list[Effect]:
        """A member is gone: it does not answer any more."""
        self._newcomers.gone(peer)
        return [*self._hear(self._inquiries.gone(peer), now), *self._begin(now)]

    # Time -------------------------------------------------------------------------------------------------------------

    def poll(self, now: float) -> list[Effect]:
        """What is to be done now. Ask again at `wake_at`."""
        effects = self._hear(self._inquiries.expire(now, self._searches), now)
        for hashed in list(self._running):
            search = self._searches[hashed]
            lookup = search.lookup
            if lookup is not None and lookup.deadline is not None and now >= lookup.deadline:
                effects += self._follow(search, lookup.tick(now), now)
        while (peer := self._newcomers.take(now)) is not None:
            effects += self._ask_newcomer(peer, now)
        return [*effects, *self._hear(self._inquiries.go_on(now), now), *self._begin(now)]

    def wake_at(self, now: float) -> float:
        """When `poll` has something to do; infinite if never."""
        at = min(self._inquiries.wake_at(now), self._turns.next_at(len(self._searches)), self._newcomers.next_at(now))
        for hashed in self._running:
            lookup = self._searches[hashed].lookup
            if lookup is not None and lookup.deadline is not None:
                at = min(at, lookup.deadline)
        if self._again:
            at = min(at, self._again[0][0])
        return max(now, at)

    def _ask_newcomer(self, peer: PeerId, now: float) -> list[Effect]:
        hashes = [hashed for hashed, search in self._searches.items() if search.lasting]
        if len(hashes) > MAX_KEYS:
            hashes = self._rng.sample(hashes, MAX_KEYS)
        return [self._inquiries.have_any(tuple(hashes), peer, now)] if hashes else []

    def _begin(self, now: float) -> list[Effect]:
        """Begin what is due and what waits, as far as there is room."""
        while (turn := self._turns.take(len(self._searches), now)) is not None:
            self._add(turn[0], lasting=True, is_new=turn[1])
        while self._again and self._again[0][0] <= now:
            at, hashed = heappop(self._again)
            search = self._searches.get(hashed)
            if search is not None and search.lookup is None and search.next.at == at:
                self._line.put(hashed, search.rank)
        effects: list[Effect] = []
        while len(self._running) < AT_ONCE and (taken := self._line.take()) is not None:
            hashed, _ = taken
            search = self._searches[hashed]
            search.lookup = Lookup(
                hashed,
                self._ring,
                me=self._me,
                wanted=ENOUGH_TO_LIST if search.to_list else ENOUGH,
                may_sweep=search.to_list or search.next.may_sweep(now),
                passed_over=self._charges.passed_over(now),
                for_fetch=search.lasting and not search.to_list,
                tried=search.next.tried(now),
            )
            search.listing, search.to_list = search.to_list, False
            self._running.add(hashed)
            self._inquiries.begin(search.lookup)
            effects += self._follow(search, search.lookup.start(now), now)
        return effects

    # What comes of it -------------------------------------------------------------------------------------------------

    def _hear(self, events: Iterable[Event], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for event in events:
            if isinstance(event, Send):
                effects.append(event)
                continue
            search = self._searches.get(event.hashed)
            if search is None:
                continue
            match event:
                case Said():
                    effects += self._hear_whether(search, event, now)
                case SilentMember(_, peer) if search.lookup is not None:
                    effects += self._follow(search, search.lookup.silent(peer, now), now)
                case SweepOver() if search.lookup is not None:
                    self._inquiries.note_progress(search.lookup)
                    effects += self._follow(search, search.lookup.sweep_over(now), now)
        return effects

    def _hear_whether(self, search: _Search, said: Said, now: float) -> list[Effect]:
        effects: list[Effect] = []
        peer, has, lookup = said.peer, said.has, search.lookup
        if has is not None:
            search.next.answered(peer)
            if lookup is not None:
                lookup.answered(peer)
        if not has and search.next.said_no(peer):
            effects.append(Denied(search.hashed, peer))
        if lookup is None:
            return [self._found(search, peer, None, now)] if has else effects
        if said.lookup is not lookup:  # an earlier one has asked
            return self._follow(search, lookup.late(peer, now), now) if has else effects
        if not said.swept:
            return [*effects, *self._follow(search, lookup.checked(peer, has, now), now)]
        return effects if has is None else [*effects, *self._follow(search, lookup.swept(peer, has, now), now)]

    def _follow(self, search: _Search, done: Iterable[steps.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for step in done:
            match step:
                case steps.Ask(peer):
                    effects.append(self._inquiries.who(search.hashed, peer, now))
                case steps.Check(peer):
                    effects.append(self._inquiries.have(search.hashed, peer, now))
                case steps.Found(peer, age):
                    effects.append(self._found(search, peer, age, now))
                case steps.Judged(member, about, right):
                    if self._charges.judge(member, right, now):
                        effects.append(Charged(member, about))
                case steps.BeginSweep():
                    self._running.discard(search.hashed)
                    self._inquiries.begin_sweep(search.hashed, search.rank)
                case steps.Ended():
                    effects.append(self._ended(search, now))
        return effects

    def _found(self, search: _Search, peer: PeerId, age: float | None, now: float) -> Found:
        if search.lasting:
            search.next.said_yes(peer, now)
        return Found(search.hashed, peer, age)

    def _ended(self, search: _Search, now: float) -> Ended:
        lookup = search.lookup
        assert lookup is not None
        self._inquiries.note_progress(lookup)
        result, listed = lookup.result(), search.listing
        self._end_lookup(search)
        if not (search.lasting or search.to_list):
            del self._searches[search.hashed]
            return Ended(search.hashed, result, None, listed)
        result = search.next.ended(result, lookup.started, now)
        if search.to_list:  # somebody has asked for a list meanwhile
            self._line.put(search.hashed, search.rank)
            return Ended(search.hashed, result, now, listed)
        again = search.next.at
        if self._turns:
            self._remove(search.hashed)
            self._turns.again(search.hashed, now)
        else:
            heappush(self._again, (again, search.hashed))
        return Ended(search.hashed, result, again, listed)

    def _end_lookup(self, search: _Search) -> None:
        self._running.discard(search.hashed)
        self._inquiries.end(search.hashed)
        search.lookup, search.listing = None, False
