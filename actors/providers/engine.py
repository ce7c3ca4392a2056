"""The providers' engine: which part each message is for."""

from __future__ import annotations

from msgspec import Struct

from ... import runtime
from ...runtime import Message, Reply, Subscribe, Subscribers
from ...transport.errors import DecodeError
from ...transport.identity import PeerId
from ...transport.mailbox import Mailbox as Transport
from ...transport.mailbox import OwnRecord, Packet
from ...transport.parts.limited_log import LimitedLog, SayLeftOut
from ...transport.reasons import Reason
from ..connections.mailbox import Mailbox as Connections
from ..connections.mailbox import PeerConnected, PeerDisconnected
from ..maintenance.mailbox import Mailbox as Maintenance
from ..maintenance.mailbox import NotReached
from ..membership.mailbox import Mailbox as Membership
from ..membership.mailbox import MemberDown, MemberProved, MemberUp, MemberUpdated
from .config import Config
from .core import codec
from .core.announcing import Announcer
from .core.index import Index
from .core.members import Members
from .core.search.searches import Searches
from .errors import NotTakingPart
from .mailbox import EndSearch, Find, Findings, GetSearch, Mailbox, Progress, Provide, Search, Withdraw
from .metrics import Metrics
from .parts.answering import Answering
from .parts.asking import AskDue, Asking, AskMore
from .parts.post import Post
from .parts.telling import TellDue, Telling, TellMore

RECEIVE_TIMEOUT = 30.0  # seconds for transport to give its packets
RECORD_TIMEOUT = 10.0  # seconds for transport to answer with this node's record
RECORD_EVERY = 60.0
"""Seconds until it is asked again; until it has an address, at each look for what is over."""
TIDY_EVERY = 1.0
"""Seconds between two looks for what is over in the index."""
_TIDY_STEPS = 1000  # in one turn


class Tidy(Message, Struct, frozen=True):
    """Timer: clear away what is over."""


