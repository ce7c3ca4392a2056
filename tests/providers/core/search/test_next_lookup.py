"""When a search looks again, and what it remembers until then."""

from __future__ import annotations

import itertools

from rookery.actors.providers.core.codec import Have, Who
from rookery.actors.providers.core.search.lookup import MAX_CHECKS, Result
from rookery.actors.providers.core.search.next_lookup import (
    LOOK_AGAIN,
    MAX_TRIED,
    REMEMBERED,
    SWEEP_AGAIN,
    NextLookup,
)

from .world import KEY, KEYS, OTHERS, World


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


def test_who_said_yes_is_forgotten_after_a_while_and_only_so_many_are_remembered() -> None:
    known = NextLookup()
    for number, peer in enumerate(OTHERS[:300]):
        known.said_yes(peer, 0.01 * number)
    assert known.tried(3.0) == frozenset(OTHERS[300 - MAX_TRIED : 300])
    assert known.said_no(OTHERS[299])
    assert not known.said_no(OTHERS[0])
    assert known.tried(3.0) == frozenset(OTHERS[300 - MAX_TRIED : 299])
    assert known.tried(3.0 + REMEMBERED) == frozenset()


def test_holder_that_was_named_and_did_not_answer_is_named_in_each_result_until_it_answers() -> None:
    world = World()
    holder = next(peer for peer in OTHERS if peer not in world.ring.index_members(KEY))
    world.holders[KEY] = world.silent = {holder}
    world.look(lasting=True)
    world.run(11)
    world.index = lambda _member, _key: []
    world.run(12)
    first, *later = world.ended()
    silent = f"nobody that answered has it; {holder.short} was named and did not answer"
    assert str(first.result) == f"asked 3 index members and 40 of 40 members (1 did not answer); {silent}"
    assert [str(end.result).endswith(silent) for end in later] == [True]
    world.holders, world.silent = {}, set()
    world.run(70)
    assert str(world.ended()[-1].result).endswith("40 of 40 members; nobody has it")


def test_only_so_many_that_did_not_answer_are_remembered_and_not_for_ever() -> None:
    next_lookup = NextLookup()
    for batch in range(3):
        silent = tuple(OTHERS[batch * MAX_CHECKS : (batch + 1) * MAX_CHECKS])
        said = next_lookup.ended(Result(silent=silent), 0.0, float(batch))
        assert said.silent == silent
    assert next_lookup.ended(Result(), 0.0, 1.0 + REMEMBERED).silent == silent
    assert next_lookup.ended(Result(), 0.0, 2.0 + REMEMBERED).silent == ()
