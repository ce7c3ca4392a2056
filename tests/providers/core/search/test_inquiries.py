"""What is asked for lookups: its pace, its repeats, and whose answers count."""

from __future__ import annotations

from rookery.actors.providers.core.codec import Have
from rookery.actors.providers.core.search import sweep
from rookery.actors.providers.core.search.lookup import PATIENCE

from .world import KEY, OTHERS, World


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


def test_silent_members_are_asked_three_times_and_counted() -> None:
    world = World(60)
    world.silent = set(OTHERS[:5])
    world.look()
    world.run(30)
    (ended,) = world.ended()
    assert (ended.result.asked, ended.result.answered) == (60, 55)
    assert world.asked(Have).count(OTHERS[0]) == 3


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
