"""What became of the engine behind a mailbox, and who wants to know.

Each watcher is told `Terminated(mailbox, reason)` exactly once: when the engine ends, or at once if it has ended.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .message import Message

if TYPE_CHECKING:
    from .mailbox import Mailbox


@dataclass(frozen=True, slots=True)
class Terminated(Message):
    """The engine behind `mailbox` is gone. reason: None for an orderly stop, else the exception that ended it."""

    mailbox: Mailbox
    reason: BaseException | None


class Fate:
    """Whether one mailbox's engine has ended, and why."""

    __slots__ = ("_lock", "_mailbox", "_watchers", "ended", "reason")

    def __init__(self, mailbox: Mailbox) -> None:
        """Not ended."""
        self._mailbox = mailbox
        self._watchers: list[Mailbox] = []
        self._lock = threading.Lock()
        self.ended = False
        self.reason: BaseException | None = None

    def watch(self, watcher: Mailbox) -> None:
        """Tell `watcher` once. Raises UnhandledMessage if its engine has no handler for `Terminated`."""
        watcher.require(Terminated)
        with self._lock:
            if not self.ended:
                if watcher not in self._watchers:
                    self._watchers.append(watcher)
                return
        watcher.tell(Terminated(self._mailbox, self.reason))

    def end(self, reason: BaseException | None) -> None:
        """The engine ended. Only the first call counts."""
        with self._lock:
            if self.ended:
                return
            self.ended, self.reason = True, reason
            watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.tell(Terminated(self._mailbox, reason))
