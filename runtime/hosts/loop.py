"""The engines of a node on one thread, which spares the interpreter lock's hand-over on every hop.

::

    while running:  handle some messages of each ready engine, fire due timers, poll;  nothing left: wait

* An inbox that gets its first message puts its engine into the ready queue; engines take turns, a few messages each.
* Idle time is spent in the waiter of the engine that polls (transport's sockets), else on a lock. Only one waiter can
  be waited in: while there is an engine that polls, each further one has a thread of its own, as in a `ThreadRuntime`.
* Other threads reach the loop by the ready queue and by jobs, then wake it. It sets `sleeping`, looks at both once
  more, and waits; they append first and look at `sleeping` afterwards. So one of the two always sees the other.
* Handlers never block, which is what makes this sound. One that does stalls the node, and the stall detector names it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import get_ident
from typing import Any

from ..actor import context
from ..actor.dispatch import Dispatch
from ..actor.engine import Engine, run_in
from ..actor.inbox import Inbox
from ..actor.reply import Reply
from ..actor.timers import Timer, TimerHeap
from ..actor.waiter import LockWaiter, Waiter
from ..errors import Declined
from .threads import ThreadRuntime

_TURN = 64  # messages of one engine before the next has its turn
_ROUND = 128  # messages of all of them before jobs, timers and sockets have theirs

_Turn = Callable[[], int]
"""Lets one engine handle some messages, and says how many."""
_Lane = deque[object]


class LoopRuntime(ThreadRuntime):
    """A runtime of one thread, and one more for each engine but the first that polls.

    Use it as a context manager: leaving stops everything in reverse order.
    """

    def _set_up(self) -> None:
        super()._set_up()
        self._ready: deque[_Turn] = deque()
        self._jobs: deque[Callable[[], object]] = deque()
        self._heap = TimerHeap()
        self._done: dict[str, threading.Event] = {}
        self._sleeping = False
        self._leaving = False
        self._waiter: Waiter = LockWaiter()
        self._poller: Engine[Any] | None = None  # the one that may poll here
        self._polled: Engine[Any] | None = None  # the same, once it has started
        self._start_lock = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name=f"{self.name}-loop", daemon=True)

    def add_timer(self, timer: Timer) -> None:
        """See `Runtime`."""
        if get_ident() == self._thread.ident:
            self._heap.add(timer)
        else:
            self._do(lambda: self._heap.add(timer))

    # Reaching the loop -----------------------------------------------------------------------------------------------

    def _do(self, job: Callable[[], object]) -> None:
        """Run `job` on the loop's thread: now if this is it."""
        if get_ident() == self._thread.ident:
            job()
            return
        self._jobs.append(job)
        with self._start_lock:
            if not self._thread.ident:
                self._thread.start()
        if self._sleeping:
            self._rouse()

    def _rouse(self) -> None:
        self._sleeping = False
        self._waiter.wake()

    def _launch(self, engine: Engine[Any]) -> None:
        if not self._fits(engine):
            super()._launch(engine)
            return
        started: Reply[None] = Reply()
        self._done[engine.name] = threading.Event()
        self._do(lambda: self._begin(engine, started))
        started.wait()
        started.get()

    def _fits(self, engine: Engine[Any]) -> bool:
        """Whether the loop can wait for this engine too."""
        if type(engine).waiter is Engine.waiter:
            return True
        with self._start_lock:
            self._poller = self._poller or engine
            return self._poller is engine

    def _begin(self, engine: Engine[Any], started: Reply[None]) -> None:
        inbox = engine.mailbox.inbox
        try:
            run_in(engine, engine.on_start)
            if (waiter := engine.waiter()) is not None:
                self._polled, self._waiter = engine, waiter
        except BaseException as error:
            engine.failure = error
            self._end(engine)
            started.fail(error)
            return

        lanes = inbox.urgent_lane, inbox.control_lane, inbox.data_lane
        turn = partial(self._turn, engine, inbox, *lanes, engine.dispatch)

        def ready() -> None:
            self._ready.append(turn)
            if self._sleeping:
                self._rouse()

        inbox.wake = ready
        inbox.unpark()
        started.set(None)

    # The loop --------------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._leaving:
            self._round()
            while self._jobs:
                self._jobs.popleft()()
            self._fire()
            if not (self._poll() or self._ready or self._jobs):
                self._sleep()
                self._poll()  # what ended the sleep, most likely
        for engine in reversed(self.engines):  # those that did not end in time, being behind one that was stuck
            done = self._done.get(engine.name)
            if done is not None and not done.is_set():
                self._end(engine)

    def _round(self) -> None:
        """Engines that are ready have their turns, until enough messages were handled."""
        ready, left = self._ready, _ROUND
        while ready and left > 0:
            left -= ready.popleft()()
        context.running.engine = None

    def _turn(
        self, engine: Engine[Any], inbox: Inbox, urgent: _Lane, control: _Lane, data: _Lane, handlers: Dispatch
    ) -> int:
        """Some messages of one engine; then it is ready again, or parked. Each line here is paid per hop."""
        if inbox.closed:
            return 0
        handled = 0
        inbox.turn = _TURN
        context.running.engine = engine
        try:
            while handled < inbox.turn and not inbox.stopping:
                if urgent:
                    item = urgent.popleft()
                elif control:
                    item = control.popleft()
                elif data:
                    item = data.popleft()
                else:
                    break
                handled += 1
                inbox.current = item
                handlers[item.__class__](item)
        except BaseException as error:
            self._raised(engine, error)
        if inbox.stopping and not inbox.closed:
            self._end(engine)
        inbox.parked = not (urgent or control or data)
        if urgent or control or data:
            inbox.unpark()
        return handled if inbox.turn else _ROUND  # a slice of long work takes the rest of the round with it

    def _raised(self, engine: Engine[Any], error: BaseException) -> None:
        item = engine.mailbox.inbox.current
        if isinstance(error, Declined):
            self.declined(engine, item, error)
        else:
            self._failed(engine, item, error)
            self._end(engine)

    def _poll(self) -> bool:
        """Let the engine that polls do so; whether there may be more."""
        engine = self._polled
        if engine is None:
            return False
        engine.mailbox.inbox.current = None
        context.running.engine = engine
        more = False
        try:
            more = engine.poll()
        except BaseException as error:
            self._raised(engine, error)
        context.running.engine = None
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
        if engine is self._poller:
            self._poller, self._polled, self._waiter = None, None, LockWaiter()
        self._finish(engine)
        self._done[engine.name].set()

    # Stopping --------------------------------------------------------------------------------------------------------

    def _discard_timers(self, engine: Engine[Any]) -> None:
        self._do(lambda: self._heap.discard(engine.mailbox.inbox))

    def _thread_of(self, engine: Engine[Any]) -> threading.Thread | None:
        return super()._thread_of(engine) or self._thread

    def _stop_engine(self, engine: Engine[Any], deadline: float) -> bool:
        done = self._done.get(engine.name)
        if done is None:
            return super()._stop_engine(engine, deadline)
        engine.mailbox.inbox.stop()
        return done.wait(max(0.0, deadline - time.monotonic()))

    def _stop_rest(self, deadline: float) -> None:
        self._leaving = True
        if self._thread.ident:
            if self._sleeping:
                self._rouse()
            self._thread.join(max(0.0, deadline - time.monotonic()))  # if it does not end, its engine was named
