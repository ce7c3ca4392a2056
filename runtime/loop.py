"""All engines of a node on one thread, which spares the interpreter lock's hand-over on every hop.

::

    while running:  handle some messages of each ready engine, fire due timers, poll;  nothing left: wait

* An inbox that gets its first message puts its engine into the ready queue; engines take turns, a few messages each.
* Idle time is spent in the waiter of the engine that polls (transport's sockets), else on a lock.
* Other threads reach the loop by the ready queue and by jobs, then wake it. It sets `sleeping`, looks at both once
  more, and waits; they append first and look at `sleeping` afterwards. So one of the two always sees the other.
* Handlers never block, which is what makes this sound. One that does stalls the node, and the watchdog names it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from . import context
from .engine import Engine, run_in
from .errors import Declined
from .host import HostRuntime
from .reply import Reply
from .timers import Timer, TimerHeap
from .waiter import LockWaiter, Waiter

_TURN = 64  # messages of one engine before the next has its turn


class LoopRuntime(HostRuntime):
    """A runtime of one thread. Use it as a context manager: leaving stops everything in reverse order."""

    def __init__(
        self,
        name: str = "",
        *,
        seed: object = None,
        workers: int = 4,
        stop_timeout: float = 3.0,
        stall_after: float | None = 1.0,
    ) -> None:
        """See `HostRuntime`."""
        super().__init__(name, seed=seed, workers=workers, stop_timeout=stop_timeout, stall_after=stall_after)
        self._ready: deque[Engine[Any]] = deque()
        self._jobs: deque[Callable[[], object]] = deque()
        self._heap = TimerHeap()
        self._done: dict[str, threading.Event] = {}
        self._sleeping = False
        self._leaving = False
        self._waiter: Waiter = LockWaiter()
        self._polled: Engine[Any] | None = None
        self._start_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"{name}-loop", daemon=True)

    def add_timer(self, timer: Timer) -> None:
        """See `Runtime`."""
        self._do(lambda: self._heap.add(timer))

    # Reaching the loop -----------------------------------------------------------------------------------------------

    def _do(self, job: Callable[[], object]) -> None:
        """Run `job` on the loop's thread: now if this is it."""
        if threading.current_thread() is self._thread:
            job()
            return
        self._jobs.append(job)
        with self._start_lock:
            if not self._thread.ident:
                self._thread.start()
        self._rouse()

    def _rouse(self) -> None:
        if self._sleeping:
            self._sleeping = False
            self._waiter.wake()

    def _launch(self, engine: Engine[Any]) -> None:
        started: Reply[None] = Reply()
        self._done[engine.name] = threading.Event()
        self._do(lambda: self._begin(engine, started))
        started.wait()
        if isinstance(error := started.result(), Exception):
            raise error

    def _begin(self, engine: Engine[Any], started: Reply[None]) -> None:
        inbox = engine.mailbox.inbox
        try:
            run_in(engine, engine.on_start)
            self._take_waiter(engine)
        except BaseException as error:
            engine.failure = error
            self._end(engine)
            started.fail(error)
            return

        def ready() -> None:
            self._ready.append(engine)
            self._rouse()

        inbox.wake = ready
        inbox.unpark()
        started.set(None)

    def _take_waiter(self, engine: Engine[Any]) -> None:
        waiter = engine.waiter()
        if waiter is not None:
            if self._polled is not None:
                raise ValueError(
                    f"{self._polled.name} polls already: one engine of a LoopRuntime may, not {engine.name}"
                )
            self._polled, self._waiter = engine, waiter

    # The loop --------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._leaving:
            for _ in range(len(self._ready)):
                self._turn(self._ready.popleft())
            while self._jobs:
                self._jobs.popleft()()
            self._fire()
            more = self._poll()
            if not (more or self._ready or self._jobs):
                self._sleep()
        for engine in reversed(self.engines):  # those that did not end in time, being behind one that was stuck
            done = self._done.get(engine.name)
            if done is not None and not done.is_set():
                self._end(engine)

    def _turn(self, engine: Engine[Any]) -> None:
        """Some messages of one engine; then it is ready again, or parked."""
        inbox = engine.mailbox.inbox
        if self._done[engine.name].is_set():
            return
        if self._guarded(engine, self._handle) and not inbox.stopping:
            if not inbox:
                inbox.parked = True
            if inbox:
                inbox.parked = False
                self._ready.append(engine)
            return
        self._end(engine)

    def _handle(self, engine: Engine[Any]) -> None:
        inbox, handlers = engine.mailbox.inbox, engine.dispatch
        urgent, control, data = inbox.urgent_lane, inbox.control_lane, inbox.data_lane
        for _ in range(_TURN):
            if inbox.stopping:
                return
            if urgent:
                item = urgent.popleft()
            elif control:
                item = control.popleft()
            elif data:
                item = data.popleft()
            else:
                return
            inbox.current = item
            handlers[item.__class__](item)

    def _guarded(self, engine: Engine[Any], action: Callable[[Engine[Any]], object]) -> bool:
        """Run a part of the loop as this engine; False if it failed."""
        context.running.engine = engine
        try:
            action(engine)
        except Declined as error:
            self.declined(engine, engine.mailbox.inbox.current, error)
        except BaseException as error:
            self._failed(engine, engine.mailbox.inbox.current, error)
            return False
        finally:
            context.running.engine = None
        return True

    def _poll(self) -> bool:
        engine = self._polled
        if engine is None:
            return False
        more = False

        def poll(engine: Engine[Any]) -> None:
            nonlocal more
            engine.mailbox.inbox.current = None
            more = engine.poll()

        if not self._guarded(engine, poll):
            self._end(engine)
        return more

    def _fire(self) -> None:
        now = time.monotonic()
        while (timer := self._heap.pop_due(now)) is not None:
            try:
                timer.target.urgent(timer)
            except BaseException as error:
                self._call_failed(timer, error)

    def _sleep(self) -> None:
        deadline = self._heap.next_deadline()
        timeout = None if deadline is None else max(0.0, min(deadline - time.monotonic(), threading.TIMEOUT_MAX))
        waiter = self._waiter
        if self._polled is not None:
            waiter = self._polled.waiter() or waiter
        self._sleeping = True
        if not (self._ready or self._jobs or self._leaving):
            waiter.wait(timeout)
        self._sleeping = False

    def _end(self, engine: Engine[Any]) -> None:
        if engine is self._polled:
            self._polled, self._waiter = None, LockWaiter()
        self._finish(engine)
        self._done[engine.name].set()

    # Stopping --------------------------------------------------------------------------------------------------------

    def _discard_timers(self, engine: Engine[Any]) -> None:
        self._heap.discard(engine.mailbox.inbox)

    def _thread_of(self, engine: Engine[Any]) -> threading.Thread | None:
        return self._thread

    def _stop_engine(self, engine: Engine[Any], deadline: float) -> bool:
        engine.mailbox.inbox.stop()
        done = self._done.get(engine.name)
        return done is None or done.wait(max(0.0, deadline - time.monotonic()))

    def _stop_rest(self, deadline: float) -> None:
        self._leaving = True
        if self._thread.ident:
            self._rouse()
            self._thread.join(max(0.0, deadline - time.monotonic()))  # if it does not end, its engine was named
