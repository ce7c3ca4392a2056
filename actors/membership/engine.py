"""The membership's engine: messages in, this node's `Participant` and the tracker's `Feeder` do the rest."""

from __future__ import annotations

from dataclasses import dataclass

from ... import runtime
from ...runtime import Feedback, Message, Reply
from ...transport.address import Address
from ...transport.identity import PeerId
from ...transport.mailbox import Closed, Opened, Packet
from ...transport.mailbox import Mailbox as Transport
from ...transport.record import PeerRecord
from ..tracker.mailbox import Mailbox as Tracker
from ..tracker.mailbox import PeerBlocked, PeerUnblocked
from .config import Config
from .errors import NoAddress
from .feeder import Feeder, Settled
from .mailbox import (
    GetMembers,
    Join,
    Leave,
    Mailbox,
    MemberDown,
    Members,
    MemberUp,
    MemberUpdated,
    Rejoined,
    Subscribe,
)
from .metrics import Metrics
from .participant import AskForRecords, Participant, SwimTimer
from .swim import MemberId

_ANSWER_WITHIN = 10.0  # seconds; transport answers at once
_FAREWELLS = 3  # rounds of gossip, each to `num_indirect_probes` members
_FAREWELL_EVERY = 0.1  # seconds

_Seeds = tuple[tuple[PeerId, Address], ...]


@dataclass(frozen=True, slots=True)
class Farewell(Message):
    """Timer: say once more that this node has left. rounds: how often yet."""

    rounds: int


