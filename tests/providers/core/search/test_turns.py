"""Whose search has its turn."""

from __future__ import annotations

import math

from rookery.actors.providers.core.search.next_lookup import LONGEST
from rookery.actors.providers.core.search.turns import Turns

OLD, NEW = b"old", b"new"


def test_nobody_has_a_turn_without_room() -> None:
    turns = Turns(2)
    turns.new(NEW, 5.0)
    assert (turns.next_at(2), turns.take(2, 5.0)) == (math.inf, None)
    assert (turns.next_at(1), turns.take(1, 5.0)) == (5.0, (NEW, True))
    assert (len(turns), turns.next_at(0)) == (0, math.inf)


def test_new_key_is_before_those_that_were_looked_for_and_they_wait_a_minute() -> None:
    turns = Turns(1)
    turns.again(OLD, 5.0)
    turns.new(NEW, 9.0)
    assert turns.take(0, 9.0) == (NEW, True)
    assert turns.take(0, 9.0) is None
    assert turns.next_at(0) == 5.0 + LONGEST
    assert turns.take(0, 5.0 + LONGEST) == (OLD, False)


def test_key_that_is_wanted_no_more_has_no_turn() -> None:
    turns = Turns(1)
    turns.new(NEW, 5.0)
    assert NEW in turns
    assert turns.leave(NEW)
    assert not turns.leave(NEW)
    assert turns.take(0, 5.0) is None


def test_key_that_was_looked_for_has_its_turn_though_others_are_new_all_the_time() -> None:
    turns = Turns(1)
    turns.again(OLD, 0.0)
    taken = []
    for number in range(8):
        turns.new(bytes([number]), LONGEST)
        turns.new(bytes([number, 0]), LONGEST)
        taken.append(turns.take(0, LONGEST))
    assert taken.index((OLD, False)) == 3
    assert (bytes([0]), True) in taken, "nor is the oldest of the new ones put off for ever"
