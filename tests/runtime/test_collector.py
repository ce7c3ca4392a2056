"""What survives a long collection is frozen, and thawed at the end."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from rookery.runtime.collector import short_pauses


class Thing:
    """Something that can be in a cycle."""

    def __init__(self) -> None:
        self.other: Thing | None = None


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    assert gc.get_freeze_count() == 0
    yield
    assert gc.get_freeze_count() == 0


def test_survivors_of_a_long_collection_are_frozen_until_the_end() -> None:
    with short_pauses(long=0.0):
        gc.collect(1)
        assert gc.get_freeze_count() == 0  # not a full one
        gc.collect()
        assert gc.get_freeze_count() > 10_000


def test_short_collection_freezes_nothing() -> None:
    with short_pauses(long=1000.0):
        gc.collect()
        assert gc.get_freeze_count() == 0


def test_dead_cycle_is_freed_and_not_frozen() -> None:
    one = Thing()
    one.other = Thing()
    one.other.other = one
    gone = weakref.ref(one)
    with short_pauses(long=0.0):
        del one
        gc.collect()
        assert gone() is None


def test_frozen_object_without_a_cycle_is_freed_when_nobody_has_it() -> None:
    with short_pauses(long=0.0):
        one = Thing()
        gone = weakref.ref(one)
        gc.collect()
        del one
        assert gone() is None


def test_nobody_listens_after_the_end() -> None:
    before = list(gc.callbacks)
    with short_pauses(), short_pauses():
        assert len(gc.callbacks) == len(before) + 2
    assert gc.callbacks == before
