"""One resolver between scripted neighbours (`rig`), and several resolvers on a small network (`world`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import connections, maintenance, providers, resolver, tracker
from rookery.actors.resolver.core import codec
from rookery.actors.tracker.core.peer_sets import PeerSet
from rookery.runtime import Lane, Message, Simulation
from rookery.testing import Peers, mock
from rookery.transport import mailbox as transport
from rookery.transport.gatekeeper import Direction, Link, Role
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason

CHANNEL = 16


class Consumer:
    """Gives the scripted answers one after the other, then True; an exception is raised, a function called."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.deliveries: list[tuple[bytes, tuple[Any, ...], PeerId, bytes]] = []

    def deliver(self, delivery: resolver.Delivery, value: bytes) -> Any:
        self.deliveries.append((delivery.key, delivery.subscribers, delivery.peer, value))
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    @property
    def values(self) -> list[tuple[bytes, bytes]]:
        return [(key, value) for key, _, _, value in self.deliveries]


class Verifier:
    """Accepts exactly the true value of a key."""

    def __init__(self) -> None:
        self.values: list[tuple[bytes, bytes]] = []

    @staticmethod
    def value_of(key: bytes) -> bytes:
        return b"value of " + key

    def deliver(self, delivery: resolver.Delivery, value: bytes) -> bool:
        self.values.append((delivery.key, value))
        return value == self.value_of(delivery.key)


class Producer:
    """Has what the dict has; an exception in it is raised, a function called."""

    def __init__(self, values: dict[bytes, Any] | None = None) -> None:
        self.data = values or {}
        self.asked: list[bytes] = []

    def produce(self, key: bytes) -> Any:
        self.asked.append(key)
        value = self.data.get(key)
        if isinstance(value, Exception):
            raise value
        return value() if callable(value) else value


class ListenerMailbox(runtime.Mailbox):
    pass


class Listener(runtime.Engine[ListenerMailbox]):
    """Keeps the events it is told."""

    def __init__(self, events: list[Message]) -> None:
        super().__init__()
        kinds = (resolver.InvalidData, resolver.FetchFailed, resolver.MalformedMessage, resolver.ApplicationFailed)
        self.handlers = dict.fromkeys(kinds, events.append)


def link(id: int, peer: PeerId, record: Any, *, short_lived: bool = False) -> Link:
    return Link(id, peer, Direction.OUT, Role.PRIMARY, "10.0.0.1", 0.0, record, short_lived)


