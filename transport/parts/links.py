"""Links and what becomes links, as plain state, with the rule for two links to one peer.

At most one connection per peer. When two want to be it (flows: ties), seen from the side that is dialled:

* our own dial to the peer is under way: the dial of the peer with the lower id goes on, the other one waits or ends;
* a connection lives: a newer generation of the peer, or the same side dialling again, replaces it (the peer restarted,
  or knows that the old one is dead); otherwise the old link is asked for a sign of life and wins if it gives one.
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from ...runtime import Reply, Timer
from ..address import Address, Endpoint, subnet
from ..core.window import Window
from ..gatekeeper import Direction, Link, Ticket, Verdict
from ..identity import PeerId
from ..reasons import Reason
from ..record import PeerRecord
from ..wire import Route, Source


class Tie(enum.Enum):
    """What an inbound claim to a peer does about our other business with that peer."""

    NONE = "none"  # there is none
    SUPERSEDE_DIAL = "supersede our dial"
    WAIT_FOR_DIAL = "wait for our dial"
    REPLACE_LINK = "replace the live link"
    PROBE_LINK = "ask the live link for a sign of life"


def settle(me: PeerId, record: PeerRecord, live: Live | None, *, dialling: bool) -> Tie:
    """The rule above, for a peer that has dialled us and proved to be `record.peer`."""
    if live is not None:
        again = live.link.direction is Direction.IN
        newer = record.generation > live.link.record.generation
        return Tie.REPLACE_LINK if newer or again else Tie.PROBE_LINK
    if dialling:
        return Tie.SUPERSEDE_DIAL if record.peer < me else Tie.WAIT_FOR_DIAL
    return Tie.NONE


@dataclass(slots=True, eq=False)
class Dialling:
    """Our dial, until it is a connection or has failed."""

    ticket: Ticket
    address: Address
    curve_key: bytes
    deadline: Timer | None = None
    untried: deque[Endpoint] = field(default_factory=deque)  # once resolved
    endpoint: Endpoint | None = None  # that is being tried
    route: Route | None = None  # once the wire connects
    adopted: bool = False  # the route was our packet link
    share: Timer | None = None  # when the present attempt is over, if others may follow
    judged: bool = False  # the far end said Welcome, the gatekeeper is asked
    over: bool = False
    waiting: Joining | None = None  # the peer's own dial, parked until this one ends


@dataclass(slots=True, eq=False)
class Joining:
    """A peer's dial, from its `Hello` until it is a connection or has failed."""

    route: Route
    source: Source
    record: PeerRecord
    nonce: bytes
    deadline: Timer | None = None
    asked: Reply[Verdict] | None = None  # of the gatekeeper
    ticket: Ticket | None = None  # once the gatekeeper admitted it
    admitted_as: Link | None = None
    replaces: Live | None = None


@dataclass(slots=True, eq=False)
class Outbox:
    """Messages that wait for one peer, as (channel, payload), and the bytes of the payloads."""

    messages: deque[tuple[int, bytes]] = field(default_factory=deque)
    bytes: int = 0


@dataclass(slots=True, eq=False)
class Live:
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
    told: int = 0  # of those received, what the other side has been told of
    lost: int = 0  # accepted for this link and never sent
    unclaimed: int = 0  # of those received, on channels that nobody takes here
    asked: int = 0  # Pings sent
    answered: int = 0  # Pongs that came for them: each Ping has one, in their order
    owed: int = 0  # Pongs that the wire had no room for
    probe: Joining | None = None  # waits for this link's sign of life
    probe_ping: int = 0  # the number of the Ping whose Pong is that sign


@dataclass(slots=True, eq=False)
class PacketLink:
    """Carries packets only. queue: what waits until it is up. ip: of the far end. asked: of which `endpoint` came."""

    route: Route
    peer: PeerId
    curve_key: bytes
    ip: str
    endpoint: Endpoint | None
    up: bool
    asked: Endpoint | None = None
    queue: deque[bytes] = field(default_factory=deque)
    deadline: Timer | None = None


class Slots:
    """The hard limits, counted in one place: each link and handshake holds a slot from its first cost to its end."""

    def __init__(self, *, total: int, inbound: int, per_ip: int, per_subnet: int) -> None:
        """Most slots of each kind."""
        self._most = {"total": total, "inbound": inbound}
        self._per_ip, self._per_subnet = per_ip, per_subnet
        self._used: Counter[object] = Counter()

    @property
    def used(self) -> int:
        """Slots taken now."""
        return self._used["total"]

    def take_outbound(self) -> Reason | None:
        """Take a slot for a dial, or say why not. Its IP is not known yet and does not count."""
        if self.used >= self._most["total"]:
            return Reason.LIMIT
        self._used["total"] += 1
        return None

    def take_inbound(self, ip: str, *, rival: Direction | None = None) -> Reason | None:
        """Take a slot for an inbound handshake.

        rival: of the peer's link, or of our dial to it, when there is one; only one of the two will stay, so where the
        other has its place there is one for this.
        """
        net = subnet(ip_address(ip))
        full = rival is None and self.used >= self._most["total"]
        full_inbound = rival is not Direction.IN and (
            self._used["inbound"] >= self._most["inbound"]
            or self._used[ip] >= self._per_ip
            or self._used[net] >= self._per_subnet
        )
        if full or full_inbound:
            return Reason.TOO_MANY
        self._used.update(("total", "inbound", ip, net))
        return None

    def give_back(self, direction: Direction, ip: str) -> None:
        """A dial, handshake or link is over."""
        keys = ["total"] if direction is Direction.OUT else ["total", "inbound", ip, subnet(ip_address(ip))]
        for key in keys:
            self._used[key] -= 1
            if not self._used[key]:
                del self._used[key]


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
        self.packet_routes: dict[Route, PacketLink] = {}  # all, least recently used first
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
