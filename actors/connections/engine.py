"""The connections engine: hears of links, counts, tells subscribers, trims."""

from __future__ import annotations

from dataclasses import dataclass

from ... import runtime
from ...runtime import Feedback, Message, Reply, Timer
from ...transport import mailbox as transport
from ...transport.mailbox import Closed, Opened
from ...transport.reasons import Reason
from .config import Config
from .mailbox import Counts, GetInfo, Info, Mailbox, PeerConnected, PeerDisconnected, Subscribe, Trim, TrimReport
from .metrics import Metrics
from .table import Table
from .trim import RunningTrim


@dataclass(frozen=True, slots=True)
class CloseTimeout(Message):
    """To itself: the trim has waited long enough."""


class Engine(runtime.Engine[Mailbox]):
    """Handlers only; which link goes is decided in `table.py`."""

    def __init__(self, config: Config, *, transport: transport.Mailbox) -> None:
        """transport: where links are closed. It must have this engine's mailbox among its observers."""
        super().__init__()
        self.handlers = {
            # from transport
            Opened: self.on_opened,
            Closed: self.on_closed,
            # from anybody
            Subscribe: self.on_subscribe,
            GetInfo: self.on_get_info,
            Trim: self.on_trim,
            # from itself
            CloseTimeout: self.on_close_timeout,
        }
        self._config = config
        self._transport = transport
        self._metrics = Metrics(self.runtime.registry)
        self._table = Table(secret=self.rng.randbytes(16))
        self._told = Counts(open=0, closing=0)
        self._subscribers: dict[type[Message], list[runtime.Mailbox]] = {}
        self._trim: RunningTrim | None = None
        self._trim_timer: Timer | None = None
        self._last_trim: float | None = None

    def on_opened(self, message: Opened) -> None:
        """Count a link."""
        link = message.link
        first = not self._table.has_peer(link.peer)
        if not self._table.opened(link):
            self._metrics.unexpected.inc("opened")
            self.log.warning("link opened twice", link=link.id, peer=link.peer.short)
            return
        self._metrics.opened.inc(link.direction)
        self._tell_counts()
        if first:
            self._emit(PeerConnected(link.peer))

    def on_closed(self, message: Closed) -> None:
        """Forget a link; perhaps a trim is done with it."""
        link = self._table.closed(message.link_id)
        if link is None:
            self._metrics.unexpected.inc("closed")
            self.log.warning("unknown link closed", link=message.link_id, peer=message.peer.short)
            return
        self._metrics.closed.inc(message.reason)
        self._tell_counts()
        if not self._table.has_peer(link.peer):
            self._emit(PeerDisconnected(link.peer, message.reason))
        if self._trim is not None and self._trim.closed(link.id):
            self._end_trim()

    def on_subscribe(self, message: Subscribe) -> None:
        """Add a subscriber; a second subscription to the same kind changes nothing."""
        for kind in message.kinds:
            listening = self._subscribers.setdefault(kind, [])
            if all(mailbox is not message.subscriber for mailbox in listening):
                listening.append(message.subscriber)
        if Counts in message.kinds:
            message.subscriber.tell(self._told)

    def on_get_info(self, _message: GetInfo) -> Info:
        """What there is now."""
        return Info(self._table.open, self._table.closing, self._table.links(), self._last_trim)

    def on_trim(self, message: Trim) -> Reply[TrimReport]:
        """Start a trim, or share the one that runs."""
        if self._trim is not None:
            return self._trim.share(message.target)
        return self._start_trim(message.target)

    def on_close_timeout(self, _message: CloseTimeout) -> None:
        """Report without the links that did not close."""
        self._end_trim()

    # Parts of the handlers -------------------------------------------------------------------------------------------

    def _start_trim(self, target: int) -> Reply[TrimReport]:
        """Choose and close. Without a victim the report is there at once."""
        self._last_trim = self.now()
        victims = self._table.choose(target)
        if not victims:
            return Reply.of(TrimReport(closed=(), short_by=0))
        self._metrics.trims.inc()
        self.log.info("trimming connections", target=target, victims=len(victims))
        self._trim = RunningTrim(target, {link.id: link for link in victims})
        self._trim_timer = self.after(self._config.close_timeout, CloseTimeout())
        self._tell_counts()
        for link in victims:
            self._transport.close_link(link.id, Reason.TRIMMED)
        return self._trim.expect()

    def _end_trim(self) -> None:
        """Report, and go on with a stricter target if somebody asked for one."""
        trim, timer = self._trim, self._trim_timer
        if trim is None or timer is None:
            return
        timer.cancel()
        self._trim = self._trim_timer = None
        report = trim.end()
        if report.short_by:
            self.log.warning("connections did not close in time", left=report.short_by)
        if trim.next_target is not None:
            self._start_trim(trim.next_target)

    def _tell_counts(self) -> None:
        """Tell the numbers if one of them changed."""
        counts = Counts(self._table.open, self._table.closing)
        if counts != self._told:
            self._told = counts
            self._metrics.open.set(counts.open)
            self._metrics.closing.set(counts.closing)
            self._emit(counts)

    def _emit(self, event: Message) -> None:
        """Tell an event to who subscribed to its kind, and drop who is gone."""
        kind = type(event)
        listening = self._subscribers.get(kind)
        if listening:
            self._subscribers[kind] = [each for each in listening if each.tell(event) is not Feedback.CLOSED]
