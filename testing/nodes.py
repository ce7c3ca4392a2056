"""Whole nodes in a simulation: the composition of `node/composition.py` on virtual time and a simulated network.

::

    def test_two_nodes_find_each_other(simulation):
        nodes = SimulatedNodes(simulation)
        alice = nodes.start("alice")
        bob = nodes.start("bob", seeds=[alice], maintenance={"min_connections": 1})
        nodes.run_until(lambda: bob.is_connected_to(alice), timeout=10)

* The engines are those of `Node`; only the control socket is missing, and blobs are in memory.
* A node's mailboxes are its attributes: `bob.tracker.block(alice.peer).get(timeout=5)`, outside engines.
* Each node has an IP of its own in a /24 of its own, unless told another. Its key comes from its name.
* After `crash` or `stop` a node is gone. `restart` gives another one with the same name, key, IP and settings, if asked
  at another port. What lived in memory is lost; on its disk it has the address book, `nodes.books["bob"]`, and its
  newest generation, `nodes.generations["bob"]`.
* Latency, loss and partitions are those of `simulation.network`, by the nodes' names.
* What must hold in every node is looked at after each message, and more of it after each `run`: see `invariants.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import count
from typing import Any

from ..actors import resolver
from ..actors.blobs.stores.memory import MemoryStore
from ..actors.tracker import MemoryStorage
from ..actors.tracker.config import StaticPeer
from ..config import NodeConfig
from ..config.node import SHARED_KEYS
from ..node.composition import ANSWER_TIMEOUT, Actors
from ..runtime import SimulatedNode, Simulation
from ..runtime.settings import Settings
from ..transport import Config as TransportConfig
from ..transport import Identity, MemoryGenerations, PeerId
from ..transport.wire.simulated_wire import FIRST_PORT, SimulatedInternet, SimulatedWire
from .invariants import Invariants
from .peers import NETWORK, Peers

Sections = Mapping[str, Mapping[str, Any]]
"""Settings that differ from the defaults, by section and field: `{"maintenance": {"max_connections": 16}}`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a node is made from, so that it can be made again."""

    name: str
    ip: str
    config: NodeConfig
    producer: resolver.Producer | None = None
    member: bool = True
    ports: int = FIRST_PORT  # where it looks for a free one, if its configuration names none


class WholeNode(Actors):
    """One node of a simulation, by its mailboxes."""

    runtime: SimulatedNode

    def __init__(self, nodes: SimulatedNodes, plan: Plan, identity: Identity) -> None:
        """Made by `SimulatedNodes.start`."""
        super().__init__(nodes.simulation.node(plan.name), plan.config, identity)
        self.name = plan.name
        self.ip = plan.ip
        self.plan = plan
        self._internet = nodes.internet
        self._book = nodes.books.setdefault(plan.name, MemoryStorage())
        self._generations = nodes.generations.setdefault(plan.name, MemoryGenerations())

    def producer(self) -> resolver.Producer:
        """The one given to `start`, else the node's blobs."""
        return self.plan.producer or super().producer()

    def start(self) -> None:
        """Start the engines, listen, take part."""
        self.start_engines(store=MemoryStore(), book=self._book, wire=self._wire, generations=self._generations)
        if self.plan.member:
            self.take_part()
        else:
            self.maintenance.activate()

    def _wire(self, identity: Identity, config: TransportConfig, announce: Callable[[], object]) -> SimulatedWire:
        return SimulatedWire(
            self._internet,
            identity,
            node=self.name,
            ip=self.ip,
            announce=announce,
            high_water=config.high_water,
            ports=self.plan.ports,
        )

    @property
    def static_peer(self) -> StaticPeer:
        """This node as others name it in their configuration."""
        return StaticPeer(self.peer, self.address)

    @property
    def ended(self) -> bool:
        """Whether it has crashed or stopped."""
        return self.runtime.crashed or self.runtime.stopped

    def crash(self) -> None:
        """As `kill -9`."""
        self.runtime.crash()

    def stop(self) -> None:
        """Say goodbye to the membership, then stop, as `Node` does."""
        self.membership.leave().get(timeout=ANSWER_TIMEOUT)
        self.runtime.stop()

    def connected(self) -> frozenset[PeerId]:
        """Who has an open connection with this node."""
        return frozenset(each.link.peer for each in self.connections.connections().get(timeout=ANSWER_TIMEOUT))

    def is_connected_to(self, *others: WholeNode) -> bool:
        """Whether all of these are among `connected()`."""
        return self.connected() >= {other.peer for other in others}

    def counted(self, metric: str, *labels: str) -> float:
        """A metric of this node; 0 for what never happened."""
        return self.runtime.registry.value(metric, *labels)


