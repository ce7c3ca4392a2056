"""Mocks of everybody around maintenance."""

from __future__ import annotations

from typing import Any

from rookery.actors import connections, discovery, maintenance, tracker
from rookery.testing import mock
from rookery.transport import mailbox as transport
from rookery.transport.identity import PeerId


class Neighbours:
    """Mocks of everybody around maintenance; the tracker offers `dialable` peers."""

    def __init__(self, simulation: Any, config: maintenance.Config, **parts: Any) -> None:
        self.simulation = simulation
        kinds = (tracker.Mailbox, connections.Mailbox, transport.Mailbox, discovery.Mailbox)
        self.peers, self.conns, self.net, self.discovery = map(simulation.mock, kinds)
        self.dialable: tuple[PeerId, ...] = ()
        self.next_at: float | None = None
        self.asked: list[tracker.Dialable] = []
        self.peers.control.answer(tracker.Dialable, self.candidates)
        self.dials = self.peers.control.hold(tracker.Dial)
        self.net.control.answer(transport.Register, None)
        self.upkeep = simulation.start(
            maintenance.Engine,
            config,
            tracker=self.peers,
            connections=self.conns,
            transport=self.net,
            discovery=self.discovery,
            **parts,
        )
        self.listener: Any = mock(Listener, "listener")
        self.upkeep.subscribe(self.listener)

    def candidates(self, message: tracker.Dialable) -> tracker.Candidates:
        self.asked.append(message)
        free = tuple(peer for peer in self.dialable if peer not in message.exclude)
        return tracker.Candidates(free[: message.limit], self.next_at)

    def count(self, connected: int) -> None:
        self.upkeep.tell(connections.Counts(open=connected, closing=0))
        self.simulation.settle()

    def events(self) -> list[Any]:
        """What subscribers were told, where it stands apart."""
        return [event for event in self.listener.control.received() if not isinstance(event, maintenance.Standing)]


class Listener(maintenance.Mailbox):
    """A subscriber."""
