"""The queue of one engine: three lanes, limits by type of message, and no lost wake-up.

::

    any thread ── offer() ──▶ control ─┐
               ── offer() ──▶ data   ──┤   one engine, which takes urgent before control before data
    timers, replies ────────▶ urgent ──┘   and parks when all three are empty

Rules:

* `offer` never blocks and never raises, also when the engine is dead.
* A free message (`RETAIN`, its type not named in the mailbox's `limits`) is appended as it is: no envelope, no lock
  (`deque.append` is atomic), no count. It is never refused; the answer is `BACKOFF` while its whole lane is longer than
  the limit.
* An accounted one (`REJECT`, or `RETAIN` with a limit of its own) is counted in by its sender and out by the engine, so
  that its limits are exact: `messages` and `bytes` are the most that wait.
* A folding one (`LATEST`, `COALESCE`) waits in a slot; a newer one with the same key changes what the slot holds.
* Wake-ups: the engine sets `parked`, looks at the lanes once more, then waits. A sender appends first and looks at
  `parked` afterwards. So one of the two always sees the other.
* Death: `close` marks the inbox closed, then empties it. A sender looks at the mark after it has appended, and empties
  the inbox again if it finds it closed. So nothing stays behind unseen: a message becomes a counted dead letter, an ask
  also the asker's `EngineGone`. Timers and replies of the dead engine itself are no letters.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping

from ..arguments import MESSAGE_SHOWN, shortened
from ..errors import EngineGone, MailboxFull
from .message import Feedback, Lane, Limit, Message, Overflow
from .reply import Reply

OK, BACKOFF, REJECTED, CLOSED = Feedback.OK, Feedback.BACKOFF, Feedback.REJECTED, Feedback.CLOSED  # looked up often


class Slot:
    """Where a folding message waits; its content changes until the engine takes it."""

    __slots__ = ("content", "key", "rule")

    def __init__(self, key: Hashable, content: Message, rule: Rule) -> None:
        self.key = key
        self.content = content
        self.rule = rule

    def take(self) -> Message:
        """The content as it is now; later messages with its key start a new slot."""
        rule = self.rule
        with rule.lock:
            rule.slots.pop(self.key, None)
            if rule.max_bytes is not None:
                rule.bytes_out += self.content.size()
            return self.content

    def __repr__(self) -> str:
        return repr(self.content)


class Rule:
    """The rule for one type of message in one inbox, with its counts."""

    __slots__ = (
        "accounted", "bytes_in", "bytes_out", "count_in", "count_out", "folds", "free", "limit", "lock", "max_bytes",
        "max_messages", "queue", "slots", "type",
    )  # fmt: skip

    def __init__(self, kind: type[Message], queue: deque[object], limit: Limit, *, named: bool) -> None:
        """queue: the lane of this type. named: whether the mailbox's `limits` name it."""
        self.type = kind
        self.queue = queue
        self.limit = limit
        self.max_messages, self.max_bytes = limit.messages, limit.bytes  # looked at for every message
        self.folds = kind.overflow in (Overflow.LATEST, Overflow.COALESCE)
        self.free = kind.overflow is Overflow.RETAIN and not named
        self.accounted = not self.free and not self.folds
        self.lock = threading.RLock()  # reentrant: a collected reply's callbacks may tell this very mailbox
        self.slots: dict[Hashable, Slot] = {}
        self.count_in = self.count_out = 0
        self.bytes_in = self.bytes_out = 0

    def admit(self, message: Message) -> Feedback:
        """Count an accounted message in, or say `REJECTED`. The lock is held."""
        over = self.count_in - self.count_out >= self.max_messages
        size = 0
        if self.max_bytes is not None:
            size = message.size()
            over = over or self.bytes_in - self.bytes_out + size > self.max_bytes
        if over and self.type.overflow is Overflow.REJECT:
            return REJECTED
        self.count_in += 1
        self.bytes_in += size
        return BACKOFF if over else OK

    def counted_out(self, message: Message) -> None:
        """The engine took an accounted message. Only the engine writes the `out` counters."""
        self.count_out += 1
        if self.max_bytes is not None:
            self.bytes_out += message.size()

    def fold(self, message: Message) -> tuple[Feedback, Slot | None]:
        """Put a folding message into its slot; the slot, if it is new and must be queued. The lock is held."""
        key = message.key()
        slot = self.slots.get(key)
        content, old = message, None
        if slot is not None:
            old = slot.content
            if self.type.overflow is Overflow.COALESCE:
                content = old.merge(message)
            slot.content = content
        else:
            slot = self.slots[key] = Slot(key, content, self)
        over = len(self.slots) > self.max_messages
        if self.max_bytes is not None:
            self.bytes_in += content.size() - (old.size() if old is not None else 0)
            over = over or self.bytes_in - self.bytes_out > self.max_bytes
        return (BACKOFF if over else OK), (slot if old is None else None)


class Ask:
    """A request with the reply its asker waits for."""

    __slots__ = ("message", "reply")

    def __init__(self, message: Message, reply: Reply[object]) -> None:
        self.message = message
        self.reply = reply

    def __repr__(self) -> str:
        return f"ask {self.message!r}"


class Mark:
    """Waits in a lane like a message: `passed` runs when its turn comes, or when the engine is gone."""

    __slots__ = ("passed",)

    def __init__(self, passed: Callable[[], object]) -> None:
        self.passed = passed


