"""Threads for slow work: a few that share one queue, and one more for each named series.

Daemon threads, so that a worker stuck in a system call can delay neither `stop` beyond its time nor the end of the
process; `concurrent.futures` would do both. They start when there is something to do, and end when there has been
nothing for `IDLE` seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ..actor.reply import Reply
from ..errors import EngineGone

IDLE = 10.0
"""Seconds without work after which a thread ends."""

T = TypeVar("T")
_Job = tuple[Callable[..., Any], tuple[object, ...], Reply[Any]]


class Worker(threading.Thread):
    """A thread of a pool. pool_since: when that was made, by the monotonic clock."""

    pool_since: float


class WorkerPool:
    """Runs functions on at most `size` threads; results come back as replies."""

    def __init__(self, name: str, size: int, *, abandon: bool = False) -> None:
        """name: of the threads. abandon: whether `stop` leaves what runs to itself."""
        self._name = name
        self._abandon = abandon
        self._size = size
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[Worker] = []
        self._waiting = 0
        self._running: dict[Worker, _Job] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._since = time.monotonic()

    def submit(self, function: Callable[..., T], args: tuple[object, ...]) -> Reply[T]:
        """Run `function(*args)`; fails with `EngineGone` once the pool has stopped."""
        reply: Reply[T] = Reply()
        with self._lock:
            if not self._stopping:
                self._waiting += 1
                self._jobs.put((function, args, reply))
                if self._waiting + len(self._running) > len(self._threads) < self._size:
                    self._start_thread()
                return reply
        reply.fail(EngineGone(f"{self._name} has stopped: {function!r} was not run"))
        return reply

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        with self._lock:
            return bool(self._running or self._waiting)

    def stop(self, deadline: float) -> list[str]:
        """Drop what waits, and wait until `deadline` on the monotonic clock for what runs; names what still does."""
        with self._lock:
            self._stopping = True
            threads = self._threads.copy()
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is not None:
                job[2].fail(EngineGone(f"{self._name} has stopped: {job[0]!r} was not run"))
        for _thread in threads:
            self._jobs.put(None)
        if self._abandon:
            return []
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [f"{thread.name} running {job[0]!r}" for thread, job in list(self._running.items()) if thread.is_alive()]

    def _start_thread(self) -> None:
        taken = {thread.name for thread in self._threads}
        name = next(name for number in count(1) if (name := f"{self._name}-{number}") not in taken)
        thread = Worker(target=self._run, name=name, daemon=True)
        thread.pool_since = self._since
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        thread = threading.current_thread()
        assert isinstance(thread, Worker)
        while (job := self._next(thread)) is not None:
            function, args, reply = job
            with self._lock:
                self._waiting -= 1
                self._running[thread] = job
            try:
                reply.set(function(*args))
            except BaseException as error:
                reply.fail(error)
            with self._lock:
                del self._running[thread]
            del job, function, args, reply  # nothing of a finished job is kept alive while waiting for the next

    def _next(self, thread: Worker) -> _Job | None:
        """What to do next; None to end. Who ends is no thread of the pool when the next job looks for one."""
        while True:
            try:
                return self._jobs.get(timeout=IDLE)
            except Empty:
                with self._lock:
                    if not (self._waiting or self._stopping):
                        self._threads.remove(thread)
                        return None


class Workers:
    """The pool of one runtime and the threads of its named series."""

    def __init__(self, name: str, size: int) -> None:
        """name: of the threads. size: of the shared pool."""
        self._name = name
        self._shared = WorkerPool(f"{name}-work", size)
        self._series: dict[str, WorkerPool] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def submit(
        self, serial: str | None, function: Callable[..., T], args: tuple[object, ...], abandon: bool = False
    ) -> Reply[T]:
        """Run on the shared pool, or after all earlier calls of the series. abandon: see `WorkerPool`."""
        if serial is None:
            return self._shared.submit(function, args)
        with self._lock:
            pool = self._series.get(serial)
            if pool is None:
                pool = self._series[serial] = WorkerPool(f"{self._name}-{serial}", 1, abandon=abandon)
                if self._stopped:
                    pool.stop(0.0)
        return pool.submit(function, args)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return any(pool.busy for pool in self._pools())

    def stop(self, deadline: float) -> list[str]:
        """See `WorkerPool.stop`; all series and the pool."""
        with self._lock:
            self._stopped = True
        return [text for pool in self._pools() for text in pool.stop(deadline)]

    def _pools(self) -> list[WorkerPool]:
        with self._lock:
            return [self._shared, *self._series.values()]
