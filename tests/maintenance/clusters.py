"""Clusters of whole nodes that are watched at every change of their connections, and people who mean them harm."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from rookery import runtime, transport
from rookery.actors import connections, maintenance
from rookery.actors.maintenance.core import codec as exchange
from rookery.runtime import Feedback, Message, Simulation
from rookery.testing import NETWORK, SimulatedNodes, WholeNode
from rookery.transport import Closed, Identity, Opened, PeerId, PeerRecord, Reason, Received
from rookery.transport.address import Address
from rookery.transport.core.codec import VERSION, Hello, Ready, Welcome, decode_control, encode_control, is_control
from rookery.transport.identity import curve_key
from rookery.transport.wire import Route, Source
from rookery.transport.wire.simulated_wire import SimulatedInternet, SimulatedWire
from tests.transport.worlds import FakeGatekeeper

NUMBERS: dict[str, Any] = {"min_connections": 4, "expected_connections": 8, "max_connections": 16}
LOW, HIGH, HARD = 5, 14, 16  # thresholds of these numbers, and the hard limit
SECTIONS: dict[str, dict[str, Any]] = {
    "tracker": {"source": "static"},
    "maintenance": {**NUMBERS, "policy": "band"},
    "connections": {"grace_period": 5.0},  # so that there is somebody to give up within 30 s
}
QUIET = {"heartbeat_interval": 20.0, "heartbeat_timeout": 60.0}
"""Of transport, where nothing falls silent: a third of all messages would be heartbeats."""


class Watch(connections.Mailbox):
    """Hears of every change of one node's connections as it happens. Breaks the test above the hard limit."""

    def __init__(self, node: WholeNode, hard: int) -> None:
        super().__init__(f"watch-{node.name}")
        self.open = 0
        self.peers: dict[int, PeerId] = {}
        self.ended: list[tuple[PeerId, Reason]] = []
        self._hard = hard
        node.connections.subscribe(self, connections.Counts, connections.Connected, connections.Disconnected)

    def tell(self, message: Message) -> Feedback:
        match message:
            case connections.Counts():
                self.open = message.open
                assert message.open + message.closing <= self._hard, "above the hard limit"
            case connections.Connected():
                self.peers[message.link.id] = message.link.peer
            case connections.Disconnected():
                del self.peers[message.link.id]
                self.ended.append((message.link.peer, message.reason))
        return Feedback.OK


class Cluster:
    """Whole nodes with one seed, n0, that is like the others."""

    def __init__(self, simulation: Simulation, **transport_settings: Any) -> None:
        """transport_settings: for every node."""
        self.nodes = SimulatedNodes(simulation)
        self.simulation = simulation
        self.watches: dict[str, Watch] = {}
        self.sections: dict[str, Any] = {**SECTIONS, "transport": transport_settings}

    def start(self, name: str, *, seeds: Sequence[WholeNode] = (), ip: str | None = None) -> WholeNode:
        node = self.nodes.start(name, seeds=seeds, ip=ip, member=False, **self.sections)
        self.watches[name] = Watch(node, HARD)
        return node

    def grow(self, size: int, *, at_once: int = 4, ip: Callable[[int], str] | None = None) -> None:
        """Start so many, by and by as people do, each knowing n0 alone. at_once: every tenth of a second."""
        seeds: list[WholeNode] = []
        for number in range(size):
            node = self.start(f"n{number}", seeds=seeds, ip=None if ip is None else ip(number))
            seeds = seeds or [node]
            if number % at_once == at_once - 1:
                self.nodes.run(0.1)

    @property
    def running(self) -> list[WholeNode]:
        return self.nodes.running

    def degrees(self) -> list[int]:
        return [self.watches[node.name].open for node in self.running]

    def all_inside(self) -> bool:
        return all(LOW <= degree <= HIGH for degree in self.degrees())

    def until_inside(self, timeout: float) -> None:
        self.nodes.run_until(self.all_inside, timeout=timeout, every=1.0)

    def parts(self, among: Iterable[WholeNode] | None = None) -> list[set[PeerId]]:
        """The connected parts of the graph of open connections."""
        nodes = list(self.running if among is None else among)
        left = {node.peer: set(self.watches[node.name].peers.values()) for node in nodes}
        parts: list[set[PeerId]] = []
        while left:
            part, edge = set[PeerId](), [next(iter(left))]
            while edge:
                peer = edge.pop()
                if peer in left:
                    edge.extend(left.pop(peer))
                    part.add(peer)
            parts.append(part)
        return parts


@contextmanager
def large_world(seed: int | str) -> Iterator[Simulation]:
    """A simulation of very many objects: the garbage collector would take a third of the time to find nothing."""
    gc.disable()
    try:
        with Simulation(seed) as simulation:
            yield simulation
            handled = simulation.handled
    finally:
        gc.enable()
    if handled > 50_000:
        gc.collect()  # some hundred MB, before the next one


