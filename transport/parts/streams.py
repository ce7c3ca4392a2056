"""What a connection carries: messages on channels, heartbeats, the last words.

* Outbound: messages wait in the link's outbox, bounded by count and bytes, and leave in batches as soon as everything
  that was told before has been handled, as far as the link's `Window` admits them. A full wire is tried again after
  1 ms, doubling to 50 ms, without delaying others.
* Priority: what was sent with it waits in an outbox of its own with the same bounds, and leaves first, in batches of
  its own; nothing goes between the frames of one message. While both wait, an ordinary batch follows each `_OVERTAKE`
  bytes with priority, so nobody starves. Heartbeats and packets do not wait in an outbox at all.
* Inbound: a batch is decoded whole, each message within the peer's quota for its channel. What is over the quota is
  dropped and counted, and who keeps on is closed. What a receiver's inbox refuses is dropped and counted.
* A channel that nobody takes here: the other side may be another version, or have another application. Its messages are
  dropped and counted, the first of a link is logged, and there is one quota for all such channels of a peer.
* Heartbeats: a silent link is asked, and is dead when it stays silent. Each heartbeat says how many messages its sender
  has taken, so that at a link's end it is known which were not confirmed. Who has taken messages says so unasked: the
  question may be stuck behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import ClassVar

from msgspec import Struct

from ...runtime import Feedback, Lane, Message, Overflow
from ..core.buckets import TokenBuckets
from ..core.codec import (
    MAX_BATCH_BYTES,
    MAX_BATCH_MESSAGES,
    Bye,
    Control,
    Ping,
    Pong,
    decode_batch,
    decode_control,
    decode_single,
    encode_batch,
    is_control,
)
from ..core.short_lived import ENDS
from ..core.window import counted
from ..errors import DecodeError
from ..mailbox import Quota, Received, Send
from ..reasons import Reason
from ..wire import Sent
from .handshake import Handshakes
from .links import Live, Outbox
from .shared import Shared, cancel

_FIRST_RETRY, _LAST_RETRY = 0.001, 0.05  # seconds
_OVERTAKE = 256 * 1024  # bytes that may overtake in a row, as a window counts them
# What the other side says of its reasons that means the same here; the rest is its own business.
_SHARED_REASONS = frozenset({Reason.TRIMMED, Reason.SHUTDOWN, Reason.REPLACED, Reason.DUPLICATE})


class Flush(Message, Struct, frozen=True):
    """To the engine itself, behind the messages that wait already: send what the outboxes hold."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.LATEST


class FlushFirst(Message, Struct, frozen=True):
    """As `Flush`, behind the messages with priority that wait already, which come before all others."""

    overflow: ClassVar[Overflow] = Overflow.LATEST


class Retry(Message, Struct, frozen=True):
    """Timer: the wire may have room for this link again."""

    live: Live


