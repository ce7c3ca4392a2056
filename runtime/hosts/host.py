"""What `ThreadRuntime` and `LoopRuntime` share: real clock, worker pool, stall detector, failing and stopping.

* `stop` ends engines newest first, and is bounded: it names who did not end, and where they are.
* A failing engine stops the others of its runtime, on a thread of its own, and sets `ended`; whoever leaves the
  `with` block gets the failure. Other runtimes in the process do not notice.
* All threads are daemons, so that a stuck engine cannot keep a process alive.
"""

from __future__ import annotations

import abc
import threading
import time
import traceback
from collections.abc import Callable
from sys import _current_frames
from types import TracebackType
from typing import Any, Self, TypeVar

from ..actor import context
from ..actor.engine import Engine
from ..actor.mailbox import Mailbox
from ..actor.reply import Reply
from ..actor.timers import Timer
from ..errors import EngineGone, StopTimeout, WouldDeadlock, fresh
from .base import Call, Runtime
from .stalls import StallDetector
from .timer_thread import TimerThread
from .workers import Workers

T = TypeVar("T")


class Ended(threading.Event):
    """Set once a node-wide stop was asked for, or an engine failed."""

    def __init__(self) -> None:
        """Not yet, and nobody is to be told."""
        super().__init__()
        self._told: list[Callable[[], object]] = []
        self._order = threading.RLock()

    def set(self) -> None:
        """Tell everybody, if it is the first time; who does so later returns when they have been told."""
        with self._order:
            super().set()
            while self._told:
                self._told.pop(0)()

    def then(self, function: Callable[[], object]) -> None:
        """Call a short function once, in whichever thread sets it, or at once if it is set."""
        with self._order:
            if self.is_set():
                function()
            else:
                self._told.append(function)