class SimulatedNodes:
    """The whole nodes of one simulated world, by name."""

    def __init__(self, simulation: Simulation, *, kind: type[WholeNode] = WholeNode) -> None:
        """simulation: the world; its own clock, network and seed hold for the nodes. kind: with engines of your own."""
        self.simulation = simulation
        self.kind = kind
        self.internet = SimulatedInternet(simulation)
        self.invariants = Invariants(simulation)
        self.known = Peers()
        self.all: dict[str, WholeNode] = {}
        """The newest of each name, also those that have ended."""
        self.books: dict[str, MemoryStorage] = {}
        """What each node has of addresses, blocks and trust on its disk, by name."""
        self.generations: dict[str, MemoryGenerations] = {}
        """The newest generation that each node has on its disk, by name."""
        self._numbers = count()

    def start(
        self,
        name: str,
        *,
        seeds: Iterable[WholeNode | StaticPeer] = (),
        ip: str | None = None,
        producer: resolver.Producer | None = None,
        member: bool = True,
        **sections: Mapping[str, Any],
    ) -> WholeNode:
        """Start a node. seeds: `tracker.peers`. ip: IPv4 that its connections come from. sections: see `Sections`.

        member: whether it joins the membership; one whose tracker has another source costs less without.
        Raises SettingsError for wrong settings, ValueError if a node of this name runs.
        """
        before = self.all.get(name)
        if before is not None and not before.ended:
            raise ValueError(f"a node named {name!r} runs already")
        number = next(self._numbers)
        config = settings(
            seeds=[seed if isinstance(seed, StaticPeer) else seed.static_peer for seed in seeds], **sections
        )
        return self._start(Plan(name, ip or f"10.{number >> 8}.{number & 255}.1", config, producer, member))

    def restart(self, node: WholeNode, *, elsewhere: bool = False) -> WholeNode:
        """The same node once more, with nothing of what it had in memory. Crashes it first if it runs.

        elsewhere: it listens at another port, as a process does whose configuration names none.
        """
        if not node.ended:
            node.crash()
        return self._start(replace(node.plan, ports=node.plan.ports + elsewhere))

    def _start(self, plan: Plan) -> WholeNode:
        node = self.all[plan.name] = self.kind(self, plan, self.known.identity(plan.name))
        node.start()
        return node

    @property
    def running(self) -> list[WholeNode]:
        """Those that have not ended, in order of their first start."""
        return [node for node in self.all.values() if not node.ended]

    def partition(self, side: Iterable[WholeNode], other: Iterable[WholeNode], *, both: bool = True) -> None:
        """Cut every link from `side` to `other`, and back if `both`."""
        self.simulation.network.partition([node.name for node in side], [node.name for node in other], both=both)

    def heal(self) -> None:
        """Mend every cut link."""
        self.simulation.network.heal()

    def run(self, seconds: float) -> None:
        """Let virtual time pass, then see that every node agrees with itself. Raises InvariantBroken."""
        self.simulation.run(for_=seconds)
        self.check()

    def check(self) -> None:
        """See that every node agrees with itself, as it must when no message waits. Raises InvariantBroken."""
        self.simulation.settle()
        self.invariants.check_settled(node.runtime for node in self.running)

    def run_until(self, condition: Callable[[], object], *, timeout: float, every: float = 0.05) -> None:
        """Look at `condition` every so many virtual seconds until it is true. Raises SimulationStuck.

        Unlike `Simulation.run_until`, which looks after each message, it suits many nodes, and conditions that ask.
        """
        end = self.simulation.time + timeout
        while self.simulation.time < end:
            if condition():
                self.check()
                return
            self.simulation.run(for_=min(every, end - self.simulation.time))
        self.simulation.run_until(condition, timeout=0)


def settings(*, seeds: Iterable[StaticPeer] = (), **sections: Mapping[str, Any]) -> NodeConfig:
    """A configuration from what differs from the defaults, of the simulated network; see `Sections`.

    A fact that two sections share is written at either place, as in YAML. Raises SettingsError, TypeError.
    """
    kinds: dict[str, type[Settings]] = {
        field.name: type(getattr(_DEFAULTS, field.name))
        for field in fields(NodeConfig)
        if isinstance(getattr(_DEFAULTS, field.name), Settings)
    }
    written = {name: dict(sections.get(name, {})) for name in kinds}
    unknown = sorted(set(sections) - set(kinds))
    if unknown:
        raise TypeError(f"no section {', '.join(unknown)}; there are {', '.join(kinds)}")
    written["transport"].setdefault("network", NETWORK)
    if seeds:
        written["tracker"]["peers"] = tuple(seeds)
    for pair in SHARED_KEYS:
        for (section, key), (other, same) in (pair, pair[::-1]):
            if key in written[str(section)]:
                written[str(other)].setdefault(str(same), written[str(section)][key])
    made: Any = {name: kinds[name](**values) for name, values in written.items()}
    return NodeConfig(**made)


_DEFAULTS = NodeConfig()
