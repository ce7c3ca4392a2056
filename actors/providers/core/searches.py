"""All searches of a node: the questions that are out for them, the one sweep, and when to look again.

* A key that is looked for twice is looked for once. At most `AT_ONCE` lookups run; others wait for their turn.
* A lookup that somebody waits for, because the key is to be fetched, begins again after its end: soon at first, and
  with a sweep ever more rarely. It ends with `stop`. Who says yes is remembered: if `stop` does not follow soon, the
  next lookup sweeps at once, and asks those last.
* An answer that comes late counts as long as the search lasts.
"""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from ....transport.identity import PeerId
from . import lookup as steps
from .charges import Charges
from .codec import Have, Who
from .lookup import MORE_PATIENCE, Lookup, Result
from .questions import Questions
from .ring import Ring
from .sweep import Sweep

WAITS = (1.0, 1.5, 2.5)
"""Seconds after each time that a question is sent, and up to half as long again."""
AT_ONCE = 32
"""Lookups that run; those that only sweep are not counted."""
ENOUGH = 3
"""Holders that are enough for a fetch, in one lookup."""
ENOUGH_TO_LIST = 48
"""Holders that are enough for somebody who wants to see them."""
LOOK_AGAIN, LONGEST = 5.0, 60.0
"""Seconds until a search that somebody waits for begins again; twice as long each time, up to the second."""
SWEEP_AGAIN, LONGEST_SWEEP = 60.0, 960.0
"""The same from one whole sweep to the next; who says yes changes nothing about it."""
REMEMBERED, MAX_TRIED = 300.0, 256
"""Seconds for which a search remembers who has said yes, and how many."""


@dataclass(frozen=True, slots=True)
class Send:
    """To be sent; to this node itself too, as far as it is an index member."""

    to: PeerId
    message: Who | Have


@dataclass(frozen=True, slots=True)
class Found:
    """A holder of a key."""

    hashed: bytes
    peer: PeerId
    age: float | None


@dataclass(frozen=True, slots=True)
class Denied:
    """Who said that it has a key says no by now, or does not answer any more."""

    hashed: bytes
    peer: PeerId


@dataclass(frozen=True, slots=True)
class Charged:
    """A member named wrongly too often, and is passed over from now on."""

    member: PeerId
    about: PeerId


@dataclass(frozen=True, slots=True)
class Ended:
    """A lookup is over. again: when the search goes on, if somebody waits for it. listed: it looked for all holders."""

    hashed: bytes
    result: Result
    again: float | None
    listed: bool


Effect = Send | Found | Denied | Charged | Ended


