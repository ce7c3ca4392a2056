"""The resolver's engine: what it hears, and which side of it that concerns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ... import runtime
from ...runtime import Lane, Reply, Slices, Subscribe, Subscribers
from ...transport.channel import Channel
from ...transport.errors import DecodeError
from ...transport.identity import PeerId
from ...transport.mailbox import Closed, Opened, Quota, Received
from ...transport.mailbox import Mailbox as Transport
from ...transport.reasons import Reason as LinkReason
from ..connections.mailbox import Mailbox as Connections
from ..maintenance.mailbox import Mailbox as Maintenance
from ..providers.mailbox import HolderFound
from ..providers.mailbox import Mailbox as Providers
from ..tracker.mailbox import Mailbox as Tracker
from ..tracker.mailbox import PeerSetUpdate
from .config import Config
from .core.codec import Missing, Request, Response, decode
from .errors import BadKey
from .mailbox import (
    ApplicationFailed,
    Cancel,
    Clear,
    Fetch,
    FetchAll,
    Get,
    Mailbox,
    MalformedMessage,
    Part,
    Predicate,
    Retain,
)
from .metrics import Metrics
from .parts.application import Consumer, Producer
from .parts.awaited_answers import AwaitedAnswers
from .parts.client import Client, Decisions, GiveUp, SendMore, Tick
from .parts.missing_connections import WantAgain, WantAnother
from .parts.retain import KEYS_PER_SLICE, retain_in_slices
from .parts.server import Serve, Server

REGISTER_TIMEOUT = 30.0
"""Seconds for transport to take the channel; without one a resolver is of no use, so it fails."""


class Engine(runtime.Engine[Mailbox]):
    """One resolver, on one channel. The asking side is in `parts/client.py`, the serving side in `parts/server.py`."""

    def __init__(
        self,
        config: Config,
        *,
        transport: Transport,
        tracker: Tracker,
        channel: int,
        producer: Producer,
        consumer: Consumer,
        maintenance: Maintenance | None = None,
        connections: Connections | None = None,
        providers: Providers | None = None,
        me: PeerId | None = None,
    ) -> None:
        """channel: 16 to 255 for an application's.

        maintenance: if given, it is told which connections are missing. connections: likewise, who works for us.
        providers: asked who has a key that nobody connected has, if the configuration says `find`.
        me: this node's own id, which no connection is missing to, though a peer set may list it.
        """
        super().__init__()
        self.facts = config.key_length
        self.subscribers = Subscribers()
        self.handlers = {
            # from the application
            Fetch: self.on_fetch,
            FetchAll: self.on_fetch_all,
            Cancel: self.on_cancel,
            Clear: self.on_clear,
            Retain: self.on_retain,
            Get: self.on_get,
            Subscribe: self.subscribers.add,
            # from transport and tracker
            Opened: self.on_opened,
            Closed: self.on_closed,
            Received: self.on_received,
            PeerSetUpdate: self.on_peer_set_update,
            # from the providers
            HolderFound: self.on_holder_found,
            # from itself
            Tick: self.on_tick,
            SendMore: self.on_send_more,
            GiveUp: self.on_give_up,
            WantAgain: self.on_want_again,
            WantAnother: lambda _message: self.client.missing_connections.another(),
        }
        self.config = config
        self.providers = providers if config.find else None
        self.transport = transport
        self.tracker = tracker
        self.channel = channel
        self.metrics = Metrics(self.runtime.registry, self.name)
        self.links: dict[int, PeerId] = {}
        self.awaited = AwaitedAnswers(transport)
        self.commands = Slices(self, KEYS_PER_SLICE, lane=Lane.DATA)
        self.client = Client(
            self,
            config,
            me=me,
            channel=Channel(transport, channel, Quota(config.request_rate, config.request_burst)),
            consumer=consumer,
            tracker=tracker,
            maintenance=maintenance,
            connections=connections,
            providers=self.providers,
            metrics=self.metrics,
            failed=self.application_failed,
            emit=self.subscribers.tell,
            awaited=self.awaited,
        )
        self.server = Server(
            self,
            config,
            producer,
            channel=Channel(transport, channel),
            is_open=self.links.__contains__,
            failed=self.application_failed,
            metrics=self.metrics,
            awaited=self.awaited,
        )

    def on_start(self) -> None:
        """Take the channel, and hear of peer sets."""
        quota = Quota(self.config.inbound_rate, self.config.inbound_burst)
        registered = self.transport.register(self.channel, self.mailbox, quota)
        self.on_reply(registered, self.on_registered, timeout=REGISTER_TIMEOUT)
        self.tracker.subscribe(self.mailbox, PeerSetUpdate)
        if self.providers is not None:
            self.providers.subscribe(self.mailbox, HolderFound)
        self.runtime.registry.collect(self.client.observe)

    def on_registered(self, answer: Exception | None) -> None:
        """A channel that is taken is a mistake in composing the node, so the node stops."""
        if answer is not None:  # an error of its own: a `Declined` as it is would stop nothing
            raise RuntimeError(f"{self.name} cannot have channel {self.channel}: {answer}") from answer

    def on_stop(self) -> None:
        """Withdraw the verdicts, and fail every `get` that waits."""
        self.client.stop()

    # From the application: one after the other, in order -------------------------------------------------------------

    def on_fetch(self, message: Fetch) -> None:
        """Want a key, after the commands before."""
        self.in_turn(partial(self.fetch, (message,)))

    def on_fetch_all(self, message: FetchAll) -> None:
        """Want several keys, in their order."""
        self.in_turn(partial(self.fetch, message.fetches))

    def on_cancel(self, message: Cancel) -> None:
        """Cancel one key for all who want it."""
        self.in_turn(lambda: self.client.perform(self.client.wanted.cancel(message.data_key)))

    def on_clear(self, _message: Clear) -> None:
        """Cancel every key."""
        self.retain(None)

    def on_retain(self, message: Retain) -> None:
        """Keep the subscribers that the predicate keeps."""
        self.retain(message.predicate)

    def on_get(self, message: Get) -> Reply[bytes]:
        """Want a key, and answer its value."""
        if len(message.data_key) != self.config.key_length:
            raise BadKey(len(message.data_key), self.config.key_length)
        reply: Reply[bytes] = Reply()
        self.in_turn(partial(self.client.get, message.data_key, message.timeout, reply))
        return reply

    def in_turn(self, command: Callable[[], object]) -> None:
        """Run it now, or when all before it are done."""

        def run() -> None:
            command()
            self.client.end_turn()

        self.commands.call(run)

    def fetch(self, fetches: tuple[Fetch, ...]) -> None:
        """Want these keys; of one with another length only `ApplicationFailed` comes."""
        for fetch in fetches:
            if len(fetch.data_key) == self.config.key_length:
                self.client.fetch(fetch)
            else:
                error = BadKey(len(fetch.data_key), self.config.key_length)
                self.application_failed("key", fetch.data_key, error)

    def retain(self, predicate: Predicate | None) -> None:
        """Drop whom the predicate does not keep, in slices; commands that come meanwhile wait. None drops everybody."""

        def perform(decisions: Decisions) -> None:
            self.client.perform(decisions)
            self.client.end_turn()

        job = retain_in_slices(self.client.wanted, predicate, perform=perform, failed=self.application_failed)
        self.commands.run(job, lambda _none: None)

    # From transport and tracker --------------------------------------------------------------------------------------

    def on_opened(self, message: Opened) -> None:
        """A link opened: one more peer can be asked, and asks us."""
        link = message.link
        self.links[link.id] = link.peer
        self.awaited.opened(link)
        self.client.opened(link.peer, link.id)
        self.client.end_turn()

    def on_closed(self, message: Closed) -> None:
        """What was asked over this link is asked of others."""
        self.links.pop(message.link_id, None)
        self.awaited.closed(message.link_id)
        self.client.closed(message.peer, message.link_id)
        self.client.end_turn()

    def on_peer_set_update(self, message: PeerSetUpdate) -> None:
        """Ask the peers of this set from now on."""
        self.client.reconcile(message.index, message.latest)
        self.client.end_turn()

    def on_holder_found(self, message: HolderFound) -> None:
        """Who has a key is asked first for it."""
        self.client.found(message.channel, message.data_key, message.peer)
        self.client.end_turn()

    def on_received(self, message: Received) -> None:
        """A request goes to the serving side, an answer to the asking side, anything else is malformed."""
        link = message.link_id
        if link not in self.links:
            self.metrics.stray.inc()
            return
        try:
            decoded = decode(message.payload, self.config.key_length)
        except DecodeError as error:
            self.malformed(message, error)
            return
        match decoded:
            case Request():
                self.server.on_request(Serve(link, message.peer, decoded, self.now()))
                return  # nothing of ours has changed
            case Response(request_id, value):
                self.client.respond(link, request_id, bytes(value))
            case Missing(request_id):
                self.client.missing(link, request_id)
        self.client.end_turn()

    def malformed(self, message: Received, error: DecodeError) -> None:
        """Counted and told; the link is closed if the configuration says so."""
        self.metrics.malformed.inc()
        self.log.info("message cannot be decoded", peer=message.peer.short, error=str(error))
        self.subscribers.tell(MalformedMessage(message.peer, str(error)))
        if self.config.close_malformed:
            self.transport.close_link(message.link_id, LinkReason.PROTOCOL)

    # From itself -----------------------------------------------------------------------------------------------------

    def on_tick(self, _message: Tick) -> None:
        """The deadline of a request, or the time of a key that waits."""
        self.client.tick()
        self.client.end_turn()

    def on_send_more(self, _message: SendMore) -> None:
        """The last turn sent as much as one turn may: go on."""
        self.client.end_turn()

    def on_give_up(self, message: GiveUp) -> None:
        """The timeout of a `get` is over: it fails with `FetchTimedOut`."""
        self.client.give_up(message.number)
        self.client.end_turn()

    def on_want_again(self, _message: WantAgain) -> None:
        """Ask maintenance again for the connections that keys still wait for."""
        self.client.missing_connections.again()

    # Events ----------------------------------------------------------------------------------------------------------

    def application_failed(self, part: Part, key: bytes | None, error: Exception) -> None:
        """Application code did not do what it should; nobody is blamed."""
        self.metrics.application_failures.inc(part)
        self.log.error("application code failed", error=error, part=part, key=key.hex() if key is not None else None)
        self.subscribers.tell(ApplicationFailed(part, key, error))
