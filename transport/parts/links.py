"""Links and what becomes links, as plain state."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cached_property
from ipaddress import ip_address
from typing import TypeVar

from msgspec import Struct, field

from ...runtime import Reply, Timer
from ..address import Address, Endpoint, Subnet, counted_ip, subnet
from ..core.window import Window
from ..gatekeeper import Link, Ticket, Verdict
from ..identity import PeerId
from ..record import PeerRecord
from ..wire import Route, Source

T = TypeVar("T")


class Dialling(Struct, eq=False):
    """Our dial, until it is a connection or has failed."""

    ticket: Ticket
    address: Address
    curve_key: bytes
    short_lived: bool = False
    deadline: Timer | None = None
    untried: deque[Endpoint] = field(default_factory=deque)  # once resolved
    endpoint: Endpoint | None = None  # that is being tried
    route: Route | None = None  # once the wire connects
    adopted: bool = False  # the route was our packet link
    share: Timer | None = None  # when the present attempt is over, if others may follow
    judged: bool = False  # the far end said Welcome, the gatekeeper is asked
    waiting: Joining | None = None  # the peer's own dial, parked until this one ends

    @property
    def host(self) -> str:
        """The IP that is being tried, or before there is one the host that was asked for."""
        return self.address.endpoint.host if self.endpoint is None else self.endpoint.host


class Joining(Struct, eq=False):
    """A peer's dial, from its `Hello` until it is a connection or has failed."""

    route: Route
    source: Source
    record: PeerRecord
    nonce: bytes
    short_lived: bool = False
    deadline: Timer | None = None
    asked: Reply[Verdict] | None = None  # of the gatekeeper
    ticket: Ticket | None = None  # once the gatekeeper admitted it
    admitted_as: Link | None = None
    replaces: Live | None = None


class Outbox(Struct, eq=False):
    """Messages that wait for one peer, as (channel, payload), and the bytes of the payloads."""

    messages: deque[tuple[int, bytes]] = field(default_factory=deque)
    bytes: int = 0


class Live(Struct, eq=False):
    """A connection, with its queues and counts. Times are monotonic seconds."""

    link: Link
    ticket: Ticket
    route: Route
    endpoint: Endpoint | None  # of an outbound one
    curve_key: bytes
    heard_at: float
    outbox: Outbox = field(default_factory=Outbox)
    first: Outbox = field(default_factory=Outbox)  # what was sent with priority
    overtook: int = 0  # bytes of the latter that left while the former waited
    window: Window = field(default_factory=Window)
    blocked: bool = False  # the window is full
    dirty: bool = False  # a flush is due
    retry: Timer | None = None  # the wire was full
    retry_delay: float = 0.0
    sent: int = 0
    confirmed: int = 0  # of those sent, what the other side says it has taken
    received: int = 0
    reported: int = 0  # of those received, what the other side knows of
    lost: int = 0  # accepted for this link and never sent
    unclaimed: int = 0  # of those received, on channels that nobody takes here
    asked: int = 0  # Pings sent
    answered: int = 0  # Pongs that came for them: each Ping has one, in their order
    owed: int = 0  # Pongs that the wire had no room for
    probe: Joining | None = None  # waits for this link's sign of life
    probe_ping: int = 0  # the number of the Ping whose Pong is that sign


class PacketLink(Struct, eq=False, dict=True):
    """Carries packets only. queue: what waits until it is up. ip: of the far end. asked: of which `endpoint` came."""

    route: Route
    peer: PeerId
    curve_key: bytes
    ip: str
    endpoint: Endpoint | None
    up: bool
    asked: Endpoint | None = None
    queue: deque[tuple[int, bytes]] = field(default_factory=deque)  # kind and payload
    deadline: Timer | None = None

    @cached_property
    def counted_ip(self) -> str:
        """By which limits per IP count it."""
        return counted_ip(self.ip)

    @cached_property
    def subnet(self) -> Subnet:
        """By which limits per subnet count it."""
        return subnet(ip_address(self.ip))


