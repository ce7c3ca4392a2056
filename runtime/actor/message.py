"""What actors say to each other, and what happens to it when a mailbox is full.

A message is a frozen dataclass or struct. It says of itself in which lane it waits and what overflow means for it:

* Lanes are served in order: *stop*, *urgent* (replies and timers; the runtime's own), *control*, *data*. Within a lane
  messages keep the order in which each sender sent them. So a control message overtakes data, never another control
  message.
* Beyond its mailbox's limit for its type a message is kept all the same (`RETAIN`, answered `BACKOFF`), refused
  (`REJECT`), or folded into a queued one with the same `key()`: `LATEST` replaces it, `COALESCE` merges with it. A
  folded message keeps the queued one's place. `LATEST` and `COALESCE` fold always, not only when the mailbox is full.

The pattern is commonware's actor mailbox: the limit belongs to the queue, the policy to the message.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable
from typing import ClassVar, Generic, Self, TypeVar

from msgspec import Struct

T_co = TypeVar("T_co", covariant=True)


class Lane(enum.IntEnum):
    """Where a message waits. `STOP` and `URGENT` are the runtime's own."""

    STOP = 0
    URGENT = 1
    CONTROL = 2
    DATA = 3


class Overflow(enum.Enum):
    """What happens to a message when its mailbox is at the limit for its type."""

    RETAIN = "retain"
    REJECT = "reject"
    LATEST = "latest"
    COALESCE = "coalesce"


class Feedback(enum.Enum):
    """What became of a tell, known at once. It says nothing about when the message is handled."""

    OK = "ok"
    BACKOFF = "backoff"  # over the limit, absorbed all the same
    REJECTED = "rejected"  # over the limit, dropped
    CLOSED = "closed"  # the engine is gone; the message is a counted dead letter

    @property
    def accepted(self) -> bool:
        """True when the message is queued: `OK` or `BACKOFF`."""
        return self is Feedback.OK or self is Feedback.BACKOFF


class Message:
    """Base of every message: `class Put(Message, Struct, frozen=True)` with `msgspec.Struct`, or a dataclass that is
    `@dataclass(frozen=True, slots=True)`.
    """

    __slots__ = ()
    lane: ClassVar[Lane] = Lane.CONTROL
    overflow: ClassVar[Overflow] = Overflow.RETAIN

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Raise TypeError for a message that could not be queued, where it is defined rather than where it is sent."""
        super().__init_subclass__(**kwargs)
        if cls.lane not in (Lane.CONTROL, Lane.DATA):
            raise TypeError(f"{cls.__name__} waits in CONTROL or DATA; {cls.lane.name} is the runtime's own lane")
        if cls.overflow is Overflow.COALESCE and cls.merge is Message.merge:
            raise TypeError(f"{cls.__name__} says COALESCE but does not define merge()")

    def key(self) -> Hashable:
        """Which queued message this one replaces (`LATEST`) or merges with (`COALESCE`); per type."""
        return None

    def merge(self, newer: Self) -> Self:
        """Fold `newer` into this queued message (`COALESCE`). Pure and quick: it runs in the sender's thread."""
        raise NotImplementedError(f"{type(self).__name__} does not fold")

    def size(self) -> int:
        """Bytes this message counts for where its mailbox has a byte limit; 0 for messages without a payload."""
        return 0


class Request(Message, Generic[T_co]):
    """A message with an answer: `class Dial(Request[DialResult])`. `Mailbox.ask` gives `Reply[DialResult]`."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Raise TypeError for a request that folds: each asker waits for an answer of its own."""
        super().__init_subclass__(**kwargs)
        if cls.overflow in (Overflow.LATEST, Overflow.COALESCE):
            raise TypeError(f"{cls.__name__} is a request: its overflow is RETAIN or REJECT, not {cls.overflow.name}")


class Limit(Struct, frozen=True):
    """How much of one type of message a mailbox holds before `overflow` applies.

    messages: count of queued messages. bytes: sum of their `size()`, or None for no limit by bytes.
    """

    messages: int = 1024
    bytes: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a limit below one."""
        if self.messages < 1 or (self.bytes is not None and self.bytes < 1):
            raise ValueError(f"a limit is at least 1, not {self}")
