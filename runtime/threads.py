"""Engines on threads: Pykka's own way. One thread per engine, one for timers, a small pool for slow work.

The threads are daemons, so that a stuck engine cannot keep a process alive; `stop` waits for them, in the reverse order
of their start, at most the given time, and names who was stuck.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from sys import _current_frames
from types import TracebackType
from typing import Any, Self, TypeVar

from . import context
from .base import Runtime
from .engine import Engine
from .errors import StopTimeout
from .inbox import Inbox, LockWaiter, Waiter
from .reply import Reply
from .timers import Timer, TimerHeap

T = TypeVar("T")

_POLL_EVERY = 64  # messages between two looks at what an engine polls


class ThreadRuntime(Runtime):
    """A runtime of threads. Use it as a context manager: leaving stops everything in reverse order."""

    def __init__(self, name: str = "", *, seed: object = None, workers: int = 4, stop_timeout: float = 3.0) -> None:
        """seed: None takes fresh entropy. workers: threads of the pool. stop_timeout: seconds `__exit__` waits."""
        super().__init__(name, time.time_ns() if seed is None else seed)
        self.ended = threading.Event()  # set once a node-wide stop was asked for or an engine failed
        self._stop_timeout = stop_timeout
        self._threads: dict[str, threading.Thread] = {}
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"{name}-work")
        self._timers = _TimerThread(name)

    def now(self) -> float:
        """Seconds of the system's monotonic clock."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970 of the system's clock."""
        return time.time()

    def add_timer(self, timer: Timer) -> None:
        """See `Runtime`."""
        self._timers.add(timer)

    def work(self, function: Callable[..., T], *args: object, cost: float = 0.0) -> Reply[T]:
        """See `Runtime`. `cost` is for simulations."""
        reply: Reply[T] = Reply()

        def run() -> None:
            try:
                reply.set(function(*args))
            except BaseException as error:
                reply.fail(error)

        try:
            self._pool.submit(run)
        except RuntimeError as error:  # the pool is shut down
            reply.fail(error)
        return reply

    def stop(self, timeout: float | None = None) -> None:
        """Stop every engine, newest first; then timers and pool. Safe to call twice.

        timeout: seconds in all. Raises StopTimeout that names the engines still running and where they are.
        """
        deadline = time.monotonic() + (self._stop_timeout if timeout is None else timeout)
        self.ended.set()
        stuck = [engine for engine in reversed(self.engines) if not self._stop_one(engine, deadline)]
        self._timers.stop()
        self._pool.shutdown(wait=not stuck, cancel_futures=True)
        for mailbox in self._mailboxes:
            mailbox.inbox.close()
        if stuck:
            raise StopTimeout("still running: " + "; ".join(self._where(engine) for engine in stuck))

    def _stop_one(self, engine: Engine[Any], deadline: float) -> bool:
        engine.mailbox.inbox.stop()
        thread = self._threads[engine.mailbox.name]
        thread.join(max(0.0, deadline - time.monotonic()))
        return not thread.is_alive()

    def _where(self, engine: Engine[Any]) -> str:
        thread = self._threads[engine.mailbox.name]
        frame = _current_frames().get(thread.ident or 0)
        place = "".join(traceback.format_stack(frame, limit=3)) if frame else "no frame"
        return f"{engine.name} at\n{place}"

    def _launch(self, engine: Engine[Any]) -> None:
        started: Reply[None] = Reply()
        thread = threading.Thread(target=self._run, args=(engine, started), daemon=True, name=str(engine.actor_urn))
        self._threads[engine.mailbox.name] = thread
        thread.start()
        started._block(None)  # noqa: SLF001  # start may be called inside an engine: on_start is another thread's
        if isinstance(error := started.result(), Exception):
            raise error

    def _run(self, engine: Engine[Any], started: Reply[None]) -> None:
        context.running.engine = engine
        try:
            engine.on_start()
        except BaseException as error:
            engine.failure = error
            self._finish(engine)
            started.fail(error)
            return
        own = engine.waiter()  # made by on_start, on this thread
        waiter = own or LockWaiter()
        engine.mailbox.inbox.wake = waiter.wake
        started.set(None)
        try:
            (_turns if own is None else _polled_turns)(engine, waiter)
        except BaseException as error:
            self._failed(engine, engine.mailbox.inbox.current, error)
            self.ended.set()
        self._finish(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything; then raise the failure of an engine, if one failed and nothing else is being raised."""
        self.stop()
        if error is None and self.failure is not None:
            raise self.failure


def _turns(engine: Engine[Any], waiter: Waiter) -> None:
    """Handle messages until told to stop. The innermost loop of a node: each line here is paid per message."""
    inbox = engine.mailbox.inbox
    urgent, control, data = inbox.urgent_lane, inbox.control_lane, inbox.data_lane
    handlers = engine.dispatch
    while not inbox.stopping:
        if urgent:
            item = urgent.popleft()
        elif control:
            item = control.popleft()
        elif data:
            item = data.popleft()
        else:
            _park(inbox, waiter)
            continue
        inbox.current = item
        handlers[item.__class__](item)


def _polled_turns(engine: Engine[Any], waiter: Waiter) -> None:
    """As `_turns`, for an engine that also polls: after each few messages, and before it parks."""
    inbox = engine.mailbox.inbox
    while not inbox.stopping:
        for _ in range(_POLL_EVERY):
            item = inbox.take()
            if item is None or inbox.stopping:
                break
            inbox.current = item
            engine.handle(item)
        if not engine.poll() and not inbox:
            _park(inbox, waiter)


def _park(inbox: Inbox, waiter: Waiter) -> None:
    inbox.parked = True
    if not inbox and not inbox.stopping:
        waiter.wait(None)
    inbox.parked = False


class _TimerThread:
    """The heap of timers and the thread that fires them, started with the first timer."""

    def __init__(self, name: str) -> None:
        self._heap = TimerHeap()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"{name}-timers", daemon=True)

    def add(self, timer: Timer) -> None:
        with self._changed:
            if self._stopping:
                return
            before = self._heap.next_deadline()
            self._heap.add(timer)
            if before is None or timer.deadline < before:
                self._changed.notify()
            if not self._thread.is_alive():
                self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                now = time.monotonic()
                timer = self._heap.pop_due(now)
                if timer is None:
                    deadline = self._heap.next_deadline()
                    self._changed.wait(None if deadline is None else deadline - now)
                    continue
                if timer.interval is not None:
                    self._heap.add(timer.next(now))
            timer.target.urgent(timer)
