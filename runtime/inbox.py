"""The queue of one engine: three lanes, limits by type of message, and no lost wake-up.

::

    any thread ── offer() ──▶ control ─┐
               ── offer() ──▶ data   ──┤   one engine, which takes urgent before control before data
    timers, replies ────────▶ urgent ──┘   and parks when all three are empty

Rules:

* `offer` never blocks and never raises, also when the engine is dead.
* A light message (`RETAIN`) is appended as it is: no envelope, no lock (`deque.append` is atomic).
* An accounted one (`REJECT`) is counted in under a lock and counted out by the engine, so its limits are exact.
* A folding one (`LATEST`, `COALESCE`) waits in a slot; a newer one with the same key changes the slot's content.
* Wake-ups: the engine sets `parked`, looks at the lanes once more, then waits. A sender appends first and looks at
  `parked` afterwards. So one of the two always sees the other.
* Death: `close` marks the inbox closed, then empties it. A sender looks at the mark after it has appended, and empties
  the inbox again if it finds it closed. So nothing stays behind unseen: it becomes a counted dead letter.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import Protocol

from .errors import EngineGone, MailboxFull
from .message import Feedback, Lane, Limit, Message, Overflow
from .reply import Reply

OK, BACKOFF, REJECTED, CLOSED = Feedback.OK, Feedback.BACKOFF, Feedback.REJECTED, Feedback.CLOSED


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


class Ask:
    """A request with the reply its asker waits for."""

    __slots__ = ("message", "reply")

    def __init__(self, message: Message, reply: Reply[object]) -> None:
        self.message = message
        self.reply = reply

    def __repr__(self) -> str:
        return f"ask {self.message!r}"


class Slot:
    """Where a folding message waits; its content changes until the engine takes it."""

    __slots__ = ("content", "rule")

    def __init__(self, content: Message, rule: Rule) -> None:
        self.content = content
        self.rule = rule

    def take(self) -> Message:
        """The content as it is now; later messages with its key start a new slot."""
        with self.rule.lock:
            del self.rule.slots[self.content.key()]
            return self.content

    def __repr__(self) -> str:
        return repr(self.content)


class Rule:
    """How one type of message waits in one inbox, with its counts."""

    __slots__ = ("bytes_in", "bytes_out", "count_in", "count_out", "light", "limit", "lock", "queue", "slots", "type")

    def __init__(self, kind: type[Message], queue: deque[object], limit: Limit) -> None:
        self.type = kind
        self.queue = queue
        self.limit = limit
        self.light = kind.overflow is Overflow.RETAIN
        self.lock = threading.Lock()
        self.slots: dict[Hashable, Slot] = {}
        self.count_in = self.count_out = 0
        self.bytes_in = self.bytes_out = 0

    def counted_out(self, message: Message) -> None:
        """The engine took an accounted message. Only the engine writes the `out` counters."""
        self.count_out += 1
        self.bytes_out += message.size()

    def admit(self, message: Message) -> bool:
        """Count an accounted message in, or say that it is over the limit. The lock is held."""
        size = message.size()
        if self.count_in - self.count_out >= self.limit.messages:
            return False
        if self.limit.bytes is not None and self.bytes_in - self.bytes_out + size > self.limit.bytes:
            return False
        self.count_in += 1
        self.bytes_in += size
        return True


class Inbox:
    """Queues for one engine. Senders use `offer` and `offer_ask`; the engine reads the lanes itself."""

    def __init__(self, name: str, limits: Mapping[type[Message], Limit], default: Limit) -> None:
        """name: of the engine, for errors. limits: by type of message; `default` for the others."""
        self.name = name
        self.urgent_lane: deque[object] = deque()
        self.control_lane: deque[object] = deque()
        self.data_lane: deque[object] = deque()
        self.parked = False
        self.stopping = False
        self.closed = False
        self.current: object = None  # what the engine is handling or handled last
        self.wake: Callable[[], None] = self._not_started
        self.dead_letter: Callable[[object], None] = lambda _item: None
        self.backoff = 0
        self.rejected = 0
        self.dead_letters = 0
        self._limits = limits
        self._default = default
        self.rules: dict[type, Rule] = {}

    @property
    def depth(self) -> int:
        """Messages that wait, in all lanes."""
        return len(self.urgent_lane) + len(self.control_lane) + len(self.data_lane)

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self.urgent_lane or self.control_lane or self.data_lane)

    def take(self) -> object | None:
        """The item whose turn it is, or None."""
        if self.urgent_lane:
            return self.urgent_lane.popleft()
        if self.control_lane:
            return self.control_lane.popleft()
        if self.data_lane:
            return self.data_lane.popleft()
        return None

    def offer(self, message: Message) -> Feedback:
        """Queue a message; see the module's rules."""
        rule = self.rules.get(message.__class__) or self.rule(message.__class__)
        if not rule.light:
            return self._offer_bound(message, message, rule)
        queue = rule.queue
        feedback = OK
        if len(queue) >= rule.limit.messages:
            self.backoff += 1
            feedback = BACKOFF
        queue.append(message)
        if self.parked:
            self.unpark()
        return self._bury() if self.closed else feedback

    def offer_ask(self, message: Message, reply: Reply[object]) -> None:
        """Queue a request. A refusal becomes the reply's error: `MailboxFull` or `EngineGone`."""
        rule = self.rules.get(message.__class__) or self.rule(message.__class__)
        item = Ask(message, reply)
        if not rule.light:
            if self._offer_bound(item, message, rule) is REJECTED:
                reply.fail(MailboxFull(f"{self.name} holds at most {rule.limit} of {rule.type.__name__}"))
            return
        rule.queue.append(item)
        if self.parked:
            self.unpark()
        if self.closed:
            self._bury()

    def urgent(self, item: object) -> None:
        """Queue ahead of control and data: replies and timers."""
        self.urgent_lane.append(item)
        if self.parked:
            self.unpark()
        if self.closed:
            self._bury()

    def stop(self) -> None:
        """The engine stops after the message it is handling, whatever waits."""
        self.stopping = True
        self.unpark()

    def close(self) -> None:
        """The engine is gone: what waits, and what still comes, are dead letters."""
        self.closed = True
        self._bury()

    def unpark(self) -> None:
        """Wake the engine."""
        self.parked = False
        self.wake()

    def rule(self, kind: type[Message]) -> Rule:
        """The rule for a type of message, made at its first use."""
        queue = self.data_lane if kind.lane is Lane.DATA else self.control_lane
        return self.rules.setdefault(kind, Rule(kind, queue, self._limits.get(kind, self._default)))

    def _offer_bound(self, item: object, message: Message, rule: Rule) -> Feedback:
        feedback = OK
        with rule.lock:
            if rule.type.overflow is Overflow.REJECT:
                if not rule.admit(message):
                    self.rejected += 1
                    return REJECTED
            else:
                key = message.key()
                slot = rule.slots.get(key)
                if slot is not None:
                    folds = rule.type.overflow is Overflow.COALESCE
                    slot.content = slot.content.merge(message) if folds else message
                    return OK
                if len(rule.slots) >= rule.limit.messages:
                    self.backoff += 1
                    feedback = BACKOFF
                item = rule.slots[key] = Slot(message, rule)
            rule.queue.append(item)
        if self.parked:
            self.unpark()
        return self._bury() if self.closed else feedback

    def _bury(self) -> Feedback:
        """Empty the lanes of a dead engine."""
        for lane in (self.urgent_lane, self.control_lane, self.data_lane):
            while True:
                try:
                    item = lane.popleft()
                except IndexError:
                    break
                self._bury_one(item)
        return CLOSED

    def _bury_one(self, item: object) -> None:
        self.dead_letters += 1
        if isinstance(item, Slot):
            item = item.take()
        if isinstance(item, Ask):
            item.reply.fail(EngineGone(f"{self.name} is not running: {item.message!r} was not handled"))
        self.dead_letter(item)

    def _not_started(self) -> None:
        """Nobody to wake: the engine reads what waits when it starts."""