class Intruder:
    """An inbound connection that says the right words and then nothing. It is only a wire: no engine behind it."""

    def __init__(self, internet: SimulatedInternet, number: int, target: WholeNode) -> None:
        self.identity = Identity.from_seed(number.to_bytes(32, "big"))
        self.name = f"intruder-{number}"
        self.accepted = False
        self._wire = SimulatedWire(
            internet,
            self.identity,
            node=self.name,
            ip=f"203.{number % 50}.{number // 250}.{number % 250 + 1}",
            announce=self._poll,
        )
        self._target = target

    def connect_to(self) -> None:
        assert self._wire.connect(self._target.address.endpoint, curve_key(self._target.peer)) is not None

    def _poll(self) -> None:
        self._wire.poll(self, 100)

    def route_up(self, route: Route) -> None:
        record = PeerRecord.sign(self.identity, network=NETWORK, address=None, generation=1)
        self._wire.send(route, [encode_control(Hello((VERSION,), NETWORK, record.encode(), packets=False, proof=None))])

    def frames(self, route: Route, frames: Sequence[bytes], source: Source | None) -> None:
        message = decode_control(frames[0]) if is_control(frames[0]) else None
        if isinstance(message, Welcome):
            self.accepted = True
            self._wire.send(route, [encode_control(Ready(message.nonce))])

    def route_down(self, route: Route, reason: Reason) -> None:
        """Refused, or ended."""

    def listening_lost(self) -> None:
        """It never listens."""

    def accept_connection(self, ip: str, key: bytes) -> bool:
        """Nobody is let in."""
        return False

    def oversize(self, route: Route, source: Source | None) -> None:
        """Nobody sends any."""

    def silent_connection_ended(self, ip: str | None, reason: Reason, left: int) -> None:
        """Nobody is let in."""


class Liar(runtime.Engine[maintenance.Mailbox]):
    """Accepts and dials everybody, and answers every question for peers with invented ones, asked or not."""

    def __init__(self, net: transport.Mailbox, fakes: Sequence[bytes]) -> None:
        super().__init__()
        self.handlers = {Opened: self.on_opened, Closed: lambda _message: None, Received: self.on_received}
        self._net = net
        self._fakes = fakes
        self.told = 0

    def on_start(self) -> None:
        self._net.register(exchange.CHANNEL, self.mailbox)

    def on_opened(self, message: Opened) -> None:
        self._lie(message.link.id)

    def on_received(self, message: Received) -> None:
        if exchange.decode(message.payload) == exchange.BOOTSTRAP:
            self._lie(message.link_id)

    def _lie(self, link_id: int) -> None:
        self.told += exchange.MAX_RECORDS
        lies = self.rng.sample(self._fakes, exchange.MAX_RECORDS)
        said = exchange.ExchangeMessage(exchange.Kind.ADVERTISE, tuple(lies))
        self._net.send(link_id, exchange.CHANNEL, exchange.encode(said))


class Den:
    """Liars of one subnet, who invent ten thousand peers there."""

    SUBNET = "66.6.6"

    def __init__(self, cluster: Cluster, size: int, fakes: Sequence[bytes]) -> None:
        self._tickets = count(1)
        self.nets: list[transport.Mailbox] = []
        self.engines: list[Liar] = []
        for number in range(size):
            self._start(cluster, f"liar-{number}", f"{self.SUBNET}.{number + 1}", fakes)

    def _start(self, cluster: Cluster, name: str, ip: str, fakes: Sequence[bytes]) -> None:
        host = cluster.simulation.node(name)
        net = host.mailbox(transport.Mailbox)

        def wire(identity: Identity, _config: Any, announce: Callable[[], object]) -> SimulatedWire:
            return SimulatedWire(cluster.nodes.internet, identity, node=name, ip=ip, announce=announce)

        identity = cluster.nodes.known.identity(name)
        config = transport.Config(network=NETWORK, max_connections=10_000, max_per_ip=10_000, max_per_subnet=10_000)
        host.start(net, transport.Engine, config, identity=identity, gatekeeper=FakeGatekeeper(), wire=wire)
        mailbox = host.mailbox(maintenance.Mailbox)
        host.start(mailbox, Liar, net, fakes)
        self.engines.append(host.engines[-1])  # type: ignore[arg-type]  # it is the Liar
        net.set_gate(transport.Gate(1)).get(timeout=1)
        net.listen().get(timeout=1)
        self.nets.append(net)

    def dial(self, node: WholeNode) -> None:
        """Each of them calls on this node."""
        for net in self.nets:
            net.dial(transport.Ticket(next(self._tickets), node.peer, transport.Direction.OUT), node.address)


def invented(size: int) -> list[bytes]:
    """Signed records of so many peers of the den's subnet, none of whom exists, nor has a life to show."""
    records: list[bytes] = []
    for number in range(size):
        identity = Identity.from_seed(b"fake" + number.to_bytes(28, "big"))
        address = Address.parse(f"tcp://{Den.SUBNET}.{number % 200 + 50}:{7000 + number // 200}")
        draft = PeerRecord(identity.peer, address, 1, b"", NETWORK, bytes(16), bytes(16), bytes(64))
        records.append(replace(draft, signature=identity.sign(draft._signed_bytes())).encode())
    return records