class Streams:
    """The data path of live connections. Their state is in the table."""

    def __init__(self, shared: Shared, handshakes: Handshakes) -> None:
        """Part of one engine."""
        self._shared = shared
        self._handshakes = handshakes
        self._now = shared.runtime.now
        self._links = shared.links.by_id
        config = shared.config  # what each message is measured by
        self._max_message, self._backlog_messages = config.max_message, config.backlog_messages
        self._backlog_bytes = config.backlog_bytes
        self._inbox = shared.mailbox.inbox
        unknown = Quota()
        self._unknown = TokenBuckets(unknown.rate, unknown.burst)
        self._heartbeats = TokenBuckets(config.heartbeat_rate, config.heartbeat_burst)
        self._dirty: list[Live] = []
        self._beaten_at = self._now()
        self._flushing = self._flushing_first = False  # a `Flush`, a `FlushFirst` is on its way

    # Out -------------------------------------------------------------------------------------------------------------

    def send(self, message: Send) -> None:
        """Put a message in its link's outbox."""
        live = self._links.get(message.link_id)
        payload = message.payload
        size = len(payload)
        if live is None:
            self._shared.metrics.lost.inc("closed")
            return
        outbox = live.first if message.priority else live.outbox
        waiting = len(outbox.messages)
        if size > self._max_message:
            self._lose(live, "oversize", "message too large", size=size, allowed=self._max_message)
        elif waiting >= self._backlog_messages or outbox.bytes + size > self._backlog_bytes:
            self._lose(live, "backlog", "backlog full", messages=waiting)
        else:
            outbox.messages.append((message.channel, payload))
            outbox.bytes += size
            if live.retry is not None:
                return
            if message.priority:
                self._first_soon(live)
            elif not live.dirty and not (self._flushing or self._inbox):
                self.drain(live)  # nothing waits that could share its batch
            elif not live.dirty:
                live.dirty = True
                self._dirty.append(live)
                if not self._flushing:
                    self._flushing = True
                    self._shared.mailbox.tell(Flush())
            elif not live.blocked and (waiting + 1 >= MAX_BATCH_MESSAGES or outbox.bytes >= MAX_BATCH_BYTES):
                self.drain(live)  # a whole batch gains nothing by waiting for what was told behind it

    def _lose(self, live: Live, cause: str, event: str, **facts: int) -> None:
        """Count a message that cannot wait. A link's first is logged; how many it were is told when the link ends."""
        self._shared.metrics.lost.inc(cause)
        live.lost += 1
        if live.lost == 1:
            self._shared.warn(live.link.ip, event, peer=live.link.peer.short, **facts)

    def _first_soon(self, live: Live) -> None:
        """Now if no other message with priority waits for this engine, else behind them, in one batch."""
        if not self._inbox.control_lane:
            self.drain(live)
            return
        if not live.dirty:
            live.dirty = True
            self._dirty.append(live)
        if not self._flushing_first:
            self._flushing_first = True
            self._shared.mailbox.tell(FlushFirst())

    def flush(self) -> None:
        """Send what the outboxes hold, in batches."""
        self._flushing = self._flushing_first = False
        dirty, self._dirty = self._dirty, []
        for live in dirty:
            live.dirty = False
            if live.retry is None:
                self.drain(live)

    def drain(self, live: Live, *, last: bool = False) -> None:
        """Send until the outboxes are empty, the window is full, or the wire is. last: whatever the window says."""
        shared, window = self._shared, live.window
        if live.retry is not None:
            cancel(live.retry)
            live.retry = None
        live.blocked = False
        if live.owed:
            self._answer(live)
        while live.link.id in self._links:
            outbox = live.outbox
            if live.first.messages and (live.overtook < _OVERTAKE or not outbox.messages):
                outbox = live.first
            elif not outbox.messages:
                return
            priority = outbox is live.first
            if len(outbox.messages) == 1:
                batch, size = [outbox.messages[0]], outbox.bytes
            else:
                batch, size = next_batch(outbox, min(window.batch, _OVERTAKE // 4) if priority else window.batch)
            weight = counted(size, len(batch))
            if not (last or window.admits(weight, priority=priority)):
                live.blocked = True
                if not window.asked:
                    self._ask(live)
                return
            sent = shared.wire.send(live.route, encode_batch(batch))
            if sent is Sent.FULL:
                self._again(live)
                return
            if sent is Sent.GONE:
                self._handshakes.close(live, Reason.LOST, say_why=False)
                return
            _take_out(outbox, len(batch), size)
            live.retry_delay = 0.0
            live.sent += len(batch)
            shared.metrics.sent.inc(by=len(batch))
            overtaking = priority and live.outbox.messages
            live.overtook = live.overtook + weight if overtaking else 0
            if window.send(weight, self._now()):
                self._ask(live)

    def _again(self, live: Live) -> None:
        """The wire is full: try again soon."""
        if live.retry is None:
            live.retry_delay = min(max(2 * live.retry_delay, _FIRST_RETRY), _LAST_RETRY)
            live.retry = self._shared.after(live.retry_delay, Retry(live))

    # In --------------------------------------------------------------------------------------------------------------

    def frames(self, live: Live, frames: Sequence[bytes]) -> None:
        """One message of the wire, from a live connection."""
        live.heard_at = self._now()
        try:
            if len(frames) == 1 and (single := decode_single(frames[0])) is not None:
                self._deliver_row(live, single[0], [single[1]])
            elif len(frames) == 1 and is_control(frames[0]):
                self._control(live, decode_control(frames[0]))
            elif live.endpoint is not None and is_question(frames):
                self._within_quota(live)
            else:
                self._deliver(live, decode_batch(frames))
        except DecodeError as error:
            self._shared.metrics.invalid.inc("frame")
            self._shared.warn(live.link.ip, "invalid frames", peer=live.link.peer.short, error=str(error))
            self._handshakes.close(live, Reason.PROTOCOL)

    def _deliver(self, live: Live, messages: list[tuple[int, bytes]]) -> None:
        """Messages in a row on one channel share the look-up and the arithmetic of their quota."""
        for channel, row in groupby(messages, key=itemgetter(0)):
            if not self._deliver_row(live, channel, [payload for _, payload in row]):
                return

    def _deliver_row(self, live: Live, channel: int, payloads: list[bytes]) -> bool:
        """False if the link was closed for it."""
        shared, link = self._shared, live.link
        receiver = shared.receivers.get(channel)
        if max(map(len, payloads)) > (self._max_message if receiver is None else receiver.max_message):
            shared.metrics.invalid.inc("oversize")
            self._handshakes.close(live, Reason.PROTOCOL)
            return False
        live.received += len(payloads)
        if receiver is None:
            return self._unclaimed(live, channel, len(payloads))
        allowed = receiver.inbound.take_many(link.peer, len(payloads), live.heard_at)
        tell, delivered = receiver.mailbox.tell, allowed
        link_id, peer, rejected = link.id, link.peer, Feedback.REJECTED  # looked up once for the whole row
        for payload in payloads[:allowed] if allowed < len(payloads) else payloads:
            if tell(Received(link_id, peer, channel, payload)) is rejected:
                delivered -= 1
        shared.metrics.received.inc(by=delivered)
        if delivered < allowed:
            shared.metrics.dropped.inc("inbox", by=allowed - delivered)
        return allowed == len(payloads) or self._dropped(live, len(payloads) - allowed, "quota")

    def _unclaimed(self, live: Live, channel: int, count: int) -> bool:
        """Drop messages on a channel that nobody takes; False if the link was closed for being over their quota."""
        shared, peer = self._shared, live.link.peer
        if not live.unclaimed:
            shared.warn(live.link.ip, "message on an unknown channel dropped", peer=peer.short, channel=channel)
        live.unclaimed += count
        allowed = self._unknown.take_many(peer, count, live.heard_at)
        shared.metrics.dropped.inc("no_receiver", by=allowed)
        return allowed == count or self._dropped(live, count - allowed, "quota")

    def _dropped(self, live: Live, count: int, why: str) -> bool:
        """Count messages that are over quota; False if the link was closed for it."""
        shared = self._shared
        shared.metrics.dropped.inc(why, by=count)
        if not shared.floods.dropped(live.link.peer, count, live.heard_at):
            return True
        shared.warn(live.link.ip, "flooding", peer=live.link.peer.short)
        self._handshakes.close(live, Reason.FLOODING)
        return False

    def _control(self, live: Live, message: Control) -> None:
        shared = self._shared
        match message:
            case Ping(received=received) if self._within_quota(live):
                live.owed += 1
                self._answer(live)
                self._confirmed(live, received, answer=False)
            case Pong(received=received) if live.answered < live.asked or self._within_quota(live):
                live.answered = min(live.answered + 1, live.asked)
                if live.probe is not None and live.answered >= live.probe_ping:
                    self._handshakes.alive(live)
                self._confirmed(live, received, answer=True)
            case Ping() | Pong():
                pass  # dropped and counted
            case Bye(reason=reason):
                self._handshakes.close(
                    live,
                    reason
                    if reason in _SHARED_REASONS or (live.link.short_lived and reason in ENDS)
                    else Reason.REMOTE,
                    say_why=False,
                )
            case _:
                shared.metrics.invalid.inc("out_of_order")
                self._handshakes.close(live, Reason.PROTOCOL)

    def _within_quota(self, live: Live) -> bool:
        """Whether one more heartbeat of this peer is taken: a Ping, or a Pong to none of ours; each costs an answer.

        Who sends at full speed asks once in a quarter of its window, which is 5 ms of its line, and as often again for
        each heartbeat that frees some of it.
        """
        if self._heartbeats.take(live.link.peer, live.heard_at):
            return True
        self._dropped(live, 1, "heartbeat")
        return False

    def _confirmed(self, live: Live, received: int, *, answer: bool) -> None:
        if not live.confirmed <= received <= live.sent:
            return
        live.confirmed = received
        live.window.confirm(received, self._now(), everything=received == live.sent, answer=answer)
        if live.blocked and live.retry is None:
            self.drain(live)

    # Heartbeats ------------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Ask the silent links for a sign of life, and end those that stayed silent.

        Twice as long after the last beat as it should be this process has stalled: what they said may wait unread.
        """
        shared, config, now = self._shared, self._shared.config, self._shared.now()
        stalled, self._beaten_at = now - self._beaten_at > config.heartbeat_interval, now
        for live in list(shared.links.by_id.values()):
            silent = now - live.heard_at
            if silent >= config.heartbeat_timeout and not stalled:
                self._handshakes.close(live, Reason.DEAD)
                continue
            self._answer(live)
            if silent >= config.heartbeat_interval or live.sent > live.confirmed or live.received > live.reported:
                self._ask(live)

    def _ask(self, live: Live) -> None:
        """A Ping: are you there, and what have you taken?"""
        if self._reported(live, self._shared.ping(live)):
            live.window.ask(live.sent, self._now())

    def _answer(self, live: Live) -> None:
        """Send the Pongs that are due, as each Ping has one."""
        while live.owed and self._reported(live, self._shared.send_control(live.route, Pong(live.received))):
            live.owed -= 1

    def _reported(self, live: Live, sent: Sent) -> bool:
        """Whether a heartbeat, which says what we received, is on its way. A full wire is tried again soon."""
        if sent is Sent.OK:
            live.reported = live.received
        elif sent is Sent.GONE:
            self._handshakes.close(live, Reason.LOST, say_why=False)
        else:
            self._again(live)
        return sent is Sent.OK


def is_question(frames: Sequence[bytes]) -> bool:
    """Whether it is the empty message by which the side that listens asks its libzmq whether there is a route."""
    return len(frames) == 1 and not frames[0]


def _take_out(outbox: Outbox, count: int, size: int) -> None:
    """The first messages of an outbox were handed to the wire."""
    if count == len(outbox.messages):
        outbox.messages.clear()
    else:
        for _ in range(count):
            outbox.messages.popleft()
    outbox.bytes -= size


def next_batch(outbox: Outbox, limit: int) -> tuple[list[tuple[int, bytes]], int]:
    """The first messages of the outbox that fit a batch of `limit` bytes, at least one, and their bytes."""
    messages = outbox.messages
    if len(messages) == 1 or (len(messages) <= MAX_BATCH_MESSAGES and outbox.bytes <= limit):
        return list(messages), outbox.bytes
    batch: list[tuple[int, bytes]] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == MAX_BATCH_MESSAGES or size + len(message[1]) > limit):
            break
        batch.append(message)
        size += len(message[1])
    return batch, size