class HostRuntime(Runtime):
    """A runtime in real time. Use it as a context manager: leaving stops everything in reverse order."""

    def __init__(
        self,
        name: str = "",
        *,
        seed: object = None,
        workers: int = 4,
        stop_timeout: float = 3.0,
        stall_after: float | None = 1.0,
    ) -> None:
        """seed: None takes fresh entropy. workers: threads of the pool. stop_timeout: seconds `__exit__` waits.

        stall_after: seconds after which an engine that does not turn is logged with its stack; None never looks.
        """
        super().__init__(name, time.time_ns() if seed is None else seed)
        self.ended = Ended()
        self._stop_timeout = stop_timeout
        self._stop_lock = threading.Lock()
        self._stopper: threading.Thread | None = None
        self._workers = Workers(name, workers)
        self._timers = TimerThread(name, self._call_failed)
        self._stall_after = stall_after
        self._stall_detector: StallDetector | None = None
        self._set_up()

    @abc.abstractmethod
    def _set_up(self) -> None:
        """Make what the subclass needs beside; the last step of the constructor, which all share."""

    def now(self) -> float:
        """Seconds of the system's monotonic clock."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970 of the system's clock."""
        return time.time()

    def work(
        self,
        function: Callable[..., T],
        *args: object,
        cost: float = 0.0,
        serial: str | None = None,
        abandon: bool = False,
    ) -> Reply[T]:
        """See `Runtime`. `cost` is for simulations. Fails with `EngineGone` once the runtime has stopped."""
        return self._workers.submit(serial, function, args, abandon)

    def drain(self, timeout: float) -> bool:
        """See `Runtime`. Work on the pool counts as waiting; timers that are not due do not."""
        if context.current() is not None:
            raise WouldDeadlock("drain() inside an engine would wait for itself")
        deadline = time.monotonic() + timeout
        idle = 0
        while idle < 2:  # twice, since a message may hop from an engine not yet looked at to one already seen idle
            idle = idle + 1 if self._idle() else 0
            if idle < 2:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.001)
        return True

    def stop(self, timeout: float | None = None) -> None:
        """Stop every engine, newest first, whatever waits; then timers and pool. Safe to call twice.

        timeout: seconds in all. Raises StopTimeout that names what still runs and where; WouldDeadlock in an engine.
        """
        engine = context.current()
        if engine is not None and engine.runtime is self:
            raise WouldDeadlock(f"stop() inside {engine} would wait for itself; set `runtime.ended` instead")
        self.ended.set()
        deadline = time.monotonic() + (self._stop_timeout if timeout is None else timeout)
        with self._stop_lock:
            stuck = self._stop_all(deadline)
        stopper = self._stopper
        if stopper is not None and stopper is not threading.current_thread():
            stopper.join(max(0.0, deadline - time.monotonic()))
        if stuck:
            raise StopTimeout("still running: " + "; ".join(stuck))

    # For subclasses --------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _thread_of(self, engine: Engine[Any]) -> threading.Thread | None:
        """The thread this engine runs on, None before it has one."""

    @abc.abstractmethod
    def _stop_engine(self, engine: Engine[Any], deadline: float) -> bool:
        """Tell the engine to stop and wait until it has, at most until `deadline`; whether it has."""

    def _stop_rest(self, deadline: float) -> None:
        """Stop what else the subclass runs, at most until `deadline`."""

    def _check(self, mailbox: Mailbox, kind: type[Engine[Any]]) -> None:
        super()._check(mailbox, kind)
        if self.ended.is_set():
            raise EngineGone(f"the runtime {self.name!r} is stopping: nothing starts any more")
        if self._stall_detector is None and self._stall_after is not None:
            self._stall_detector = StallDetector(self._inboxes, self.registry, self.log, self._stack, self._stall_after)
            self._look()

    def _failed(self, engine: Engine[Any], item: object, error: BaseException) -> None:
        super()._failed(engine, item, error)
        self._stop_soon()

    def _call_failed(self, timer: Timer, error: BaseException) -> None:
        self.log.error("a timed call failed, the node stops", error=error)
        self._remember(f"{timer!r} failed: {error!r}", error)
        self._stop_soon()

    def _stop_soon(self) -> None:
        self.ended.set()
        if self._stopper is None:
            self._stopper = threading.Thread(target=self._stop_quietly, name=f"{self.name}-stop", daemon=True)
            self._stopper.start()

    def _stop_quietly(self) -> None:
        try:
            self.stop()
        except StopTimeout as error:
            self.log.error("not everything stopped after the failure", error=error)

    def _stop_all(self, deadline: float) -> list[str]:
        stuck = []
        for engine in reversed(self.engines):
            left = max(0.0, deadline - time.monotonic())
            # Half of what is left: one that is stuck must not make those after it look stuck too.
            if not self._stop_engine(engine, time.monotonic() + max(left / 2, 0.01)):
                stuck.append(f"{engine.name} at\n{self._stack(engine.name)}")
        rest = max(deadline, time.monotonic() + 0.01)
        self._stop_rest(rest)
        stuck += [*self._timers.stop(rest), *self._workers.stop(rest)]
        self._close_mailboxes()
        return stuck

    def _stack(self, name: str) -> str:
        for engine in self.engines:
            thread = self._thread_of(engine)
            if engine.name == name and thread is not None:
                frame = _current_frames().get(thread.ident or 0)
                return "".join(traceback.format_stack(frame, limit=3)) if frame else "no frame"
        return "no thread"

    def _idle(self) -> bool:
        return not self._workers.busy and all(_rests(engine.mailbox) for engine in list(self.engines))

    def _look(self) -> None:
        assert self._stall_detector is not None
        now = self.now()
        self._stall_detector.look(now)
        self._timers.add(Timer(now + self._stall_detector.stall_after / 2, 0, Call(self._look), self._calls))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything; then raise the failure of an engine, if one failed and nothing else is being raised."""
        try:
            self.stop()
        except StopTimeout as stuck:
            if error is None and self.failure is None:
                raise
            (error or self.failure or stuck).add_note(str(stuck))
        if error is None and self.failure is not None:
            raise fresh(self.failure)


def _rests(mailbox: Mailbox) -> bool:
    inbox = mailbox.inbox
    return inbox.closed or (inbox.parked and not inbox)
