"""The only way to reach an engine, and what became of it.

A mailbox class has one method per message, each a single line: `return self.tell(...)` or `return self.ask(...)`. It is
made before its engine (`runtime.mailbox(Kind)`), queues until the engine starts, and stays safe to call after it ended.
Whoever watches it is told `Terminated(mailbox, reason)` exactly once: when the engine ends, or at once if it has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import ClassVar, TypeVar

from msgspec import Struct

from ..errors import UnhandledMessage
from .inbox import Inbox
from .message import Feedback, Limit, Message, Request
from .reply import Reply, Waits

T = TypeVar("T")


class Mailbox:
    """Base of every actor's `Mailbox`.

    `limits` says how many messages of a type, and how many bytes of them, may wait; `default_limit` is for the other
    types. What happens beyond is the message's `overflow`. Limits are exact, but for `RETAIN` types that are not
    named: they share their lane, and `default_limit` is compared with its length.
    """

    limits: ClassVar[Mapping[type[Message], Limit]] = {}
    default_limit: ClassVar[Limit] = Limit()

    def __init__(self, name: str, *, waits: Waits | None = None) -> None:
        """Made by `runtime.mailbox`, not by hand. waits: see `Reply`."""
        self.name = name
        self.inbox = Inbox(name, self.limits, self.default_limit)
        self.termination = Termination(self)
        self._waits = waits
        self._handled: frozenset[type] | None = None

    def tell(self, message: Message) -> Feedback:
        """Queue a message and say at once what became of it. Never blocks, never raises on a dead engine."""
        return self.inbox.offer(message)

    def ask(self, message: Request[T]) -> Reply[T]:
        """Queue a request; the reply is the answer, later. A dead or full engine resolves it to a typed error."""
        reply: Reply[T] = Reply(self._waits)
        self.inbox.offer_ask(message, reply)  # type: ignore[arg-type]  # the inbox does not look at the value
        return reply

    def handles(self, kind: type[Message]) -> bool:
        """Whether the engine has a handler for this type; True while the engine has not started."""
        return self._handled is None or kind in self._handled

    def require(self, *kinds: type[Message]) -> None:
        """Raise UnhandledMessage unless the engine handles all of these: who subscribes must be able to listen."""
        missing = [kind.__name__ for kind in kinds if not self.handles(kind)]
        if missing:
            raise UnhandledMessage(f"{self.name} has no handler for {', '.join(missing)}")

    def bind(self, handled: frozenset[type], facts: object) -> None:
        """The engine was made and handles these types. facts: its own, for a mailbox that overrides this."""
        self._handled = handled

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.name}>"


class Terminated(Message, Struct, frozen=True):
    """The engine behind `mailbox` is gone. reason: None for an orderly stop, else the exception that ended it."""

    mailbox: Mailbox
    reason: BaseException | None


class Termination:
    """Whether one mailbox's engine has ended, why, and who wants to know."""

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


def default_name(kind: type[Mailbox]) -> str:
    """`tracker` for the Mailbox of `actors/tracker/mailbox.py`, `clock` for a `ClockMailbox` anywhere."""
    *_, folder, module = ("", *kind.__module__.split("."))
    own = kind.__name__.removesuffix("Mailbox").lower()
    return own or (folder if module == "mailbox" else module)
