"""Several nodes, each with a blobs engine behind a real resolver; links that only carry bytes, with a latency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from rookery import runtime
from rookery.actors import blobs, resolver, tracker
from rookery.actors.blobs.stores.memory import MemoryStore
from rookery.actors.tracker.core.peer_sets import PeerSet
from rookery.transport import mailbox as transport
from rookery.transport.gatekeeper import Direction, Link, Role
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason

from .rig import CHUNK

CHANNEL = 16
LATENCY = 0.005


class WireMailbox(transport.Mailbox):
    pass


class Wire(runtime.Engine[WireMailbox]):
    """The transport of one node."""

    def __init__(self, swarm: Swarm, name: str) -> None:
        super().__init__()
        self.handlers = {
            transport.Register: self.on_register,
            transport.Send: self.on_send,
            transport.SendFirst: self.on_send,
        }
        self.swarm, self.node = swarm, name

    def on_register(self, message: transport.Register) -> None:
        pass

    def on_send(self, message: transport.Send) -> None:
        self.runtime.call_after(LATENCY, lambda: self.swarm.carry(self.node, message))


@dataclass
class Node:
    """One of them, from outside."""

    peer: PeerId
    resolver: Any
    blobs: Any
    store: MemoryStore


class Swarm:
    """Whoever is blocked or killed loses its links."""

    def __init__(self, simulation: Any) -> None:
        self.simulation = simulation
        self.nodes: dict[str, Node] = {}
        self.blocked: list[tuple[str, str]] = []
        self.links: dict[int, tuple[str, str]] = {}

    def add(self, name: str, producer: Callable[[Any], Any] = lambda mailbox: mailbox, **settings: Any) -> Node:
        """producer: what stands before the blobs mailbox."""
        world = self.simulation
        wire = world.start(world.mailbox(WireMailbox, f"wire-{name}"), Wire, self, name)
        book = world.mock(tracker.Mailbox, f"tracker-{name}")
        book.control.answer(tracker.Block, lambda message: self._block(name, message.target))
        data = world.mailbox(resolver.Mailbox, f"resolver-{name}")
        files = world.mailbox(blobs.Mailbox, f"blobs-{name}")
        store = MemoryStore()
        config = blobs.Config(**{"chunk_size": CHUNK, "window": 8, **settings})
        world.start(files, blobs.Engine, config, store=store, resolver=data)
        world.start(
            data,
            resolver.Engine,
            resolver.Config(),
            transport=wire,
            tracker=book,
            channel=CHANNEL,
            producer=producer(files),
            consumer=files,
        )
        (peer,) = world.peers(name)
        self.nodes[name] = Node(peer, data, files, store)
        return self.nodes[name]

    def connect(self) -> None:
        """Everybody with everybody."""
        everybody = PeerSet.of([node.peer for node in self.nodes.values()], [])
        for node in self.nodes.values():
            node.resolver.tell(tracker.PeerSetUpdate(1, everybody, everybody))
        for number, pair in enumerate(combinations(self.nodes, 2), start=1):
            self.links[number] = pair
            for me, them in (pair, pair[::-1]):
                record = self.simulation.known.record(them)
                link = Link(number, self.nodes[them].peer, Direction.OUT, Role.PRIMARY, "10.0.0.1", 0.0, record)
                self.nodes[me].resolver.tell(transport.Opened(link))

    def kill(self, name: str) -> None:
        """It answers nobody any more."""
        self._cut(lambda pair: name in pair)

    def carry(self, sender: str, message: transport.Send) -> None:
        """A payload reaches the other side, if the link is still there."""
        pair = self.links.get(message.link_id)
        if pair is not None:
            receiver = self.nodes[pair[1 - pair.index(sender)]].resolver
            receiver.tell(
                transport.Received(message.link_id, self.nodes[sender].peer, message.channel, message.payload)
            )

    def _block(self, name: str, peer: PeerId) -> tracker.Blocked:
        other = next(other for other, node in self.nodes.items() if node.peer == peer)
        self.blocked.append((name, other))
        self._cut(lambda pair: set(pair) == {name, other})
        return tracker.Blocked(float("inf"))

    def _cut(self, wanted: Callable[[tuple[str, str]], bool]) -> None:
        for number, pair in list(self.links.items()):
            if wanted(pair):
                del self.links[number]
                for me, them in (pair, pair[::-1]):
                    self.nodes[me].resolver.tell(transport.Closed(number, self.nodes[them].peer, Reason.LOST))
