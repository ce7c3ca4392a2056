"""What an engine does with idle time."""

from __future__ import annotations

import threading
from typing import Protocol

_LONGEST_POLL = 2**31 - 1


def poll_timeout(seconds: float | None) -> float | None:
    """Seconds as the milliseconds of `select.poll`, which takes at most 24 days: who waits longer waits again."""
    return None if seconds is None else min(max(0.0, seconds) * 1000, _LONGEST_POLL)


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
        self._permit.acquire(timeout=-1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))

    def wake(self) -> None:
        """See `Waiter`. Two wakes before one wait are one."""
        try:
            self._permit.release()
        except RuntimeError:
            pass  # the permit is there already
