"""How messages of one type wait in one inbox: free, accounted, or folded into one another.

* A free message (`RETAIN`, its type not named in the mailbox's `limits`) is not counted one by one.
* An accounted one (`REJECT`, or `RETAIN` with a limit of its own) is counted in by its sender and out by the engine, so
  that its limits are exact: `messages` and `bytes` are the most that wait.
* A folding one (`LATEST`, `COALESCE`) waits in a slot; a newer one with the same key changes what the slot holds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable

from .message import Feedback, Limit, Message, Overflow

OK, BACKOFF, REJECTED = Feedback.OK, Feedback.BACKOFF, Feedback.REJECTED  # a member is looked up at each use


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
            if rule.most_bytes is not None:
                rule.bytes_out += self.content.size()
            return self.content

    def __repr__(self) -> str:
        return repr(self.content)


class Rule:
    """The rule for one type of message in one inbox, with its counts."""

    __slots__ = (
        "accounted", "bytes_in", "bytes_out", "count_in", "count_out", "folds", "free", "limit", "lock", "most",
        "most_bytes", "queue", "slots", "type",
    )  # fmt: skip

    def __init__(self, kind: type[Message], queue: deque[object], limit: Limit, *, named: bool) -> None:
        """queue: the lane of this type. named: whether the mailbox's `limits` name it."""
        self.type = kind
        self.queue = queue
        self.limit = limit
        self.most, self.most_bytes = limit.messages, limit.bytes  # looked at for every message
        self.folds = kind.overflow in (Overflow.LATEST, Overflow.COALESCE)
        self.free = kind.overflow is Overflow.RETAIN and not named
        self.accounted = not self.free and not self.folds
        self.lock = threading.RLock()  # reentrant: a collected reply's callbacks may tell this very mailbox
        self.slots: dict[Hashable, Slot] = {}
        self.count_in = self.count_out = 0
        self.bytes_in = self.bytes_out = 0

    def admit(self, message: Message) -> Feedback:
        """Count an accounted message in, or say `REJECTED`. The lock is held."""
        over = self.count_in - self.count_out >= self.most
        size = 0
        if self.most_bytes is not None:
            size = message.size()
            over = over or self.bytes_in - self.bytes_out + size > self.most_bytes
        if over and self.type.overflow is Overflow.REJECT:
            return REJECTED
        self.count_in += 1
        self.bytes_in += size
        return BACKOFF if over else OK

    def counted_out(self, message: Message) -> None:
        """The engine took an accounted message. Only the engine writes the `out` counters."""
        self.count_out += 1
        if self.most_bytes is not None:
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
        over = len(self.slots) > self.most
        if self.most_bytes is not None:
            self.bytes_in += content.size() - (old.size() if old is not None else 0)
            over = over or self.bytes_in - self.bytes_out > self.most_bytes
        return (BACKOFF if over else OK), (slot if old is None else None)
