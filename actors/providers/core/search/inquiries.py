"""What is being asked for the lookups that run: single peers, and all members in the one sweep.

An answer of a peer counts as long as the key is looked for, also if the lookup that asked is over.
"""

from __future__ import annotations

import random
from collections.abc import Container, Iterator

from msgspec import Struct, field

from .....transport.identity import PeerId
from ..codec import Have, Who
from ..questions import Questions
from .line import Rank
from .lookup import Lookup
from .sweep import Sweep

WAITS = (1.0, 1.5, 2.5)
"""Seconds after each time that a question is sent, and up to half as long again."""


class Send(Struct, frozen=True):
    """To be sent; to this node itself too, as far as it is an index member."""

    to: PeerId
    message: Who | Have


class SilentMember(Struct, frozen=True):
    """An index member does not answer."""

    hashed: bytes
    peer: PeerId


class Said(Struct, frozen=True):
    """Whether a peer has a key; None if it does not answer. swept: it was asked as all members were.

    lookup: for which it was asked; None for none.
    """

    hashed: bytes
    peer: PeerId
    has: bool | None
    swept: bool
    lookup: Lookup | None


class SweepOver(Struct, frozen=True):
    """All members that were to be asked for a key have answered, or will not."""

    hashed: bytes


Event = Send | SilentMember | Said | SweepOver


class _Asked(Struct, frozen=True):
    """What a Have is about. lookups: of each hash. swept: it is one of all members that are asked."""

    hashes: tuple[bytes, ...]
    lookups: tuple[Lookup | None, ...]
    swept: bool


class _Out(Struct, eq=False):
    """What is out for a lookup. whos: numbers. swept: how many members of the sweep may still answer."""

    lookup: Lookup
    whos: set[int] = field(default_factory=set)
    swept: int = 0


class Inquiries:
    """Of one node. A key has one lookup at a time."""

    def __init__(self, rng: random.Random) -> None:
        """`sweep` has all members that may be asked, and not this node."""
        self.sweep = Sweep(rng)
        self._out: dict[bytes, _Out] = {}
        self._answered: dict[bytes, None] = {}  # by all whom the sweep was to ask
        self._whos: Questions[bytes] = Questions(rng.getrandbits(32), WAITS, rng)
        self._haves: Questions[_Asked] = Questions(rng.getrandbits(32), WAITS, rng)

    # What is asked ----------------------------------------------------------------------------------------------------

    def begin(self, lookup: Lookup) -> None:
        """A lookup begins."""
        self._out[lookup.hashed] = _Out(lookup)

    def end(self, hashed: bytes) -> None:
        """A lookup is over; holders that were asked for it may answer all the same."""
        self.sweep.end(hashed)
        out = self._out.pop(hashed, None)
        for number in () if out is None else out.whos:
            self._whos.drop(number)

    def who(self, hashed: bytes, peer: PeerId, now: float) -> Send:
        """Ask an index member."""
        number = self._whos.ask(peer, hashed, now).number
        self._out[hashed].whos.add(number)
        return Send(peer, Who(number, hashed))

    def have(self, hashed: bytes, peer: PeerId, now: float) -> Send:
        """Ask a holder that was named."""
        about = _Asked((hashed,), (self._out[hashed].lookup,), swept=False)
        return Send(peer, Have(self._haves.ask(peer, about, now).number, about.hashes))

    def have_any(self, hashes: tuple[bytes, ...], peer: PeerId, now: float) -> Send:
        """Ask a member for these, at most `MAX_KEYS`, for no lookup: its answer comes beside that of any that runs."""
        about = _Asked(hashes, (None,) * len(hashes), swept=False)
        return Send(peer, Have(self._haves.ask(peer, about, now).number, hashes))

    def begin_sweep(self, hashed: bytes, rank: Rank) -> None:
        """Ask all members."""
        self.sweep.begin(hashed, rank)
        self._look_whether_answered(hashed)

    def note_progress(self, lookup: Lookup) -> None:
        """Tell a lookup how far the sweep is for it."""
        if lookup.sweeping or self.sweep.asked(lookup.hashed):
            lookup.sweep_progress(self.sweep.asked(lookup.hashed), len(self.sweep))

    # Answers ----------------------------------------------------------------------------------------------------------

    def asked(self, peer: PeerId, number: int) -> bytes | None:
        """The hash that the peer was asked for under this number; None if no such Who is out."""
        question = self._whos.answer(peer, number)
        return None if question is None else question.about

    def answer(self, peer: PeerId, number: int, which: int) -> list[Said] | None:
        """A member has said what it has; None if it was not asked."""
        question = self._haves.answer(peer, number)
        return None if question is None else self._said(peer, question.about, which)

    def gone(self, peer: PeerId) -> Iterator[Event]:
        """A member is gone: it does not answer any more."""
        for who in self._whos.drop_all_of(peer):
            yield SilentMember(who.about, peer)
        for have in self._haves.drop_all_of(peer):
            yield from self._said(peer, have.about, None)

    def _said(self, peer: PeerId, about: _Asked, which: int | None) -> list[Said]:
        """which: as in the answer; None for silence."""
        said: list[Said] = []
        for place, (hashed, lookup) in enumerate(zip(about.hashes, about.lookups, strict=True)):
            has = None if which is None else bool(which >> place & 1)
            said.append(Said(hashed, peer, has, about.swept, lookup))
            out = self._out.get(hashed)
            if about.swept and out is not None and out.lookup is lookup:
                out.swept -= 1
                self._look_whether_answered(hashed)
        return said

    # Time -------------------------------------------------------------------------------------------------------------

    def expire(self, now: float, looked_for: Container[bytes]) -> Iterator[Event]:
        """What is to be asked again, and who is silent. looked_for: keys; others are not asked for again."""
        for who, again in self._whos.expire(now):
            yield Send(who.peer, Who(who.number, who.about)) if again else SilentMember(who.about, who.peer)
        for have, again in self._haves.expire(now):
            if not again:
                yield from self._said(have.peer, have.about, None)
            elif not any(hashed in looked_for for hashed in have.about.hashes):
                self._haves.drop(have.number)
            else:
                if have.about.swept:
                    self.sweep.pay(now)
                yield Send(have.peer, Have(have.number, have.about.hashes))

    def go_on(self, now: float) -> Iterator[Event]:
        """Go on with the sweep."""
        while (chosen := self.sweep.next(now)) is not None:
            peer, hashes = chosen
            outs = [self._out[hashed] for hashed in hashes]
            about = _Asked(hashes, tuple(out.lookup for out in outs), swept=True)
            for out in outs:
                out.swept += 1
            yield Send(peer, Have(self._haves.ask(peer, about, now).number, hashes))
        for hashed in self.sweep.newly_over(now):
            self._look_whether_answered(hashed)
        answered, self._answered = self._answered, {}
        for hashed in answered:
            if hashed in self._out and self.sweep.is_over(hashed):
                yield SweepOver(hashed)

    def wake_at(self, now: float) -> float:
        """When there is something to do; infinite if never."""
        if self._answered or self.sweep.has_news:
            return now
        return min(self._whos.due(), self._haves.due(), self.sweep.wake_at(now))

    def _look_whether_answered(self, hashed: bytes) -> None:
        if self._out[hashed].swept == 0 and self.sweep.is_over(hashed):
            self._answered[hashed] = None