class Rig:
    """A resolver whose transport, tracker and maintenance are mocks."""

    def __init__(self, simulation: Any) -> None:
        self.simulation = simulation
        self.net = simulation.mock(transport.Mailbox)
        self.net.control.answer(transport.Register, None)
        self.tracker = simulation.mock(tracker.Mailbox)
        self.tracker.control.answer(tracker.Block, tracker.Blocked(float("inf")))
        self.upkeep = simulation.mock(maintenance.Mailbox)
        self.connections = simulation.mock(connections.Mailbox)
        self.providers = simulation.mock(providers.Mailbox)
        self.consumer = Consumer()
        self.producer = Producer()
        self.events: list[Message] = []
        self.links: dict[str, int] = {}
        self.data: Any = None
        self.me: PeerId | None = None
        self._names: dict[PeerId, str] = {}
        self._last_link = 0
        self._last_set = 0
        self._seen = 0

    def start(self, *peer_names: str, **settings: Any) -> Any:
        """The resolver, told of these peers: all in the set and connected."""
        config = resolver.Config(**{"key_length": 1, "fetch_timeout": 1.0, "fetch_retry_delay": 0.1, **settings})
        self.data = self.simulation.start(
            resolver.Engine,
            config,
            transport=self.net,
            tracker=self.tracker,
            maintenance=self.upkeep,
            connections=self.connections,
            channel=CHANNEL,
            producer=self.producer,
            consumer=self.consumer,
            providers=self.providers,
            me=self.me,
        )
        if peer_names:
            self.peer_set(*peer_names)
            self.open(*peer_names)
        self.simulation.settle()
        return self.data

    def peer(self, name: str) -> PeerId:
        (peer,) = self.simulation.peers(name)
        self._names[PeerId(peer)] = name
        return PeerId(peer)

    def name(self, peer: PeerId) -> str:
        return next(name for name in self.links if self.peer(name) == peer)

    def peer_set(self, *primary: str, secondary: tuple[str, ...] = (), index: int | None = None) -> None:
        self._last_set = self._last_set + 1 if index is None else index
        latest = PeerSet.of(map(self.peer, primary), map(self.peer, secondary))
        self.data.tell(tracker.PeerSetUpdate(self._last_set, latest, latest))

    def open(self, *names: str, short_lived: bool = False) -> None:
        for name in names:
            self._last_link += 1
            self.links[name] = self._last_link
            record = self.simulation.known.record(name)
            self.data.tell(transport.Opened(link(self._last_link, self.peer(name), record, short_lived=short_lived)))

    def close(self, name: str, reason: Reason = Reason.LOST) -> None:
        self.data.tell(transport.Closed(self.links[name], self.peer(name), reason))

    def receive(self, name: str, payload: codec.Message | bytes) -> None:
        """Something comes over the (last) link of this peer."""
        encoded = payload if isinstance(payload, bytes) else codec.encode(payload)
        self.data.tell(transport.Received(self.links[name], self.peer(name), CHANNEL, encoded))

    def sent(self) -> list[tuple[str, codec.Message]]:
        """What the resolver sent since the last call, and to whom."""
        self.simulation.settle()
        messages = self.net.control.received(transport.Send)
        new, self._seen = messages[self._seen :], len(messages)
        names = {number: name for name, number in self.links.items()}
        return [(names[each.link_id], codec.decode(each.payload, self.key_length)) for each in new]

    @property
    def key_length(self) -> int:
        return int(self.data.key_length)

    def asked(self) -> tuple[str, codec.Request]:
        """The one request sent since the last call."""
        ((name, request),) = self.sent()
        assert isinstance(request, codec.Request)
        return name, request

    def answer(self, value: bytes | None) -> str:
        """Answer the one new request; who was asked."""
        name, request = self.asked()
        self.receive(name, codec.Missing(request.id) if value is None else codec.Response(request.id, value))
        self.simulation.settle()
        return name

    def listen(self) -> None:
        self.data.subscribe(self.simulation.start(Listener, self.events))
        self.simulation.settle()

    def count(self, name: str, *labels: str) -> float:
        value: float = self.simulation.registry.value(f"resolver_{name}", self.data.name, *labels)
        return value

    def blocked(self) -> list[tracker.Target]:
        return [message.target for message in self.blocks]

    def watch_blocks(self, answer: Any = None) -> None:
        """Keep the blocks that the tracker is asked for, in `blocks`."""
        self.blocks: list[tracker.Block] = []

        def block(message: tracker.Block) -> Any:
            self.blocks.append(message)
            return answer or tracker.Blocked(float("inf"))

        self.tracker.control.answer(tracker.Block, block)

    def busy(self) -> dict[str, int]:
        """What connections was told in all, by peer; nobody it need not hear of."""
        told: dict[str, int] = {}
        for message in self.connections.control.received(connections.Busy):
            told[self.name(message.peer)] = told.get(self.name(message.peer), 0) + message.delta
        return {name: count for name, count in told.items() if count}

    def wants(self) -> list[str]:
        return [self._names[message.peer] for message in self.upkeep.control.received(maintenance.Want)]


@pytest.fixture
def rig(simulation: Any) -> Rig:
    made = Rig(simulation)
    made.watch_blocks()
    return made


# Several resolvers ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrive(Message):
    """A payload reaches the other side."""

    lane = Lane.DATA
    link_id: int
    payload: bytes


class HubMailbox(transport.Mailbox):
    pass


