"""The heap of timers of a `ThreadRuntime`, and the thread that fires them, started with the first timer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..actor.timers import Target, Timer, TimerHeap


class TimerThread:
    """Fires timers at their deadlines on the monotonic clock."""

    def __init__(self, name: str, failed: Callable[[Timer, BaseException], object]) -> None:
        """failed: told when the function of a `call_after` raised; the other timers go on."""
        self._heap = TimerHeap()
        self._changed = threading.Condition()
        self._stopping = False
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name=f"{name}-timers", daemon=True)

    def add(self, timer: Timer) -> None:
        """Fire `timer` at its deadline; ignored once stopped."""
        with self._changed:
            if self._stopping:
                return
            before = self._heap.next_deadline()
            self._heap.add(timer)
            if before is None or timer.deadline < before:
                self._changed.notify()
            if not self._thread.ident:
                self._thread.start()

    def discard(self, target: Target) -> None:
        """Forget every timer of one engine."""
        with self._changed:
            self._heap.discard(target)

    def stop(self, deadline: float) -> list[str]:
        """Fire nothing more; names the thread if a function it called has not returned by `deadline`."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if not self._thread.ident or self._thread is threading.current_thread():
            return []
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return [self._thread.name] if self._thread.is_alive() else []

    def _run(self) -> None:
        while (timer := self._next()) is not None:
            try:
                timer.target.urgent(timer)
            except BaseException as error:
                self._failed(timer, error)
            del timer

    def _next(self) -> Timer | None:
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                timer = self._heap.pop_due(now)
                if timer is not None:
                    return timer
                deadline = self._heap.next_deadline()
                self._changed.wait(None if deadline is None else min(deadline - now, threading.TIMEOUT_MAX))
            return None
