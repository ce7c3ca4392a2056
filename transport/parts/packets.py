"""Packet links: small best-effort datagrams between peers that need no connection (SWIM's probes).

A packet goes over the connection to its peer if there is one, else over a packet link, opened on demand. At most
`max_packet_links` are kept; then the least recently used is closed, of an IP or a subnet that has more than its share
if there is one. A peer that has moved gets a new one: the old one may be half-open, and swallow all that is sent. They
count against no connection limit, have no ticket, and no observer hears of them. Nothing is retried: a packet that
cannot go now is dropped and counted. So is what a peer sends over its quota, whatever it comes by and of whatever kind;
who keeps on is closed. Each kind has one receiver; a packet of a kind that nobody takes here is dropped and counted, as
it may be another version's or another application's.

The name of an address is looked up off this thread, as for a dial; a few packets wait for that. What it stands for
counts for a minute, or until none of its addresses leads to the peer; then it is looked up anew, and a link to what it
stands for no more ends. Names that are kept and packets that wait for one are bounded, as look-ups are: any member may
advertise any name.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice

from msgspec import Struct, field

from ...runtime import Feedback
from ..address import Endpoint, is_global, share_of_subnet
from ..core.buckets import TokenBuckets
from ..core.codec import (
    NONCE_BYTES,
    PACKET_HEADS,
    Bye,
    Control,
    Hello,
    Reject,
    Welcome,
    decode_control,
    is_control,
    packet_kind,
)
from ..errors import DecodeError
from ..gatekeeper import Gate
from ..identity import PeerId, possible_curve_key
from ..mailbox import Packet, SendPacket
from ..reasons import Reason
from ..record import PeerRecord
from ..wire import Route, Sent, Source
from .dialling import Dials
from .links import PacketLink
from .name_lookup import MAX_ADDRESSES, NameLookUps, Resolved
from .shared import Shared, cancel

MAX_PACKET = 64 * 1024  # bytes
_MAX_RESTING = 4096  # peers
_QUEUE = 16  # packets that wait while their link opens, or while a name is looked up
_MOST_NAMES, _MOST_WAITING = 256, 512  # and packets that wait for names
_NAME_COUNTS, _FAILURE_COUNTS = 60.0, 5.0  # seconds until a name is looked up again
_SAY_EVERY = 60.0  # seconds between two warnings of one kind


class _Name(Struct, eq=False):
    """What a name stands for. looking: it is looked up now. until: monotonic seconds."""

    endpoint: Endpoint
    waiting: list[SendPacket] = field(default_factory=list)
    endpoints: deque[Endpoint] = field(default_factory=deque)
    looking: bool = True
    until: float = 0.0


class Packets:
    """Packets and their links. The links are in the table."""

    def __init__(self, shared: Shared, dialling: Dials, names: NameLookUps) -> None:
        """Part of one engine."""
        self._shared = shared
        self._dialling = dialling
        self._inbound = TokenBuckets(shared.config.packet_rate, shared.config.packet_burst)
        self._names: OrderedDict[Endpoint, _Name] = OrderedDict()  # the one looked up last at the end
        self._waiting = 0  # packets, for names
        self._look_ups = names
        self._say_unclaimed_at = 0.0
        self._resting: OrderedDict[PeerId, float] = OrderedDict()  # until when, the one that ends last at the end

    def send(self, message: SendPacket) -> None:
        """Send over the connection, or over a packet link."""
        shared = self._shared
        if len(message.payload) > MAX_PACKET or message.peer == shared.me:
            self._count("refused")
            return
        live = shared.links.live.get(message.peer)
        if live is not None:
            self._put(live.route, message.kind, message.payload)
            return
        theirs = shared.links.inbound_packets.get(message.peer) if message.answer else None
        if theirs is not None:
            self._put_soon(theirs, message)
            return
        link = shared.links.packets.get(message.peer)
        if link is not None and message.address.endpoint not in (link.asked, link.endpoint):
            self.end(link)
            link = None
        if link is None:
            self._find(message)
            return
        if link.asked is not None and not link.asked.is_numeric:
            self._look_up_again(link.peer, link.asked)
        self._put_soon(link, message)

    def _put_soon(self, link: PacketLink, message: SendPacket) -> None:
        if link.up:
            self._shared.links.use_packet_link(link)
            self._put(link.route, message.kind, message.payload)
        elif len(link.queue) < _QUEUE:
            link.queue.append((message.kind, message.payload))
        else:
            self._count("dropped")

    def _find(self, message: SendPacket) -> None:
        """Open a link for a packet, or look up the name first."""
        endpoint = message.address.endpoint
        if endpoint.is_numeric:
            self._open(message, (endpoint,))
            return
        name = self._look_up_again(message.peer, endpoint)
        if name is None or (name.looking and (len(name.waiting) >= _QUEUE or self._waiting >= _MOST_WAITING)):
            self._count("dropped")
        elif name.looking:
            self._waiting += 1
            name.waiting.append(message)
            self._look_ups.back(message.peer, endpoint)
        elif name.endpoints:
            self._open(message, name.endpoints)
        else:
            self._count("unresolved")

    def _look_up_again(self, peer: PeerId, endpoint: Endpoint) -> _Name | None:
        """What is known of a name, or will be; None if no more can be remembered. peer: who advertises it."""
        name = self._names.get(endpoint)
        if name is None or (name.until <= self._shared.now() and not name.looking):
            return self._look_up(peer, endpoint)
        return name

    def _look_up(self, peer: PeerId, endpoint: Endpoint) -> _Name | None:
        self._names.pop(endpoint, None)
        if len(self._names) >= _MOST_NAMES:
            oldest = next((other.endpoint for other in self._names.values() if not other.looking), None)
            if oldest is None:
                return None
            del self._names[oldest]
        name = self._names[endpoint] = _Name(endpoint)
        self._look_ups.ask(peer, endpoint, lambda resolved: self._looked_up(name, resolved))
        return name

    def _looked_up(self, name: _Name, resolved: Resolved | Exception) -> None:
        shared, name.looking = self._shared, False
        if isinstance(resolved, Exception):
            resolved = Resolved(refused=(f"{type(resolved).__name__}: {resolved}"[:200],))
        if resolved.refused:
            shared.log.debug("name not resolved", name=str(name.endpoint), refused="; ".join(resolved.refused[:3]))
        name.endpoints.extend(islice(resolved.endpoints, MAX_ADDRESSES))
        name.until = shared.now() + (_NAME_COUNTS if name.endpoints else _FAILURE_COUNTS)
        for link in list(shared.links.packets.values()) if name.endpoints else ():
            if link.asked == name.endpoint and link.endpoint not in name.endpoints:
                self.end(link)
        waiting, name.waiting = name.waiting, []
        self._waiting -= len(waiting)
        for message in waiting:
            self.send(message)

    def _open(self, message: SendPacket, endpoints: Sequence[Endpoint]) -> None:
        """Dial the first of these that may be dialled, for a packet that waits; it is dropped if that cannot be now."""
        shared, key = self._shared, possible_curve_key(message.peer)
        if self._resting.get(message.peer, 0.0) > shared.now():
            key = None
        endpoint = None if key is None else next((each for each in endpoints if self._may_dial(key, each)), None)
        if key is None or endpoint is None:
            self._count("dropped")
            return
        self._make_room(endpoint.host)
        route = shared.wire.connect(endpoint, key)
        if route is None:
            self._count("dropped")
            return
        asked = message.address.endpoint
        link = PacketLink(route, message.peer, key, endpoint.host, endpoint, up=False, asked=asked)
        link.queue.append((message.kind, message.payload))
        link.deadline = shared.deadline(shared.config.handshake_timeout, link)
        self._enter(link)

    def rest(self, peer: PeerId) -> None:
        """Dial this peer for no packet for `ip_cooldown`: it would send too much again, on our own line to it."""
        self._resting.pop(peer, None)
        self._resting[peer] = self._shared.now() + self._shared.config.ip_cooldown
        if len(self._resting) > _MAX_RESTING:
            self._resting.popitem(last=False)

    def _may_dial(self, key: bytes, endpoint: Endpoint) -> bool:
        shared = self._shared
        if shared.gate is None or endpoint.ip is None:
            return False
        if not (shared.config.allow_private_ips or is_global(endpoint.ip)):
            return False
        if any(live.endpoint == endpoint for live in shared.links.by_id.values()):
            return False
        return shared.gate.check_packets(endpoint.host, key) is None

    def _failed(self, link: PacketLink) -> None:
        """Of a name's addresses this one did not lead to the peer. After the last the name is looked up anew, soon."""
        name = None if link.asked is None else self._names.get(link.asked)
        if name is not None and link.endpoint is not None and link.endpoint in name.endpoints:
            name.endpoints.remove(link.endpoint)
            if not name.endpoints:
                name.until = self._shared.now() + _FAILURE_COUNTS

    def up(self, link: PacketLink) -> None:
        """Encrypted: introduce ourselves."""
        shared = self._shared
        hello = shared.hello(packets=True)
        if shared.send_control(link.route, hello) is not Sent.OK:
            self.end(link)

    def accept(self, route: Route, record: PeerRecord, source: Source) -> None:
        """A peer of our network wants a packet link: the gate's packet policy decides."""
        shared = self._shared
        reason = shared.gate.check_packets(source.ip, source.curve_key) if shared.gate is not None else Reason.NO_GATE
        if reason is not None:
            shared.refuse(route, reason)
            return
        self._make_room(source.ip)
        link = PacketLink(route, record.peer, source.curve_key, source.ip, None, up=True)
        self._enter(link)
        shared.send_control(route, shared.welcome(bytes(NONCE_BYTES)))

    def _enter(self, link: PacketLink) -> None:
        self._shared.links.add_packet_link(link)
        self._shared.wire.limit(link.route, MAX_PACKET)

    def frames(self, link: PacketLink, frames: Sequence[bytes]) -> Hello | None:
        """A message on a packet link; a Hello is handed back, because it asks for promotion to a connection."""
        head = frames[0]
        kind = packet_kind(head) if len(frames) == 2 else None
        if kind is not None and link.up and len(frames[1]) <= MAX_PACKET:
            self._shared.links.use_packet_link(link)
            if not self.deliver(link.peer, kind, frames[1]):
                self._flooded(link)
            return None
        if link.endpoint is not None and not head and len(frames) == 1:  # its libzmq is asked whether we are there
            if not self.asked(link.peer):
                self._flooded(link)
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
            case Reject(reason=reason):
                self._shared.metrics.packet_links_refused.inc(reason)
                self._shared.note(link.ip, "packet link refused by the peer", peer=link.peer.short, reason=reason.value)
                self.end(link)
            case Bye():
                self.end(link)
            case _:
                self._shared.metrics.invalid.inc("packet_link")
                self.end(link)

    def _welcomed(self, link: PacketLink, welcome: Welcome) -> None:
        shared = self._shared
        record = shared.judge_record(welcome.record, welcome.proof)
        if not isinstance(record, PeerRecord) or record.peer != link.peer:
            shared.metrics.invalid.inc("packet_link")
            self.end(link)
            return
        cancel(link.deadline)
        link.up = True
        while link.queue:
            self._put(link.route, *link.queue.popleft())
        self._dialling.packet_link_changed(link.peer)

    def deliver(self, peer: PeerId, kind: int, payload: bytes) -> bool:
        """A packet came, over a packet link or a connection; False if its sender keeps on over its quota."""
        shared = self._shared
        if not self._inbound.take(peer, shared.now()):
            return self._over_quota(peer)
        receiver = shared.packet_receivers.get(kind)
        if receiver is None:
            self._unclaimed(peer, kind)
        elif receiver.tell(Packet(peer, payload, kind)) is Feedback.REJECTED:
            self._count("dropped")
        else:
            self._count("received")
        return True

    def _unclaimed(self, peer: PeerId, kind: int) -> None:
        """Drop a packet of a kind that nobody takes; once in a while it is logged."""
        self._count("no_receiver")
        now = self._shared.now()
        if now >= self._say_unclaimed_at:
            self._say_unclaimed_at = now + _SAY_EVERY
            self._shared.log.warning("packet of an unknown kind dropped", peer=peer.short, kind=kind)

    def asked(self, peer: PeerId) -> bool:
        """An empty message came; it counts as a packet. False if its sender keeps on over its quota."""
        return self._inbound.take(peer, self._shared.now()) or self._over_quota(peer)

    def _over_quota(self, peer: PeerId) -> bool:
        self._count("quota")
        return not self._shared.floods.dropped(peer, 1, self._shared.now())

    def _flooded(self, link: PacketLink) -> None:
        self._shared.warn(link.ip, "flooding", peer=link.peer.short)
        self._forget(link)
        self._shared.send_control(link.route, Bye(Reason.FLOODING))
        self._shared.shut_later(link.route)

    def end(self, link: PacketLink) -> None:
        """Close a packet link; what waits for it is dropped."""
        self._forget(link)
        self._shared.shut(link.route)
        if not link.up:
            self._failed(link)
        if link.endpoint is not None:
            self._dialling.packet_link_changed(link.peer)

    def end_all(self, peer: PeerId) -> None:
        """Close every packet link with a peer."""
        for link in [link for link in self._shared.links.packet_routes.values() if link.peer == peer]:
            self.end(link)

    def gate_changed(self, gate: Gate, before: Gate) -> None:
        """Close the packet links that the new gate does not allow: there may be thousands, few gates are stricter."""
        if not gate.refuses_packets_more_than(before):
            return
        for link in list(self._shared.links.packet_routes.values()):
            if gate.check_packets(link.ip, link.curve_key) is not None:
                self.end(link)

    def _forget(self, link: PacketLink) -> None:
        self._shared.links.drop_packet_link(link)
        self._shared.links.by_route.pop(link.route, None)
        cancel(link.deadline)
        self._count("dropped", by=len(link.queue))

    def _make_room(self, ip: str) -> None:
        """For one more link, of this IP."""
        links, config = self._shared.links, self._shared.config
        while len(links.packet_routes) >= config.max_packet_links:
            share = config.max_inbound_share_per_ip
            most, of_subnet = (max(1, int(config.max_packet_links * each)) for each in (share, share_of_subnet(share)))
            self.end(links.packet_link_to_end(ip, most, of_subnet))

    def _put(self, route: Route, kind: int, payload: bytes) -> None:
        sent = self._shared.wire.send(route, [PACKET_HEADS[kind], payload])
        self._count("sent" if sent is Sent.OK else "dropped")

    def _count(self, outcome: str, by: int = 1) -> None:
        if by:
            self._shared.metrics.packets.inc(outcome, by=by)
