"""Searches among index members and holders that lie."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from rookery.actors.providers.core.codec import Have, Who
from rookery.actors.providers.core.search.charges import MARGIN
from rookery.actors.providers.core.search.searches import Charged
from rookery.transport import PeerId

from .world import KEY, OTHERS, World

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
    world.searches._searches[KEY].next.sweep_at = math.inf  # the index alone
    world.holders[KEY] = set(OTHERS[23:26])
    sent = len(world.sent)
    world.run(5)
    assert world.found() == world.liars | set(OTHERS[23:26])
    again = [send.to for _, send in world.sent[sent:] if isinstance(send.message, Have)]
    assert not set(again[:12]) & world.liars


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
