"""Transport's engine: which message, timer and event of the wire goes to which part.

The parts are `DiallingPart`, `AcceptingPart`, `StreamsPart` and `PacketsPart`; what they share is in `Core`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from .. import runtime
from ..runtime import Message, Overflow, Reply, Waiter
from .address import Address
from .config import Config
from .core.buckets import TokenBuckets
from .core.codec import PACKET_HEAD, Bye, Control, Hello, decode_control, is_control
from .errors import AlreadyListening, ChannelsClosed, ChannelTaken, DecodeError
from .gatekeeper import Gate, Ticket
from .identity import Identity, PeerId, curve_key
from .identity.generation import Generations
from .mailbox import (
    Close,
    CloseLink,
    Dial,
    Gatekeeper,
    GetRecord,
    Listen,
    ReceivePackets,
    Register,
    Renew,
    Send,
    SendFirst,
    SendPacket,
    SetGate,
)
from .parts.accepting import AcceptingPart, ProbeOver
from .parts.base import Core, Late, Receiver, SayBye, Shut, WireFactory
from .parts.dialling import AttemptOver, DiallingPart, TryConnect
from .parts.links import Dialling, Joining, Live, PacketLink
from .parts.packets import MAX_PACKET, PacketsPart
from .parts.streams import Flush, FlushFirst, Retry, StreamsPart
from .reasons import Reason
from .record import PeerRecord
from .wire import Route, Source
from .wire.zmq_wire import ZmqWire

_POLL_BUDGET = 256  # messages of the wire between two looks at the inbox
_DISK_WITHIN = 5.0  # seconds
_SAY_EVERY = 60.0  # seconds between two warnings of one kind


@dataclass(frozen=True, slots=True)
class WireReady(Message):
    """The wire has something to hand up (only from wires that are not waited on)."""

    overflow: ClassVar[Overflow] = Overflow.LATEST


@dataclass(frozen=True, slots=True)
class Beat(Message):
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


class Engine(Core):
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
        self.dialling = DiallingPart(self)
        self.packets = PacketsPart(self)
        self.accepting = AcceptingPart(self, self.dialling, self.packets)
        self.streams = StreamsPart(self)
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
            Close: self.on_close,
            CloseLink: self.on_close_link,
            SetGate: self.on_set_gate,
            Listen: self.on_listen,
            Register: self.on_register,
            ReceivePackets: self.on_receive_packets,
            GetRecord: lambda _message: self.record,
            Renew: self.on_renew,
            Beat: lambda _message: self.streams.beat(),
            Late: self.on_late,
            ProbeOver: self.on_probe_over,
            Shut: lambda message: self.shut(message.route),
            SayBye: self.say_bye,
            WireReady: lambda _message: self.on_wire_ready(),
        }
        self.packets_judged = self.dialling.packets_judged
        self.dial_ended = self.accepting.dial_ended
        self.link_judged = self.accepting.link_judged
        self.listening: Address | None = None
        self._crowded_until = 0.0
        self._make_wire = wire
        self._renewed = 0  # the newest generation that was asked for

    def on_start(self) -> None:
        """Make the wire; nobody can knock before `listen`."""
        self.wire = self._make_wire(self.identity, self.config, lambda: self.mailbox.tell(WireReady()))
        self.every(self.config.heartbeat_interval / 2, Beat())

    def on_stop(self) -> None:
        """Say goodbye to everybody and release the socket."""
        if not hasattr(self, "wire"):
            return
        try:
            self.accepting.stop()
            for live in list(self.links.by_id.values()):
                self.streams.drain(live, last=True)
                self.close(live, Reason.SHUTDOWN)
            for link in list(self.links.packet_routes.values()):
                self.send_control(link.route, Bye(Reason.SHUTDOWN))
            for dial in list(self.links.dials.values()):
                self.dialling.fail(dial, Reason.SHUTDOWN)
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
        """Take the packets for a receiver."""
        if self.packet_receiver is not None:
            raise ChannelTaken("packets have a receiver already")
        self.packet_receiver = message.receiver

    def on_set_gate(self, message: SetGate) -> int:
        """Swap the gate, end what it blocks, let go on what waited for it. An older one than the present is ignored."""
        before, gate = self.gate, message.gate
        if before is not None and gate.version < before.version:
            return before.version
        self.gate = gate
        if message.disconnect:
            self._end_blocked(gate, before or Gate(0))
        self.packets.gate_changed(gate)
        self.gate_changed()
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
            self.drop(joining, reason)
        if dial is not None:
            self.dialling.fail(dial, reason)
        if live is not None:
            self.close(live, reason)
        self.packets.end_all(peer)

    def on_close_link(self, message: CloseLink) -> None:
        """End one connection, after what was sent on it before."""
        live = self.links.by_id.get(message.link_id)
        if live is None:
            self.metrics.ignored.inc()
            return
        self.streams.drain(live, last=True)
        self.close(live, message.reason)

    def on_renew(self, message: Renew) -> PeerRecord | Reply[PeerRecord]:
        """Sign a newer record of ourselves, once its generation is stored."""
        generation = self._renewed = max(message.generation, self.record.generation, self._renewed) + 1
        reply: Reply[PeerRecord] = Reply()

        def stored(answer: Exception | None) -> None:
            if answer is not None:
                self.log.error("generation not stored: a restart may seem an earlier life", why=str(answer))
            self._sign_record(self.record.address, generation, message.metadata)
            reply.set(self.record)

        if self.generations is None:
            stored(None)
        else:
            written = self.work(self.generations.store, generation, serial="generation")
            self.on_reply(written, stored, within=_DISK_WITHIN)
        return reply

    def _sign_record(self, address: Address | None, generation: int, metadata: bytes | None = None) -> None:
        self.record = PeerRecord.sign(
            self.identity,
            network=self.config.network,
            address=address,
            generation=generation,
            metadata=self.record.metadata if metadata is None else metadata,
        )

    # Timers ----------------------------------------------------------------------------------------------------------

    def on_late(self, message: Late) -> None:
        """A handshake or dial took too long."""
        match message.what:
            case Dialling() as dial:
                self.dialling.fail(dial, Reason.TIMEOUT)
            case Joining() as joining:
                self.drop(joining, Reason.TIMEOUT)
            case PacketLink() as link:
                self.packets.end(link)

    def on_probe_over(self, message: ProbeOver) -> None:
        """A live link that had to give a sign of life did not."""
        if message.live.probe is message.claim:
            self.link_judged(message.live, False)

    # Events of the wire ----------------------------------------------------------------------------------------------

    def waiter(self) -> Waiter | None:
        """The wire's sockets, where it has any."""
        return self.wire.waiter() if hasattr(self, "wire") else None

    def poll(self) -> bool:
        """Take what the wire has."""
        return self.wire.poll(self, _POLL_BUDGET)

    def on_wire_ready(self) -> None:
        """As `poll`, for wires that announce themselves."""
        if self.poll():
            self.mailbox.tell(WireReady())

    def knock(self, ip: str, curve_key: bytes) -> bool:
        """See `WireEvents`."""
        now = self.now()
        reason = self.admission.knock(self.gate, ip, curve_key, now, now + self.config.handshake_timeout)
        if reason is not None:
            self.metrics.refused.inc(reason)
            self.log.info("handshake refused", reason=reason.value, ip=ip)
        return reason is None

    def route_up(self, route: Route) -> None:
        """See `WireEvents`."""
        match self.links.by_route.get(route):
            case Dialling() as dial:
                self.dialling.up(dial)
            case PacketLink() as link:
                self.packets.up(link)

    def route_down(self, route: Route, reason: Reason) -> None:
        """See `WireEvents`."""
        match self.links.by_route.get(route):
            case Live() as live:
                self.close(live, reason, words=False)
            case Dialling() as dial:
                self.dialling.ended(dial, reason)
            case Joining() as joining:
                self.drop(joining, reason)
            case PacketLink() as link:
                self.packets.end(link)

    def frames(self, route: Route, frames: Sequence[bytes], source: Source | None) -> None:
        """See `WireEvents`. The usual case first."""
        what = self.links.by_route.get(route)
        if isinstance(what, Live):
            if len(frames) == 2 and frames[0] == PACKET_HEAD and len(frames[1]) <= MAX_PACKET:
                if not self.packets.deliver(what.link.peer, frames[1]):
                    self.close(what, Reason.FLOODING)
            else:
                self.streams.frames(what, frames)
        elif isinstance(what, PacketLink):
            hello = self.packets.frames(what, frames)
            if hello is not None:
                self._promote(route, what, hello, source)
        elif route not in self.links.closing:
            self._handshake(route, frames, source, what)

    def _handshake(
        self, route: Route, frames: Sequence[bytes], source: Source | None, what: Dialling | Joining | None
    ) -> None:
        if what is None:
            self._arrived(source)
        elif isinstance(what, Dialling) and what.adopted and not what.judged and _is_packet(frames):
            self.packets.deliver(what.ticket.peer, frames[1])  # sent before the far end read our second Hello
            return
        message = self._control(frames)
        match what:
            case Dialling() if message is not None:
                self.dialling.said(what, message)
            case Dialling():
                self.dialling.fail(what, Reason.PROTOCOL)
            case Joining() if message is not None:
                self.accepting.said(what, message)
            case Joining():
                self.drop(what, Reason.PROTOCOL)
            case None if isinstance(message, Hello) and source is not None:
                self.accepting.hello(route, message, source)
            case None:
                self.metrics.invalid.inc("handshake")
                self.refuse(route, Reason.PROTOCOL)

    def _control(self, frames: Sequence[bytes]) -> Control | None:
        try:
            return decode_control(frames[0]) if len(frames) == 1 and is_control(frames[0]) else None
        except DecodeError as error:
            self.metrics.invalid.inc("handshake")
            self.log.debug("invalid handshake", error=str(error))
            return None

    def _promote(self, route: Route, link: PacketLink, hello: Hello, source: Source | None) -> None:
        """An inbound packet link wants to be a connection: the same handshake, with what is known of its source."""
        self.accepting.hello(route, hello, source or Source(curve_key(link.peer), link.ip))

    def _arrived(self, source: Source | None) -> None:
        """A first message, whatever it is: its handshake is pending no more."""
        if source is not None:
            self.admission.arrived(source.curve_key)

    def oversize(self, route: Route, frames: int, source: Source | None) -> None:
        """See `WireEvents`: no honest peer does this."""
        self._arrived(source)
        self.metrics.invalid.inc("frames")
        self.log.warning("message too large", frames=frames)
        match self.links.by_route.get(route):
            case Live() as live:
                self.close(live, Reason.PROTOCOL)
            case _:
                self.route_down(route, Reason.PROTOCOL)
                self.shut(route)

    def unspoken(self, ip: str | None, reason: Reason, left: int) -> None:
        """See `WireEvents`."""
        if ip is not None:
            self.admission.silent(ip, left)
        self.metrics.unspoken.inc(reason)
        self.log.debug("connection without a word ended", reason=reason.value, ip=ip)
        if reason is Reason.TOO_MANY and self.now() >= self._crowded_until:
            self._crowded_until = self.now() + _SAY_EVERY
            self.log.warning("near the limit of file descriptors: new connections are refused", ip=ip)


def _is_packet(frames: Sequence[bytes]) -> bool:
    return len(frames) == 2 and frames[0] == PACKET_HEAD and len(frames[1]) <= MAX_PACKET
