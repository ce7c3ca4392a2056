"""A tracker as an actor between a mocked transport and a listener."""

from __future__ import annotations

from typing import Any

from rookery import runtime
from rookery.actors import tracker
from rookery.runtime import Engine
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Admitted, Claim, Direction, Gate, Link, Role, Ticket
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason

A, B, C = (Address.parse(f"tcp://10.0.0.{number}:7000") for number in (1, 2, 3))
CONFIG = tracker.Config(source="application", admission="tracked")


class ListenerMailbox(runtime.Mailbox):
    """Somebody who wants to hear of everything."""


class Listener(Engine[ListenerMailbox]):
    """Handles peer set updates only."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers = {tracker.PeerSetUpdate: lambda _message: None}


class World:
    """A tracker with a mocked transport, which confirms everything at once unless a test holds it."""

    def __init__(self, simulation: Any, config: tracker.Config = CONFIG) -> None:
        self.simulation = simulation
        self.me, self.bob, self.carol, self.dave = simulation.peers("me", "bob", "carol", "dave")
        self.closed: list[tuple[PeerId, Reason]] = []
        self.gates: list[Gate] = []
        self.set_gates: list[transport.SetGate] = []
        self.tickets: dict[str, Ticket] = {}
        self.net = simulation.mock(transport.Mailbox)
        self.net.control.answer(transport.SetGate, self.set_gate)
        self.net.control.answer(transport.Close, self.close)
        self.peers = simulation.start(tracker.Engine, config, transport=self.net, me=self.me)
        self.listener = simulation.mock(runtime.Mailbox, "listener")
        simulation.settle()

    def set_gate(self, message: transport.SetGate) -> int:
        self.gates.append(message.gate)
        self.set_gates.append(message)
        return message.gate.version

    def close(self, message: transport.Close) -> None:
        self.closed.append((message.peer, message.reason))

    def hear(self, *kinds: type[runtime.Message]) -> list[runtime.Message]:
        self.peers.subscribe(self.listener, *(kinds or (tracker.PeerSetUpdate,)))
        self.simulation.settle()
        heard: list[runtime.Message] = self.listener.control.received()
        return heard

    def heard(self) -> list[runtime.Message]:
        self.simulation.settle()
        received: list[runtime.Message] = self.listener.control.received()
        return received

    def track(self, id: int, primary: dict[PeerId, Address], secondary: dict[PeerId, Address] | None = None) -> None:
        self.peers.track(id, tracker.TrackedPeers(primary, secondary or {})).get(timeout=1)

    def claim(self, name: str, ip: str, **fields: Any) -> Any:
        (peer,) = self.simulation.peers(name)
        record = self.simulation.known.record(name, f"tcp://{ip}:7000")
        verdict = self.peers.admit(Claim(peer, record, ip, **{"direction": Direction.IN, **fields})).get(timeout=1)
        if isinstance(verdict, Admitted):
            self.tickets[name] = verdict.ticket
        return verdict

    def claim_ticket(self, name: str) -> Ticket:
        return self.tickets[name]

    def link(self, name: str, direction: Direction = Direction.OUT, *, id: int = 1, ip: str = "10.0.0.1") -> Link:
        (peer,) = self.simulation.peers(name)
        record = self.simulation.known.record(name)
        return Link(id, peer, direction, Role.PRIMARY, ip, 0.0, record)

    def dialled(self) -> Ticket:
        self.simulation.settle()
        ticket: Ticket = self.net.control.received(transport.Dial)[-1].ticket
        return ticket

    def connect(self, name: str, **link: Any) -> Ticket:
        (peer,) = self.simulation.peers(name)
        reply = self.peers.dial(peer)
        ticket = self.dialled()
        self.peers.tell(transport.Opened(self.link(name, **link)))
        assert reply.get(timeout=1) == tracker.Dialled(peer)
        return ticket

    def candidates(self) -> tuple[PeerId, ...]:
        found: tracker.Candidates = self.peers.dialable(10).get(timeout=1)
        return tuple(sorted(found.peers))

    def metric(self, name: str, *labels: str) -> float:
        value: float = self.simulation.registry.value(name, *labels)
        return value
