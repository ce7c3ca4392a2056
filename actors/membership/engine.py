"""The membership's engine: passes each message to the `Session`, `TrackerFeed` or `Persistence` that handles it."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from ... import runtime
from ...runtime import Message, Reply, Subscribe, Subscribers
from ...transport.address import Address
from ...transport.identity import PeerId
from ...transport.mailbox import Closed, Opened, OwnRecord, Packet
from ...transport.mailbox import Mailbox as Transport
from ...transport.parts.limited_log import LimitedLog, SayLeftOut
from ...transport.record import PeerRecord
from ..tracker.mailbox import IpBlocked, IpUnblocked, PeerBlocked, PeerUnblocked
from ..tracker.mailbox import Mailbox as Tracker
from .config import Config
from .core.local_blocks import LocalBlocks
from .core.records import MAX_DISCOVERED
from .errors import NoAddress
from .mailbox import (
    Discovered,
    GetMembers,
    Isolated,
    Join,
    Joined,
    Leave,
    Mailbox,
    MemberDown,
    MemberProved,
    Members,
    MemberUp,
    MemberUpdated,
    SetTags,
)
from .metrics import Metrics
from .parts.outgoing import Greet, RequestMissing
from .parts.persistence import Persistence, Save
from .parts.renewals import RenewAgain, Renewals, SetTagsAgain
from .parts.session import Session, SwimTimer
from .parts.snapshot import Snapshot
from .parts.tracker_feed import PeerSetDue, TrackerFeed

_ANSWER_TIMEOUT = 10.0  # seconds; transport answers at once
_FAREWELLS = 3  # rounds of gossip that say that this node leaves, each to `num_indirect_probes` members
_FAREWELL_EVERY = 0.1  # seconds

ISOLATED_AFTER = 20.0
"""Seconds that members have to answer this node after it has joined, until it says that it is isolated."""

_Seeds = tuple[tuple[PeerId, Address], ...]


class Farewell(Message, Struct, frozen=True):
    """Timer: say once more that this node has left. rounds: how many are still to come, this one included."""

    rounds: int


class LookAround(Message, Struct, frozen=True):
    """Timer: see whether any member has answered since this node joined."""


class Engine(runtime.Engine[Mailbox]):
    """Creates the session at the first `join`, and holds what outlives it: blocks, tags, seeds and subscribers."""

    def __init__(self, config: Config, *, transport: Transport, tracker: Tracker, snapshot: Path | None = None) -> None:
        """transport: carries the packets; this engine's mailbox should be among its observers.

        snapshot: the file that keeps the members over a restart; None for no file.
        """
        super().__init__()
        self._metrics = Metrics(self.runtime.registry)
        self._log = LimitedLog(self, self._metrics.log_lines_left_out)
        self._tracker_feed = TrackerFeed(
            self,
            config,
            tracker,
            self._metrics,
            self._log,
            members=lambda: () if self._session is None else self._session.view.visible,
            is_proved=lambda peer: self._session is None or self._session.is_proved(peer),
            emit=self._emit,
        )
        self._persistence = Persistence(
            self,
            config,
            snapshot,
            self._metrics,
            members=lambda: None if self._session is None else self._session.snapshot(),
        )
        self._renewals = Renewals(
            self, config, transport, self._metrics, session=lambda: self._session, emit=self._emit
        )
        self.handlers = {
            Packet: self.on_packet,
            SwimTimer: self.on_swim_timer,
            RequestMissing: self.on_request_missing,
            Greet: self.on_greet,
            PeerSetDue: self._tracker_feed.on_peer_set_due,
            Opened: self.on_opened,
            Closed: self.on_closed,
            PeerBlocked: lambda event: self._blocks.add(event.peer),
            PeerUnblocked: lambda event: self._blocks.discard(event.peer),
            IpBlocked: lambda event: self._blocks.add(event.target),
            IpUnblocked: lambda event: self._blocks.discard(event.target),
            Join: self.on_join,
            Discovered: self.on_discovered,
            SetTags: self._renewals.on_set_tags,
            SetTagsAgain: self._renewals.on_set_tags_again,
            Save: self._persistence.on_save,
            Leave: self.on_leave,
            Farewell: self.on_farewell,
            RenewAgain: self._renewals.on_renew_again,
            SayLeftOut: self._log.say_left_out,
            LookAround: self.on_look_around,
            GetMembers: self.on_get_members,
            Subscribe: self.on_subscribe,
        }
        self._config = config
        self._transport = transport
        self._tracker = tracker
        self._session: Session | None = None
        self._blocks = LocalBlocks()
        self._subscribers = Subscribers()
        self._farewell: Reply[None] | None = None
        self._discovered: tuple[PeerRecord, ...] = ()
        self._seeds: _Seeds = config.seeds
        self._looking = False  # whether a `LookAround` is due
        self._isolated = False  # and has said so

    def on_start(self) -> None:
        """Subscribe to packets and blocks. The node becomes a member only with `join`."""
        self.runtime.registry.collect(self._observe)
        self._tracker.subscribe(self.mailbox, PeerBlocked, PeerUnblocked, IpBlocked, IpUnblocked)
        self.on_reply(self._transport.receive_packets(self.mailbox), self._on_receiving, timeout=_ANSWER_TIMEOUT)

    def _observe(self) -> None:
        if self._session is not None:
            self._metrics.show(self._session.swim)
            self._metrics.waiting.set(self._session.num_waiting)
            self._metrics.unproved.set(self._session.num_unproved)

    def _on_receiving(self, answer: Exception | None) -> None:
        if answer is not None:
            raise RuntimeError("transport does not give its packets to the membership") from answer

    # From transport ---------------------------------------------------------------------------------------------------

    def on_packet(self, packet: Packet) -> None:
        if self._session is None:
            self._metrics.packets.inc("not_joined")
        elif self._blocks.is_blocked(packet.peer, None):  # the packet was already in this mailbox when the block came
            self._metrics.packets.inc("blocked")
        else:
            self._session.on_packet(packet)

    def on_opened(self, event: Opened) -> None:
        if self._session is not None:
            self._session.on_opened(event.link.record)

    def on_closed(self, event: Closed) -> None:
        if self._session is not None:
            self._session.on_closed(event.peer)

    def on_swim_timer(self, message: SwimTimer) -> None:
        if self._session is not None:
            self._session.on_timer(message.timer)

    def on_request_missing(self, _message: RequestMissing) -> None:
        if self._session is not None:
            self._session.request_missing_again()

    def on_greet(self, message: Greet) -> None:
        if self._session is not None:
            self._session.on_greet(message)

    # Joining and leaving ----------------------------------------------------------------------------------------------

    def on_join(self, message: Join) -> Reply[None] | None:
        """This node's record is asked for only now: it has an address once transport listens."""
        if message.seeds is not None:
            self._seeds = message.seeds
        seeds = self._seeds
        session = self._session
        if session is not None and not session.has_left:
            session.join(seeds)
            self._look_around_later()
            return None
        reply: Reply[None] = Reply()
        if session is None:
            self.on_reply(
                self._transport.record(), lambda own: self._prepare_record(own, seeds, reply), timeout=_ANSWER_TIMEOUT
            )
        else:
            renewed = self._transport.renew(session.swim.identity.generation)
            self.on_reply(renewed, lambda own: self._start_session(own, seeds, reply), timeout=_ANSWER_TIMEOUT)
        return reply

    def _prepare_record(self, own: OwnRecord | Exception, seeds: _Seeds, reply: Reply[None]) -> None:
        """Before the first session: put our tags into the record, and read the members that the file remembers."""
        if isinstance(own, Exception) or own.record.address is None:
            self._start_session(own, seeds, reply)
        elif own.record.metadata != self._renewals.metadata:
            renewed = self._transport.renew(own.record.generation, self._renewals.metadata)
            self.on_reply(renewed, lambda own: self._prepare_record(own, seeds, reply), timeout=_ANSWER_TIMEOUT)
        else:
            self._persistence.load(own.record, lambda known: self._start_session(own, seeds, reply, known))

    def _start_session(
        self, own: OwnRecord | Exception, seeds: _Seeds, reply: Reply[None], known: Snapshot | None = None
    ) -> None:
        if isinstance(own, Exception):
            reply.fail(own)
        elif own.record.address is None:
            self.log.error("no address to be dialled at, so not a member; set transport.advertise")
            reply.fail(NoAddress("this node advertises no address, so nobody can probe it: set transport.advertise"))
        else:
            session = self._session_under(own)
            session.join(seeds)
            self._renewals.change_tags()  # they may have been set while the file was read
            self._look_around_later()
            session.add_discovered(self._discovered)
            self._discovered = ()
            generation = own.record.generation
            self.log.info("taking part", peer=own.record.peer.short, generation=generation, seeds=len(seeds))
            if known is None:
                reply.set(None)
            else:
                self._persistence.restore(known, session).forward_to(reply)

    def _look_around_later(self) -> None:
        if not self._looking:
            self._looking = True
            self.after(ISOLATED_AFTER, LookAround())

    def on_look_around(self, _message: LookAround) -> None:
        """Say that this node is isolated if it is, look again until it is not, and say so too."""
        self._looking = False
        session = self._session
        if session is None or session.has_left:
            return
        if session.is_isolated:
            if self._seeds and not self._isolated:
                self._emit(Isolated())
            self._look_around_later()
        elif self._isolated:
            self._emit(Joined())

    def _session_under(self, own: OwnRecord) -> Session:
        """The session under this record: a new one, or the one that has left, under its new generation."""
        session = self._session
        if session is None:
            session = self._session = Session(
                self,
                self._config,
                own,
                transport=self._transport,
                tracker=self._tracker,
                metrics=self._metrics,
                blocks=self._blocks,
                log=self._log,
                emit=self._emit,
                rejoined=self._renewals.rejoin,
                proved=self._on_proved,
            )
        elif session.has_left and session.use_record(own):
            self._end_farewell()
            session.resume()
        return session

    def on_discovered(self, message: Discovered) -> None:
        if self._session is not None:
            self._session.add_discovered(message.records)
        else:
            self._discovered = (*self._discovered, *message.records)[-MAX_DISCOVERED:]

    def on_leave(self, _message: Leave) -> Reply[None] | None:
        """Repeated a few times, as packets may be lost and nobody acknowledges them."""
        session = self._session
        if session is None or session.has_left:
            return self._farewell
        session.leave()
        if session.swim.num_members == 0:
            return None
        self._farewell = Reply()
        self.after(_FAREWELL_EVERY, Farewell(_FAREWELLS - 1))
        return self._farewell

    def on_farewell(self, message: Farewell) -> None:
        if self._session is not None and self._farewell is not None:
            self._session.gossip()
            if message.rounds > 1:
                self.after(_FAREWELL_EVERY, Farewell(message.rounds - 1))
            else:
                self._end_farewell()

    def _end_farewell(self) -> None:
        if self._farewell is not None:
            self._farewell.set(None)
            self._farewell = None

    # Queries and events -----------------------------------------------------------------------------------------------

    def on_get_members(self, _message: GetMembers) -> Members | Reply[Members]:
        return Members() if self._session is None else self._session.members()

    def on_subscribe(self, message: Subscribe) -> None:
        self._subscribers.add(message)
        if self._session is None:
            return
        for record in self._session.view.visible if MemberUp in message.kinds else ():
            message.subscriber.tell(MemberUp(record.peer, record))
        for record in self._session.view.visible if MemberProved in message.kinds else ():
            if self._session.is_proved(record.peer):
                message.subscriber.tell(MemberProved(record.peer))

    def _on_proved(self, peer: PeerId) -> None:
        """A member has answered for the first time; if it is visible by now, that is told."""
        self._tracker_feed.proved()
        if self._session is not None and self._session.view.is_visible(peer):
            self._subscribers.tell(MemberProved(peer))

    def _emit(self, event: Message) -> None:
        """Give an event to its subscribers; a change of the members also starts a peer set and a write of the file."""
        kind = type(event)
        self._metrics.changes.inc(kind.__name__)
        if isinstance(event, Isolated):
            self._isolated = True
            self.log.warning("isolated: no member answers but perhaps seeds", seeds=len(self._seeds))
        elif isinstance(event, Joined) and self._isolated:
            self._isolated = False
            self.log.info("not isolated any more")
        if isinstance(event, MemberUp | MemberUpdated):
            self._note_change(event.peer, change=kind.__name__, address=str(event.record.address))
            self._tracker_feed.changed(event.record)
            self._persistence.changed()
        elif isinstance(event, MemberDown):
            self._note_change(event.peer, change=kind.__name__)
            self._tracker_feed.changed()
            self._persistence.changed()
        self._subscribers.tell(event)
        if isinstance(event, MemberUp) and self._session is not None and self._session.is_proved(event.peer):
            self._subscribers.tell(MemberProved(event.peer))

    def _note_change(self, member: PeerId, **facts: object) -> None:
        """A line for a change of the members, which have shares of their own."""
        self._log.note_as("member", member.short, "member", peer=member.short, **facts)