class Hub(runtime.Engine[HubMailbox]):
    """The transport of one node: links, latency and loss, and nothing else."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__()
        self.handlers = {
            transport.Register: self.on_register,
            transport.Send: self.on_send,
            transport.SendFirst: self.on_send,
            Arrive: self.on_arrive,
        }
        self.world = world
        self.node = name
        self.receiver: runtime.Mailbox | None = None

    def on_register(self, message: transport.Register) -> None:
        self.receiver = message.receiver

    def on_send(self, message: transport.Send) -> None:
        other = self.world.other(self.node, message.link_id)
        if other is not None and self.rng.random() >= self.world.loss:
            self.world.absorb(message.payload)
            later = self.rng.uniform(0.5, 1.5) * self.world.latency
            self.runtime.call_after(later, lambda: other.tell(Arrive(message.link_id, message.payload)))

    def on_arrive(self, message: Arrive) -> None:
        other = self.world.other_name(self.node, message.link_id)
        if other is not None and self.receiver is not None:
            peer = self.world.peer(other)
            self.receiver.tell(transport.Received(message.link_id, peer, CHANNEL, message.payload))


class World:
    """Nodes with a resolver each. Whoever is blocked loses its link to the node that blocked it, for good."""

    def __init__(self, seed: int | str, **settings: Any) -> None:
        self.simulation = Simulation(seed)
        self.known = Peers()
        self.loss = 0.0
        self.latency = 0.01
        self.blocks: list[tuple[str, str]] = []
        self.nodes: dict[str, Any] = {}
        self.consumers: dict[str, Any] = {}
        self.producers: dict[str, Any] = {}
        self._hubs: dict[str, HubMailbox] = {}
        self._links: dict[int, tuple[str, str]] = {}
        self._last_link = 0
        self._sets = 0
        self._settings = {
            "key_length": 1,
            "fetch_timeout": 0.4,
            "fetch_retry_delay": 0.1,
            "request_rate": 10.0,
            "request_burst": 10,
            **settings,
        }

    def peer(self, name: str) -> PeerId:
        return self.known.identity(name).peer

    def absorb(self, payload: bytes) -> None:
        self.simulation.absorb(int.from_bytes(payload[:32], "big"))

    def add(self, name: str, has: dict[bytes, Any] | None = None, *answers: Any, consumer: Any = None) -> None:
        self.consumers[name] = consumer or Consumer(*answers)
        self.producers[name] = Producer(has)
        hub = self.hub(name)
        book = mock(tracker.Mailbox, f"tracker-{name}", waits=self.simulation)
        book.control.answer(tracker.Block, lambda message: self._block(name, message.target))
        mailbox = self.simulation.mailbox(resolver.Mailbox, name)
        self.nodes[name] = self.simulation.start(
            mailbox,
            resolver.Engine,
            resolver.Config(**self._settings),
            transport=hub,
            tracker=book,
            channel=CHANNEL,
            producer=self.producers[name],
            consumer=self.consumers[name],
        )

    def hub(self, name: str) -> HubMailbox:
        """The transport of a node, started."""
        self._hubs[name] = self.simulation.start(self.simulation.mailbox(HubMailbox, f"net-{name}"), Hub, self, name)
        return self._hubs[name]

    def add_stranger(self, name: str, mailbox: runtime.Mailbox) -> HubMailbox:
        """A node without a resolver: what comes for it goes to this mailbox."""
        hub = self.hub(name)
        self.nodes[name] = mailbox
        hub.register(CHANNEL, mailbox)
        return hub

    def peer_set(self, *primary: str, secondary: tuple[str, ...] = ()) -> None:
        self._sets += 1
        latest = PeerSet.of(map(self.peer, primary), map(self.peer, secondary))
        for node in self.nodes.values():
            node.tell(tracker.PeerSetUpdate(self._sets, latest, latest))

    def connect(self, one: str, other: str) -> None:
        self._last_link += 1
        self._links[self._last_link] = (one, other)
        for me, them in ((one, other), (other, one)):
            self.nodes[me].tell(transport.Opened(link(self._last_link, self.peer(them), self.known.record(them))))

    def connect_all(self) -> None:
        """Everybody is in the set, and connected with everybody."""
        names = list(self.nodes)
        self.peer_set(*names)
        for index, one in enumerate(names):
            for other in names[index + 1 :]:
                self.connect(one, other)

    def cut(self, one: str, other: str, reason: Reason = Reason.LOST) -> None:
        for number, pair in list(self._links.items()):
            if set(pair) == {one, other}:
                del self._links[number]
                self.nodes[one].tell(transport.Closed(number, self.peer(other), reason))
                self.nodes[other].tell(transport.Closed(number, self.peer(one), reason))

    def other_name(self, name: str, link_id: int) -> str | None:
        pair = self._links.get(link_id)
        return None if pair is None else pair[1 - pair.index(name)]

    def other(self, name: str, link_id: int) -> HubMailbox | None:
        other = self.other_name(name, link_id)
        return None if other is None else self._hubs[other]

    def got(self, name: str) -> dict[bytes, bytes]:
        return dict(self.consumers[name].values)

    def _block(self, name: str, peer: PeerId) -> tracker.Blocked:
        other = next(other for other in self.nodes if self.peer(other) == peer)
        self.blocks.append((name, other))
        self.cut(name, other, Reason.BLOCKED)
        return tracker.Blocked(float("inf"))


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[Any]:
    """`world(seed, **settings)` makes one; all are closed afterwards."""
    made: list[World] = []

    def make(seed: int | str = request.node.nodeid, **settings: Any) -> World:
        made.append(World(seed, **settings))
        return made[-1]

    yield make
    for each in made:
        each.simulation.close()