class Table:
    """Every link and handshake of one node, by route and by peer."""

    def __init__(self) -> None:
        """Empty."""
        self.by_route: dict[Route, Dialling | Joining | Live | PacketLink] = {}
        self.live: dict[PeerId, Live] = {}
        self.by_id: dict[int, Live] = {}
        self.dials: dict[PeerId, Dialling] = {}
        self.joining: dict[PeerId, list[Joining]] = {}
        self.packets: dict[PeerId, PacketLink] = {}  # outbound, least recently used first
        self.inbound_packets: dict[PeerId, PacketLink] = {}  # the newest of each peer
        self.packet_routes: dict[Route, PacketLink] = {}  # all, least recently used first
        self._packets_of_ip: dict[str, dict[Route, PacketLink]] = {}  # likewise
        self._packets_of_subnet: dict[Subnet, dict[Route, PacketLink]] = {}
        self.closing: dict[Route, Timer] = {}  # last words are on their way

    def sources(self) -> Iterator[tuple[PeerId, bytes, str]]:
        """Peer, CURVE key and IP of everything there is; a dial has no IP before its name is resolved."""
        for dial in self.dials.values():
            yield dial.ticket.peer, dial.curve_key, dial.endpoint.host if dial.endpoint is not None else ""
        for joinings in self.joining.values():
            yield from ((each.record.peer, each.source.curve_key, each.source.ip) for each in joinings)
        for live in self.live.values():
            yield live.link.peer, live.curve_key, live.link.ip
        for link in self.packet_routes.values():
            yield link.peer, link.curve_key, link.ip

    def is_dialling(self, dial: Dialling) -> bool:
        """Whether this dial of ours is under way still."""
        return self.dials.get(dial.ticket.peer) is dial

    def joinings(self, peer: PeerId) -> list[Joining]:
        """The peer's handshakes that are under way."""
        return list(self.joining.get(peer, ()))

    def add_joining(self, joining: Joining) -> None:
        """A peer said Hello."""
        self.by_route[joining.route] = joining
        self.joining.setdefault(joining.record.peer, []).append(joining)

    def drop_joining(self, joining: Joining) -> bool:
        """The handshake is over; False if it was dropped before."""
        waiting = self.joining.get(joining.record.peer, [])
        if joining not in waiting:
            return False
        waiting.remove(joining)
        if not waiting:
            del self.joining[joining.record.peer]
        if self.by_route.get(joining.route) is joining:
            del self.by_route[joining.route]
        return True

    def add_packet_link(self, link: PacketLink) -> None:
        """Enter a new one, as the most recently used."""
        self.by_route[link.route] = self.packet_routes[link.route] = link
        self._packets_of_ip.setdefault(link.counted_ip, {})[link.route] = link
        self._packets_of_subnet.setdefault(link.subnet, {})[link.route] = link
        links = self.inbound_packets if link.endpoint is None else self.packets
        links[link.peer] = link

    def use_packet_link(self, link: PacketLink) -> None:
        """It is the most recently used now, if it is there."""
        if link.route in self.packet_routes:
            self.packet_routes[link.route] = self.packet_routes.pop(link.route)
            for group in (self._packets_of_ip[link.counted_ip], self._packets_of_subnet[link.subnet]):
                group[link.route] = group.pop(link.route)

    def drop_packet_link(self, link: PacketLink) -> None:
        """It is one no more; its route may be something else by now."""
        if self.packet_routes.pop(link.route, None) is not None:
            _remove(self._packets_of_ip, link.counted_ip, link.route)
            _remove(self._packets_of_subnet, link.subnet, link.route)
        for links in (self.packets, self.inbound_packets):
            if links.get(link.peer) is link:
                del links[link.peer]

    def packet_link_to_end(self, newcomer: str, most: int, of_subnet: int) -> PacketLink:
        """Which one goes for one of this IP: the least recently used of an IP with more than `most`, else of a subnet
        with more than `of_subnet`, else of all.

        The newcomer's IP and subnet come first, and count with what they would have; then those that have most.
        """
        of_ip = _too_many(self._packets_of_ip, counted_ip(newcomer), most)
        group = of_ip or _too_many(self._packets_of_subnet, subnet(ip_address(newcomer)), of_subnet)
        return next(iter((group or self.packet_routes).values()))


def _too_many(groups: dict[T, dict[Route, PacketLink]], newcomer: T, most: int) -> dict[Route, PacketLink] | None:
    """The links of which one is to go, if some have too many."""
    own = groups.get(newcomer, {})
    if len(own) >= most:
        return own
    largest = max(groups.values(), key=len)
    return largest if len(largest) > most else None


def _remove(groups: dict[T, dict[Route, PacketLink]], group: T, route: Route) -> None:
    links = groups[group]
    del links[route]
    if not links:
        del groups[group]
