"""The answer to an ask, before and after it is known.

* `get(timeout=...)` blocks, outside engines only. On an engine's thread it would deadlock, so it raises at once; there
  use `self.on_reply(reply, handler)`. In a simulation it steps virtual time.
* `then(callback)` runs the callback where the reply is resolved, or at once if it is already. Keep it short. What it
  raises is logged: it is not the fault of whoever answered.
* A reply is resolved exactly once. What comes later (an answer after a cancel or a time-out) is ignored.
* A reply is never lost: when its last owner on the answering side drops it unanswered, it resolves to `ReplyDropped`.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, cast

import pykka

from . import context
from .errors import ReplyCancelled, ReplyDropped, ReplyTimeout, RuntimeFault, WouldDeadlock

T = TypeVar("T")
U = TypeVar("U")

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
        self._get_hook: Callable[[float | None], T] | None = None  # what pykka's `join` and `filter` build on

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
        """
        if not isinstance(error, Exception):
            fault = RuntimeFault(f"the answering side raised {error!r}")
            fault.__cause__ = error
            error = fault
        self._resolve(None, error)

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

    def map(self, func: Callable[[T], U]) -> Reply[U]:
        """A reply with `func(value)`, called once this one is resolved.

        It has this one's error if there is one, or what `func` raised.
        """
        mapped: Reply[U] = Reply(self._waits)

        def pass_on(reply: Reply[T]) -> None:
            try:
                mapped.set(func(reply._resolved()))
            except Exception as error:
                mapped.fail(error)

        self.then(pass_on)
        return mapped

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

    def _resolved(self) -> T:
        if self._error is not None:
            raise self._error
        return cast(T, self._value)

    def wait(self, timeout: float | None = None) -> None:
        """Block this thread until resolved, on any thread. For runtimes; others use `get`."""
        resolved = threading.Lock()  # a bare lock: whoever wakes from it finds no second one held
        resolved.acquire()
        self.then(lambda _reply: resolved.release())
        resolved.acquire(timeout=-1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))

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
