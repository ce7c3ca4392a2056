"""What an engine does with idle time."""

from __future__ import annotations

import threading
from typing import Protocol


class Waiter(Protocol):
    """What an engine does with idle time. Transport supplies one that also waits on its sockets."""

    def wait(self, timeout: float | None) -> None:
        """Return after `wake()` (also one that came before), after `timeout` seconds, or for no reason."""

    def wake(self) -> None:
        """End the present or the next `wait`. Callable from any thread."""


class LockWaiter:
    """Waits on a lock that `wake` releases: the cheapest wake-up that `threading` has."""

    __slots__ = ("_permit",)

    def __init__(self) -> None:
        """Without a permit: the first `wait` waits."""
        self._permit = threading.Lock()
        self._permit.acquire()

    def wait(self, timeout: float | None) -> None:
        """See `Waiter`."""
        self._permit.acquire(timeout=-1 if timeout is None else max(0.0, timeout))

    def wake(self) -> None:
        """See `Waiter`. Two wakes before one wait are one."""
        try:
            self._permit.release()
        except RuntimeError:
            pass  # the permit is there already
