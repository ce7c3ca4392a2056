"""Nodes' transports, over ZeroMQ on threads or over the simulated network, behind one face for the contract suite."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any

from rookery import runtime, transport
from rookery.runtime import Feedback, Reply, Simulation, ThreadRuntime
from rookery.testing import Peers, mock
from rookery.transport import (
    Address,
    Admitted,
    Claim,
    Direction,
    Gate,
    NotAdmitted,
    PeerId,
    PeerRecord,
    Reason,
    Role,
    Ticket,
    Verdict,
)
from rookery.transport.wire.simulated_wire import SimulatedInternet, SimulatedWire


class FakeGatekeeper:
    """A gatekeeper that admits everybody, or answers what the test says, and records what it hears."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.releases: list[tuple[Ticket, Reason]] = []
        self.hints: list[PeerRecord] = []
        self.refuse_with: Reason | None = None
        self.alternatives: tuple[PeerRecord, ...] = ()
        self.held: list[Reply[Verdict]] | None = None
        self.gate_version = 1
        self._ids = count(1000)

    def admit(self, claim: Claim) -> Reply[Verdict]:
        self.claims.append(claim)
        if self.held is not None:
            reply: Reply[Verdict] = Reply()
            self.held.append(reply)
            return reply
        return Reply.of(self.verdict(claim))

    def verdict(self, claim: Claim) -> Verdict:
        if self.refuse_with is not None:
            return NotAdmitted(self.refuse_with, self.alternatives)
        ticket = claim.ticket or Ticket(next(self._ids), claim.peer, Direction.IN)
        return Admitted(ticket, Role.PRIMARY, self.gate_version)

    def released(self, ticket: Ticket, reason: Reason) -> Feedback:
        self.releases.append((ticket, reason))
        return Feedback.OK

    def hint(self, records: tuple[PeerRecord, ...], _source: PeerId) -> Feedback:
        self.hints.extend(records)
        return Feedback.OK


class Receiver(runtime.Mailbox):
    """Stands for an engine that receives."""


class Node:
    """One transport with a fake gatekeeper, an observer, and a receiver of channel 16 and of packets."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        extra: Mapping[int, transport.Quota] = MappingProxyType({}),
        listen_at_once: bool = True,
        **settings: Any,
    ) -> None:
        """extra: further channels of the receiver, by their quotas."""
        self.world = world
        self.name = name
        self.identity = world.known.identity(name)
        self.peer: PeerId = self.identity.peer
        self.gatekeeper = FakeGatekeeper()
        self.observer: Any = mock(Receiver, f"observer-{name}")
        self.receiver: Any = mock(Receiver, f"receiver-{name}")
        settings.setdefault("network", "test")
        settings.setdefault("close_grace", 0.05)
        self.config = transport.Config(**settings)
        self.runtime, options = world.host(name)
        self.net = self.runtime.mailbox(transport.Mailbox)
        self.runtime.start(
            self.net,
            transport.Engine,
            self.config,
            identity=self.identity,
            gatekeeper=self.gatekeeper,
            observers=(self.observer,),
            **options,
        )
        self.engine: Any = self.runtime.engines[-1]
        world.get(self.net.register(16, self.receiver))
        world.get(self.net.receive_packets(self.receiver))
        for channel, quota in extra.items():
            world.get(self.net.register(channel, self.receiver, quota))
        self.tickets = count(1)
        if listen_at_once:
            self.address: Address = world.get(self.net.listen())

    def open_gate(self, **changes: Any) -> None:
        self.world.get(self.net.set_gate(Gate(self.gatekeeper.gate_version, **changes)))

    def dial(self, other: Node, *, address: Address | None = None) -> Ticket:
        ticket = Ticket(next(self.tickets), other.peer, Direction.OUT)
        assert self.net.dial(ticket, address or other.address).accepted
        return ticket

    def links(self) -> list[transport.Link]:
        closed = {event.link_id for event in self.observer.control.received(transport.Closed)}
        return [event.link for event in self.observer.control.received(transport.Opened) if event.link.id not in closed]

    def link_to(self, other: Node) -> transport.Link:
        (link,) = [link for link in self.links() if link.peer == other.peer]
        return link

    def closed(self) -> list[Reason]:
        return [event.reason for event in self.observer.control.received(transport.Closed)]

    def counted_slots(self) -> int:
        """Slots that the hard limits count now."""
        return self.engine.slots.used

    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.receiver.control.received(transport.Received)]

    def counted(self, name: str, *labels: str) -> float:
        return self.runtime.registry.value(f"transport_{name}_total", *labels)


class World:
    """What the two worlds have in common."""

    def __init__(self) -> None:
        self.known = Peers()
        self.one_machine = False  # real nodes always share one

    def node(self, name: str, **settings: Any) -> Node:
        node = Node(self, name, **settings)
        node.open_gate()
        return node

    def node_again(self, name: str) -> Node:
        """A second node with the key of the first, as after a restart that the others have not noticed."""
        self.known.add(f"{name} again", self.known.identity(name))
        return self.node(f"{name} again")

    def connected(self, dialler: Node, other: Node) -> None:
        dialler.dial(other)
        self.until(lambda: any(link.peer == other.peer for link in dialler.links()))
        self.until(lambda: any(link.peer == dialler.peer for link in other.links()))

    def host(self, name: str) -> tuple[Any, dict[str, Any]]:
        raise NotImplementedError

    def get(self, reply: Reply[Any]) -> Any:
        return reply.get(timeout=10)

    def until(self, condition: Callable[[], object], timeout: float = 10.0) -> None:
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class SimulatedWorld(World):
    """Virtual time, simulated network."""

    def __init__(self, seed: int | str) -> None:
        super().__init__()
        self.simulation = Simulation(seed)
        self.internet = SimulatedInternet(self.simulation)
        self._hosts = count(1)

    def host(self, name: str) -> tuple[Any, dict[str, Any]]:
        ip = "10.0.0.1" if self.one_machine else f"10.0.0.{next(self._hosts)}"

        def wire(identity: Any, _config: Any, announce: Callable[[], object]) -> SimulatedWire:
            return SimulatedWire(self.internet, identity, node=name, ip=ip, announce=announce)

        return self.simulation.node(name), {"wire": wire}

    def until(self, condition: Callable[[], object], timeout: float = 10.0) -> None:
        self.simulation.run_until(condition, timeout=timeout)

    def pass_time(self, seconds: float) -> None:
        self.simulation.run(for_=seconds)

    def close(self) -> None:
        self.simulation.close()


class RealWorld(World):
    """ZeroMQ on loopback, one runtime per node."""

    def __init__(self, kind: type[ThreadRuntime] = ThreadRuntime) -> None:
        super().__init__()
        self.runtimes: list[ThreadRuntime] = []
        self._kind = kind

    def host(self, name: str) -> tuple[Any, dict[str, Any]]:
        host = self._kind(name, seed=1)
        self.runtimes.append(host)
        return host, {}

    def until(self, condition: Callable[[], object], timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < deadline, f"not true within {timeout} s"
            pause.wait(0.002)

    def pass_time(self, seconds: float) -> None:
        """Wait until a timer of that length has fired."""
        fired: Reply[None] = Reply()
        self.runtimes[0].call_after(seconds, lambda: fired.set(None))
        fired.get(timeout=seconds + 5)

    def close(self) -> None:
        for host in reversed(self.runtimes):
            host.stop()
