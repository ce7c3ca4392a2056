"""Members in one simulated world: the real engine over real transport engines, with a mocked tracker each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from rookery import runtime, transport
from rookery.actors import membership, tracker
from rookery.runtime import Simulation
from rookery.testing import NETWORK, Peers, mock
from rookery.transport import Address, Endpoint, Gate, PeerId, PeerRecord
from rookery.transport.wire.simulated_wire import SimulatedInternet, SimulatedWire

FIVE = ("alice", "bob", "carol", "dave", "erin")
LAN = membership.Config(cluster_size=5)


class Node:
    """One member, alive until `crash`."""

    def __init__(
        self, cluster: Cluster, name: str, config: membership.Config, ip: str, skew: float, host: str | None
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.ip = ip
        self.gate = 1
        self.generation = 0  # of its last record, known when it is gone
        identity = cluster.known.identity(name)
        self.peer: PeerId = identity.peer
        self.host = cluster.simulation.node(name)
        self.host.skew = skew
        self.tracker: Any = mock(tracker.Mailbox, f"tracker-{name}", waits=cluster.simulation)
        self.tracker.control.answer(tracker.Track, self._tracked)
        self.tracker.control.answer(tracker.Block, tracker.Blocked(0.0))
        self.sets: list[set[PeerId]] = []
        self.listener: Any = mock(runtime.Mailbox, f"listener-{name}")
        self.net = self.host.mailbox(transport.Mailbox)
        self.mailbox = self.host.mailbox(membership.Mailbox)

        def wire(identity: Any, _config: Any, announce: Callable[[], object]) -> SimulatedWire:
            return SimulatedWire(cluster.internet, identity, node=name, ip=ip, announce=announce)

        self.host.start(
            self.net,
            transport.Engine,
            transport.Config(
                network=NETWORK,
                close_grace=0.0,
                listen=Endpoint(ip, 0 if host is None else 7000),
                advertise=None if host is None else Address(Endpoint(host, 7000)),
            ),
            identity=identity,
            gatekeeper=self.tracker,
            observers=(self.mailbox,),
            wire=wire,
        )
        self.host.start(self.mailbox, membership.Engine, config, transport=self.net, tracker=self.tracker)
        self.mailbox.subscribe(self.listener)
        self.net.set_gate(Gate(1)).get(timeout=1)
        self.address = self.net.listen().get(timeout=1)

    def _tracked(self, message: tracker.Track) -> None:
        self.sets.append(set(message.peers.primary))

    @property
    def record(self) -> PeerRecord:
        return self.net.record().get(timeout=1).record

    def join(self, *seeds: Node) -> None:
        self.mailbox.join([(seed.peer, seed.address) for seed in seeds]).get(timeout=1)

    def sees(self) -> set[PeerId]:
        """The members that are up according to the events so far: what a subscriber knows."""
        seen: set[PeerId] = set()
        for event in self.listener.control.received():
            if isinstance(event, membership.MemberUp):
                assert event.peer not in seen, "two events that a member is up"
                seen.add(event.peer)
            elif isinstance(event, membership.MemberDown):
                seen.remove(event.peer)
        return seen

    def heard(self, kind: type[runtime.Message]) -> list[Any]:
        events: list[Any] = self.listener.control.received(kind)
        return events

    def counted(self, name: str, *labels: str) -> float:
        return self.host.registry.value(f"membership_{name}", *labels)


class Cluster:
    """A world of members, each with an IP of its own."""

    def __init__(self, seed: int | str, config: membership.Config = LAN) -> None:
        self.simulation = Simulation(seed)
        self.internet = SimulatedInternet(self.simulation)
        self.known = Peers()
        self.config = config
        self.nodes: dict[str, Node] = {}
        self._hosts = count(1)

    def start(
        self, name: str, *, ip: str | None = None, skew: float = 0.0, host: str | None = None, **changes: Any
    ) -> Node:
        """ip: where it was before; else a new one. skew: of its clock, in seconds. host: the name it advertises."""
        config = membership.Config(cluster_size=5, **changes) if changes else self.config
        node = self.nodes[name] = Node(self, name, config, ip or f"10.0.0.{next(self._hosts)}", skew, host)
        return node

    def start_joined(self, names: Iterable[str] = FIVE) -> list[Node]:
        """All of them, joined by the first one, and seeing each other."""
        first, *others = nodes = [self.start(name) for name in names]
        first.join()
        for node in others:
            node.join(first)
        self.until(self.is_full, timeout=40)
        return nodes

    def crash(self, node: Node) -> None:
        node.host.crash()
        del self.nodes[node.name]

    def is_full(self) -> bool:
        """Whether each member sees all others, and its tracker has them as the peer set."""
        everybody = {node.peer for node in self.nodes.values()}
        return all(
            node.sees() == everybody - {node.peer} and node.sets[-1:] == [node.sees()] for node in self.nodes.values()
        )

    def until(self, condition: Callable[[], object], timeout: float) -> None:
        self.simulation.run_until(condition, timeout=timeout)

    def until_seldom(self, condition: Callable[[], object], timeout: float) -> None:
        """As `until`, for conditions that are slow to evaluate: checked twice per virtual second."""
        end = self.now + timeout
        while not condition():
            assert self.now < end, f"not within {timeout} s"
            self.run(0.5)

    def run(self, seconds: float) -> None:
        self.simulation.run(for_=seconds)

    @property
    def now(self) -> float:
        return self.simulation.time


def notice_bound(size: int, config: membership.Config) -> float:
    """The longest time until all members know of a death (as in swim/clusters), and the tracker has the set."""
    timing = config.protocol
    own_verdict = 2 * (size - 1) * timing.probe_period + timing.probe_period + timing.shortest_suspicion(size)
    return own_verdict + config.max_peer_set_delay
