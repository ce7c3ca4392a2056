"""All searches of a node, against members that answer as a test says."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable

import pytest

from rookery.actors.providers.core import sweep
from rookery.actors.providers.core.charges import MARGIN
from rookery.actors.providers.core.codec import Have, Who
from rookery.actors.providers.core.lookup import PATIENCE
from rookery.actors.providers.core.ring import Ring
from rookery.actors.providers.core.searches import (
    AT_ONCE,
    LOOK_AGAIN,
    MAX_TRIED,
    REMEMBERED,
    SWEEP_AGAIN,
    Charged,
    Denied,
    Effect,
    Ended,
    Found,
    Searches,
    Send,
)
from rookery.transport import PeerId

ME, *OTHERS = [PeerId(random.Random(number).randbytes(32)) for number in range(1100)]
KEY = bytes(16)
KEYS = [random.Random(-number).randbytes(16) for number in range(1, 200)]


class World:
    """`Searches`, and members with a latency. Whoever is in `holders[key]` has it; honest index members know that."""

    def __init__(self, members: int = 40, *, latency: float = 0.05, loss: float = 0.0, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.ring = Ring()
        self.searches = Searches(self.ring, me=ME, rng=self.rng)
        self.members = OTHERS[:members]
        for number, peer in enumerate(self.members):
            self.ring.add(peer, number)
            self.searches.sweep.add(peer)
        self.now = 0.0
        self.latency, self.loss = latency, loss
        self.holders: dict[bytes, set[PeerId]] = {}
        self.index: Callable[[PeerId, bytes], list[PeerId] | None] = lambda _member, key: sorted(
            self.holders.get(key, ())
        )
        self.silent: set[PeerId] = set()
        self.liars: set[PeerId] = set()
        """Who says yes to everything, a little before anybody else has answered."""
        self.sent: list[tuple[float, Send]] = []
        self.effects: list[Effect] = []
        self._coming: list[tuple[float, int, Send]] = []
        self._numbers = itertools.count()

    def look(self, key: bytes = KEY, *, lasting: bool = False) -> None:
        self._take(self.searches.look(key, self.now, lasting=lasting))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        turns = 0
        while True:
            while self._coming and self._coming[0][0] <= self.now:
                self._answer(heapq.heappop(self._coming)[2])
            self._take(self.searches.poll(self.now))
            at = min(self.searches.wake_at(self.now), self._coming[0][0] if self._coming else math.inf)
            turns = turns + 1 if at <= self.now else 0
            assert turns < 1000, "it never rests"
            if at > end:
                self.now = end
                return
            self.now = max(self.now, at)

    def ended(self, key: bytes = KEY) -> list[Ended]:
        return [effect for effect in self.effects if isinstance(effect, Ended) and effect.hashed == key]

    def found(self, key: bytes = KEY) -> set[PeerId]:
        return {effect.peer for effect in self.effects if isinstance(effect, Found) and effect.hashed == key}

    def asked(self, kind: type[Who | Have]) -> list[PeerId]:
        return [send.to for _, send in self.sent if isinstance(send.message, kind)]

    def _take(self, effects: list[Effect]) -> None:
        for effect in effects:
            if not isinstance(effect, Send):
                self.effects.append(effect)
                continue
            self.sent.append((self.now, effect))
            if effect.to not in self.silent and self.rng.random() >= self.loss and self.rng.random() >= self.loss:
                way = self.latency if effect.to in self.liars else 2 * self.latency
                heapq.heappush(self._coming, (self.now + way, next(self._numbers), effect))

    def _answer(self, send: Send) -> None:
        match send.message:
            case Who(number, hashed):
                named = self.index(send.to, hashed)
                if named is not None and self.searches.asked(send.to, number) == hashed:
                    self._take(self.searches.on_holders(send.to, hashed, [(peer, 1.0) for peer in named], (), self.now))
            case Have(number, hashes):
                which = sum(
                    1 << place
                    for place, key in enumerate(hashes)
                    if send.to in self.liars or send.to in self.holders.get(key, ())
                )
                self._take(self.searches.on_having(send.to, number, which, self.now) or [])


def test_key_that_the_index_knows_is_found_in_two_round_trips() -> None:
    world = World()
    world.holders[KEY] = {OTHERS[7]}
    world.look()
    world.run(0.21)
    assert world.found() == {OTHERS[7]}
    (ended,) = world.ended()
    assert (len(world.asked(Who)), len(world.asked(Have))) == (3, 1)
    assert str(ended.result) == "asked 3 index members; 1 holder"
    assert ended.again is None
    assert len(world.searches) == 0


def test_key_that_the_index_does_not_know_is_found_by_the_sweep() -> None:
    world = World(1000)
    world.index = lambda _member, _key: []
    world.holders[KEY] = {OTHERS[700]}
    world.look()
    world.run(20)
    assert world.found() == {OTHERS[700]}
    (ended,) = world.ended()
    assert ended.result.asked == len(world.asked(Have)) <= 1000


def test_sweep_leaves_at_most_64_packets_a_second() -> None:
    world = World(1000)
    world.look()
    world.run(10)
    assert 600 < len(world.asked(Have)) <= 10 * sweep.RATE + sweep.AT_ONCE


def test_sweep_keeps_its_pace_though_nobody_answers_and_all_are_asked_again() -> None:
    world = World(1000)
    world.silent = set(OTHERS)
    world.look()
    world.run(12)
    at_most = (12 - PATIENCE) * sweep.RATE + sweep.AT_ONCE
    assert 500 < len(world.asked(Have)) <= at_most + sweep.RATE  # repeats are paid for afterwards


def test_search_without_members_is_over_at_the_next_look() -> None:
    world = World(0)
    world.look()
    assert world.searches.wake_at(0.0) == 0.0
    world.run(0)
    assert len(world.ended()) == 1


def test_key_that_nobody_has_ends_when_everybody_was_asked() -> None:
    world = World(120)
    world.look()
    world.run(10)
    (ended,) = world.ended()
    assert str(ended.result) == "asked 3 index members and 120 of 120 members; nobody has it"


def test_silent_members_are_asked_three_times_and_counted() -> None:
    world = World(60)
    world.silent = set(OTHERS[:5])
    world.look()
    world.run(30)
    (ended,) = world.ended()
    assert (ended.result.asked, ended.result.answered) == (60, 55)
    assert world.asked(Have).count(OTHERS[0]) == 3


LIES: dict[str, Callable[[World], list[PeerId] | None]] = {
    "silent": lambda _world: None,
    "nobody has it": lambda _world: [],
    "members that do not have it": lambda world: world.rng.sample(world.members, 16),
    "accomplices that do not answer": lambda world: world.rng.sample(sorted(world.silent), 16),
    "accomplices that say yes": lambda world: world.rng.sample(sorted(world.liars), 16),
    "peers that nobody knows": lambda world: [PeerId(world.rng.randbytes(32)) for _ in range(16)],
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("seed", range(3))
def test_eclipsed_key_is_found_within_20_seconds_among_1000_members(seed: int, lie: str) -> None:
    world = World(1000, seed=seed)
    liars = set(world.ring.index_members(KEY))
    if lie.startswith("accomplices"):
        accomplices = set(world.rng.sample(sorted(set(world.members) - liars), 50))
        world.silent, world.liars = (accomplices, set()) if lie.endswith("do not answer") else (set(), accomplices)
    world.index = lambda member, _key: LIES[lie](world) if member in liars else []
    honest = sorted(set(world.members) - liars - world.silent - world.liars)
    world.holders[KEY] = {world.rng.choice(honest)}
    world.look(lasting=True)
    world.run(19.5 if world.silent else 18.5)  # then there is time left to connect and to fetch
    assert world.found() - world.liars == world.holders[KEY]


def make_liars(count: int, *, that_provide: bool) -> World:
    """So many that say yes to everything, one true holder, and an index that names all of them or nobody."""
    world = World(200)
    world.liars = set(OTHERS[10 : 10 + count])
    world.holders[KEY] = {OTHERS[7]}
    world.index = lambda _member, _key: world.rng.sample([*sorted(world.liars), OTHERS[7]], min(16, count + 1))
    if not that_provide:
        world.index = lambda _member, _key: []
    return world


@pytest.mark.parametrize("count", [3, 63])
def test_holder_is_found_though_liars_provide_the_key_and_say_yes_before_it(count: int) -> None:
    world = make_liars(count, that_provide=True)
    world.look(lasting=True)
    world.run(6.5)
    assert OTHERS[7] in world.found()


@pytest.mark.parametrize("count", [1, 10, 50])
def test_sweep_for_a_fetch_goes_on_though_liars_say_yes_and_ends_when_the_fetch_is_over(count: int) -> None:
    world = make_liars(count, that_provide=False)
    world.look(lasting=True)
    world.run(1.5)
    world._take(world.searches.stop(KEY, world.now))
    stopped = len(world.sent)
    world.run(60)
    assert len(world.sent) == stopped
    world.look(lasting=True)
    world.run(5)
    assert OTHERS[7] in world.found()


def test_yes_that_comes_late_counts_as_long_as_the_search_lasts() -> None:
    world = make_liars(3, that_provide=True)
    world.look(lasting=True)
    world.run(0.155)
    (ended,) = world.ended()
    assert {found.peer for found in ended.result.holders} == world.liars
    world.run(0.1)
    assert OTHERS[7] in world.found()


def test_yes_that_ends_no_fetch_makes_the_sweeps_no_rarer() -> None:
    sweeps = []
    for count in (0, 3):
        world = make_liars(count, that_provide=False)
        world.holders.clear()
        world.look(lasting=True)
        world.run(300)
        sweeps.append(len([peer for peer in world.asked(Have) if peer == OTHERS[0]]))
    assert sweeps == [3, 3]


def test_who_said_yes_before_is_asked_last_and_is_not_enough() -> None:
    world = World(200)
    world.liars = set(OTHERS[10:13])
    world.index = lambda _member, _key: OTHERS[10:26]
    world.look(lasting=True)
    world.run(1)
    assert world.found() == world.liars
    world.searches._searches[KEY].sweep_at = math.inf  # the index alone
    world.holders[KEY] = set(OTHERS[23:26])
    sent = len(world.sent)
    world.run(5)
    assert world.found() == world.liars | set(OTHERS[23:26])
    again = [send.to for _, send in world.sent[sent:] if isinstance(send.message, Have)]
    assert not set(again[:12]) & world.liars


def test_who_said_yes_is_forgotten_after_a_while_and_only_so_many_are_remembered() -> None:
    world = World(400)
    world.liars = set(OTHERS[:300])
    world.index = lambda _member, _key: []
    world.look(lasting=True)
    world.run(10)
    search = world.searches._searches[KEY]
    assert len(search.tried) == MAX_TRIED
    assert world.searches._tried(search, world.now + REMEMBERED) == frozenset()


def test_liars_that_keep_naming_falsely_are_passed_over_and_the_key_is_found_by_its_index_again() -> None:
    world = World(200)
    liars = set(world.ring.index_members(KEY))
    world.index = lambda member, key: (
        world.rng.sample(world.members, 16) if member in liars else sorted(world.holders.get(key, ()))
    )
    world.holders[KEY] = {next(peer for peer in world.members if peer not in liars)}
    world.look(lasting=True)
    world.run(12)
    charged = {effect.member for effect in world.effects if isinstance(effect, Charged)}
    assert charged == liars
    sent = len(world.sent)
    world.run(30)
    assert {send.to for _, send in world.sent[sent:] if isinstance(send.message, Who)} & liars == set()


def test_lost_packets_do_not_keep_a_key_from_being_found() -> None:
    found = 0
    for seed in range(20):
        world = World(loss=0.1, seed=seed)
        world.holders[KEY] = {OTHERS[7]}
        world.look()
        world.run(5)
        found += bool(world.found())
    assert found == 20


def test_key_that_is_looked_for_twice_is_looked_for_once() -> None:
    world = World()
    world.holders[KEY] = {OTHERS[7]}
    world.look()
    world.look()
    world.run(1)
    assert len(world.asked(Who)) == 3


def test_more_lookups_than_run_at_once_wait_for_their_turn() -> None:
    world = World()
    for key in KEYS:
        world.holders[key] = {OTHERS[7]}
        world.look(key)
    assert len(world.asked(Who)) == 3 * AT_ONCE
    world.run(5)
    assert all(world.found(key) for key in KEYS)


def test_a_thousand_keys_without_members_end_without_deep_recursion() -> None:
    world = World(0)
    for number in range(3000):
        world.look(number.to_bytes(16, "big"))
    world.run(1)
    assert len(world.searches) == 0


def test_search_that_lasts_begins_again_and_finds_who_has_it_by_then() -> None:
    world = World()
    world.look(lasting=True)
    world.run(4)
    (ended,) = world.ended()
    assert ended.again is not None
    assert ended.again - world.now < LOOK_AGAIN
    world.holders[KEY] = {OTHERS[9]}
    world.run(5)
    assert world.found() == {OTHERS[9]}


def test_search_that_lasts_asks_ever_more_rarely_and_sweeps_more_rarely_still() -> None:
    world = World(60)
    world.look(lasting=True)
    world.run(600)
    ends = world.ended()
    assert 9 <= len(ends) <= 16
    assert len(world.asked(Have)) in (3 * 60, 4 * 60)
    said = "asked 3 index members and 60 of 60 members; nobody has it"
    assert {str(end.result) for end in ends} == {said}  # by the last sweep, where only the index was asked again
    assert SWEEP_AGAIN > LOOK_AGAIN


def test_search_begins_at_once_when_a_holder_is_gone_though_ever_more_rarely_where_one_comes_and_goes() -> None:
    world = World()
    world.holders[KEY] = {OTHERS[7]}
    world.look(lasting=True)
    world.run(100)
    begun = [world.now]
    for _ in range(120):
        asked = len(world.asked(Who))
        world._take(world.searches.look_again(KEY, world.now))
        if len(world.asked(Who)) > asked:
            begun.append(world.now)
        world.run(1)
    assert begun[0] == begun[1]
    waits = [then - before for before, then in itertools.pairwise(begun[1:])]
    assert waits == sorted(waits)
    assert 2 <= len(waits) <= 4
    assert waits[0] >= 2 * LOOK_AGAIN
    assert world.searches.look_again(KEYS[0], world.now) == []


def test_search_that_is_stopped_asks_nobody_any_more() -> None:
    world = World(1000)
    world.look(lasting=True)
    world.run(3)
    sent = len(world.sent)
    world._take(world.searches.stop(KEY, world.now))
    world.run(100)
    assert len(world.sent) == sent
    assert KEY not in world.searches
    assert world.ended() == []


def test_search_that_is_released_ends_with_its_lookup() -> None:
    world = World()
    world.look(lasting=True)
    world.searches.release(KEY)
    world.run(10)
    (ended,) = world.ended()
    assert ended.again is None
    assert len(world.searches) == 0


def test_search_for_a_list_begins_at_once_where_another_waits() -> None:
    world = World()
    world.look(lasting=True)
    world.run(4)
    world.look()
    world.run(4)
    assert len(world.ended()) == 2
    assert world.ended()[1].result.asked == 40


def test_list_has_more_holders_than_a_fetch_needs() -> None:
    world = World()
    world.holders[KEY] = set(OTHERS[:12])
    world.look()
    world.run(2)
    assert world.found() == set(OTHERS[:12])
    other = World()
    other.holders[KEY] = set(OTHERS[:12])
    other.look(lasting=True)
    other.run(2)
    assert 3 <= len(other.found()) < 12


def test_list_that_is_asked_for_while_a_fetch_looks_has_all_holders() -> None:
    world = World()
    world.holders[KEY] = set(OTHERS[:12])
    world.look(lasting=True)
    world.look()
    world.run(2)
    short, full = world.ended()
    assert (short.listed, full.listed) == (False, True)
    assert {found.peer for found in full.result.holders} == set(OTHERS[:12])


@pytest.mark.parametrize("how", ["says no", "is silent"])
def test_holder_that_has_it_no_more_is_told_of(how: str) -> None:
    world = World()
    world.holders[KEY] = {OTHERS[7]}
    world.index = lambda _member, _key: [OTHERS[7]]
    world.look(lasting=True)
    world.run(1)
    world.holders[KEY] = set()
    world.silent = {OTHERS[7]} if how == "is silent" else set()
    world.run(20)
    assert [effect.peer for effect in world.effects if isinstance(effect, Denied)] == [OTHERS[7]]
    assert world.ended()[-1].result.holders == ()


def test_sweep_that_asked_nobody_is_made_again_at_the_next_look() -> None:
    world = World(0)
    world.look(lasting=True)
    world.run(1)
    for number, peer in enumerate(OTHERS[:20]):
        world.ring.add(peer, number)
        world.searches.sweep.add(peer)
    world.holders[KEY] = {OTHERS[7]}
    world.index = lambda _member, _key: []
    world.run(8)
    assert world.found() == {OTHERS[7]}


def test_index_member_that_names_falsely_is_charged_and_passed_over() -> None:
    world = World(100)
    liar = world.ring.index_members(KEY)[0]
    world.index = lambda member, key: OTHERS[20:36] if member == liar else sorted(world.holders.get(key, ()))
    world.holders[KEY] = {OTHERS[7]}
    world.look()
    world.run(3)
    charged = [effect for effect in world.effects if isinstance(effect, Charged)]
    assert [effect.member for effect in charged] == [liar]
    assert len(OTHERS[20:36]) >= MARGIN
    sent = len(world.sent)
    world.look()
    world.run(3)
    assert liar not in [send.to for _, send in world.sent[sent:] if isinstance(send.message, Who)]


def test_member_that_is_gone_is_not_waited_for() -> None:
    world = World()
    world.silent = {world.ring.index_members(KEY)[0]}
    world.holders[KEY] = {OTHERS[7]}
    world.look()
    world.run(0.3)
    assert world.ended() == []
    (gone,) = world.silent
    world.ring.discard(gone)
    world.searches.sweep.discard(gone)
    world._take(world.searches.gone(gone, world.now))
    assert len(world.ended()) == 1


def test_answer_from_who_was_not_asked_counts_for_nothing() -> None:
    world = World()
    world.look()
    (_, send), *_ = world.sent
    assert world.searches.asked(OTHERS[39], send.message.number) is None
    assert world.searches.on_having(OTHERS[39], send.message.number, 1, 0.0) is None


def test_progress_says_how_many_were_asked_so_far() -> None:
    world = World(1000)
    world.look()
    assert world.searches.is_looking(KEY)
    world.run(5)
    progress = world.searches.result(KEY)
    assert progress is not None
    assert 200 < progress.asked < 400
    assert progress.members == 1000
    assert world.searches.result(KEYS[0]) is None
