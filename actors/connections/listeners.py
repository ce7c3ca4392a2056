"""Callbacks of the application: told of connections in order, each on a thread of its own.

* A listener is told `connected`, then `disconnected`, once each for every connection; of one that was open before it
  came it is told neither.
* A slow one delays nobody but itself. Its events wait, at most `max_listener_backlog`; at one more it is dropped,
  counted and logged: whoever cannot follow would be told half the truth.
* What it raises is counted and logged, and the next event comes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count, islice

from ... import runtime
from ...runtime import Message
from .mailbox import Connected, Disconnected, Mailbox
from .messages import Listener
from .metrics import Metrics

TOLD_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Told(Message):
    """To itself: a listener has heard what it was told; what it raised."""

    number: int
    errors: tuple[Exception, ...]


@dataclass(slots=True)
class _Queue:
    listener: Listener
    waiting: deque[Connected | Disconnected] = field(default_factory=deque)
    telling: bool = False
    knows: set[int] = field(default_factory=set)  # links it was told of, and that are open


class Listeners:
    """Used on the engine's thread; the listeners run on others."""

    def __init__(self, engine: runtime.Engine[Mailbox], metrics: Metrics, *, max_backlog: int) -> None:
        """max_backlog: events that wait for one listener."""
        self._engine = engine
        self._metrics = metrics
        self._max_backlog = max_backlog
        self._queues: dict[int, _Queue] = {}
        self._numbers = count(1)

    def add(self, listener: Listener) -> None:
        """Tell it of every connection from now on; a second time changes nothing."""
        if all(queue.listener is not listener for queue in self._queues.values()):
            self._queues[next(self._numbers)] = _Queue(listener)

    def remove(self, listener: Listener) -> None:
        """Tell it nothing more."""
        for number, queue in list(self._queues.items()):
            if queue.listener is listener:
                del self._queues[number]

    def tell(self, event: Connected | Disconnected) -> None:
        """Tell all of them, some time."""
        for number, queue in list(self._queues.items()):
            id = event.link.id
            if isinstance(event, Connected):
                queue.knows.add(id)
            elif id not in queue.knows:
                continue
            else:
                queue.knows.discard(id)
            if len(queue.waiting) >= self._max_backlog:
                del self._queues[number]
                self._metrics.failures.inc("slow_listener")
                self._engine.log.error("listener is too slow and hears nothing more", waiting=len(queue.waiting))
                continue
            queue.waiting.append(event)
            self._go_on(number, queue)

    def told(self, message: Told) -> None:
        """One is ready for more."""
        for error in message.errors:
            self._metrics.failures.inc("listener")
            self._engine.log.error("listener failed", error=error)
        queue = self._queues.get(message.number)
        if queue is not None:
            queue.telling = False
            self._go_on(message.number, queue)

    def _go_on(self, number: int, queue: _Queue) -> None:
        if queue.telling or not queue.waiting:
            return
        events = tuple(islice(queue.waiting, TOLD_AT_ONCE))
        for _ in events:
            queue.waiting.popleft()
        queue.telling = True
        told = self._engine.work(_tell, queue.listener, events, serial=f"{self._engine.name}-listener-{number}")
        told.then(lambda reply: self._engine.mailbox.tell(Told(number, _errors(reply.result()))))


def _tell(listener: Listener, events: tuple[Connected | Disconnected, ...]) -> tuple[Exception, ...]:
    errors: list[Exception] = []
    for event in events:
        try:
            if isinstance(event, Connected):
                listener.connected(event.link)
            else:
                listener.disconnected(event.link, event.reason)
        except Exception as error:  # each event has its own
            errors.append(error)
    return tuple(errors)


def _errors(result: tuple[Exception, ...] | Exception) -> tuple[Exception, ...]:
    return (result,) if isinstance(result, Exception) else result
