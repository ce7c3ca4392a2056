"""Members that this node knows only from others, and that have not answered yet.

* *Unproved*: members whose record is known and that never answered this node: no packet of theirs came, and they have
  no connection. Each introducer, who told of them first, has so many, and so many new ones per minute, as each is an
  address that this node will dial. Its oldest one goes first. Where room is scarce, a subnet has so many too.
* Seeds have more: a joiner learns of the whole cluster from them.

An unproved member is *greeted*: asked whether it is there, four times within four periods, the last two times through
helpers too, as it may be out of this node's reach. First greetings have a pace, and the introducers take turns, so that
who brings many takes no turn of another. Who has waited for `PATIENCE` is gone without one; not who was told of by a
seed, as a joiner of a large cluster has many to greet.

Who has not answered after six periods is *hidden*: no member for anyone, or a liar keeps the dead alive for a joiner
that never knew them. It may only have been out of reach, so it is greeted again when somebody tells of it, who pays
for that as for another newcomer, and is a member when it answers; it is forgotten when nobody has told of it for a
while. A later life, which only the peer itself can prove, is news; and a peer that shows itself needs nobody who
tells of it. Whom this node blocks since before it started is hidden too, until it may be asked: it may have cheated. So
is whose IP it blocks: who was banned could fill the list with others there, which nobody may ask.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

from msgspec import Struct, field

from ....transport.address import Address
from ....transport.core.buckets import TokenBuckets
from ....transport.core.subnets import network_at
from ....transport.identity import PeerId
from ..swim.member import Member, State, supersedes

T = TypeVar("T", bound=Hashable)

PER_INTRODUCER = 64
"""Waiting updates of one sender, unproved members of one introducer, or of one subnet where room is scarce."""

PER_SEED = 1024
"""The same of one seed."""

PATIENCE = 15.0
"""Seconds for which an unproved member waits for its first greeting."""

SILENT_FOR = 45.0
"""Seconds for which who did not answer stays hidden unless it is greeted again."""

AGAIN_AFTER, LONGEST_PAUSE = 2, 30.0
"""Probe periods from greetings that were in vain to the next ones, doubled each time, and the most seconds."""

FIRST_GREETINGS, FIRST_GREETINGS_OF_SEEDS = (4.0, 16), (32.0, 64)
"""First greetings a second, and at once, of all introducers together, and of all that are seeds."""

_PACE = 60.0  # seconds in which an introducer that has used up its share gets a whole one again
_IPV4_PREFIX, _IPV6_PREFIX = 24, 48
_GAPS = (1.0, 1.0, 2.0, 2.0)  # probe periods after each greeting
_MOST_DOUBLED = 10  # times
_DIRECT = 2  # of these greetings go to the member alone
_BLOCKED_AGAIN = 10.0  # seconds until it is seen whether a member that this node blocks may be greeted now


class Newcomer(Struct, eq=False):
    """An unproved member. told: the most of its life that is proved. since: when it was told of, in monotonic seconds.

    greeted: how often. in_vain: how many rounds of greetings it has not answered before; 1 also for one that is hidden
    from the beginning. resting: since when nobody has told of it after these, in monotonic seconds; None if it is to be
    greeted.
    """

    peer: PeerId
    told: Member
    introducer: PeerId
    subnet: Hashable
    since: float
    by_seed: bool
    greeted: int = 0
    in_vain: int = 0
    resting: float | None = None

    @property
    def hidden(self) -> bool:
        """Whether it is no member for anybody."""
        return self.in_vain > 0

    @property
    def needs_helpers(self) -> bool:
        """Whether it is out of reach as it seems."""
        return self.greeted > _DIRECT


_Queues = OrderedDict[PeerId, OrderedDict[PeerId, Newcomer]]


class Turns(Struct):
    """Whom to greet now, who has not answered and is hidden from now on, and whose patience is over.

    again: who was hidden before, and has not answered this time either or is forgotten.
    """

    greet: list[Newcomer] = field(default_factory=list)
    silent: list[Newcomer] = field(default_factory=list)
    unasked: list[Newcomer] = field(default_factory=list)
    again: list[Newcomer] = field(default_factory=list)


class Unproved:
    """Members that have not answered this node, by introducer; the oldest first."""

    def __init__(self, period: float) -> None:
        """period: of SWIM's probes, in seconds."""
        self._period = period
        self._reset()
        self._pace = TokenBuckets(PER_INTRODUCER / _PACE, PER_INTRODUCER)
        self._pace_of_seeds = TokenBuckets(PER_SEED / _PACE, PER_SEED)
        self._greetings = TokenBuckets(*FIRST_GREETINGS)
        self._greetings_of_seeds = TokenBuckets(*FIRST_GREETINGS_OF_SEEDS)
        self._numbers = count()

    def _reset(self) -> None:
        self._most = 0  # at once
        self._newcomers: OrderedDict[PeerId, Newcomer] = OrderedDict()
        self._of_introducer: dict[PeerId, dict[PeerId, None]] = {}
        self._of_subnet: dict[Hashable, dict[PeerId, None]] = {}
        self._fresh: _Queues = OrderedDict()  # by introducer, never greeted
        self._fresh_of_seeds: _Queues = OrderedDict()
        self._waiting: OrderedDict[PeerId, Newcomer] = OrderedDict()  # all in `_fresh`, the oldest first
        self._due: list[tuple[float, int, Newcomer]] = []  # a heap; one that is no newcomer any more has no effect

    def compact(self) -> bool:
        """If nobody is here, give back the room that dicts keep; whether there were many."""
        if self._newcomers or self._most < PER_INTRODUCER:
            return False
        self._reset()
        return True

    def __len__(self) -> int:
        return len(self._newcomers)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._newcomers

    def __iter__(self) -> Iterator[Newcomer]:
        """The oldest first."""
        return iter(self._newcomers.values())

    def get(self, peer: PeerId) -> Newcomer | None:
        """Whether, and how, the peer is here."""
        return self._newcomers.get(peer)

    def is_hidden(self, peer: PeerId) -> bool:
        """Whether the peer is here and no member for anybody."""
        newcomer = self._newcomers.get(peer)
        return newcomer is not None and newcomer.hidden

    @property
    def num_visible(self) -> int:
        """How many are not hidden."""
        return sum(not each.hidden for each in self)

    def may_add(self, introducer: PeerId, now: float, *, seed: bool) -> bool:
        """Whether the introducer may bring another one now; takes its turn if so."""
        return (self._pace_of_seeds if seed else self._pace).take(introducer, now)

    def add(
        self,
        told: Member,
        introducer: PeerId,
        address: Address,
        now: float,
        *,
        seed: bool,
        scarce: bool,
        hidden: bool = False,
    ) -> tuple[Newcomer, ...]:
        """Add a member, or greet a hidden one again, which stays so in this life; returns those that go for it.

        seed: the introducer is one. scarce: whether the subnet has a limit too. hidden: it is from the beginning.
        """
        before = self.discard(PeerId(told.id.key))
        subnet, gone = _subnet(address), []
        of_introducer = self._of_introducer.get(introducer, {})
        if len(of_introducer) >= (PER_SEED if seed else PER_INTRODUCER):
            gone.append(self._take(next(iter(of_introducer))))
        of_subnet = self._of_subnet.get(subnet, {})
        if scarce and len(of_subnet) >= PER_INTRODUCER:
            gone.append(self._take(next(iter(of_subnet))))
        newcomer = Newcomer(PeerId(told.id.key), told, introducer, subnet, now, seed)
        newcomer.in_vain = int(hidden)
        self._insert(newcomer)
        if before is None or before.resting is None or before.told.id != told.id:
            self._await_greeting(newcomer)
        else:
            newcomer.in_vain = before.in_vain
            pause = min(AGAIN_AFTER ** min(before.in_vain, _MOST_DOUBLED) * self._period, LONGEST_PAUSE)
            self._later(newcomer, before.resting + pause)
        return tuple(gone)

    def learn(self, told: Member, now: float) -> Newcomer | None:
        """Note what is proved of a member that is here, if it is more; who it was if this is a new life of it.

        A new life is greeted anew.
        """
        newcomer = self._newcomers[PeerId(told.id.key)]
        told = Member(told.id, told.incarnation, State.ALIVE, (), told.proof)
        if not supersedes(newcomer.told, told):
            return None
        if newcomer.told.id == told.id:
            newcomer.told = told
            return None
        self._take(newcomer.peer)
        later = Newcomer(newcomer.peer, told, newcomer.introducer, newcomer.subnet, now, newcomer.by_seed)
        self._insert(later)
        self._await_greeting(later)
        return newcomer

    def discard(self, peer: PeerId) -> Newcomer | None:
        """It has answered, or is no member any more; what it was."""
        return self._take(peer) if peer in self._newcomers else None

    def take_turns(self, now: float, may_greet: Callable[[PeerId], bool], *, judge: bool = True) -> Turns:
        """Whom to greet, and who is no member any more: not here either, but for the silent.

        may_greet: false for one that this node blocks, which waits. judge: false for nobody to go, as answers may be
        waiting unread.
        """
        turns, put_off = Turns(), []
        while self._due and self._due[0][0] <= now:
            due = heappop(self._due)
            if not self._take_due(due[2], now, may_greet, judge, turns):
                put_off.append(due)
        for due in put_off:
            heappush(self._due, due)
        if judge:
            self._expire(now, turns)
        self._greet_fresh(now, may_greet, turns)
        return turns

    def _take_due(
        self, newcomer: Newcomer, now: float, may_greet: Callable[[PeerId], bool], judge: bool, turns: Turns
    ) -> bool:
        """False if it is to be judged, and this is no time for it: whoever causes such turns gains none by them."""
        if self._newcomers.get(newcomer.peer) is not newcomer:
            return True
        if newcomer.resting is not None:
            turns.again.append(self._take(newcomer.peer))
        elif newcomer.hidden and not newcomer.greeted:
            newcomer.since = now
            self._await_greeting(newcomer)
        elif newcomer.greeted < len(_GAPS):
            self._greet(newcomer, now, may_greet, turns)
        elif judge:
            self._rest(newcomer, now, turns)
        else:
            return False
        return True

    def _rest(self, newcomer: Newcomer, now: float, turns: Turns) -> None:
        (turns.again if newcomer.hidden else turns.silent).append(newcomer)
        self._not_fresh(newcomer)
        newcomer.in_vain, newcomer.resting = newcomer.in_vain + 1, now
        self._later(newcomer, now + SILENT_FOR)

    def _expire(self, now: float, turns: Turns) -> None:
        while self._waiting:
            newcomer = next(iter(self._waiting.values()))
            if newcomer.since + PATIENCE > now:
                break
            if newcomer.hidden:
                self._rest(newcomer, now, turns)
            else:
                turns.unasked.append(self._take(newcomer.peer))

    def _greet_fresh(self, now: float, may_greet: Callable[[PeerId], bool], turns: Turns) -> None:
        pairs = ((self._fresh, self._greetings), (self._fresh_of_seeds, self._greetings_of_seeds))
        for fresh, greetings in pairs:
            while fresh:
                newcomer = next(iter(next(iter(fresh.values())).values()))
                if may_greet(newcomer.peer) and not greetings.take(None, now):
                    break
                self._not_fresh(newcomer)
                self._greet(newcomer, now, may_greet, turns)

    def _greet(self, newcomer: Newcomer, now: float, may_greet: Callable[[PeerId], bool], turns: Turns) -> None:
        if may_greet(newcomer.peer):
            newcomer.greeted += 1
            turns.greet.append(newcomer)
            self._later(newcomer, now + _GAPS[newcomer.greeted - 1] * self._period)
        else:
            self._later(newcomer, now + _BLOCKED_AGAIN)

    def _later(self, newcomer: Newcomer, due: float) -> None:
        heappush(self._due, (due, next(self._numbers), newcomer))

    def _insert(self, newcomer: Newcomer) -> None:
        peer, introducer = newcomer.peer, newcomer.introducer
        self._newcomers[peer] = newcomer
        self._most = max(self._most, len(self._newcomers))
        self._of_introducer.setdefault(introducer, {})[peer] = None
        self._of_subnet.setdefault(newcomer.subnet, {})[peer] = None

    def _await_greeting(self, newcomer: Newcomer) -> None:
        """The first of its round, for which the introducers take turns."""
        self._fresh_with(newcomer).setdefault(newcomer.introducer, OrderedDict())[newcomer.peer] = newcomer
        if not newcomer.by_seed:
            self._waiting[newcomer.peer] = newcomer

    def _fresh_with(self, newcomer: Newcomer) -> _Queues:
        return self._fresh_of_seeds if newcomer.by_seed else self._fresh

    def _take(self, peer: PeerId) -> Newcomer:
        newcomer = self._newcomers.pop(peer)
        _remove(self._of_introducer, newcomer.introducer, peer)
        _remove(self._of_subnet, newcomer.subnet, peer)
        self._not_fresh(newcomer)
        return newcomer

    def _not_fresh(self, newcomer: Newcomer) -> None:
        """It has its turn, or is gone: then it is another introducer's."""
        of_introducers = self._fresh_with(newcomer)
        fresh = of_introducers.get(newcomer.introducer)
        if fresh is not None and newcomer.peer in fresh:
            del fresh[newcomer.peer]
            self._waiting.pop(newcomer.peer, None)
            of_introducers.move_to_end(newcomer.introducer)
            if not fresh:
                del of_introducers[newcomer.introducer]


def _remove(groups: dict[T, dict[PeerId, None]], group: T, peer: PeerId) -> None:
    peers = groups[group]
    del peers[peer]
    if not peers:
        del groups[group]


def _subnet(address: Address) -> Hashable:
    """A name is one of its own, as it is not looked up here."""
    ip = address.endpoint.ip
    return address.endpoint.host if ip is None else network_at(ip, _IPV4_PREFIX if ip.version == 4 else _IPV6_PREFIX)
