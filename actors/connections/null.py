"""A connection manager that manages nothing, for nodes composed without one: every question has an answer.

It is a `Mailbox` without an engine. It forgets what it is told, trims nothing, protects nobody and emits no events.
"""

from __future__ import annotations

from typing import TypeVar, cast

from ...runtime import Feedback, Message, Reply, Request
from .errors import NoTracker, TagClosed
from .mailbox import Mailbox
from .messages import (
    Block,
    ForceTrim,
    GetBlocks,
    GetConnections,
    GetInfo,
    Info,
    IsProtected,
    RegisterDecayingTag,
    Trim,
    TrimReport,
    Unblock,
    Unprotect,
    UpsertTag,
)

T = TypeVar("T")
_INFO = Info(0, 0, 0, 0, 0, 0, low_water=None, high_water=None, grace_period=0.0, last_trim=None)


class NullConnectionManager(Mailbox):
    """Give it wherever `connections.Mailbox` is wanted."""

    def __init__(self, name: str = "connections") -> None:
        """name: as of any mailbox."""
        super().__init__(name)

    def tell(self, message: Message) -> Feedback:
        """Forget it."""
        del message
        return Feedback.OK

    def ask(self, message: Request[T]) -> Reply[T]:
        """The answer of who knows nothing and does nothing; a decaying tag cannot be had."""
        match message:
            case RegisterDecayingTag():
                return Reply.failed(TagClosed("the null connection manager has no decaying tags"))
            case Block() | Unblock() | GetBlocks():
                return Reply.failed(NoTracker("blocks live in the tracker: ask it"))
            case UpsertTag():
                answer: object = 0
            case Unprotect() | IsProtected():
                answer = False
            case Trim() | ForceTrim():
                answer = TrimReport(closed=(), short_by=0)
            case GetInfo():
                answer = _INFO
            case GetConnections():
                answer = ()
            case _:  # GetTagInfo, CheckLimit, Close
                answer = None
        return Reply.of(cast(T, answer))
