"""One side of a channel: what the engine that registered it sends with.

The outbound quota is per peer and lives here, with the sender: who is over it is told before anything is queued.
"""

from __future__ import annotations

from ..runtime import Feedback
from .core.buckets import TokenBuckets
from .identity import PeerId
from .mailbox import Mailbox, Quota


class Channel:
    """A numbered stream of messages to every connected peer. Owned by one engine; not shared between threads."""

    __slots__ = ("_buckets", "_transport", "number")

    def __init__(self, transport: Mailbox, number: int, outbound: Quota | None = None) -> None:
        """number: 0 to 15 are Rookery's, 16 to 255 the user's. outbound: per peer; None for no limit.

        Raises ValueError for a number outside 0 to 255.
        """
        if not 0 <= number <= 255:
            raise ValueError(f"a channel is a number from 0 to 255, not {number}")
        self.number = number
        self._transport = transport
        self._buckets = TokenBuckets(outbound.rate, outbound.burst) if outbound is not None else None

    def check(self, peer: PeerId, now: float) -> float:
        """When the quota lets the next message to `peer` go; `now` or earlier if it may go at once. Takes nothing."""
        return now if self._buckets is None else self._buckets.ready_at(peer, now)

    def send(self, link_id: int, peer: PeerId, payload: bytes, now: float, *, priority: bool = False) -> Feedback:
        """Queue a message. `REJECTED` without queueing if the quota is used up; a token is spent only if accepted.

        priority: see `Mailbox.send`; the quota is the same.
        """
        if self._buckets is None:
            return self._transport.send(link_id, self.number, payload, priority=priority)
        if self._buckets.ready_at(peer, now) > now:
            return Feedback.REJECTED
        feedback = self._transport.send(link_id, self.number, payload, priority=priority)
        if feedback.accepted:
            self._buckets.take(peer, now)
        return feedback

    def forget(self, peer: PeerId) -> None:
        """The peer is gone for good: its bucket is not needed. A peer that reconnects keeps what it has used up."""
        if self._buckets is not None:
            self._buckets.forget(peer)
