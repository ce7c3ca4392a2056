"""The answer to an ask, before and after it is known.

* `get(timeout=...)` blocks, outside engines only. On an engine's thread it would deadlock, so it raises at once; there
  use `self.on_reply(reply, handler)`. In a simulation it steps virtual time.
* `await reply` does the same in an asyncio event loop, whose other tasks go on meanwhile. To cancel the task, or to let
  `asyncio.timeout` end it, ends the waiting and not the reply: who no longer wants the answer calls `cancel()`.
* Each `get` and each `await` of a failed reply raises an error of its own, so that callers share no traceback.
  `result()` hands out the one that is kept, to be looked at; whoever must raise it raises `errors.fresh(it)`.
* `then(callback)` runs the callback where the reply is resolved, or at once if it is already. Keep it short. What it
  raises is logged: it is not the fault of whoever answered.
* A reply is resolved exactly once. What comes later (an answer after a cancel or a time-out) is ignored.
* A reply is never lost: when its last owner on the answering side drops it unanswered, it resolves to `ReplyDropped`.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, cast

import pykka

from ..errors import NoEventLoop, ReplyCancelled, ReplyDropped, ReplyTimeout, RuntimeFault, WouldDeadlock, fresh
from . import context

T = TypeVar("T")
U = TypeVar("U")
J = TypeVar("J")
R = TypeVar("R")

logger = logging.getLogger("rookery")
_PENDING: Any = object()
OptExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class Waits(Protocol):
    """How a thread outside the engines waits for a reply: `Simulation` steps virtual time here."""

    def wait_for(self, reply: Reply[Any], timeout: float | None) -> None:
        """Return when the reply is resolved or `timeout` seconds are over."""


class Reply(pykka.Future[T], Generic[T]):
    """A value that an engine gives later, or the error it gives instead. A `pykka.Future`."""

    __slots__ = ("_callbacks", "_error", "_get_hook", "_lock", "_value", "_waits")

    def __init__(self, waits: Waits | None = None) -> None:
        """`waits` replaces blocking by stepping where there are no threads."""
        self._value: Any = _PENDING
        self._error: Exception | None = None
        self._callbacks: list[Callable[[Reply[T]], object]] | None = None
        self._lock = threading.Lock()
        self._waits = waits
        self._get_hook: Callable[[float | None], T] | None = None  # pykka's `set_get_hook`

    @classmethod
    def of(cls, value: T) -> Reply[T]:
        """A reply that already has its value."""
        reply = cls()
        reply._value = value
        return reply

    @classmethod
    def failed(cls, error: BaseException) -> Reply[T]:
        """A reply that already has its error."""
        reply = cls()
        reply.fail(error)
        return reply

    @property
    def done(self) -> bool:
        """Whether the value or the error is known."""
        return self._value is not _PENDING

    def result(self) -> T | Exception:
        """The value, or the error as a value. Raises LookupError while neither is known."""
        if self._value is _PENDING:
            raise LookupError("this reply is not resolved yet")
        return cast(T, self._value) if self._error is None else self._error

    def set(self, value: T | None = None) -> None:
        """Answer. Ignored if the reply is resolved already."""
        self._resolve(value, None)

    def fail(self, error: BaseException) -> None:
        """Answer with an error. Ignored if the reply is resolved already.

        A `SystemExit` or `KeyboardInterrupt` becomes the cause of a `RuntimeFault`: it must not end the asker's thread.
        So does a `StopIteration`, which no `await` can raise (PEP 479): `get` and `await` raise the same.
        """
        if not isinstance(error, Exception) or isinstance(error, StopIteration):
            fault = RuntimeFault(f"the answering side raised {error!r}")
            fault.__cause__ = error
            error = fault
        self._resolve(None, error)

    def resolve(self, outcome: T | Exception) -> None:
        """Answer with a value, or with an error as a value: what `result` gives, and what `on_reply` hands over."""
        if isinstance(outcome, Exception):
            self.fail(outcome)
        else:
            self.set(outcome)

    def set_exception(self, exc_info: OptExcInfo | None = None) -> None:
        """Pykka's spelling of `fail`; without an argument the exception being handled."""
        error = (exc_info or sys.exc_info())[1]
        self.fail(error if error is not None else RuntimeError("set_exception() outside an except block"))

    def cancel(self) -> None:
        """Say that the answer is no longer wanted: the reply resolves to `ReplyCancelled`."""
        self._resolve(None, ReplyCancelled("cancelled by the asker"))

    def then(self, callback: Callable[[Reply[T]], object]) -> None:
        """Call `callback(self)` when resolved, on the thread that resolves it; at once if that has happened."""
        with self._lock:
            if self._value is _PENDING:
                if self._callbacks is None:
                    self._callbacks = [callback]
                else:
                    self._callbacks.append(callback)
                return
        self._call(callback)

    def forward_to(self, other: Reply[T]) -> None:
        """Resolve `other` as this one is, once it is. Ignored if the other is resolved by then."""
        if self._value is not _PENDING:
            other._resolve(self._value, self._error)
            return

        def forward(reply: Reply[T]) -> None:
            other._resolve(reply._value, reply._error)

        self.then(forward)

    def map(self, func: Callable[[T], U]) -> Reply[U]:
        """A reply with `func(value)`, called once this one is resolved.

        It has this one's error if there is one, or what `func` raised.
        """
        mapped: Reply[U] = Reply(self._waits)

        def pass_on(reply: Reply[T]) -> None:
            if reply._error is not None:
                mapped.fail(reply._error)
                return
            try:
                mapped.set(func(cast(T, reply._value)))
            except Exception as error:
                mapped.fail(error)

        self.then(pass_on)
        return mapped

    def filter(self: Reply[Iterable[J]], func: Callable[[J], bool]) -> Reply[Iterable[J]]:
        """Pykka's: a reply with a list of the items for which `func` is true."""
        return self.map(lambda items: list(filter(func, items)))

    def reduce(self: Reply[Iterable[J]], func: Callable[[R, J], R], *args: R) -> Reply[R]:
        """Pykka's: a reply with what `functools.reduce` makes of the items."""
        return self.map(lambda items: functools.reduce(func, items, *args))

    def join(self: Reply[Any], *futures: pykka.Future[Any]) -> Reply[Iterable[Any]]:
        """Pykka's: a reply with a list of all values, or the error of the first that fails.

        Among futures that are no replies only `get` has it: it waits for one after the other.
        """
        replies = [each for each in (self, *futures) if isinstance(each, Reply)]
        if len(replies) <= len(futures):
            return cast("Reply[Iterable[Any]]", super().join(*futures))
        joined: Reply[Iterable[Any]] = Reply(self._waits)
        values: list[Any] = [_PENDING] * len(replies)

        def one_more(index: int, reply: Reply[Any]) -> None:
            values[index] = reply._value
            if reply._error is not None:
                joined.fail(reply._error)
            elif _PENDING not in values:
                joined.set(values)

        for index, reply in enumerate(replies):
            reply.then(functools.partial(one_more, index))
        return joined

    def get(self, *, timeout: float | None = None) -> T:
        """Wait for the value, at most `timeout` seconds.

        Raises `WouldDeadlock` on an engine's thread, `ReplyTimeout` when the time is over, or the answer's error.
        """
        if self._value is _PENDING and self._get_hook is not None:
            self._resolve(self._get_hook(timeout), None)
        if self._value is _PENDING:
            engine = context.current()
            if engine is not None:
                raise WouldDeadlock(
                    f"get() inside {engine} would wait on the thread that has to answer; "
                    "use self.on_reply(reply, handler) instead"
                )
            if self._waits is not None:
                self._waits.wait_for(self, timeout)
            else:
                self.wait(timeout)
            if self._value is _PENDING:
                raise ReplyTimeout(f"no answer within {timeout} s")
        return self._resolved()

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for the value in an asyncio event loop, which goes on meanwhile.

        Raises the answer's error; `WouldDeadlock` in a handler, `NoEventLoop` where no asyncio loop is running, and
        TypeError for a reply that only `get` can compute (`set_get_hook`). A simulation steps virtual time, which holds
        up the loop.
        """
        if self._value is _PENDING:
            yield from self._in_asyncio()
        return self._resolved()

    __iter__ = __await__

    def _in_asyncio(self) -> Generator[Any, None, None]:
        from asyncio import get_running_loop  # late: most nodes never need it

        if (engine := context.current()) is not None:
            raise WouldDeadlock(
                f"await inside {engine} would hold up the thread that has to answer; "
                "use self.on_reply(reply, handler) instead"
            )
        try:
            loop = get_running_loop()
        except RuntimeError:
            raise NoEventLoop(
                "await needs a running asyncio event loop on this thread; use reply.get() instead"
            ) from None
        if self._get_hook is not None:
            raise TypeError("only get() computes this reply: await asyncio.to_thread(reply.get) instead")
        if self._waits is not None:
            yield  # others first: they may be about to answer
            if self._value is _PENDING:
                self._waits.wait_for(self, None)
            return
        woken = loop.create_future()

        def wake() -> None:
            if not woken.done():  # else the task was cancelled
                woken.set_result(None)

        def resolved(_reply: Reply[T]) -> None:
            try:
                loop.call_soon_threadsafe(wake)
            except RuntimeError:
                pass  # the loop is closed, so nobody waits in it

        self.then(resolved)
        try:
            yield from woken
        finally:
            self._forget(resolved)

    def _resolved(self) -> T:
        if self._error is not None:
            raise fresh(self._error)
        return cast(T, self._value)

    def wait(self, timeout: float | None = None) -> None:
        """Block this thread until resolved, on any thread. For runtimes; others use `get`."""
        resolved = threading.Lock()  # a bare lock: whoever wakes from it finds no second one held
        resolved.acquire()

        def release(_reply: Reply[T]) -> None:
            resolved.release()

        self.then(release)
        try:
            resolved.acquire(timeout=-1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))
        finally:
            self._forget(release)

    def _forget(self, callback: Callable[[Reply[T]], object]) -> None:
        """Whoever looks again and again, each time for a while, leaves nothing behind."""
        with self._lock:
            if self._callbacks is not None and callback in self._callbacks:
                self._callbacks.remove(callback)

    def _call(self, callback: Callable[[Reply[T]], object]) -> None:
        try:
            callback(self)
        except Exception:
            logger.exception("a callback of a reply raised")

    def _resolve(self, value: Any, error: Exception | None) -> None:
        with self._lock:
            if self._value is not _PENDING:
                return
            self._error = error
            self._value = value
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            self._call(callback)

    def __del__(self) -> None:
        """Resolve to `ReplyDropped`: nobody is left who could answer."""
        if getattr(self, "_callbacks", None):
            self._resolve(None, ReplyDropped("the engine dropped this reply without answering it"))

    def __repr__(self) -> str:
        """The state, for logs and failed assertions."""
        if self._value is _PENDING:
            return "<Reply pending>"
        return f"<Reply {self._value!r}>" if self._error is None else f"<Reply failed {self._error!r}>"
