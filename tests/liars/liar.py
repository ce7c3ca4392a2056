"""A real peer with a key of its own that is attached to the simulated wire, and says what its strategy wants.

Whatever its strategy leaves to it, it does as a decent member does: it joins, answers probes and helps with them, feeds
who announces itself, keeps its connections alive. So it is believed when it lies.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rookery.runtime import Simulation
from rookery.runtime.simulation import WALL_AT_START
from rookery.testing import NETWORK, SimulatedNodes
from rookery.transport import Address, Endpoint, Identity, Reason
from rookery.transport.wire import Route, Source
from rookery.transport.wire.simulated_wire import SimulatedInternet, SimulatedWire
from tests.liars import protocol
from tests.liars.knowledge import Gang, Knowledge
from tests.liars.protocol import Envelope, Finding, Swim, Update

_WAITING = 4096  # messages that wait until a line is up
_POLL = 1000


class Strategy:
    """What one liar does. A subclass says what it sends when; all else is the decent member's.

    every: seconds between two ticks. says_ready: it completes the connections that it dials. caught: every honest node
    that is there all the while ends with it blocked.
    """

    every = 1.0
    says_ready = True
    short_lived = False
    caught = False

    def begin(self, liar: Liar) -> None:
        """The liar is there, and has announced itself."""

    def tick(self, liar: Liar) -> None:
        """Every so often."""

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        """Something happens to honest nodes: `joined`, `restarted`, `crashed`, `parted` (one side), `healed`.

        `wanted`: not nodes, but hashes of keys that will be looked for.
        """

    def packet(self, liar: Liar, sender: bytes, envelope: Envelope) -> bool:
        """A packet came. True: leave it at that; False: react as a decent member."""
        return False

    def message(self, liar: Liar, sender: bytes, channel: int, message: list[Any]) -> bool:
        """A message came on a channel; as above."""
        return False

    def finds(self, liar: Liar, sender: bytes, finding: Finding) -> None:
        """A packet of the providers came. Nothing is done of it but here."""

    def connected(self, liar: Liar, peer: bytes) -> None:
        """A connection with an honest node is open."""


@dataclass(slots=True, eq=False)
class Line:
    """One route. purpose: of the Hello that was said on it. waiting: what goes out when it is up."""

    route: Route
    peer: bytes
    purpose: int
    up: bool = False
    taken: int = 0
    waiting: list[list[bytes]] = field(default_factory=list)


class Liar(Knowledge):
    """One of them. `heard` counts what came back, by kind."""

    def __init__(
        self,
        simulation: Simulation,
        internet: SimulatedInternet,
        identity: Identity,
        strategy: Strategy,
        *,
        name: str,
        ip: str,
        gang: Gang,
    ) -> None:
        """gang: the liars of the world, to which it adds itself."""
        super().__init__(bytes(identity.peer), gang, random.Random(f"{simulation.seed}/{name}"))
        self.simulation = simulation
        self.internet = internet
        self.identity = identity
        self.strategy = strategy
        self.name = name
        self.ip = ip
        self.closed = False
        self.incarnation = 0
        self.helpers: list[Liar] = []
        self.heard: Counter[str] = Counter()
        self._lines: dict[Route, Line] = {}
        self._best: dict[bytes, Line] = {}
        self._connections: dict[bytes, Line] = {}
        self._polling = False
        self.wire = SimulatedWire(internet, identity, node=name, ip=ip, announce=self._announced, high_water=10_000)
        self.address = str(Address(self.wire.bind(Endpoint(ip, 0))))
        self.generation = int((WALL_AT_START + simulation.time) * 1000)
        self.record = b""
        self.renew(self.generation)

    # Life ------------------------------------------------------------------------------------------------------------

    @property
    def me(self) -> Update:
        return protocol.own(self.identity, self.generation, self.incarnation)

    def renew(self, generation: int, address: str | None = None, metadata: bytes = b"") -> None:
        """Go on under this generation, perhaps elsewhere."""
        self.generation, self.incarnation = generation, 0
        self.record = protocol.record(self.identity, NETWORK, address or self.address, generation, metadata)

    def start(self, seeds: Iterable[tuple[bytes, str]]) -> None:
        """Announce ourselves, and begin."""
        for peer, address in seeds:
            self.addresses[peer] = address
            self.say(peer, protocol.ANNOUNCE)
        self.later(0.5, lambda: self.strategy.begin(self))
        self._tick()

    def close(self) -> None:
        """Gone, with all helpers; nothing more is said."""
        self.closed = True
        self.wire.close()
        for helper in self.helpers:
            helper.close()

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do this in so many seconds, unless closed by then."""
        self.simulation.call_after(seconds, lambda: None if self.closed else action())

    def _tick(self) -> None:
        if self.simulation.time > 0 and len(self.victims) > 1:
            self.strategy.tick(self)
        self.later(self.strategy.every, self._tick)

    def identity_of(self, helper: str) -> Identity:
        """The key of the helper that has, or will have, this name."""
        return Identity.from_seed(hashlib.sha256(f"{self.name} {helper}".encode()).digest())

    def helper(self, name: str, ip: str, strategy: Strategy | None = None) -> Liar:
        """One more key of the same person."""
        made = Liar(
            self.simulation,
            self.internet,
            self.identity_of(name),
            strategy or Strategy(),
            name=f"{self.name}-{name}",
            ip=ip,
            gang=self.gang,
        )
        made.addresses.update(self.addresses)
        self.helpers.append(made)
        return made

    # What it says ----------------------------------------------------------------------------------------------------

    def say(
        self,
        peer: bytes,
        kind: int,
        *fields: object,
        updates: Sequence[Update] = (),
        records: Sequence[bytes] | None = None,
        wanted: Sequence[bytes] = (),
        src: Update | None = None,
    ) -> None:
        """A packet of the membership, by default with our own record beside it."""
        known = self.known.get(peer)
        dst = (peer, 0 if known is None else known.generation)
        said = Swim(kind, src or self.me, dst, fields, tuple(updates[: protocol.MAX_UPDATES]))
        beside = [self.record] if records is None else [self.record, *records][: protocol.MAX_RECORDS]
        self.send(peer, protocol.packet(said, beside, wanted))

    def gossip(self, updates: Sequence[Update], to: Iterable[bytes], records: Sequence[bytes] = ()) -> None:
        """The same to each of these, in as many packets as it takes."""
        for peer in to:
            for start in range(0, max(len(updates), 1), 150):
                self.say(peer, protocol.GOSSIP, updates=updates[start : start + 150], records=records)

    def send(self, peer: bytes, frames: list[bytes]) -> None:
        """Over what there is, else over a packet link."""
        line = self._best.get(peer) or self._dial(peer, protocol.PACKETS)
        if line is None:
            return
        if line.up:
            self.wire.send(line.route, frames)
        elif len(line.waiting) < _WAITING:
            line.waiting.append(frames)

    def on_connection(self, peer: bytes, frames: list[bytes]) -> bool:
        """Over a connection; whether there is one."""
        line = self._connections.get(peer)
        if line is not None:
            self.wire.send(line.route, frames)
        return line is not None

    def connect(self, peer: bytes) -> None:
        """Dial a connection, if there is none."""
        if peer not in self._connections and not self.closed:
            self._dial(peer, protocol.CONNECTION)

    def _dial(self, peer: bytes, purpose: int) -> Line | None:
        address = self.addresses.get(peer)
        if address is None or self.closed:
            return None
        route = self.wire.connect(Address.parse(address).endpoint, protocol.curve_public(peer))
        if route is None:
            return None
        line = self._lines[route] = Line(route, peer, purpose)
        self._best.setdefault(peer, line)
        return line

    # What it hears: the wire's events --------------------------------------------------------------------------------

    def _announced(self) -> None:
        if not self._polling:
            self._polling = True
            self.simulation.call_after(0.0, self._poll)

    def _poll(self) -> None:
        self._polling = False
        if not self.closed and self.wire.poll(self, _POLL):
            self._announced()

    def accept_connection(self, ip: str, curve_key: bytes) -> bool:
        return True

    def route_up(self, route: Route) -> None:
        line = self._lines.get(route)
        if line is not None:
            short_lived = self.strategy.short_lived
            self.wire.send(route, protocol.hello(NETWORK, self.record, line.purpose, short_lived=short_lived))

    def route_down(self, route: Route, reason: Reason) -> None:
        line = self._lines.pop(route, None)
        if line is None:
            return
        self.heard[f"down {reason}"] += 1
        for table in (self._best, self._connections):
            if table.get(line.peer) is line:
                del table[line.peer]

    def oversize(self, route: Route, source: Source | None) -> None:
        """Nobody honest sends that."""

    def listening_lost(self) -> None:
        """Never here."""

    def silent_connection_ended(self, ip: str | None, reason: Reason, left: int) -> None:
        """Of no interest."""

    def frames(self, route: Route, frames: Sequence[bytes], source: Source | None) -> None:
        control = protocol.read_control(frames)
        if control is not None:
            self._on_control(route, *control)
            return
        line = self._lines.get(route)
        if line is None:
            return
        envelope = protocol.read_packet(frames)
        if envelope is not None:
            self._on_packet(line.peer, envelope)
            return
        finding = protocol.read_finding(frames)
        if finding is not None:
            self.heard["finding"] += 1
            self.strategy.finds(self, line.peer, finding)
            return
        for channel, message in protocol.read_batch(frames):
            line.taken += 1
            if not self.strategy.message(self, line.peer, channel, message):
                self._on_message(line, channel, message)

    def _on_control(self, route: Route, kind: int, items: list[Any]) -> None:
        line = self._lines.get(route)
        if kind == protocol.HELLO:
            data = protocol.record_of(items)
            self.keep(data)
            peer, _, _ = protocol.read_record(data)
            line = self._lines[route] = Line(route, peer, protocol.purpose_of(items), up=True)
            self.wire.send(route, protocol.welcome(self.record))
            self._best[peer] = line
        elif line is None:
            return
        elif kind == protocol.WELCOME:
            line.up = True
            if line.purpose == protocol.CONNECTION and self.strategy.says_ready:
                self.wire.send(route, protocol.ready(protocol.nonce_of(items)))
                self._opened(line)
            for frames in line.waiting:
                self.wire.send(route, frames)
            line.waiting.clear()
        elif kind == protocol.READY:
            self._opened(line)
        elif kind == protocol.PING:
            self.wire.send(route, protocol.pong(line.taken))
        elif kind == protocol.PONG:
            self.heard["pong"] += 1
        elif kind in (protocol.REJECT, protocol.BYE):
            self.heard[f"refused {items[0]}"] += 1
            self.wire.sever(route)
            self.route_down(route, Reason.REMOTE)

    def _opened(self, line: Line) -> None:
        self._best[line.peer] = self._connections[line.peer] = line
        self.strategy.connected(self, line.peer)

    def _on_message(self, line: Line, channel: int, message: list[Any]) -> None:
        if channel == protocol.BLOBS and message[0] == protocol.REQUEST:
            self.wire.send(line.route, protocol.on_channel(channel, [protocol.MISSING, message[1]]))

    def _on_packet(self, sender: bytes, envelope: Envelope) -> None:
        self.heard["packet"] += 1
        for data in envelope.records:
            self.keep(data)
        if envelope.swim is not None:
            for update in (envelope.swim.src, *envelope.swim.updates):
                self.learn(update)
        if self.strategy.packet(self, sender, envelope):
            return
        if envelope.wanted:
            asked = [self.records.get(key, self.record if key == self.key else None) for key in envelope.wanted]
            self.send(sender, protocol.packet(None, [data for data in asked if data is not None]))
        if envelope.swim is not None:
            self._react(sender, envelope.swim)

    def _react(self, sender: bytes, swim: Swim) -> None:
        """As a decent member, who only keeps no list of suspects of its own."""
        match swim.kind:
            case protocol.SWIM_PING:
                self.say(sender, protocol.ACK, *swim.fields, records=())
            case protocol.INDIRECT_PING:
                self.say(sender, protocol.INDIRECT_ACK, *protocol.indirect_ack(self.identity, self.generation, swim))
            case protocol.PING_REQ:
                target, _, number = protocol.third(swim)
                self.say(target, protocol.INDIRECT_PING, sender, swim.src.generation, number)
            case protocol.INDIRECT_ACK:
                self.say(protocol.third(swim)[0], protocol.FORWARDED_ACK, *protocol.forwarded_ack(swim))
            case protocol.ANNOUNCE:
                updates = [self.claim(key, protocol.ALIVE) for key in self.victims]
                self.say(sender, protocol.FEED, updates=updates, records=[*self.records.values()])
            case protocol.FEED | protocol.SYNC_PART | protocol.GOSSIP:
                missing = [update.key for update in swim.updates if update.key not in self.records]
                unknown = [key for key in missing if key != self.key and not self.gang.knows(key)]
                if unknown:
                    self.send(sender, protocol.packet(None, [self.record], unknown[: protocol.MAX_WANTED]))
            case protocol.TURN_UNDEAD:
                generation, incarnation, *_, number = swim.fields
                if generation == self.generation:
                    self.incarnation = min(max(self.incarnation, incarnation + 1), protocol.MAX_INCARNATION)
                self.say(sender, protocol.ACK, number)
        for update in swim.updates:
            if update.key == self.key and update.state in (protocol.SUSPECT, protocol.DOWN):
                self.incarnation = min(max(self.incarnation, update.incarnation + 1), protocol.MAX_INCARNATION)


def liars(nodes: SimulatedNodes, strategies: Iterable[Callable[[], Strategy]], gang: Gang) -> Iterator[Liar]:
    """One for each strategy, made when it is its turn, with an IP of its own. They are still to be started."""
    for number, strategy in enumerate(strategies):
        name = f"liar{number}"
        identity = nodes.known.identity(name)
        ip = f"10.66.{number}.1"
        yield Liar(nodes.simulation, nodes.internet, identity, strategy(), name=name, ip=ip, gang=gang)
