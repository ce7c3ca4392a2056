"""What the tests of connections share: peers by number, tables, and an engine among mocks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

from rookery import runtime
from rookery.actors import connections
from rookery.actors.connections.core.peer_table import PeerTable
from rookery.transport import Identity, PeerId
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Direction, Link, Role
from rookery.transport.reasons import Reason
from rookery.transport.record import PeerRecord

SECRET = b"only this process knows"
ADDRESS = Address.parse("tcp://10.0.0.1:7000")


@cache
def peer_of(number: int) -> PeerId:
    """The peer of a number."""
    return Identity.from_seed(hashlib.sha256(number.to_bytes(8, "big")).digest()).peer


def make_link(
    id: int,
    *,
    peer: int | None = None,
    direction: Direction = Direction.OUT,
    opened_at: float = 0.0,
    ip: str = "10.0.0.1",
    short_lived: bool = False,
) -> Link:
    """A link with the peer of its own number, or of another."""
    whose = peer_of(id if peer is None else peer)
    record = PeerRecord(whose, ADDRESS, 1, b"", "test", bytes(16), bytes(16), bytes(64))
    return Link(id, whose, direction, Role.PRIMARY, ip, opened_at, record, short_lived)


def table(
    *,
    secret: bytes = SECRET,
    grace: float = 0.0,
    temporary_age: float = 60.0,
    max_temporary: int = 1000,
    max_tags: int = 32,
    max_protected: int = 1000,
    ended: Callable[[PeerId], object] = lambda _peer: None,
) -> PeerTable:
    """A table without grace, unless said."""
    return PeerTable(
        secret=secret,
        grace=grace,
        temporary_age=temporary_age,
        max_temporary=max_temporary,
        max_tags=max_tags,
        max_protected=max_protected,
        ended=ended,
    )


class Around:
    """A connections engine with a mocked transport, which closes nothing unless told to, and one subscriber."""

    def __init__(self, simulation: Any, *, host: Any = None, **settings: Any) -> None:
        """host: a node of the simulation. settings: of the engine; without grace unless said."""
        arguments = ("max_connections", "max_inbound", "share_per_ip", "me")
        wiring = {name: settings.pop(name) for name in arguments if name in settings}
        self.simulation = simulation
        self.net = simulation.mock(transport.Mailbox)
        self.conns = (host or simulation).start(
            connections.Engine,
            connections.Config(**({"grace_period": 0.0} | settings)),
            transport=self.net,
            **wiring,
        )
        self.listener = simulation.mock(runtime.Mailbox)
        self.conns.subscribe(self.listener)
        simulation.settle()

    def open(self, *links: Link) -> None:
        """Transport opened these."""
        for link in links:
            self.conns.tell(transport.Opened(link))
        self.simulation.settle()

    def close(self, *links: Link, reason: Reason = Reason.TRIMMED) -> None:
        """Transport closed these."""
        for link in links:
            self.conns.tell(transport.Closed(link.id, link.peer, reason))
        self.simulation.settle()

    def told(self) -> list[runtime.Message]:
        """What the subscriber heard."""
        heard: list[runtime.Message] = self.listener.control.received()
        return heard

    def closings(self) -> list[int]:
        """Links that the engine told transport to close, in order."""
        return [message.link_id for message in self.net.control.received(transport.CloseLink)]

    def trim(self, target: int | None = None) -> connections.TrimReport:
        """A trim whose victims close at once."""
        return self.finish(self.conns.trim_open_connections(target))

    def force(self, target: int | None = None, **how: bool) -> connections.TrimReport:
        """An emergency trim whose victims close at once."""
        return self.finish(self.conns.force_trim(target, **how))

    def finish(self, asked: runtime.Reply[connections.TrimReport]) -> connections.TrimReport:
        """Close whatever the engine wants closed, until it reports."""
        self.simulation.settle()
        known = 0
        while not asked.done:
            wanted = self.net.control.received(transport.CloseLink)[known:]
            known += len(wanted)
            for message in wanted:
                self.conns.tell(transport.Closed(message.link_id, peer_of(message.link_id), Reason.TRIMMED))
            self.simulation.settle()
            if not wanted:
                break
        return asked.get(timeout=60)

    def info(self) -> connections.Info:
        """The numbers now."""
        return self.conns.get_info().get(timeout=5)

    def counted(self, name: str, *labels: str) -> float:
        """A metric."""
        value: float = self.simulation.registry.value(f"connections_{name}", *labels)
        return value

    def grown(self, count: int) -> list[Link]:
        """Links of as many peers, opened a second apart, the last one just now."""
        links = []
        for id in range(count):
            self.simulation.run(for_=1.0)
            links.append(make_link(id, opened_at=self.simulation.time))
            self.open(links[-1])
        return links
