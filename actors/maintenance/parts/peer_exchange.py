"""The engine's part that talks with peers about peers. `core/exchange_rules.py` decides what is said to whom."""

from __future__ import annotations

from collections.abc import Callable

from .... import runtime
from ....runtime import Feedback, Message, Reply
from ....transport import mailbox as transport
from ....transport.channel import Channel
from ....transport.errors import DecodeError
from ....transport.gatekeeper import Link
from ....transport.mailbox import Closed, Opened, Quota, Received
from ....transport.record import PeerRecord
from ...tracker import mailbox as tracker
from ..core import codec
from ..core.codec import ExchangeMessage, Kind
from ..core.exchange_rules import ExchangeLimits, ExchangeRules, read_records
from ..mailbox import AdvertiseReceived, AdvertiseSent, BootstrapReceived, BootstrapSent, ExchangeRefused, Mailbox
from ..metrics import Metrics

_READ_TIMEOUT = 10.0  # seconds; a hundred records take some milliseconds
_REGISTER_TIMEOUT = 10.0
_READING_AT_ONCE = 16  # answers on the pool; more are refused, and asked for again
_QUOTA = Quota(rate=10.0, burst=20)  # messages of one peer; an honest one sends some in a minute


class PeerExchange:
    """Opened, Closed and Received of the exchange's channel, and `search`."""

    def __init__(
        self,
        engine: runtime.Engine[Mailbox],
        limits: ExchangeLimits,
        *,
        channel: int | None,
        transport: transport.Mailbox,
        tracker: tracker.Mailbox,
        metrics: Metrics,
        emit: Callable[[Message], object],
        changed: Callable[[], object],
    ) -> None:
        """channel: None for a node that exchanges nothing. emit: tells an event to the subscribers.

        changed: called when the connections are others.
        """
        self.rules = ExchangeRules(limits, engine.rng)
        self._engine = engine
        self._transport = transport
        self._tracker = tracker
        self._metrics = metrics
        self._emit = emit
        self._changed = changed
        self._channel = None if channel is None else Channel(transport, channel)
        self._reading = 0

    def start(self) -> None:
        """Register for the channel, with a quota for each peer. The node stops if it is taken."""
        if self._channel is not None:
            mailbox = self._engine.mailbox
            registered = self._transport.register(self._channel.number, mailbox, _QUOTA, codec.MAX_MESSAGE)
            self._engine.on_reply(registered, self._on_registered, timeout=_REGISTER_TIMEOUT)

    def _on_registered(self, answer: Exception | None) -> None:
        """A channel that is taken is a mistake in composing the node, so the node stops."""
        if answer is not None:
            raise RuntimeError("transport does not give maintenance its channel") from answer

    # Asking ----------------------------------------------------------------------------------------------------------

    def search(self) -> int:
        """Ask the connected peers for others; how many were asked."""
        if self._channel is None:
            return 0
        asked = 0
        for link in self.rules.ask():
            if self._send(link, codec.BOOTSTRAP):
                asked += 1
                self._emit(BootstrapSent(link.peer))
        return asked

    # From transport --------------------------------------------------------------------------------------------------

    def on_opened(self, message: Opened) -> None:
        """A link that lasts opened: its peer may be asked. A private node says at once that it is one."""
        if message.link.short_lived:
            return
        self.rules.opened(message.link)
        self._changed()
        if self.rules.limits.private:
            self._send(message.link, codec.PRIVATE)

    def on_closed(self, message: Closed) -> None:
        """A link closed: its peer is neither asked nor told of."""
        self.rules.closed(message.link_id)
        self._changed()

    def on_received(self, message: Received) -> None:
        """A message of a peer: a question, an answer, or that it is private."""
        link = self.rules.link(message.link_id)
        if link is None:
            self._metrics.exchange.inc("closed")
            return
        try:
            said = codec.decode(message.payload)
        except DecodeError as error:
            self._refuse(link, "invalid", error=str(error))
            return
        match said.kind:
            case Kind.BOOTSTRAP:
                self._on_bootstrap(link)
            case Kind.ADVERTISE:
                self._on_advertise(link, said)
            case Kind.PRIVATE:
                self._metrics.exchange.inc("private_received")
                self.rules.said_private(link.id)

    def _on_bootstrap(self, link: Link) -> None:
        self._metrics.exchange.inc("bootstrap_received")
        self._emit(BootstrapReceived(link.peer))
        told = self.rules.answer(link.id, self._engine.now())
        if isinstance(told, str):
            self._refuse(link, told)
        elif told and self._send(link, ExchangeMessage(Kind.ADVERTISE, tuple(record.encode() for record in told))):
            self._emit(AdvertiseSent(link.peer, len(told)))

    def _on_advertise(self, link: Link, said: ExchangeMessage) -> None:
        self._metrics.exchange.inc("advertise_received")
        why_not = self.rules.expects(link.id)
        if why_not is None and self._reading >= _READING_AT_ONCE:
            why_not = "busy"
        if why_not is not None:
            self._refuse(link, why_not)
            return
        self._reading += 1
        read: Reply[tuple[tuple[PeerRecord, ...], int]] = self._engine.work(
            read_records, said.records, link.record.network
        )
        self._engine.on_reply(read, lambda result: self._on_read(link, result), timeout=_READ_TIMEOUT)

    def _on_read(self, link: Link, result: tuple[tuple[PeerRecord, ...], int] | Exception) -> None:
        """Pass on what is useful; the tracker checks the signatures."""
        self._reading -= 1
        if isinstance(result, Exception):
            self._refuse(link, "busy", error=repr(result))
            return
        records, invalid = result
        useful = self.rules.useful(records, link)
        ignored = invalid + len(records) - len(useful)
        self._metrics.records.inc("hinted", by=len(useful))
        self._metrics.records.inc("invalid", by=invalid)
        self._metrics.records.inc("ignored", by=ignored - invalid)
        if useful and self._tracker.hint(useful, link.peer) is Feedback.REJECTED:
            self._refuse(link, "busy")
            return
        self._engine.log.debug("peers named", by=link.peer.short, hinted=len(useful), ignored=ignored)
        self._emit(AdvertiseReceived(link.peer, len(useful), ignored))

    def _refuse(self, link: Link, why: str, **details: object) -> None:
        self._metrics.exchange.inc(f"refused_{why}")
        self._engine.log.info("peer exchange refused", peer=link.peer.short, why=why, **details)
        self._emit(ExchangeRefused(link.peer, why))

    def _send(self, link: Link, message: ExchangeMessage) -> bool:
        channel = self._channel
        if channel is None:
            return False
        accepted = channel.send(link.id, link.peer, codec.encode(message), self._engine.now()).accepted
        self._metrics.exchange.inc(f"{message.kind.name.lower()}_{'sent' if accepted else 'unsent'}")
        return accepted
