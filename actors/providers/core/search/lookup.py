"""One search for who has a key: its rounds among index members, the holders that are asked themselves, and its end.

* The three index members are asked at once. They name holders, and other index members that are nearer to the key in
  their view: those are asked in a next round, and so is the follower of one that is silent; at most `MAX_ROUNDS` rounds
  and `MAX_MEMBERS` members.
* Holders are asked whether they have the key, a few at a time, in turn of those that named them, so that nobody's false
  names come before another's true ones. Only who says yes is a holder.
* A holder that says no is charged to who named it, not to who was named. Silence is nobody's fault.
* If `PATIENCE` is over and nobody has said yes, members are swept. Meanwhile answers of the others count too.
* To say yes costs nothing. While a fetch waits, who said yes before and did not end it was `tried`: it is asked last
  and is not enough; and all members are swept, whoever says yes, until the fetch has what it wants.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct, field

from .....transport.identity import PeerId
from ..ring import COPIES, Ring, distance, place_of

MAX_ROUNDS = 3
MAX_MEMBERS = 12
"""Index members that one search asks."""
MAX_CHECKS = 48
"""Holders that it asks."""
MAX_SHOWN = 8
"""Peers that are named in words."""
CHECKS_AT_ONCE = 8
PATIENCE, MORE_PATIENCE = 1.5, 2.5
"""Seconds until the sweep begins; and while named holders are still to answer, or have yet to prove what they said."""


class Ask(Struct, frozen=True):
    """Ask an index member who has the key."""

    peer: PeerId


class Check(Struct, frozen=True):
    """Ask a holder that was named whether it has the key."""

    peer: PeerId


class Found(Struct, frozen=True):
    """A holder says that it has the key. age: seconds since it told its index member; None if none has named it."""

    peer: PeerId
    age: float | None


class Judged(Struct, frozen=True):
    """Whether what an index member said of a holder is true. about: the holder."""

    member: PeerId
    about: PeerId
    right: bool


class BeginSweep(Struct, frozen=True):
    """Ask members in random order."""


class Result(Struct, frozen=True):
    """What a search found, and what it did.

    index_asked, index_answered: index members. asked, answered: members of the sweep, of so many `members` in all.
    unconfirmed: holders that were named and did not say yes. silent: those of them that did not answer, at most
    `MAX_CHECKS`. whole: all members were asked that are to be in a sweep.
    """

    holders: tuple[Found, ...] = ()
    index_asked: int = 0
    index_answered: int = 0
    asked: int = 0
    answered: int = 0
    members: int = 0
    unconfirmed: int = 0
    whole: bool = False
    silent: tuple[PeerId, ...] = ()

    def __str__(self) -> str:
        asked = [_count(self.index_asked, "index member")]
        if self.asked:
            asked.append(f"{self.asked} of {_count(self.members, 'member')}")
        silent = self.index_asked - self.index_answered + self.asked - self.answered
        quiet = f" ({silent} did not answer)" if silent else ""
        nobody = "nobody that answered has it" if self.silent else "nobody has it"
        found = f"{_count(len(self.holders), 'holder')}" if self.holders else nobody
        return "; ".join((f"asked {' and '.join(asked)}{quiet}", found, *self._silent_in_words()))

    def _silent_in_words(self) -> list[str]:
        """Who was named and did not answer, if anybody."""
        words = [peer.short for peer in self.silent[:MAX_SHOWN]]
        others = len(self.silent) - len(words)
        words += [_count(others, "other")] if others else []
        said = f"{', '.join(words[:-1])} and {words[-1]} were" if len(words) > 1 else f"{''.join(words)} was"
        return [f"{said} named and did not answer"] if words else []


class Ended(Struct, frozen=True):
    """The search is over."""

    result: Result


Effect = Ask | Check | Found | Judged | BeginSweep | Ended


class _Named(Struct, eq=False):
    """A holder that was named. by: by whom."""

    age: float
    by: list[PeerId] = field(default_factory=list)


class Lookup:
    """One search."""

    def __init__(
        self,
        hashed: bytes,
        ring: Ring,
        *,
        me: PeerId,
        wanted: int,
        may_sweep: bool,
        passed_over: Collection[PeerId],
        for_fetch: bool = False,
        tried: Collection[PeerId] = (),
    ) -> None:
        """wanted: holders that are enough. passed_over: index members that named wrongly too often.

        for_fetch: who wants the key says when there was enough of it, so members are swept though somebody says yes.
        tried: who has said yes before.
        """
        self.hashed = hashed
        self._ring, self._me = ring, me
        self._wanted, self._may_sweep = wanted, may_sweep
        self._passed_over = frozenset(passed_over)
        self._for_fetch, self._tried = for_fetch, frozenset(tried)
        self._started = 0.0
        self._rounds = 0
        self._asked: dict[PeerId, bool | None] = {}  # None while it may answer, then whether it has
        self._nearer: dict[PeerId, None] = {}
        self._reserve: dict[PeerId, deque[PeerId]] = {}  # named and not asked yet, by who named them
        self._last: deque[PeerId] = deque()  # those of them that were tried
        self._named: dict[PeerId, _Named] = {}
        self._checking: set[PeerId] = set()
        self._found: dict[PeerId, Found] = {}
        self._new = 0  # how many of them were not tried
        self._unconfirmed = 0
        self._silent: dict[PeerId, None] = {}  # of those
        self._sweeping = self._swept = self.ended = False
        self._asked_in_sweep = self._answered_in_sweep = self._members = 0

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do, None if never."""
        if self._sweeping or self.ended or not self._may_sweep or (self._found and not self._for_fetch):
            return None
        return self._started + (MORE_PATIENCE if self._checking or self._found else PATIENCE)

    @property
    def started(self) -> float:
        """When it was."""
        return self._started

    @property
    def found(self) -> tuple[Found, ...]:
        """The holders so far."""
        return tuple(self._found.values())

    @property
    def sweeping(self) -> bool:
        """Whether members are swept for it."""
        return self._sweeping and not self.ended

    def start(self, now: float) -> list[Effect]:
        """Ask the index members."""
        self._started = now
        first = self._ring.index_members(self.hashed, self._passed_over)
        if not first:
            first = self._ring.index_members(self.hashed)
        effects = self._ask(first)
        if self._tried and self._may_sweep and self._for_fetch:
            effects.append(self._sweep())
        return [*effects, *self._advance(now)]

    def holders(
        self, member: PeerId, named: Sequence[tuple[PeerId, float]], nearer: Iterable[PeerId], now: float
    ) -> list[Effect]:
        """An index member has answered. named: holders, with the seconds since they said so."""
        if member not in self._asked or self._asked[member]:
            return []
        self._asked[member] = True
        judged: list[Effect] = []
        reserve = self._reserve.setdefault(member, deque())
        for peer, age in named:
            known = self._named.get(peer)
            if peer == self._me or (known is None and len(self._named) >= MAX_CHECKS):
                continue
            if known is None:
                self._named[peer] = _Named(age, [member])
                (self._last if peer in self._tried else reserve).append(peer)
            elif member not in known.by:
                known.by.append(member)
                known.age = min(known.age, age)
                if peer in self._found and member != self._me:
                    judged.append(Judged(member, peer, True))
        farthest = max(map(self._distance, self._asked))
        for peer in nearer:
            if peer not in self._asked and peer != self._me and self._distance(peer) < farthest:
                self._nearer[peer] = None
        return [*judged, *self._advance(now)]

    def silent(self, member: PeerId, now: float) -> list[Effect]:
        """An index member does not answer."""
        if self._asked.get(member, True) is not None:
            return []
        self._asked[member] = False
        return self._advance(now)

    def checked(self, peer: PeerId, has: bool | None, now: float) -> list[Effect]:
        """A holder that was named says whether it has the key; None if it does not answer."""
        if peer not in self._checking:
            return []
        self._checking.discard(peer)
        named = self._named[peer]
        effects: list[Effect] = []
        if has is not None:
            effects += [Judged(member, peer, has) for member in named.by if member != self._me]
        if has is None:
            self._silent[peer] = None
        if not has:
            self._unconfirmed += 1
        elif peer not in self._found:
            effects.append(self._has(peer, named.age))
        return [*effects, *self._advance(now)]

    def answered(self, peer: PeerId) -> None:
        """A peer has said whether it has the key, whoever named it."""
        self._silent.pop(peer, None)

    def swept(self, peer: PeerId, has: bool, now: float) -> list[Effect]:
        """A member of the sweep says whether it has the key."""
        if self.ended:
            return []
        self._answered_in_sweep += 1
        if not has or peer in self._found:
            return []
        return [self._has(peer, None), *self._advance(now)]

    def late(self, peer: PeerId, now: float) -> list[Effect]:
        """A peer that an earlier lookup has asked says that it has the key."""
        if self.ended or peer in self._found:
            return []
        return [self._has(peer, None), *self._advance(now)]

    def sweep_progress(self, asked: int, members: int) -> None:
        """So many of so many members were asked by now."""
        self._asked_in_sweep, self._members = asked, max(members, asked)

    def sweep_over(self, now: float) -> list[Effect]:
        """Nobody more is asked, and all that may answer have."""
        self._swept = True
        return self._advance(now)

    def tick(self, now: float) -> list[Effect]:
        """The deadline has come."""
        return self._advance(now)

    def result(self) -> Result:
        """What was found and done so far."""
        still = sorted(self._checking) if self.ended and not self._found else ()
        return Result(
            self.found,
            len(self._asked),
            sum(1 for answered in self._asked.values() if answered),
            self._asked_in_sweep,
            min(self._answered_in_sweep, self._asked_in_sweep),
            self._members,
            self._unconfirmed,
            self._swept,
            (*self._silent, *still),
        )

    def _has(self, peer: PeerId, age: float | None) -> Found:
        found = self._found[peer] = Found(peer, age)
        self._new += peer not in self._tried
        return found

    def _distance(self, peer: PeerId) -> int:
        return distance(self.hashed, place_of(peer))

    def _ask(self, members: Iterable[PeerId]) -> list[Effect]:
        effects: list[Effect] = []
        for peer in members:
            if peer not in self._asked and len(self._asked) < MAX_MEMBERS:
                self._asked[peer] = None
                effects.append(Ask(peer))
        self._rounds += 1
        return effects

    def _advance(self, now: float) -> list[Effect]:
        """Go on as far as it goes."""
        if self.ended:
            return []
        enough = self._new >= self._wanted if not self._sweeping else self._found
        if enough and not (self._sweeping and self._for_fetch):
            return [self._end()]
        effects = self._next_checks()
        waits = None in self._asked.values()
        if not waits and not self._new and self._rounds < MAX_ROUNDS:
            next_round = self._ask(self._next_members())
            waits = bool(next_round)
            effects += next_round
        if self._sweeping:
            return [*effects, self._end()] if self._swept else effects
        settled = not waits and not self._checking
        if settled and (self._found or not self._may_sweep):
            return [*effects, self._end()]
        deadline = self.deadline
        if self._may_sweep and (settled or (deadline is not None and now >= deadline)):
            effects.append(self._sweep())
        return effects

    def _sweep(self) -> BeginSweep:
        self._sweeping = True
        return BeginSweep()

    def _next_checks(self) -> list[Effect]:
        effects: list[Effect] = []
        while len(self._checking) < CHECKS_AT_ONCE and self._new < self._wanted:
            member = next((member for member, peers in self._reserve.items() if peers), None)
            if member is not None:
                peers = self._reserve.pop(member)
                self._reserve[member] = peers  # behind the others
                peer = peers.popleft()
            elif self._last:
                peer = self._last.popleft()
            else:
                break
            if peer not in self._found:
                self._checking.add(peer)
                effects.append(Check(peer))
        return effects

    def _next_members(self) -> list[PeerId]:
        """Those that were named as nearer, and the followers of those that are silent."""
        nearer = sorted(self._nearer, key=self._distance)[:COPIES]
        for peer in nearer:
            del self._nearer[peer]
        silent = {peer for peer, answered in self._asked.items() if answered is False}
        followers = self._ring.index_members(self.hashed, self._passed_over | silent) if silent else ()
        return [*nearer, *followers]

    def _end(self) -> Ended:
        self.ended = True
        return Ended(self.result())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
