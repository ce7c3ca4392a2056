"""All searches of a node, against members that answer as a test says."""

from __future__ import annotations

import pytest

from rookery.actors.providers.core.codec import Have, Who
from rookery.actors.providers.core.search.searches import AT_ONCE, Denied

from .world import KEY, KEYS, OTHERS, World


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


@pytest.mark.parametrize(
    "wanted", [pytest.param("a list", marks=pytest.mark.full), "a fetch", "a list of what an application fetches"]
)
def test_person_does_not_wait_for_the_hundreds_of_keys_of_an_application(wanted: str) -> None:
    world = World(300)
    keys = [number.to_bytes(16, "big") for number in range(1, 401)]
    for each in keys:
        world.look(each, lasting=True)
    world.run(20)
    waiting = [each for each in keys if world.waits(each)]
    key = KEY if wanted != "a list of what an application fetches" else waiting[len(waiting) // 2]
    world.holders[key] = {OTHERS[7]}
    world.index = lambda _member, _key: []
    world.look(key, lasting=wanted == "a fetch")
    world.run(15)
    assert world.found(key) == {OTHERS[7]}
    assert sum(map(world.waits, keys)) > 100, "there was enough to wait for"
