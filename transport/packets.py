"""Packet links: small best-effort datagrams between peers that need no connection (SWIM's probes).

A packet goes over the connection to its peer if there is one, else over a packet link, opened on demand. At most
`max_packet_links` are kept; the least recently used is closed. A peer that has moved gets a new one: the old one may be
half-open, and swallow all that is sent. They count against no connection limit, have no ticket, and no observer hears
of them. Nothing is retried: a packet that cannot go now is dropped and counted. So is what a peer sends over its quota,
whatever it comes by; who keeps on is closed.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..runtime import Feedback
from .address import Endpoint
from .buckets import TokenBuckets
from .codec import (
    PACKET_HEAD,
    VERSION,
    Bye,
    Control,
    Hello,
    Reject,
    Welcome,
    decode_control,
    encode_control,
    is_control,
)
from .core import Core, cancel
from .errors import DecodeError
from .gatekeeper import Gate
from .identity import PeerId, possible_curve_key
from .links import PacketLink
from .mailbox import Packet, SendPacket
from .reasons import Reason
from .record import PeerRecord
from .wire import Route, Sent, Source

MAX_PACKET = 64 * 1024  # bytes
_QUEUE = 16  # packets that wait while their link opens


class PacketsPart:
    """Packets and their links. The links are in the table."""

    def __init__(self, core: Core) -> None:
        """Part of one engine."""
        self._core = core
        self._inbound = TokenBuckets(core.config.packet_rate, core.config.packet_burst)

    def send(self, message: SendPacket) -> None:
        """Send over the connection, or over a packet link."""
        core = self._core
        if len(message.payload) > MAX_PACKET or message.peer == core.me:
            self._count("refused")
            return
        live = core.links.live.get(message.peer)
        if live is not None:
            self._put(live.route, message.payload)
            return
        link = core.links.packets.get(message.peer)
        if link is not None and link.endpoint != message.address.endpoint:
            self.end(link)
            link = None
        link = link or self._open(message)
        if link is None:
            self._count("dropped")
        elif link.up:
            self._touch(link)
            self._put(link.route, message.payload)
        elif len(link.queue) < _QUEUE:
            link.queue.append(message.payload)
        else:
            self._count("dropped")

    def _open(self, message: SendPacket) -> PacketLink | None:
        """Dial for packets; None if that cannot be done now: DNS is for connections only."""
        core = self._core
        endpoint, key = message.address.endpoint, possible_curve_key(message.peer)
        if key is None or not self._may_dial(key, endpoint):
            return None
        self._make_room()
        route = core.wire.connect(endpoint, key)
        if route is None:
            return None
        link = PacketLink(route, message.peer, key, endpoint.host, endpoint, up=False)
        link.deadline = core.deadline(core.config.handshake_timeout, link)
        core.links.by_route[route] = core.links.packet_routes[route] = core.links.packets[message.peer] = link
        return link

    def _may_dial(self, key: bytes, endpoint: Endpoint) -> bool:
        core = self._core
        if core.gate is None or not endpoint.is_numeric:
            return False
        if any(live.endpoint == endpoint for live in core.links.by_id.values()):
            return False
        return core.gate.check_packets(endpoint.host, key) is None

    def up(self, link: PacketLink) -> None:
        """Encrypted: introduce ourselves."""
        core = self._core
        hello = Hello((VERSION,), core.config.network, core.record.encode(), packets=True, proof=core.proof(core.me))
        if core.send_control(link.route, hello) is not Sent.OK:
            self.end(link)

    def accept(self, route: Route, record: PeerRecord, source: Source) -> None:
        """A peer of our network wants a packet link: the gate's packet policy decides."""
        core = self._core
        reason = core.gate.check_packets(source.ip, source.curve_key) if core.gate is not None else Reason.NO_GATE
        if reason is not None:
            core.refuse(route, reason)
            return
        self._make_room()
        link = PacketLink(route, record.peer, source.curve_key, source.ip, None, up=True)
        core.links.by_route[route] = core.links.packet_routes[route] = link
        core.wire.send(route, [encode_control(Welcome(VERSION, bytes(16), core.record.encode(), core.proof(core.me)))])

    def frames(self, link: PacketLink, frames: Sequence[bytes]) -> Hello | None:
        """A message on a packet link; a Hello is handed back, because it asks for promotion to a connection."""
        head = frames[0]
        if len(frames) == 2 and head == PACKET_HEAD and link.up and len(frames[1]) <= MAX_PACKET:
            self._touch(link)
            if not self.deliver(link.peer, frames[1]):
                self._forget(link)
                self._core.send_control(link.route, Bye(Reason.FLOODING))
                self._core.shut_later(link.route)
            return None
        try:
            message = decode_control(head) if len(frames) == 1 and is_control(head) else None
        except DecodeError:
            message = None
        if isinstance(message, Hello) and link.endpoint is None and not message.packets:
            self._forget(link)
            return message
        self._said(link, message)
        return None

    def _said(self, link: PacketLink, message: Control | None) -> None:
        match message:
            case Welcome() if link.endpoint is not None and not link.up:
                self._welcomed(link, message)
            case Reject() | Bye():
                self.end(link)
            case _:
                self._core.metrics.invalid.inc("packet_link")
                self.end(link)

    def _welcomed(self, link: PacketLink, welcome: Welcome) -> None:
        core = self._core
        record = core.judge_record(welcome.record, welcome.proof)
        if not isinstance(record, PeerRecord) or record.peer != link.peer:
            core.metrics.invalid.inc("packet_link")
            self.end(link)
            return
        cancel(link.deadline)
        link.up = True
        while link.queue:
            self._put(link.route, link.queue.popleft())
        core.packets_judged(link.peer)

    def deliver(self, peer: PeerId, payload: bytes) -> bool:
        """A packet came, over a packet link or a connection; False if its sender keeps on over its quota."""
        core, now = self._core, self._core.now()
        if not self._inbound.take(peer, now):
            self._count("quota")
            return not core.floods.dropped(peer, 1, now)
        receiver = core.packet_receiver
        if receiver is None or receiver.tell(Packet(peer, payload)) is Feedback.REJECTED:
            self._count("dropped")
        else:
            self._count("received")
        return True

    def end(self, link: PacketLink) -> None:
        """Close a packet link; what waits for it is dropped."""
        self._forget(link)
        self._core.shut(link.route)
        if link.endpoint is not None:
            self._core.packets_judged(link.peer)

    def end_all(self, peer: PeerId) -> None:
        """Close every packet link with a peer."""
        for link in [link for link in self._core.links.packet_routes.values() if link.peer == peer]:
            self.end(link)

    def gate_changed(self, gate: Gate) -> None:
        """Close the packet links that the new gate does not allow."""
        for link in list(self._core.links.packet_routes.values()):
            if gate.check_packets(link.ip, link.curve_key) is not None:
                self.end(link)

    def _forget(self, link: PacketLink) -> None:
        links = self._core.links
        links.packet_routes.pop(link.route, None)
        links.by_route.pop(link.route, None)
        if links.packets.get(link.peer) is link:
            del links.packets[link.peer]
        cancel(link.deadline)
        self._count("dropped", by=len(link.queue))

    def _make_room(self) -> None:
        links = self._core.links.packet_routes
        while len(links) >= self._core.config.max_packet_links:
            self.end(next(iter(links.values())))

    def _touch(self, link: PacketLink) -> None:
        """The most recently used stands last."""
        links = self._core.links.packet_routes
        if link.route in links:
            links[link.route] = links.pop(link.route)

    def _put(self, route: Route, payload: bytes) -> None:
        sent = self._core.wire.send(route, [PACKET_HEAD, payload])
        self._count("sent" if sent is Sent.OK else "dropped")

    def _count(self, outcome: str, by: int = 1) -> None:
        if by:
            self._core.metrics.packets.inc(outcome, by=by)
