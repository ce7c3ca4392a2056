"""Signals that end a node, from the first moment of its process on.

Loading takes a second, in which a signal must not be lost: as the first process of a container, none without a handler
has an effect, and elsewhere it would end the process halfway. So `catch` comes before anything else is imported, and
what it caught waits in a pipe until the node can stop in order.

* A handler only writes to the pipe: it may run at any point of the main thread, where no lock can be taken.
* SIGHUP that is ignored, as under `nohup`, stays ignored.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Caught:
    """Signals go to a pipe as long as this lasts. For the main thread."""

    def __init__(self) -> None:
        """From now on."""
        self.read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._before: dict[signal.Signals, Any] = {}
        for number in ENDING:
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._handle)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.wake()

    def wake(self) -> None:
        """As if there had been a signal."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._write_end, b"\0")

    def restore(self, *, ignore: bool) -> None:
        """Handle them as before, or (ignore) not any more. Nobody may wait at the pipe."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if ignore else handler)
        os.close(self.read_end)
        os.close(self._write_end)


_early: Caught | None = None


def catch() -> None:
    """Catch signals for whoever calls `caught` next."""
    global _early  # noqa: PLW0603  # there is one process
    _early = _early or Caught()


def caught() -> Caught:
    """What catches signals since `catch`, else from now on. Who takes it restores it."""
    global _early
    taken, _early = _early or Caught(), None
    return taken
