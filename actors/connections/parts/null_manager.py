"""A connection manager that manages nothing: every question has an answer.

It is for programs that compose actors by themselves and give no connection up, so that what tags, protects and reports
busy peers needs no case of its own. A node with maintenance needs the real one: maintenance counts by its events.
"""

from __future__ import annotations

from typing import TypeVar, cast

from ....runtime import Feedback, Message, Reply, Request
from ..core.reports import Info, TrimReport
from ..errors import NoTracker, TagClosed
from ..mailbox import (
    Block,
    ForceTrim,
    GetBlocks,
    GetConnections,
    GetInfo,
    IsProtected,
    Mailbox,
    RegisterDecayingTag,
    Trim,
    Unblock,
    Unprotect,
    UntagPeer,
    UpsertTag,
)

T = TypeVar("T")
_INFO = Info(0, 0, 0, 0, 0, 0, low_water=None, high_water=None, grace_period=0.0, last_trim=None)


class NullConnectionManager(Mailbox):
    """A `Mailbox` without an engine: it forgets what it is told, trims nothing, protects nobody and emits no events."""

    def __init__(self, name: str = "connections") -> None:
        """name: as of any mailbox."""
        super().__init__(name)

    def tell(self, message: Message) -> Feedback:
        """Forget the message."""
        del message
        return Feedback.OK

    def ask(self, message: Request[T]) -> Reply[T]:
        """Answer as who knows nobody and does nothing. Decaying tags and blocks are declined."""
        match message:
            case RegisterDecayingTag():
                return Reply.failed(TagClosed("the null connection manager has no decaying tags"))
            case Block() | Unblock() | GetBlocks():
                return Reply.failed(NoTracker("blocks live in the tracker: ask it"))
            case UpsertTag():
                answer: object = 0
            case UntagPeer() | Unprotect() | IsProtected():
                answer = False
            case Trim() | ForceTrim():
                answer = TrimReport(closed=(), short_by=0)
            case GetInfo():
                answer = _INFO
            case GetConnections():
                answer = ()
            case _:  # TagPeer, Protect, GetTagInfo, CheckLimit, Close
                answer = None
        return Reply.of(cast(T, answer))
