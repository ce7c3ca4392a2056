"""Replies by themselves: resolved exactly once, never lost, also what Pykka's futures promise."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterable

import pykka
import pytest

from rookery.runtime import Reply, ReplyCancelled, ReplyDropped, ReplyTimeout, RuntimeFault


def test_reply_is_a_pykka_future() -> None:
    assert isinstance(Reply(), pykka.Future)
    assert list(pykka.get_all([Reply.of(1), Reply.of(2)])) == [1, 2]


def test_get_waits_for_another_threads_answer() -> None:
    reply: Reply[int] = Reply()
    thread = threading.Thread(target=lambda: reply.set(3))
    thread.start()
    assert reply.get(timeout=10) == 3
    thread.join()


def test_get_after_its_time_raises_a_time_out_that_is_a_timeout_error() -> None:
    with pytest.raises(TimeoutError) as error:
        Reply[int]().get(timeout=0.001)
    assert isinstance(error.value, ReplyTimeout)


@pytest.mark.parametrize("resolve", ["set", "fail", "cancel"])
def test_reply_is_resolved_once_and_what_comes_later_is_ignored(resolve: str) -> None:
    reply: Reply[int] = Reply()
    reply.set(1)
    getattr(reply, resolve)(*{"set": (2,), "fail": (OSError(),), "cancel": ()}[resolve])
    assert reply.get() == 1


def test_cancel_resolves_to_cancelled_and_a_later_answer_is_ignored() -> None:
    reply: Reply[int] = Reply()
    reply.cancel()
    reply.set(1)
    with pytest.raises(ReplyCancelled):
        reply.get()


def test_then_calls_each_callback_once_in_order_before_or_after_the_answer() -> None:
    reply: Reply[int] = Reply()
    calls: list[str] = []
    reply.then(lambda _: calls.append("first"))
    reply.then(lambda _: calls.append("second"))
    reply.set(1)
    reply.then(lambda _: calls.append("late"))
    assert calls == ["first", "second", "late"]


def test_then_whose_callback_raises_is_logged_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    reply: Reply[int] = Reply()
    calls: list[int] = []
    reply.then(lambda _: 1 // 0)
    reply.then(lambda done: calls.append(done.get()))
    reply.set(1)
    assert calls == [1]
    assert "a callback of a reply raised" in caplog.text


def test_map_gives_the_functions_value_or_either_error() -> None:
    assert Reply.of(3).map(lambda value: value + 1).get() == 4
    with pytest.raises(OSError, match="disk"):
        Reply[int].failed(OSError("disk")).map(lambda value: value + 1).get()
    with pytest.raises(ZeroDivisionError):
        Reply.of(0).map(lambda value: 1 // value).get()


def test_map_of_a_pending_reply_calls_the_function_once() -> None:
    calls: list[int] = []
    reply: Reply[int] = Reply()
    mapped = reply.map(calls.append)
    reply.set(5)
    assert mapped.get() is None
    assert mapped.get() is None
    assert calls == [5]


def test_dropping_a_reply_unanswered_resolves_what_depends_on_it() -> None:
    reply: Reply[int] = Reply()
    mapped = reply.map(lambda value: value + 1)
    del reply
    gc.collect()
    with pytest.raises(ReplyDropped):
        mapped.get(timeout=10)


def test_dropping_a_reply_that_is_part_of_a_cycle_resolves_it_too() -> None:
    reply: Reply[int] = Reply()
    mapped = reply.map(lambda value: value + 1)
    cycle: list[object] = [reply]
    cycle.append(cycle)
    del reply, cycle
    gc.collect()
    with pytest.raises(ReplyDropped):
        mapped.get(timeout=10)


def test_result_is_the_value_or_the_error_as_a_value() -> None:
    error = OSError("disk")
    assert Reply.of(1).result() == 1
    assert Reply[int].failed(error).result() is error
    with pytest.raises(LookupError):
        Reply[int]().result()


def test_error_that_would_exit_the_process_is_the_cause_of_an_ordinary_one() -> None:
    error = SystemExit(1)
    with pytest.raises(RuntimeFault) as raised:
        Reply[int].failed(error).get()
    assert raised.value.__cause__ is error


def test_set_exception_takes_pykkas_triple_or_the_exception_being_handled() -> None:
    given: Reply[int] = Reply()
    given.set_exception((OSError, OSError("disk"), None))
    handled: Reply[int] = Reply()
    try:
        dict[str, int]()["key"]
    except KeyError:
        handled.set_exception()
    with pytest.raises(OSError, match="disk"):
        given.get()
    with pytest.raises(KeyError):
        handled.get()


def test_join_filter_and_reduce_of_pykka_work() -> None:
    assert list(Reply.of(1).join(Reply.of(2)).get()) == [1, 2]
    numbers: Reply[Iterable[int]] = Reply.of([1, 2, 3])
    assert list(numbers.filter(lambda n: n > 1).get()) == [2, 3]
    assert numbers.reduce(lambda total, n: total + n, 0).get() == 6


def test_repr_shows_the_state() -> None:
    assert repr(Reply()) == "<Reply pending>"
    assert repr(Reply.of(1)) == "<Reply 1>"
    assert repr(Reply.failed(KeyError("x"))) == "<Reply failed KeyError('x')>"
