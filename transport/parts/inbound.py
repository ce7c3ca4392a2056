"""From the wire to whom it concerns: what each route is says who reads what comes by it.

::

    wire ──▶ Inbound ─┬─▶ Streams ──▶ mailboxes of the channels' receivers
                      ├─▶ Packets ──▶ mailbox of the packets' receiver
                      ├─▶ Dials ──▶ Handshakes ──▶ Opened
                      └─▶ Handshakes

Each knows only what stands to its right and what all share. What a wire hands up comes here and not to the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.codec import Control, Hello, OtherVersion, decode_control, is_control, packet_kind
from ..errors import DecodeError
from ..identity import PeerId, curve_key
from ..reasons import Reason
from ..wire import Route, Source
from .dialling import Dials
from .handshake import Handshakes
from .links import Dialling, Joining, Live, PacketLink
from .packets import MAX_PACKET, Packets
from .shared import Shared
from .streams import Streams, is_question

_SAY_EVERY = 60.0  # seconds between two warnings of one kind


class Inbound:
    """What happens on the wire, as `WireEvents` has it."""

    def __init__(
        self,
        shared: Shared,
        handshakes: Handshakes,
        dialling: Dials,
        packets: Packets,
        streams: Streams,
    ) -> None:
        """Part of one engine."""
        self._shared = shared
        self._handshakes = handshakes
        self._dialling = dialling
        self._packets = packets
        self._streams = streams
        self._by_route = shared.links.by_route
        self._crowded_until = 0.0

    def accept_connection(self, ip: str, curve_key: bytes) -> bool:
        """See `WireEvents`."""
        now = self._shared.now()
        reason = self._shared.handshake_limits.check(
            self._shared.gate, ip, curve_key, now, now + self._shared.config.handshake_timeout
        )
        if reason is not None:
            self._shared.metrics.refused.inc(reason)
            self._shared.note(ip, "handshake refused", reason=reason.value)
        return reason is None

    def route_up(self, route: Route) -> None:
        """See `WireEvents`."""
        match self._by_route.get(route):
            case Dialling() as dial:
                self._dialling.up(dial)
            case PacketLink() as link:
                self._packets.up(link)

    def route_down(self, route: Route, reason: Reason) -> None:
        """See `WireEvents`."""
        match self._by_route.get(route):
            case Live() as live:
                self._handshakes.close(live, reason, say_why=False)
            case Dialling() as dial:
                self._dialling.ended(dial, reason)
            case Joining() as joining:
                self._handshakes.drop(joining, reason)
            case PacketLink() as link:
                self._packets.end(link)

    def frames(self, route: Route, frames: Sequence[bytes], source: Source | None) -> None:
        """See `WireEvents`. The usual case first."""
        what = self._by_route.get(route)
        if isinstance(what, Live):
            kind = _kind_of_packet(frames) if len(frames) == 2 else None
            if kind is not None:
                if not self._packets.deliver(what.link.peer, kind, frames[1]):
                    self._handshakes.close(what, Reason.FLOODING)
            else:
                self._streams.frames(what, frames)
        elif isinstance(what, PacketLink):
            hello = self._packets.frames(what, frames)
            if hello is not None:
                # it wants to be a connection: the same handshake, with what is known of its source
                self._hello(route, hello, source or Source(curve_key(what.peer), what.ip))
        elif route not in self._shared.links.closing:
            self._handshake(route, frames, source, what)

    def _handshake(
        self, route: Route, frames: Sequence[bytes], source: Source | None, what: Dialling | Joining | None
    ) -> None:
        if what is None:
            self._arrived(source)
        elif isinstance(what, Dialling) and self._is_early(what, frames):
            return
        try:
            message = self._control(frames)
        except OtherVersion as error:
            self._other_version(route, source, what, error)
            return
        match what:
            case Dialling() if message is not None:
                self._dialling.said(what, message)
            case Dialling():
                self._handshakes.fail(what, Reason.PROTOCOL)
            case Joining() if message is not None:
                self._handshakes.answered(what, message)
            case Joining():
                self._handshakes.drop(what, Reason.PROTOCOL)
            case None if isinstance(message, Hello) and source is not None:
                self._hello(route, message, source)
            case None:
                self._shared.metrics.invalid.inc("handshake")
                self._shared.refuse(route, Reason.PROTOCOL)

    def _is_early(self, dial: Dialling, frames: Sequence[bytes]) -> bool:
        """Take what may come before the far end answers our Hello; a dial whose far end floods us with it is over."""
        kind = _kind_of_packet(frames) if dial.adopted and not dial.judged else None
        if kind is not None:  # sent before the far end read our second Hello
            within = self._packets.deliver(dial.ticket.peer, kind, frames[1])
        elif is_question(frames):
            within = self._packets.asked(dial.ticket.peer)
        else:
            return False
        if not within:
            self._handshakes.fail(dial, Reason.FLOODING)
        return True

    def _other_version(
        self, route: Route, source: Source | None, what: Dialling | Joining | None, error: OtherVersion
    ) -> None:
        """Who speaks another version of the protocol is told so in words that every version reads."""
        shared = self._shared
        match what:
            case Dialling() as dial:
                shared.note(dial.host, "dial to another version", peer=dial.ticket.peer.short, version=error.version)
                self._handshakes.fail(dial, Reason.VERSION)
            case Joining() as joining:
                shared.metrics.invalid.inc("handshake")
                self._handshakes.drop(joining, Reason.PROTOCOL)
            case None:
                if source is not None:
                    shared.note(source.ip, "inbound refused", reason=Reason.VERSION.value, version=error.version)
                shared.refuse_version(route)

    def _control(self, frames: Sequence[bytes]) -> Control | None:
        """None for what is no control message. Raises OtherVersion."""
        try:
            return decode_control(frames[0]) if len(frames) == 1 and is_control(frames[0]) else None
        except OtherVersion:
            raise
        except DecodeError as error:
            self._shared.metrics.invalid.inc("handshake")
            self._shared.log.debug("invalid handshake", error=str(error))
            return None

    def _hello(self, route: Route, hello: Hello, source: Source) -> None:
        """Somebody wants a connection, which is the handshake's business, or a packet link."""
        record = self._handshakes.hello(route, hello, source)
        if record is not None:
            self._packets.accept(route, record, source)

    def _arrived(self, source: Source | None) -> None:
        """A first message, whatever it is: its handshake is pending no more."""
        if source is not None:
            self._shared.handshake_limits.arrived(source.curve_key)

    def oversize(self, route: Route, source: Source | None) -> None:
        """See `WireEvents`: no honest peer does this, so it is told nothing, and its IP has to wait."""
        self._arrived(source)
        shared, what = self._shared, self._by_route.get(route)
        ip = source.ip if source is not None else _ip_of(what)
        shared.metrics.invalid.inc("frames")
        if ip is not None:
            self._too_large(ip)
        if (peer := _peer_of(what)) is not None:
            self._packets.rest(peer)
        self.route_down(route, Reason.PROTOCOL)
        shared.shut(route)

    def _too_large(self, ip: str) -> None:
        self._shared.warn(ip, "message too large")
        self._shared.handshake_limits.cool_down(ip, self._shared.now() + self._shared.config.ip_cooldown)

    def listening_lost(self) -> None:
        """See `WireEvents`. ZeroMQ ends what came by it; the node still dials."""
        self._shared.metrics.listening.set(0)
        self._shared.metrics.listening_lost.inc()
        self._shared.log.error("the listening socket is gone: nobody can connect until the node is started again")

    def silent_connection_ended(self, ip: str | None, reason: Reason, left: int) -> None:
        """See `WireEvents`."""
        if ip is not None:
            self._shared.handshake_limits.silent(ip, left)
        self._shared.metrics.silent_connections.inc(reason)
        self._shared.log.debug("silent connection ended", reason=reason.value, ip=ip)
        if reason is Reason.FLOODING and ip is not None:
            self._too_large(ip)
        if reason is Reason.TOO_MANY and self._shared.now() >= self._crowded_until:
            self._crowded_until = self._shared.now() + _SAY_EVERY
            self._shared.log.warning("near the limit of file descriptors: new connections are refused", ip=ip)


def _ip_of(what: Live | Dialling | Joining | PacketLink | None) -> str | None:
    match what:
        case Live():
            return what.link.ip
        case Joining():
            return what.source.ip
        case Dialling():
            return what.host
        case PacketLink():
            return what.ip
    return None


def _peer_of(what: Live | Dialling | Joining | PacketLink | None) -> PeerId | None:
    """Who is known to be there."""
    match what:
        case Live():
            return what.link.peer
        case Dialling():
            return what.ticket.peer
        case PacketLink():
            return what.peer
    return None


def _kind_of_packet(frames: Sequence[bytes]) -> int | None:
    """None if this is no packet."""
    return packet_kind(frames[0]) if len(frames) == 2 and len(frames[1]) <= MAX_PACKET else None
