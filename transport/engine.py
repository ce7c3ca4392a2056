"""Transport's engine: which message and timer goes to which part. What happens on the wire goes to `Inbound`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from msgspec import Struct

from .. import runtime
from ..runtime import Message, Overflow, Reply, Waiter
from .address import Address
from .config import Config
from .core.buckets import TokenBuckets
from .core.codec import Bye
from .errors import AlreadyListening, ChannelsClosed, ChannelTaken
from .gatekeeper import Gate, Ticket
from .identity import Identity, PeerId
from .identity.generation import Generations
from .identity.life import Life
from .mailbox import (
    AnswersAwaited,
    Close,
    CloseLink,
    Dial,
    Gatekeeper,
    GetRecord,
    Listen,
    OwnRecord,
    ReceivePackets,
    Register,
    Renew,
    Send,
    SendFirst,
    SendPacket,
    SetGate,
)
from .parts.dialling import AttemptOver, Dials, TryConnect
from .parts.handshake import Handshakes, ProbeOver
from .parts.inbound import Inbound
from .parts.limited_log import SayLeftOut
from .parts.links import Dialling, Joining, PacketLink
from .parts.name_lookup import LookUpLate, NameLookUps
from .parts.packets import Packets
from .parts.shared import Late, Receiver, SayBye, Shared, Shut
from .parts.short_lived import Look
from .parts.streams import Flush, FlushFirst, Retry, Streams
from .reasons import Reason
from .record import PeerRecord
from .wire import Wire
from .wire.zmq_wire import ZmqWire

_POLL_BUDGET = 256  # messages of the wire between two looks at the inbox
_DISK_TIMEOUT = 5.0  # seconds
WireFactory = Callable[[Identity, Config, Callable[[], object]], Wire]


class WireReady(Message, Struct, frozen=True):
    """The wire has something to hand up (only from wires that are not waited on)."""

    overflow: ClassVar[Overflow] = Overflow.LATEST


class Beat(Message, Struct, frozen=True):
    """Timer: heartbeats."""


def zmq_wire(identity: Identity, config: Config, _announce: Callable[[], object]) -> ZmqWire:
    """The production wire, as `Engine` makes it by default."""
    return ZmqWire(
        identity,
        max_frame=config.max_frame,
        max_frames=2 + 256,
        high_water=config.high_water,
        handshake_timeout=config.handshake_timeout,
        max_silent=config.max_pending_handshakes,
    )


class Engine(Shared):
    """Owns the socket, every link, and the hard limits."""

    def __init__(
        self,
        config: Config,
        *,
        identity: Identity,
        gatekeeper: Gatekeeper,
        observers: tuple[runtime.Mailbox, ...] = (),
        wire: WireFactory = zmq_wire,
        generations: Generations | None = None,
    ) -> None:
        """identity: this node's key. gatekeeper: the tracker's mailbox. observers: told of every `Opened` and `Closed`.

        wire: what makes the wire; a simulation passes its own. generations: where this node's newest generation
        outlives it; None for nowhere. Raises GenerationError.
        """
        super().__init__(config, identity=identity, gatekeeper=gatekeeper, observers=observers, generations=generations)
        self.handshakes = Handshakes(self)
        self.names = NameLookUps(self)
        self.dialling = Dials(self, self.handshakes, self.names)
        self.packets = Packets(self, self.dialling, self.names)
        self.streams = Streams(self, self.handshakes)
        self.inbound = Inbound(self, self.handshakes, self.dialling, self.packets, self.streams)
        self.handlers = {
            Send: self.streams.send,
            SendFirst: self.streams.send,
            Flush: lambda _message: self.streams.flush(),
            FlushFirst: lambda _message: self.streams.flush(),
            Retry: lambda message: self.streams.drain(message.live),
            SendPacket: self.packets.send,
            Dial: self.dialling.start,
            TryConnect: lambda message: self.dialling.connect(message.dial),
            AttemptOver: self.dialling.attempt_over,
            LookUpLate: self.names.late,
            Close: self.on_close,
            CloseLink: self.on_close_link,
            SetGate: self.on_set_gate,
            Listen: self.on_listen,
            Register: self.on_register,
            ReceivePackets: self.on_receive_packets,
            GetRecord: lambda _message: self.own,
            Renew: self.on_renew,
            Beat: lambda _message: self.streams.beat(),
            Late: self.on_late,
            ProbeOver: self.handshakes.probe_over,
            AnswersAwaited: self.handshakes.short_lived.answers_awaited,
            Look: self.handshakes.short_lived.look,
            Shut: lambda message: self.shut(message.route),
            SayBye: self.say_bye,
            SayLeftOut: self.limited_log.say_left_out,
            WireReady: lambda _message: self.on_wire_ready(),
        }
        self.listening: Address | None = None
        self._make_wire = wire
        self._renewed = 0  # the newest generation that was asked for

    def on_start(self) -> None:
        """Make the wire; nobody can connect before `listen`."""
        self.wire = self._make_wire(self.identity, self.config, lambda: self.mailbox.tell(WireReady()))
        self.every(self.config.heartbeat_interval / 2, Beat())

    def on_stop(self) -> None:
        """Say goodbye to everybody and release the socket."""
        if not hasattr(self, "wire"):
            return
        try:
            self.handshakes.stop()
            for live in list(self.links.by_id.values()):
                self.streams.drain(live, last=True)
                self.handshakes.close(live, Reason.SHUTDOWN)
            for link in list(self.links.packet_routes.values()):
                self.send_control(link.route, Bye(Reason.SHUTDOWN))
            for dial in list(self.links.dials.values()):
                self.handshakes.fail(dial, Reason.SHUTDOWN)
        finally:
            self.wire.close()

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        """Every ticket that a dial, a handshake or a connection holds. For tests, between two messages."""
        joinings = [joining for each in self.links.joining.values() for joining in each]
        tickets = [dial.ticket for dial in self.links.dials.values()]
        tickets += [joining.ticket for joining in joinings if joining.ticket is not None]
        return (*tickets, *(live.ticket for live in self.links.by_id.values()))

    # Commands --------------------------------------------------------------------------------------------------------

    def on_listen(self, _message: Listen) -> Address:
        """Bind, and put the address into our record."""
        if self.listening is not None:
            raise AlreadyListening(f"this node listens on {self.listening} already")
        bound = self.wire.bind(self.config.listen)
        advertised = self.config.advertise
        if advertised is None and (bound.ip is None or not bound.ip.is_unspecified):
            advertised = Address(bound)
        self._sign_record(None if self.config.conceal else advertised, self.record.generation)
        self.listening = advertised or Address(replace(bound, host="127.0.0.1"))
        self.metrics.listening.set(1)
        self.log.info("listening", on=str(bound), advertise=str(advertised), peer=str(self.me))
        return self.listening

    def on_register(self, message: Register) -> None:
        """Take a channel for a receiver."""
        if self.listening is not None:
            raise ChannelsClosed(f"channel {message.channel}: channels are registered before listen()")
        if message.channel in self.receivers:
            raise ChannelTaken(f"channel {message.channel} has a receiver already")
        buckets = TokenBuckets(message.inbound.rate, message.inbound.burst)
        most = min(message.max_message or self.config.max_message, self.config.max_message)
        self.receivers[message.channel] = Receiver(message.receiver, buckets, most)

    def on_receive_packets(self, message: ReceivePackets) -> None:
        """Take the packets of a kind for a receiver."""
        if message.kind in self.packet_receivers:
            raise ChannelTaken(f"packets of kind {message.kind} have a receiver already")
        self.packet_receivers[message.kind] = message.receiver

    def on_set_gate(self, message: SetGate) -> int:
        """Swap the gate, end what it blocks, let go on what waited for it. An older one than the present is ignored."""
        before, gate = self.gate or Gate(0), message.gate
        if gate.version < before.version:
            return before.version
        self.gate = gate
        if message.disconnect:
            self._end_blocked(gate, before)
        self.packets.gate_changed(gate, before)
        self.handshakes.gate_changed()
        return gate.version

    def _end_blocked(self, gate: Gate, before: Gate) -> None:
        """By CURVE key, as two identities may share one, and by IP."""
        if gate.blocks_more_than(before):
            now = ((peer, key, ip) for peer, key, ip in self.links.sources() if gate.blocks(ip, key))
            peers = {peer for peer, key, ip in now if not before.blocks(ip, key)}
            for peer in sorted(peers):
                self._end(peer, Reason.BLOCKED)

    def on_close(self, message: Close) -> None:
        """End everything of a peer in this one handler: nothing of it is delivered afterwards."""
        self._end(message.peer, message.reason)

    def _end(self, peer: PeerId, reason: Reason) -> None:
        live, dial = self.links.live.get(peer), self.links.dials.get(peer)
        for joining in self.links.joinings(peer):
            self.handshakes.drop(joining, reason)
        if dial is not None:
            self.handshakes.fail(dial, reason)
        if live is not None:
            self.handshakes.close(live, reason)
        self.packets.end_all(peer)

    def on_close_link(self, message: CloseLink) -> None:
        """End one connection, after what was sent on it before."""
        live = self.links.by_id.get(message.link_id)
        if live is None:
            self.metrics.ignored.inc()
            return
        self.streams.drain(live, last=True)
        self.handshakes.close(live, message.reason)

    def on_renew(self, message: Renew) -> Reply[OwnRecord]:
        """Sign a newer record of ourselves, once its generation is stored."""
        generation = self._renewed = max(message.generation, self.record.generation, self._renewed) + 1
        reply: Reply[OwnRecord] = Reply()

        def stored(answer: Exception | None) -> None:
            if answer is not None:
                self.log.error("generation not stored: a restart may seem an earlier life", why=str(answer))
            self._sign_record(self.record.address, generation, message.metadata)
            reply.set(self.own)

        if self.generations is None:
            stored(None)
        else:
            written = self.work(self.generations.store, generation, serial="generation")
            self.on_reply(written, stored, timeout=_DISK_TIMEOUT)
        return reply

    def _sign_record(self, address: Address | None, generation: int, metadata: bytes | None = None) -> None:
        if generation != self.life.generation:
            self.life = Life(self.identity, generation)
        self.record = PeerRecord.sign(
            self.identity,
            network=self.config.network,
            address=address,
            generation=generation,
            metadata=self.record.metadata if metadata is None else metadata,
            life=self.life,
        )

    # Timers ----------------------------------------------------------------------------------------------------------

    def on_late(self, message: Late) -> None:
        """A handshake or dial took too long."""
        match message.what:
            case Dialling() as dial:
                self.handshakes.fail(dial, Reason.TIMEOUT)
            case Joining() as joining:
                self.handshakes.drop(joining, Reason.TIMEOUT)
            case PacketLink() as link:
                self.packets.end(link)

    # The wire --------------------------------------------------------------------------------------------------------

    def waiter(self) -> Waiter | None:
        """The wire's sockets, where it has any."""
        return self.wire.waiter() if hasattr(self, "wire") else None

    def poll(self) -> bool:
        """Take what the wire has."""
        return self.wire.poll(self.inbound, _POLL_BUDGET)

    def on_wire_ready(self) -> None:
        """As `poll`, for wires that announce themselves."""
        if self.poll():
            self.mailbox.tell(WireReady())
