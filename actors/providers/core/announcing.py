"""What this node tells to whom of the keys that it has: it is asked what is to be sent now, and when to ask again.

* What is to be told waits in one queue for each index member. One batch is out for each at a time; it is repeated, and
  whoever answers none of it is *silent*: its keys go to the member that follows, and it is tried again later.
* All batches leave on one token bucket, so nothing that happens to the members makes more of them.
* When members come or go, the keys of the windows before them are looked at once the members have settled; those that
  have other index members now are told to the new ones. The old ones keep them until their time is over.
* Each index member is told its keys again when about half of their time is over, and when it is in a later life.
* Long work goes in slices: `poll` looks at a bounded number of keys.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Generator, Iterable
from heapq import heappop, heappush

from msgspec import Struct, field

from ....transport.identity import PeerId
from .holdings import Holdings
from .questions import Questions
from .ring import HASH_BYTES, Ring

MAX_BATCH = 512
"""Hashes of one batch."""
WAITS = (2.0, 4.0, 8.0)
"""Seconds after each time that a batch is sent."""
BATCH_DELAY = 0.05
"""Seconds that a new key waits for others."""
SETTLE, MAX_SETTLE = 2.0, 10.0
"""Seconds from the last change of the members, and from the first one, to a look at what it moves."""
TRY_AGAIN = 60.0
"""Seconds until a silent member is tried again; twice as long each time."""

_REFRESH = (0.4, 0.6)  # of their time, until keys are told again
_LOOK, _PIECE = 1500, 250  # what a poll looks at, in keys, and in one step
_ARC, _NEW = 8, 8  # keys that to look at an arc, or to take in a new key, takes as long as
_TELLS = 16  # batches of one poll
_MANY_CHANGES = 64
_MOST_WAITING = 8 * MAX_BATCH  # hashes for one that answers at once; no more is looked at until half of them are sent
_LAST = b"\xff" * HASH_BYTES
_Range = tuple[bytes, bytes]


class Tell(Struct, frozen=True):
    """A batch to be sent. seconds: for which it holds; 0: this node has these no more."""

    number: int
    to: PeerId
    hashes: tuple[bytes, ...]
    seconds: int


class _Batch(Struct, frozen=True):
    hashes: tuple[bytes, ...]
    held: bool


class _Member(Struct, eq=False):
    """An index member of ours. waiting: hashes, and whether this node holds them. out: the number of its batch.

    slow: its batch had to be sent again.
    """

    refresh_at: float
    waiting: dict[bytes, bool] = field(default_factory=dict)
    out: int | None = None
    slow: bool = False


class Announcer:
    """The keys of this node, and what their index members are told."""

    def __init__(self, ring: Ring, *, me: PeerId, ttl: int, rate: float, burst: int, rng: random.Random) -> None:
        """ring: of the members, this node among them if it takes part; who changes it says so here.

        ttl: seconds for which keys are told. rate, burst: batches per second, and at once.
        """
        self._ring, self._me, self._ttl, self._rng = ring, me, ttl, rng
        self._holdings = Holdings()
        self._incoming: dict[bytes, None] = {}
        self._members: dict[PeerId, _Member] = {}
        self._out: Questions[_Batch] = Questions(rng.getrandbits(32), WAITS)
        self._ready: OrderedDict[PeerId, None] = OrderedDict()
        self._silent: dict[PeerId, float] = {}  # and how long the next wait is
        self._crowded: set[PeerId] = set()
        self._rate, self._burst = rate, burst
        self._tokens, self._tokens_at = float(burst), -math.inf
        self._batch_at = -math.inf
        self._changed: set[_Range] | None = set()  # None: all of the ring
        self._later_lives: dict[PeerId, None] = {}
        self._departed: set[PeerId] = set()  # since the last look
        self._leaving: set[PeerId] = set()  # before it, and what they were told is still being looked at
        self._settle_at = self._settle_by = math.inf
        self._jobs: deque[Generator[int, None, None]] = deque()
        self._times: list[tuple[float, PeerId, bool]] = []  # to refresh a member, or to try a silent one again (True)

    def __len__(self) -> int:
        """The keys that are held."""
        return len(self._holdings) + len(self._incoming)

    def __contains__(self, hashed: object) -> bool:
        return hashed in self._holdings or hashed in self._incoming

    @property
    def waiting(self) -> int:
        """Hashes that wait to be told, each as often as there are members to tell."""
        return sum(len(member.waiting) for member in self._members.values())

    @property
    def silent(self) -> int:
        """Members that did not answer."""
        return len(self._silent)

    def told(self, hashed: bytes) -> tuple[PeerId, ...]:
        """The index members of a key of ours, as they were looked at last."""
        return self._holdings.told.get(hashed, ())

    # What happens -----------------------------------------------------------------------------------------------------

    def provide(self, hashes: Iterable[bytes], now: float) -> None:
        """This node has these keys from now on."""
        for hashed in hashes:
            if hashed not in self._holdings:
                self._incoming[hashed] = None
        if self._batch_at < now:
            self._batch_at = now + BATCH_DELAY

    def withdraw(self, hashes: Iterable[bytes], now: float) -> None:
        """This node does not have these any more."""
        for hashed in hashes:
            self._incoming.pop(hashed, None)
            for peer in self._holdings.remove(hashed) or ():
                if peer in self._ring:
                    self._queue(peer, hashed, False, now)

    def changed(self, peer: PeerId, now: float) -> None:
        """A member was added to the ring, or taken from it, or is in a later life, so that what it kept is gone."""
        if peer not in self._ring:
            self._forget(peer)
            self._departed.add(peer)
        elif peer in self._members or peer in self._departed or peer in self._leaving:
            self._later_lives[peer] = None
        self._look_at_window(peer)
        if self._settle_by == math.inf:
            self._settle_by = now + MAX_SETTLE
        self._settle_at = min(now + SETTLE * self._rng.uniform(1.0, 1.5), self._settle_by)

    def answered(self, peer: PeerId, number: int, now: float) -> int | None:
        """An index member has taken a batch: how many hashes that was, None if it was not asked."""
        question = self._out.answer(peer, number)
        if question is None:
            return None
        member = self._members[peer]
        member.out, member.slow = None, question.sent > 0
        if member.waiting:
            self._ready[peer] = None
        if self._silent.pop(peer, None) is not None:
            self._look_at_window(peer)
            self._settle_at = min(self._settle_at, now)
        return len(question.about.hashes)

    # What is to be done -----------------------------------------------------------------------------------------------

    def poll(self, now: float) -> list[Tell]:
        """What is to be sent now. Ask again at `wake_at`."""
        if now >= self._settle_at:
            self._settle(now)
        while self._times and self._times[0][0] <= now:
            self._on_time(*heappop(self._times), now)
        self._look(now)
        tells = self._repeats(now)
        if now >= self._batch_at:
            while self._ready and len(tells) < _TELLS and self._has_token(now):
                peer, _ = self._ready.popitem(last=False)
                self._take_token(peer)
                tells.append(self._next_batch(peer, now))
        return tells

    def wake_at(self, now: float) -> float:
        """When there will be something to do; `now` if there is already, infinite if nothing is to come."""
        if (self._jobs or self._incoming) and not self._crowded:
            return now
        at = min(self._settle_at, self._times[0][0] if self._times else math.inf)
        token_at = self._token_at(now)
        if self._ready:
            at = min(at, max(self._batch_at, token_at))
        return max(now, min(at, max(self._out.due(), token_at)))

    def _settle(self, now: float) -> None:
        ranges, lives = self._changed, list(self._later_lives)
        self._changed, self._settle_at, self._settle_by = set(), math.inf, math.inf
        self._later_lives.clear()
        self._leaving |= self._departed
        self._departed.clear()
        for low, high in [(b"", _LAST)] if ranges is None else sorted(ranges):
            self._jobs.append(self._tell_new(low, high, now))
        for peer in lives:
            if peer in self._ring:
                self._jobs.append(self._tell_again(peer, now))

    def _look_at_window(self, peer: PeerId) -> None:
        window = self._ring.before(peer)
        if window is None or self._changed is None or len(self._changed) >= _MANY_CHANGES:
            self._changed = None
        else:
            self._changed.add(window)

    def _on_time(self, at: float, peer: PeerId, is_silent: bool, now: float) -> None:
        member = self._members.get(peer)
        if member is None:
            return
        if is_silent:
            if peer in self._silent and member.out is None and member.waiting:
                self._ready[peer] = None
        elif at == member.refresh_at:
            self._plan_refresh(peer, member, now)
            self._jobs.append(self._tell_again(peer, now))

    def _look(self, now: float) -> None:
        left = _LOOK
        while self._jobs and left > 0 and not self._crowded:
            step = next(self._jobs[0], None)
            if step is None:
                self._jobs.popleft()
            else:
                left -= step
        if not self._jobs:
            self._leaving.clear()
        while self._incoming and left > 0 and not self._crowded:
            hashed, _ = self._incoming.popitem()
            left -= _NEW
            if self._holdings.add(hashed):
                members = self._ring.index_members(hashed, self._silent)
                self._holdings.told[hashed] = members
                for peer in members:
                    self._queue(peer, hashed, True, now)

    def _tell_new(self, low: bytes, high: bytes, now: float) -> Generator[int, None, None]:
        """Look at the keys of this range: tell those members of each that were not told."""
        all_told = self._holdings.told
        for arc in self._arcs(low, high):
            members = self._ring.index_members(arc[0], self._silent)
            for hashed in arc:
                told = all_told[hashed]
                if told != members:
                    for peer in members:
                        if peer not in told:
                            self._queue(peer, hashed, True, now)
                    all_told[hashed] = members
            yield _ARC + len(arc)

    def _tell_again(self, peer: PeerId, now: float) -> Generator[int, None, None]:
        """Tell a member all of its keys, and forget it as ours if it has none."""
        found = 0
        low, high = self._ring.before(peer) or (b"", _LAST)
        for arc in self._arcs(low, high):
            if peer in self._ring.index_members(arc[0], self._silent):
                found += len(arc)
                for hashed in arc:
                    self._queue(peer, hashed, True, now)
            yield _ARC + len(arc)
        member = self._members.get(peer)
        if not found and member is not None and not member.waiting and member.out is None:
            self._forget(peer)

    def _arcs(self, low: bytes, high: bytes) -> Generator[list[bytes], None, None]:
        """The keys of a range in pieces whose index members are the same; the ring may change in between."""
        for after, end in ((low, high),) if low < high else ((low, _LAST), (b"", high)):
            cursor = after
            while keys := self._holdings.between(cursor, end, _PIECE):
                cursor, start = keys[-1], 0
                while start < len(keys):
                    stop = bisect_right(keys, self._ring.end_of_arc(keys[start]) or _LAST, start)
                    if arc := [hashed for hashed in keys[start:stop] if hashed in self._holdings]:
                        yield arc
                    start = stop

    def _queue(self, peer: PeerId, hashed: bytes, held: bool, now: float) -> None:
        member = self._members.get(peer)
        if member is None:
            member = self._members[peer] = _Member(0.0)
            self._plan_refresh(peer, member, now)
        member.waiting[hashed] = held
        if peer in self._silent:
            return
        if len(member.waiting) >= _MOST_WAITING and not member.slow:
            self._crowded.add(peer)
        if member.out is None:
            self._ready[peer] = None

    def _plan_refresh(self, peer: PeerId, member: _Member, now: float) -> None:
        member.refresh_at = now + self._ttl * self._rng.uniform(*_REFRESH)
        heappush(self._times, (member.refresh_at, peer, False))

    def _forget(self, peer: PeerId) -> None:
        member = self._members.pop(peer, None)
        self._ready.pop(peer, None)
        self._silent.pop(peer, None)
        self._crowded.discard(peer)
        self._later_lives.pop(peer, None)
        if member is not None and member.out is not None:
            self._out.drop(member.out)

    # Sending ----------------------------------------------------------------------------------------------------------

    def _next_batch(self, peer: PeerId, now: float) -> Tell:
        member = self._members[peer]
        held = next(iter(member.waiting.values()))
        hashes: list[bytes] = []
        for hashed, each in member.waiting.items():
            if each is not held or len(hashes) == MAX_BATCH:
                break
            hashes.append(hashed)
        for hashed in hashes:
            del member.waiting[hashed]
        if len(member.waiting) < _MOST_WAITING // 2:
            self._crowded.discard(peer)
        batch = _Batch(tuple(hashes), held)
        member.out = self._out.ask(peer, batch, now).number
        return self._tell(member.out, peer, batch)

    def _repeats(self, now: float) -> list[Tell]:
        tells: list[Tell] = []
        expired = self._out.expire(now)
        while len(tells) < _TELLS and self._has_token(now):
            found = next(expired, None)
            if found is None:
                break
            question, again = found
            if again:
                self._take_token(question.peer)
                self._members[question.peer].slow = True
                self._crowded.discard(question.peer)  # others do not wait for it
                tells.append(self._tell(question.number, question.peer, question.about))
            else:
                self._fell_silent(question.peer, question.about, now)
        return tells

    def _fell_silent(self, peer: PeerId, batch: _Batch, now: float) -> None:
        """Its keys go to others, and it is tried again with the same."""
        member = self._members[peer]
        member.out = None
        self._crowded.discard(peer)
        member.waiting = {**dict.fromkeys(batch.hashes, batch.held), **member.waiting}
        wait = self._silent.get(peer, TRY_AGAIN)
        heappush(self._times, (now + wait, peer, True))
        if peer not in self._silent:
            self._look_at_window(peer)
            self._settle_at = min(self._settle_at, now)
        self._silent[peer] = min(2 * wait, self._ttl / 2)

    def _tell(self, number: int, peer: PeerId, batch: _Batch) -> Tell:
        return Tell(number, peer, batch.hashes, self._ttl if batch.held else 0)

    def _has_token(self, now: float) -> bool:
        return self._token_at(now) <= now

    def _token_at(self, now: float) -> float:
        if self._tokens_at < now:
            gained = 0.0 if self._tokens_at == -math.inf else (now - self._tokens_at) * self._rate
            self._tokens = min(self._burst, self._tokens + gained)
            self._tokens_at = now
        missing = 1.0 - self._tokens
        return now if missing <= 1e-9 else now + missing / self._rate

    def _take_token(self, peer: PeerId) -> None:
        """What this node tells itself costs none."""
        if peer != self._me:
            self._tokens -= 1.0