class Inbox:
    """Queues for one engine. Senders use `offer` and `offer_ask`; the engine reads the lanes itself.

    The counters are changed without a lock: an in-place addition to a plain attribute has no point at which CPython
    would switch threads.
    """

    def __init__(self, name: str, limits: Mapping[type[Message], Limit], default: Limit) -> None:
        """name: of the engine, for errors. limits: by type of message; `default` for the others."""
        self.name = name
        self.urgent_lane: deque[object] = deque()
        self.control_lane: deque[object] = deque()
        self.data_lane: deque[object] = deque()
        self.parked = False
        self.stopping = False
        self.closed = False
        self.cause: BaseException | None = None  # what ended the engine, if it was an error
        self.current: object = None  # what the engine is handling or handled last
        self.turn = 0  # how many messages it may handle before other engines of its thread; 0 ends its turn
        self.wake: Callable[[], None] = self._not_started
        self.dead_letter: Callable[[Message], object] = lambda _message: None
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
        feedback = OK
        if rule.free:
            if len(rule.queue) >= rule.max_messages:
                self.backoff += 1
                feedback = BACKOFF
            rule.queue.append(message)
        elif rule.accounted:
            with rule.lock:
                feedback = rule.admit(message)
                if feedback is not REJECTED:
                    rule.queue.append(message)
            if feedback is REJECTED:
                return self._refuse(message)
            if feedback is BACKOFF:
                self.backoff += 1
        else:
            return self._offer_bound(message, message, rule)
        if self.parked:
            self.parked = False
            self.wake()
        return self._bury() if self.closed else feedback

    def offer_ask(self, message: Message, reply: Reply[object]) -> None:
        """Queue a request. A refusal becomes the reply's error: `MailboxFull` or `EngineGone`."""
        rule = self.rules.get(message.__class__) or self.rule(message.__class__)
        item = Ask(message, reply)
        if not rule.free:
            if self._offer_bound(item, message, rule) is REJECTED:
                reply.fail(MailboxFull(f"{self.name} holds at most {rule.limit} of {rule.type.__name__}"))
            return
        if len(rule.queue) >= rule.max_messages:
            self.backoff += 1
        self._append(rule.queue, item)

    def urgent(self, item: object) -> None:
        """Queue ahead of control and data: replies and timers."""
        self._append(self.urgent_lane, item)

    def add(self, lane: Lane, item: object) -> None:
        """Queue what is the runtime's own behind all that waits in this lane."""
        lanes = {Lane.URGENT: self.urgent_lane, Lane.CONTROL: self.control_lane, Lane.DATA: self.data_lane}
        self._append(lanes[lane], item)

    def mark(self, lane: Lane, passed: Callable[[], object]) -> None:
        """Run `passed` on the engine once all that waits in this lane now has been handled, or when it is gone."""
        self.add(lane, Mark(passed))

    def stop(self) -> None:
        """The engine stops after the message it is handling, whatever waits."""
        self.stopping = True
        self.unpark()

    def close(self, cause: BaseException | None = None) -> None:
        """The engine is gone: what waits, and what still comes, are dead letters. cause: the error that ended it."""
        self.cause = self.cause or cause
        self.closed = True
        self._bury()

    def unpark(self) -> None:
        """Wake the engine."""
        self.parked = False
        self.wake()

    def rule(self, kind: type[Message]) -> Rule:
        """The rule for a type of message, made at its first use."""
        queue = self.data_lane if kind.lane is Lane.DATA else self.control_lane
        named = kind in self._limits
        return self.rules.setdefault(kind, Rule(kind, queue, self._limits.get(kind, self._default), named=named))

    def gone(self, message: object) -> EngineGone:
        """The error for whoever asked a dead engine."""
        error = EngineGone(f"{self.name} is not running: {shortened(message, MESSAGE_SHOWN)} was not answered")
        error.__cause__ = self.cause
        return error

    def _append(self, lane: deque[object], item: object) -> None:
        lane.append(item)
        if self.parked:
            self.unpark()
        if self.closed:
            self._bury()

    def _offer_bound(self, item: Message | Ask, message: Message, rule: Rule) -> Feedback:
        queued: Message | Ask | Slot | None = item
        with rule.lock:
            if rule.folds:
                feedback, queued = rule.fold(message)
            else:
                feedback = rule.admit(message)
            if feedback is BACKOFF:
                self.backoff += 1
            if feedback is not REJECTED and queued is not None:
                rule.queue.append(queued)
        if feedback is REJECTED:
            return self._refuse(item)
        if self.parked:
            self.unpark()
        return self._bury() if self.closed else feedback

    def _refuse(self, item: Message | Ask) -> Feedback:
        if not self.closed:
            self.rejected += 1
            return REJECTED
        self._bury_one(item)
        return self._bury()

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
        if isinstance(item, Mark):
            item.passed()
            return
        if isinstance(item, Slot):
            item = item.take()
        if isinstance(item, Ask):
            item.reply.fail(self.gone(item.message))
            item = item.message
        if isinstance(item, Message):
            self.dead_letters += 1
            self.dead_letter(item)

    def _not_started(self) -> None:
        """Nobody to wake: the engine reads what waits when it starts."""
