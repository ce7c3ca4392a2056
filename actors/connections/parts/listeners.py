"""Callbacks of the application: told of connections in order, each on a thread of its own.

* A listener is told `connected`, then `disconnected`, once each for every connection; of one that was open before it
  came it is told neither.
* A slow one delays nobody but itself. Its events wait, at most `max_listener_backlog`; at one more it is dropped,
  counted and logged: whoever cannot follow would be told half the truth.
* What it raises is counted and logged, and the next event comes.
"""

from __future__ import annotations

from collections import deque
from itertools import count, islice

from msgspec import Struct, field

from .... import runtime
from ....runtime import Message
from ..mailbox import Connected, Disconnected, Listener, Mailbox
from ..metrics import Metrics

EVENTS_AT_ONCE = 256


class EventsHandled(Message, Struct, frozen=True):
    """To itself: a listener has handled the events it was given; what it raised."""

    number: int
    errors: tuple[Exception, ...]


class _Queue(Struct):
    listener: Listener
    waiting: deque[Connected | Disconnected] = field(default_factory=deque)
    running: bool = False
    links: set[int] = field(default_factory=set)  # links it was told of, and that are open


class Listeners:
    """The listeners, and the events that wait for each; they run on threads of their own."""

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
        """Queue nothing more for it, and forget what waits."""
        for number, queue in list(self._queues.items()):
            if queue.listener is listener:
                del self._queues[number]

    def tell(self, event: Connected | Disconnected) -> None:
        """Queue an event for every listener."""
        for number, queue in list(self._queues.items()):
            id = event.link.id
            if isinstance(event, Connected):
                queue.links.add(id)
            elif id not in queue.links:
                continue
            else:
                queue.links.discard(id)
            if len(queue.waiting) >= self._max_backlog:
                del self._queues[number]
                self._metrics.failures.inc("slow_listener")
                self._engine.log.error("listener is too slow and hears nothing more", waiting=len(queue.waiting))
                continue
            queue.waiting.append(event)
            self._go_on(number, queue)

    def on_handled(self, message: EventsHandled) -> None:
        """Log what a listener raised, and give it what waits for it."""
        for error in message.errors:
            self._metrics.failures.inc("listener")
            self._engine.log.error("listener failed", error=error)
        queue = self._queues.get(message.number)
        if queue is not None:
            queue.running = False
            self._go_on(message.number, queue)

    def _go_on(self, number: int, queue: _Queue) -> None:
        if queue.running or not queue.waiting:
            return
        events = tuple(islice(queue.waiting, EVENTS_AT_ONCE))
        for _ in events:
            queue.waiting.popleft()
        queue.running = True
        handled = self._engine.work(_call, queue.listener, events, serial=f"{self._engine.name}-listener-{number}")
        handled.then(lambda reply: self._engine.mailbox.tell(EventsHandled(number, _errors(reply.result()))))


def _call(listener: Listener, events: tuple[Connected | Disconnected, ...]) -> tuple[Exception, ...]:
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
