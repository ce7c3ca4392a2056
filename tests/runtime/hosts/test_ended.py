"""What a runtime's end is told to."""

from __future__ import annotations

import threading

from rookery.runtime.hosts.host import Ended


def test_whoever_waits_for_the_end_is_told_once_in_order() -> None:
    ended, told = Ended(), list[str]()
    ended.then(lambda: told.append("first"))
    ended.then(lambda: told.append("second"))
    assert told == []
    for _ in range(2):
        ended.set()
    assert ended.is_set()
    assert told == ["first", "second"]


def test_whoever_asks_after_the_end_is_told_at_once() -> None:
    ended, told = Ended(), list[str]()
    ended.set()
    ended.then(lambda: told.append("late"))
    assert told == ["late"]


def test_end_that_is_set_twice_returns_the_second_time_when_all_have_been_told() -> None:
    ended, told = Ended(), list[str]()
    entered, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        assert go_on.wait(10)
        told.append("slow")

    def second_time() -> None:
        ended.set()
        told.append("second")

    ended.then(slow)
    first, second = threading.Thread(target=ended.set), threading.Thread(target=second_time)
    first.start()
    assert entered.wait(10)
    second.start()
    go_on.set()
    for thread in (first, second):
        thread.join(10)
    assert told == ["slow", "second"]


def test_who_is_told_of_the_end_may_set_it_again() -> None:
    ended, told = Ended(), list[str]()
    ended.then(ended.set)
    ended.then(lambda: told.append("told"))
    ended.set()
    assert told == ["told"]
