"""The asks that wait for a value. Each is one more subscriber of its key, named by a number.

To the core a subscriber is a `Tag`: (0, subscriber) for one of the application's, (number, ()) for a waiting `get`. So
the two never compare with each other, and a `get` that joins late is served by the same rules as everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct

from ....runtime import Reply, Timer
from ..core.key_subscribers import Comparable

Tag: TypeAlias = tuple[int, Comparable]

APPLICATION = 0
UNTAGGED: Tag = (APPLICATION, ())
"""The subscriber of most fetches, which a million keys share."""


def tag(subscriber: Comparable) -> Tag:
    """How the core knows one of the application's subscribers."""
    return UNTAGGED if isinstance(subscriber, tuple) and not subscriber else (APPLICATION, subscriber)


def application_tags(tags: Iterable[Tag]) -> tuple[Comparable, ...]:
    """The application's subscribers among these."""
    return tuple(subscriber for number, subscriber in tags if number == APPLICATION)


class Waiting(Struct):
    """One `get`. timeout: seconds."""

    key: bytes
    timeout: float | None
    reply: Reply[bytes]
    timer: Timer | None = None


class Gets:
    """The `get`s that wait, by number and by key."""

    def __init__(self) -> None:
        self._last = APPLICATION
        self._waiting: dict[int, Waiting] = {}
        self._by_key: dict[bytes, dict[int, None]] = {}

    def add(self, key: bytes, timeout: float | None, reply: Reply[bytes]) -> int:
        """A `get` waits from now on; its number."""
        self._last += 1
        self._waiting[self._last] = Waiting(key, timeout, reply)
        self._by_key.setdefault(key, {})[self._last] = None
        return self._last

    def waits_for(self, key: bytes) -> bool:
        """Whether a `get` waits for this key."""
        return key in self._by_key

    def started(self, number: int, timer: Timer) -> None:
        """Remember the timer that gives this `get` up, so that its end cancels it."""
        self._waiting[number].timer = timer

    def answer(self, tags: Iterable[Tag], value: bytes) -> None:
        """The `get`s among these subscribers have their value."""
        for waiting in self._end(tags):
            waiting.reply.set(value)

    def fail(self, tags: Iterable[Tag], error: Exception) -> None:
        """The `get`s among these subscribers end with this error."""
        for waiting in self._end(tags):
            waiting.reply.fail(error)

    def fail_key(self, key: bytes, error: Exception) -> None:
        """Every `get` that waits for this key ends with this error."""
        self.fail([(number, ()) for number in self._by_key.get(key, ())], error)

    def fail_all(self, error: Exception) -> None:
        """Every `get` that waits ends with this error."""
        self.fail([(number, ()) for number in self._waiting], error)

    def give_up(self, number: int) -> Waiting | None:
        """End this `get` without an answer and return it; None if it has ended."""
        return next(iter(self._end([(number, ())])), None)

    def _end(self, tags: Iterable[Tag]) -> list[Waiting]:
        ended: list[Waiting] = []
        for number, _ in tags:
            waiting = self._waiting.pop(number, None)
            if waiting is None:
                continue
            del self._by_key[waiting.key][number]
            if not self._by_key[waiting.key]:
                del self._by_key[waiting.key]
            if waiting.timer is not None:
                waiting.timer.cancel()
            ended.append(waiting)
        return ended