@dataclass(slots=True, eq=False)
class _Search:
    """A key that is looked for. to_list: all that can be found, by the next lookup; listing: by this one.

    pause, sweep_pause: the next waits. gap: how soon after a lookup the next one may begin as a holder is gone.
    out: numbers of its Whos. swept_out: how many members of the sweep may still answer. swept: what the last sweep was.
    tried: who said yes, and when first.
    """

    hashed: bytes
    lasting: bool
    to_list: bool
    listing: bool = False
    lookup: Lookup | None = None
    again_at: float = math.inf
    ended_at: float = -math.inf
    pause: float = LOOK_AGAIN
    gap: float = LOOK_AGAIN
    sweep_at: float = -math.inf
    sweep_pause: float = SWEEP_AGAIN
    out: set[int] = field(default_factory=set)
    swept_out: int = 0
    swept: Result | None = None
    tried: dict[PeerId, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a Have is about. lookups: of each hash. sweep: it was not named by anybody."""

    hashes: tuple[bytes, ...]
    lookups: tuple[Lookup | None, ...]
    sweep: bool


class Searches:
    """Of one node."""

    def __init__(self, ring: Ring, *, me: PeerId, rng: random.Random) -> None:
        """ring: of the members that keep an index; `sweep` has all those that may be asked, and not this node."""
        self._ring, self._me = ring, me
        self.sweep = Sweep(rng)
        self._charges = Charges()
        self._searches: dict[bytes, _Search] = {}
        self._waiting: OrderedDict[bytes, None] = OrderedDict()
        self._again: list[tuple[float, bytes]] = []
        self._running: set[bytes] = set()
        self._swept: dict[bytes, None] = {}  # all members that were to be asked have answered, or will not
        self._whos: Questions[bytes] = Questions(rng.getrandbits(32), WAITS, rng)
        self._haves: Questions[_Asked] = Questions(rng.getrandbits(32), WAITS, rng)

    def __len__(self) -> int:
        """Keys that are looked for."""
        return len(self._searches)

    def __contains__(self, hashed: object) -> bool:
        return hashed in self._searches

    def is_looking(self, hashed: bytes) -> bool:
        """Whether members are asked for it now, or wait to be."""
        search = self._searches.get(hashed)
        return search is not None and (search.lookup is not None or hashed in self._waiting)

    def result(self, hashed: bytes) -> Result | None:
        """What the present lookup has done so far; None if there is none."""
        search = self._searches.get(hashed)
        if search is None or search.lookup is None:
            return None
        self._note_progress(search.lookup)
        return search.lookup.result()

    # What is wanted ---------------------------------------------------------------------------------------------------

    def look(self, hashed: bytes, now: float, *, lasting: bool) -> list[Effect]:
        """Look for a key. lasting: until `stop`, for a fetch; else once, for all that can be found."""
        search = self._searches.get(hashed)
        if search is None:
            search = self._searches[hashed] = _Search(hashed, lasting, not lasting)
            self._waiting[hashed] = None
        else:
            search.lasting = search.lasting or lasting
            search.to_list = search.to_list or not (lasting or search.listing)
            if search.lookup is None and not lasting:
                self._waiting[hashed] = None
        return self._begin(now)

    def look_again(self, hashed: bytes, now: float) -> list[Effect]:
        """A holder that was connected is gone: look now, if that is not too soon; each time that is later."""
        search = self._searches.get(hashed)
        if search is None or not search.lasting or search.lookup is not None or now < search.ended_at + search.gap:
            return []
        search.gap = min(2 * search.gap, LONGEST)
        self._waiting[hashed] = None
        return self._begin(now)

    def release(self, hashed: bytes) -> None:
        """It is not for a fetch any more: it ends with the present lookup."""
        search = self._searches.get(hashed)
        if search is not None:
            search.lasting = False
            if search.lookup is None and hashed not in self._waiting:
                del self._searches[hashed]

    def stop(self, hashed: bytes, now: float) -> list[Effect]:
        """Nobody waits for it any more."""
        search = self._searches.pop(hashed, None)
        if search is None:
            return []
        self._waiting.pop(hashed, None)
        self._end_lookup(search)
        return self._begin(now)

    # Answers ----------------------------------------------------------------------------------------------------------

    def asked(self, peer: PeerId, number: int) -> bytes | None:
        """The hash that the peer was asked for under this number; None if no such Who is out."""
        question = self._whos.answer(peer, number)
        return None if question is None else question.about

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
        question = self._haves.answer(peer, number)
        if question is None:
            return None
        return [*self._answer_haves(peer, question.about, which, now), *self._begin(now)]

    def gone(self, peer: PeerId, now: float) -> list[Effect]:
        """A member is gone: it does not answer any more."""
        effects: list[Effect] = []
        for who in self._whos.drop_all_of(peer):
            effects += self._silent_member(peer, who.about, now)
        for have in self._haves.drop_all_of(peer):
            effects += self._answer_haves(peer, have.about, None, now)
        return [*effects, *self._begin(now)]

    # Time -------------------------------------------------------------------------------------------------------------

    def poll(self, now: float) -> list[Effect]:
        """What is to be done now. Ask again at `wake_at`."""
        effects: list[Effect] = []
        for who, again in self._whos.expire(now):
            if again:
                effects.append(Send(who.peer, Who(who.number, who.about)))
            else:
                effects += self._silent_member(who.peer, who.about, now)
        effects += self._poll_haves(now)
        for hashed in list(self._running):
            search = self._searches[hashed]
            lookup = search.lookup
            if lookup is not None and lookup.deadline is not None and now >= lookup.deadline:
                effects += self._follow(search, lookup.tick(now), now)
        effects += self._poll_sweep(now)
        return [*effects, *self._begin(now)]

    def wake_at(self, now: float) -> float:
        """When `poll` has something to do; infinite if never."""
        at = min(self._whos.due(), self._haves.due(), self.sweep.wake_at(now))
        for hashed in self._running:
            lookup = self._searches[hashed].lookup
            if lookup is not None and lookup.deadline is not None:
                at = min(at, lookup.deadline)
        if self._again:
            at = min(at, self._again[0][0])
        if self._swept or self.sweep.has_news:
            at = now
        return max(now, at)

    def _poll_haves(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for have, again in self._haves.expire(now):
            if again and not any(hashed in self._searches for hashed in have.about.hashes):
                self._haves.drop(have.number)
            elif again:
                if have.about.sweep:
                    self.sweep.pay(now)
                effects.append(Send(have.peer, Have(have.number, have.about.hashes)))
            else:
                effects += self._answer_haves(have.peer, have.about, None, now)
        return effects

    def _poll_sweep(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        while (chosen := self.sweep.next(now)) is not None:
            peer, hashes = chosen
            searches = [self._searches[hashed] for hashed in hashes]
            about = _Asked(hashes, tuple(search.lookup for search in searches), sweep=True)
            for search in searches:
                search.swept_out += 1
            effects.append(Send(peer, Have(self._haves.ask(peer, about, now).number, hashes)))
        for hashed in self.sweep.newly_over(now):
            self._look_whether_swept(self._searches[hashed])
        done, self._swept = self._swept, {}
        for hashed in done:
            swept = self._searches.get(hashed)
            if swept is not None and swept.lookup is not None and self.sweep.is_over(hashed):
                self._note_progress(swept.lookup)
                effects += self._follow(swept, swept.lookup.sweep_over(now), now)
        return effects

    def _look_whether_swept(self, search: _Search) -> None:
        if search.swept_out == 0 and self.sweep.is_over(search.hashed):
            self._swept[search.hashed] = None

    def _begin(self, now: float) -> list[Effect]:
        """Begin what is due and what waits, as far as there is room."""
        while self._again and self._again[0][0] <= now:
            at, hashed = heappop(self._again)
            search = self._searches.get(hashed)
            if search is not None and search.lookup is None and search.again_at == at:
                self._waiting[hashed] = None
        effects: list[Effect] = []
        while self._waiting and len(self._running) < AT_ONCE:
            hashed, _ = self._waiting.popitem(last=False)
            search = self._searches[hashed]
            search.lookup = Lookup(
                hashed,
                self._ring,
                me=self._me,
                wanted=ENOUGH_TO_LIST if search.to_list else ENOUGH,
                may_sweep=search.to_list or now >= search.sweep_at,
                passed_over=self._charges.passed_over(now),
                for_fetch=search.lasting and not search.to_list,
                tried=self._tried(search, now),
            )
            search.listing, search.to_list = search.to_list, False
            self._running.add(hashed)
            effects += self._follow(search, search.lookup.start(now), now)
        return effects

    # What a lookup says -----------------------------------------------------------------------------------------------

    def _follow(self, search: _Search, done: Iterable[steps.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for step in done:
            match step:
                case steps.Ask(peer):
                    number = self._whos.ask(peer, search.hashed, now).number
                    search.out.add(number)
                    effects.append(Send(peer, Who(number, search.hashed)))
                case steps.Check(peer):
                    hashes = (search.hashed,)
                    about = _Asked(hashes, (search.lookup,), sweep=False)
                    number = self._haves.ask(peer, about, now).number
                    effects.append(Send(peer, Have(number, hashes)))
                case steps.Found(peer, age):
                    effects.append(self._found(search, peer, age, now))
                case steps.Judged(member, about, right):
                    if self._charges.judge(member, right, now):
                        effects.append(Charged(member, about))
                case steps.BeginSweep():
                    self._running.discard(search.hashed)
                    self.sweep.begin(search.hashed)
                    self._look_whether_swept(search)
                case steps.Ended():
                    effects += self._ended(search, now)
        return effects

    def _ended(self, search: _Search, now: float) -> list[Effect]:
        lookup = search.lookup
        assert lookup is not None
        self._note_progress(lookup)
        result = lookup.result()
        listed = search.listing
        self._end_lookup(search)
        if search.to_list:  # somebody has asked for a list meanwhile
            self._waiting[search.hashed] = None
        elif not search.lasting:
            del self._searches[search.hashed]
            return [Ended(search.hashed, result, None, listed)]
        if result.whole and result.asked:
            search.sweep_at = now + search.sweep_pause
            search.sweep_pause = min(2 * search.sweep_pause, LONGEST_SWEEP)
            search.swept = result
        elif not result.holders and (swept := search.swept) is not None:
            result = replace(result, asked=swept.asked, answered=swept.answered, members=swept.members)
        search.ended_at = now
        doubt_at = max(now, lookup.started + MORE_PATIENCE)
        if result.holders and not result.asked and search.sweep_at <= doubt_at:
            search.again_at = doubt_at
        else:
            search.again_at = now + search.pause
            search.pause = min(2 * search.pause, LONGEST)
        if search.to_list:
            search.again_at = now
        else:
            heappush(self._again, (search.again_at, search.hashed))
        return [Ended(search.hashed, result, search.again_at, listed)]

    def _end_lookup(self, search: _Search) -> None:
        self._running.discard(search.hashed)
        self.sweep.end(search.hashed)
        for number in search.out:
            self._whos.drop(number)
        search.out.clear()
        search.lookup, search.swept_out, search.listing = None, 0, False

    def _silent_member(self, peer: PeerId, hashed: bytes, now: float) -> list[Effect]:
        search = self._searches.get(hashed)
        if search is None or search.lookup is None:
            return []
        return self._follow(search, search.lookup.silent(peer, now), now)

    def _answer_haves(self, peer: PeerId, about: _Asked, which: int | None, now: float) -> list[Effect]:
        """which: as in the answer; None for silence."""
        effects: list[Effect] = []
        for place, (hashed, lookup) in enumerate(zip(about.hashes, about.lookups, strict=True)):
            search = self._searches.get(hashed)
            if search is None:
                continue
            has = None if which is None else bool(which >> place & 1)
            if not has and search.tried.pop(peer, None) is not None:
                effects.append(Denied(hashed, peer))
            if lookup is None or search.lookup is not lookup:
                effects += self._answer_late(search, peer, now) if has else []
            elif not about.sweep:
                effects += self._follow(search, lookup.checked(peer, has, now), now)
            else:
                search.swept_out -= 1
                self._look_whether_swept(search)
                if has is not None:
                    effects += self._follow(search, lookup.swept(peer, has, now), now)
        return effects

    def _answer_late(self, search: _Search, peer: PeerId, now: float) -> list[Effect]:
        """A peer that an earlier lookup has asked says that it has the key."""
        if search.lookup is not None:
            return self._follow(search, search.lookup.late(peer, now), now)
        return [self._found(search, peer, None, now)]

    def _found(self, search: _Search, peer: PeerId, age: float | None, now: float) -> Found:
        if search.lasting:
            search.tried.setdefault(peer, now)
            if len(search.tried) > MAX_TRIED:
                del search.tried[next(iter(search.tried))]
        return Found(search.hashed, peer, age)

    @staticmethod
    def _tried(search: _Search, now: float) -> frozenset[PeerId]:
        for peer in [peer for peer, at in search.tried.items() if at + REMEMBERED <= now]:
            del search.tried[peer]
        return frozenset(search.tried)

    def _note_progress(self, lookup: Lookup) -> None:
        if lookup.sweeping or self.sweep.asked(lookup.hashed):
            lookup.sweep_progress(self.sweep.asked(lookup.hashed), len(self.sweep))