class Engine(runtime.Engine[Mailbox]):
    """Telling, asking and answering are in `parts/`; what is decided is in `core/`."""

    def __init__(
        self,
        config: Config,
        *,
        me: PeerId,
        transport: Transport,
        membership: Membership,
        maintenance: Maintenance | None = None,
        connections: Connections | None = None,
    ) -> None:
        """me: this node. membership: who the members are. maintenance: asked for connections to holders.

        connections: tells which there are, for `progress`.
        """
        super().__init__()
        self._subscribers = Subscribers()
        self._metrics = Metrics(self.runtime.registry)
        self._log = LimitedLog(self, self._metrics.log_lines_left_out)
        self.handlers = {
            # from others here
            Provide: lambda message: self._telling.provide(message.channel, message.keys) if config.enabled else None,
            Withdraw: lambda message: self._telling.withdraw(message.channel, message.keys),
            Search: lambda message: self._asking.search(message.channel, message.data_key) if config.enabled else None,
            EndSearch: lambda message: self._asking.end_search(message.channel, message.data_key),
            Find: self.on_find,
            GetSearch: self.on_get_search,
            Subscribe: self._subscribers.add,
            # from transport, membership and connections
            Packet: self.on_packet,
            MemberUp: self.on_member_up,
            MemberUpdated: self.on_member_updated,
            MemberProved: self.on_member_proved,
            MemberDown: self.on_member_down,
            PeerConnected: lambda event: self._asking.connected(event.peer),
            PeerDisconnected: lambda event: self._asking.disconnected(event.peer, done=event.reason is Reason.IDLE),
            NotReached: lambda event: self._asking.not_reached(event.peer, None if event.waits else event.reason),
            # from itself
            TellDue: lambda _message: self._telling.on_due(),
            TellMore: lambda _message: self._telling.run(),
            AskDue: lambda _message: self._asking.on_due(),
            AskMore: lambda _message: self._asking.run(),
            Tidy: lambda _message: self.tidy(),
            SayLeftOut: self._log.say_left_out,
        }
        self._config = config
        self._me = me
        self._transport = transport
        self._membership = membership
        self._connections = connections
        self._maintenance = maintenance
        self._members = Members(me)
        self._record_at = 0.0
        self._index = Index(max_keys=config.max_keys, max_keys_per_provider=config.max_keys_per_provider)
        self._announcer = Announcer(
            self._members.ring, me=me, ttl=int(config.ttl), rate=config.rate, burst=config.burst, rng=self.rng
        )
        self._searches = Searches(self._members.ring, me=me, at_once=config.max_searches, rng=self.rng)
        post = Post(transport, self._members, self._metrics)
        self._telling = Telling(self, config, self._announcer, self._index, post, self._metrics, me=me)
        self._asking = Asking(
            self,
            self._searches,
            self._index,
            self._members,
            post,
            self._metrics,
            self._log,
            me=me,
            holds=self._announcer.__contains__,
            maintenance=maintenance,
            emit=self._subscribers.tell,
        )
        self._answering = Answering(
            self, self._index, self._announcer, self._members, post, self._metrics, me=me, maintenance=maintenance
        )

    def on_start(self) -> None:
        """Hear of the members, and receive packets; nothing of it if this node does not take part."""
        if not self._config.enabled:
            return
        self.runtime.registry.collect(self._observe)
        self.on_reply(
            self._transport.receive_packets(self.mailbox, codec.KIND), self._on_receiving, timeout=RECEIVE_TIMEOUT
        )
        self._ask_record()
        self._membership.subscribe(self.mailbox, MemberUp, MemberUpdated, MemberProved, MemberDown)
        if self._connections is not None:
            self._connections.subscribe(self.mailbox, PeerConnected, PeerDisconnected)
        if self._maintenance is not None:
            self._maintenance.subscribe(self.mailbox, NotReached)
        self.every(TIDY_EVERY, Tidy())

    def _on_receiving(self, answer: Exception | None) -> None:
        if answer is not None:
            raise RuntimeError("transport does not give its packets to the providers") from answer

    def _ask_record(self) -> None:
        """This node's record, which has an address once transport listens, and may be another later."""
        self._record_at = self.now() + RECORD_EVERY
        self.on_reply(self._transport.record(), self._on_record, timeout=RECORD_TIMEOUT)

    def _on_record(self, own: OwnRecord | Exception) -> None:
        if isinstance(own, Exception):
            self.log.error("no record of this node", error=own)
        elif self._members.use_record(own.record):
            self._announcer.changed(self._me, self.now())
            self._telling.run()

    def _observe(self) -> None:
        metrics = self._metrics
        metrics.provided.set(len(self._announcer))
        metrics.untold.set(self._announcer.waiting)
        metrics.kept.set(len(self._index))
        metrics.searches.set(len(self._searches))
        metrics.members.set(len(self._members.ring))

    # From others here -------------------------------------------------------------------------------------------------

    def on_find(self, message: Find) -> Reply[Findings]:
        """Raises NotTakingPart and TooManySearches."""
        if not self._config.enabled:
            raise NotTakingPart("this node does not ask who has a key: providers.enabled is false, or it is private")
        return self._asking.find(message.channel, message.data_key)

    def on_get_search(self, message: GetSearch) -> Progress:
        return self._asking.progress(message.channel, message.data_key)

    # Members ----------------------------------------------------------------------------------------------------------

    def on_member_up(self, event: MemberUp) -> None:
        if event.peer != self._me and self._members.put(event.record):
            self._moved(event.peer)

    def on_member_updated(self, event: MemberUpdated) -> None:
        if event.peer != self._me and self._members.put(event.record):
            self._moved(event.peer)

    def on_member_proved(self, event: MemberProved) -> None:
        if self._members.prove(event.peer):
            self._moved(event.peer)

    def on_member_down(self, event: MemberDown) -> None:
        """What it said is named no more from now on."""
        changed = self._members.remove(event.peer)
        self._index.forget(event.peer)
        self._searches.sweep.discard(event.peer)
        self._asking.gone(event.peer)
        if changed:
            self._announcer.changed(event.peer, self.now())
            self._telling.run()

    def _moved(self, peer: PeerId) -> None:
        """A member takes part from now on, or does no more, or is in a later life."""
        if peer in self._members.ring:
            self._searches.sweep.add(peer)
            self._asking.came(peer)
        else:
            self._searches.sweep.discard(peer)
        self._announcer.changed(peer, self.now())
        self._telling.run()

    # Packets ----------------------------------------------------------------------------------------------------------

    def on_packet(self, packet: Packet) -> None:
        """Read it, and give it to the part that it is for."""
        peer = packet.peer
        if peer not in self._members:
            self._metrics.refused.inc("stranger")
            return
        try:
            message = codec.decode(packet.payload)
        except DecodeError as error:
            self._metrics.refused.inc("malformed")
            self._log.note(peer.short, "packet refused", peer=peer.short, error=str(error))
            return
        self._metrics.received.inc(type(message).__name__.lower())
        match message:
            case codec.Provided(number, taken):
                self._telling.provided(peer, number, taken)
            case codec.Holders():
                self._asking.holders(peer, message)
            case codec.Having(number, which):
                self._asking.having(peer, number, which)
            case _ if not self._answering.admits(peer, message):
                pass
            case codec.Provide():
                self._answering.provide(peer, message)
            case codec.Who():
                self._answering.who(peer, message)
            case codec.Have():
                self._answering.have(peer, message)

    def tidy(self) -> None:
        """Clear away what is over, and see that this node's record is known."""
        if self._members.address(self._me) is None or self.now() >= self._record_at:
            self._ask_record()
        self._clear_away()

    def _clear_away(self) -> None:
        if self._index.tidy(self.now(), _TIDY_STEPS):
            self.next_slice(self._clear_away, lane=runtime.Lane.DATA)
