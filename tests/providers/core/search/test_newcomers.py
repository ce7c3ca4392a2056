"""Members that come while keys are looked for."""

from __future__ import annotations

import math

from rookery.actors.providers.core.codec import Have
from rookery.actors.providers.core.search.newcomers import BURST, MAX_WAITING, RATE, SETTLES
from rookery.actors.providers.core.search.sweep import MAX_KEYS
from rookery.transport import PeerId

from .world import KEY, KEYS, OTHERS, World

NEWCOMER = OTHERS[50]


def comes(world: World, peer: PeerId) -> None:
    world.ring.add(peer, 1000)
    world.searches.sweep.add(peer)
    world.searches.came(peer, world.now)


def waiting() -> tuple[World, int]:
    """A search between two rounds, and how many were asked whether they have its key."""
    world = World()
    world.look(lasting=True)
    world.run(4)
    assert world.ended()
    return world, len(world.asked(Have))


def test_member_that_comes_while_a_key_is_waited_for_is_asked_soon_and_alone() -> None:
    world, before = waiting()
    world.holders[KEY] = {NEWCOMER}
    comes(world, NEWCOMER)
    world.run(SETTLES + 0.2)
    assert world.found() == {NEWCOMER}
    assert world.asked(Have)[before:] == [NEWCOMER]


def test_answer_of_a_newcomer_counts_for_the_lookup_that_runs_by_then() -> None:
    world, _ = waiting()
    world.index = lambda _member, _key: []
    world.latency = 1.0
    comes(world, NEWCOMER)
    world.run(SETTLES + 0.1)
    world.holders[KEY] = {NEWCOMER}
    world._take(world.searches.look_again(KEY, world.now + 100))
    world.run(2.5)
    assert world.found() == {NEWCOMER}


def test_newcomer_that_is_gone_or_comes_where_nothing_is_waited_for_is_not_asked() -> None:
    world, before = waiting()
    comes(world, NEWCOMER)
    world._take(world.searches.gone(NEWCOMER, world.now))
    world.run(SETTLES + 0.2)
    assert world.asked(Have)[before:] == []
    idle = World()
    comes(idle, NEWCOMER)
    assert idle.searches.wake_at(0.0) == math.inf


def test_storm_of_joins_is_none_of_questions() -> None:
    world = World(0)
    for key in KEYS[:100]:
        world.look(key, lasting=True)
    world.run(0)
    for peer in OTHERS[: 2 * MAX_WAITING]:
        world.searches.came(peer, world.now)
    world.run(SETTLES + 2)
    sent = [send.message for _, send in world.sent if isinstance(send.message, Have)]
    assert len(sent) == BURST + 2 * RATE
    assert {len(have.hashes) for have in sent} == {MAX_KEYS}
    assert len({hashed for have in sent for hashed in have.hashes}) > 2 * MAX_KEYS
    world.run(2 * MAX_WAITING / RATE)
    assert len(set(world.asked(Have))) == MAX_WAITING
