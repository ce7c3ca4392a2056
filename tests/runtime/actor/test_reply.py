"""Replies by themselves: resolved exactly once, never lost, also what Pykka's futures promise."""

from __future__ import annotations

import gc
import threading
import traceback
import weakref
from collections.abc import Iterable

import pykka
import pytest

from rookery.runtime import (
    Reply,
    ReplyCancelled,
    ReplyDropped,
    ReplyTimeout,
    RuntimeFault,
)
from rookery.runtime.errors import fresh


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


def test_join_has_the_first_error_and_never_waits_for_a_reply_that_was_dropped() -> None:
    first, second = Reply[int](), Reply[int]()
    joined = first.join(second)
    second.fail(OSError("disk"))
    with pytest.raises(OSError, match="disk"):
        joined.get(timeout=0)
    kept, dropped = Reply[int](), Reply[int]()
    joined = kept.join(dropped)
    del dropped
    gc.collect()
    with pytest.raises(ReplyDropped):
        joined.get(timeout=0)


def test_join_with_a_future_that_is_no_reply_is_had_by_get() -> None:
    future: pykka.Future[int] = pykka.ThreadingFuture()
    future.set(2)
    assert list(Reply.of(1).join(future).get()) == [1, 2]


def test_forward_to_resolves_the_other_as_this_one_once_it_is() -> None:
    asked, other, failed = Reply[int](), Reply[int](), Reply[int]()
    asked.forward_to(other)
    assert not other.done
    asked.set(3)
    assert other.get(timeout=0) == 3
    Reply[int].failed(OSError("disk")).forward_to(failed)
    with pytest.raises(OSError, match="disk"):
        failed.get(timeout=0)


def test_forward_to_a_reply_that_is_resolved_changes_nothing() -> None:
    asked, other = Reply[int](), Reply[int].of(1)
    asked.forward_to(other)
    asked.set(2)
    assert other.get(timeout=0) == 1


def test_forward_to_passes_on_that_nobody_will_answer() -> None:
    other: Reply[int] = Reply()
    Reply[int]().forward_to(other)
    with pytest.raises(ReplyDropped):
        other.get(timeout=0)


def test_resolve_takes_a_value_or_an_error_as_a_value() -> None:
    answered, failed = Reply[int](), Reply[int]()
    answered.resolve(3)
    failed.resolve(OSError("disk"))
    assert answered.get(timeout=0) == 3
    with pytest.raises(OSError, match="disk"):
        failed.get(timeout=0)


def test_waiting_again_and_again_leaves_nothing_behind() -> None:
    reply: Reply[int] = Reply()
    for _ in range(100):
        with pytest.raises(ReplyTimeout):
            reply.get(timeout=0)
    assert not reply._callbacks


# Errors that several callers get -------------------------------------------------------------------------------------


class Marked:
    """Something that a caller's frame refers to."""


def failing_get(reply: Reply[int], marks: list[weakref.ref[Marked]]) -> Exception:
    mark = Marked()
    marks.append(weakref.ref(mark))
    with pytest.raises(OSError, match="disk") as raised:
        reply.get()
    return raised.value


def test_failed_reply_asked_many_times_raises_each_time_alike_and_keeps_no_callers_frame() -> None:
    def answer(reply: Reply[int]) -> None:
        try:
            raise OSError("disk")
        except OSError as error:
            reply.fail(error)

    reply: Reply[int] = Reply()
    answer(reply)
    marks: list[weakref.ref[Marked]] = []
    lengths = [len(traceback.extract_tb(failing_get(reply, marks).__traceback__)) for _ in range(213)]
    assert set(lengths) == {4}, "answer, get, _resolved, and this file's caller"
    gc.collect()
    assert [mark() for mark in marks] == [None] * 213
    kept = reply.result()
    assert isinstance(kept, OSError)
    assert [frame.name for frame in traceback.extract_tb(kept.__traceback__)] == ["answer"]


def test_failed_reply_raises_apart_for_each_caller_what_they_handle_and_note() -> None:
    reply: Reply[int] = Reply.failed(OSError("disk"))
    first, second = failing_get(reply, []), failing_get(reply, [])
    first.add_note("mine")
    first.__context__ = KeyError("what the first was handling")
    assert first is not second
    assert not hasattr(second, "__notes__")
    assert second.__context__ is None


class Declared(OSError):
    __slots__ = ("kept",)

    def __init__(self, where: str, *, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.kept = where
        self.why = why


class Stubborn(Exception):
    def __init__(self) -> None:
        super().__init__("no copies")
        vars(self)["text"] = "shadowed, so that nobody can set it"

    @property
    def text(self) -> str:
        return "fixed"


def unreadable() -> UnicodeDecodeError:
    with pytest.raises(UnicodeDecodeError) as raised:
        b"\xff".decode()
    return raised.value


@pytest.mark.parametrize(
    "error",
    [
        Declared("disk", why="full"),
        FileNotFoundError(2, "No such file", "a", None, "b"),
        KeyError("key"),
        unreadable(),
        ImportError("no", name="module", path="file"),
        ExceptionGroup("several", [OSError("disk"), KeyError("key")]),
        StopIteration(7),
        SyntaxError("bad", ("file", 1, 2, "text")),
        ReplyTimeout("late"),
        SystemExit(3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_fresh_error_is_an_equal_of_the_one_that_is_kept(error: BaseException) -> None:
    error.__cause__ = OSError("cause")
    error.add_note("note")
    copy = fresh(error)
    assert copy is not error
    assert (type(copy), copy.args, str(copy), copy.__cause__) == (type(error), error.args, str(error), error.__cause__)
    assert copy.__notes__ == ["note"]
    for name in (
        "errno",
        "filename",
        "filename2",
        "kept",
        "why",
        "name",
        "path",
        "exceptions",
        "value",
        "lineno",
        "code",
    ):
        assert getattr(copy, name, None) == getattr(error, name, None)


def test_error_that_cannot_be_copied_is_raised_itself_each_time_with_a_new_traceback() -> None:
    reply: Reply[int] = Reply.failed(Stubborn())
    lengths = set()
    for _ in range(5):
        with pytest.raises(Stubborn) as raised:
            reply.get()
        lengths.add(len(traceback.extract_tb(raised.value.__traceback__)))
    assert lengths == {3}


def test_repr_shows_the_state() -> None:
    assert repr(Reply()) == "<Reply pending>"
    assert repr(Reply.of(1)) == "<Reply 1>"
    assert repr(Reply.failed(KeyError("x"))) == "<Reply failed KeyError('x')>"