class Engine(runtime.Engine[Mailbox]):
    """Who is alive."""

    def __init__(self, config: Config, *, transport: Transport, tracker: Tracker) -> None:
        """transport: carries the packets; this engine's mailbox should be among its observers."""
        super().__init__()
        self._metrics = Metrics(self.runtime.registry)
        self._feeder = Feeder(
            self,
            config,
            tracker,
            self._metrics,
            members=lambda: () if self._participant is None else self._participant.view.visible,
            tell=self._tell,
        )
        self.handlers = {
            Packet: self.on_packet,
            SwimTimer: self.on_swim_timer,
            AskForRecords: self.on_ask_for_records,
            Settled: self._feeder.on_settled,
            Opened: self.on_opened,
            Closed: self.on_closed,
            PeerBlocked: lambda event: self._blocked.add(event.peer),
            PeerUnblocked: lambda event: self._blocked.discard(event.peer),
            Join: self.on_join,
            Leave: self.on_leave,
            Farewell: self.on_farewell,
            GetMembers: self.on_get_members,
            Subscribe: self.on_subscribe,
        }
        self._config = config
        self._transport = transport
        self._tracker = tracker
        self._participant: Participant | None = None
        self._blocked: set[PeerId] = set()
        self._subscribers: dict[runtime.Mailbox, frozenset[type[Message]]] = {}
        self._farewell: Reply[None] | None = None

    def on_start(self) -> None:
        """Packets and blocks; taking part begins with `join`."""
        self._tracker.subscribe(self.mailbox, PeerBlocked, PeerUnblocked)
        self.on_reply(self._transport.receive_packets(self.mailbox), self._on_receiving, within=_ANSWER_WITHIN)

    def _on_receiving(self, answer: Exception | None) -> None:
        if answer is not None:
            raise RuntimeError("transport does not give its packets to the membership") from answer

    # From below ------------------------------------------------------------------------------------------------------

    def on_packet(self, packet: Packet) -> None:
        if self._participant is None:
            self._metrics.packets.inc("not_joined")
        elif packet.peer in self._blocked:  # it waited here when the block overtook it
            self._metrics.packets.inc("blocked")
        else:
            self._participant.packet(packet)

    def on_opened(self, event: Opened) -> None:
        if self._participant is not None:
            self._participant.opened(event.link.record)

    def on_closed(self, event: Closed) -> None:
        if self._participant is not None:
            self._participant.closed(event.peer)

    def on_swim_timer(self, message: SwimTimer) -> None:
        if self._participant is not None:
            self._participant.timer(message.timer)

    def on_ask_for_records(self, _message: AskForRecords) -> None:
        if self._participant is not None:
            self._participant.ask_again()

    # Coming and going ------------------------------------------------------------------------------------------------

    def on_join(self, message: Join) -> Reply[None] | None:
        """The record is asked for only now: it gets its address when transport listens."""
        seeds: _Seeds = self._config.seeds if message.seeds is None else message.seeds
        participant = self._participant
        if participant is not None and not participant.has_left:
            participant.join(seeds)
            return None
        reply: Reply[None] = Reply()
        record = (
            self._transport.record()
            if participant is None
            else self._transport.renew(participant.swim.identity.generation)
        )
        self.on_reply(record, lambda own: self._take_part(own, seeds, reply), within=_ANSWER_WITHIN)
        return reply

    def _take_part(self, own: PeerRecord | Exception, seeds: _Seeds, reply: Reply[None]) -> None:
        if isinstance(own, Exception):
            reply.fail(own)
        elif own.address is None:
            self.log.error("no address to be dialled at, so not a member; set transport.advertise")
            reply.fail(NoAddress("this node advertises no address, so nobody can probe it: set transport.advertise"))
        else:
            self._become(own).join(seeds)
            self.log.info("taking part", peer=own.peer.short, generation=own.generation, seeds=len(seeds))
            reply.set(None)

    def _become(self, own: PeerRecord) -> Participant:
        """This node as a member under its own record."""
        participant = self._participant
        if participant is None:
            participant = self._participant = Participant(
                self,
                self._config,
                own,
                transport=self._transport,
                metrics=self._metrics,
                blocked=self._blocked,
                tell=self._tell,
                rejoined=self._on_rejoin,
            )
        elif participant.has_left and participant.renewed(own):
            self._end_farewell()
            participant.come_back()
        return participant

    def on_leave(self, _message: Leave) -> Reply[None] | None:
        """The news is repeated a few times, as packets may be lost and nobody acknowledges it."""
        participant = self._participant
        if participant is None or participant.has_left:
            return self._farewell
        participant.leave()
        if participant.swim.num_members == 0:
            return None
        self._farewell = Reply()
        self.after(_FAREWELL_EVERY, Farewell(_FAREWELLS - 1))
        return self._farewell

    def on_farewell(self, message: Farewell) -> None:
        if self._participant is not None and self._farewell is not None:
            self._participant.gossip()
            if message.rounds > 1:
                self.after(_FAREWELL_EVERY, Farewell(message.rounds - 1))
            else:
                self._end_farewell()

    def _end_farewell(self) -> None:
        if self._farewell is not None:
            self._farewell.set(None)
            self._farewell = None

    def _on_rejoin(self, member: MemberId) -> None:
        """`Swim` goes on as `member`, whose record only transport can sign."""
        self.log.warning("held dead by others, going on under a new generation", generation=member.generation)
        self.on_reply(self._transport.renew(member.generation - 1), self._on_renewed, within=_ANSWER_WITHIN)

    def _on_renewed(self, own: PeerRecord | Exception) -> None:
        if isinstance(own, Exception):
            self.log.error("no record of the new generation", error=own)
        elif self._participant is not None and self._participant.renewed(own):
            self._tell(Rejoined(own))

    # To others -------------------------------------------------------------------------------------------------------

    def on_get_members(self, _message: GetMembers) -> Members:
        return Members() if self._participant is None else self._participant.members()

    def on_subscribe(self, message: Subscribe) -> None:
        mailbox = message.mailbox
        self._subscribers[mailbox] = self._subscribers.get(mailbox, frozenset()) | set(message.kinds)
        if MemberUp in message.kinds and self._participant is not None:
            for record in self._participant.view.visible:
                mailbox.tell(MemberUp(record.peer, record))

    def _tell(self, event: Message) -> None:
        """An event goes to those who want it; a change of the members also to the tracker."""
        kind = type(event)
        self._metrics.changes.inc(kind.__name__)
        if isinstance(event, MemberUp | MemberUpdated):
            self.log.info("member", change=kind.__name__, peer=event.peer.short, address=str(event.record.address))
            self._feeder.changed(event.record)
        elif isinstance(event, MemberDown):
            self.log.info("member", change=kind.__name__, peer=event.peer.short)
            self._feeder.changed()
        wanting = [mailbox for mailbox, kinds in self._subscribers.items() if kind in kinds]
        for mailbox in wanting:
            if mailbox.tell(event) is Feedback.CLOSED:
                del self._subscribers[mailbox]
