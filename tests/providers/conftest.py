"""One real engine of the providers between mocked mailboxes; the test is all the other members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import connections, maintenance, membership, providers
from rookery.actors.membership.core.tags import encode_tags
from rookery.actors.providers.core import codec
from rookery.testing import NETWORK
from rookery.transport import Address, PeerId, PeerRecord
from rookery.transport import mailbox as transport


class World:
    """A node called "me" and members called "peer-0", "peer-1" and so on, each in a /24 of its own."""

    def __init__(
        self,
        simulation: Any,
        members: int = 0,
        *,
        unaddressed: bool = False,
        tags: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        """unaddressed: transport does not listen yet. tags: of this node."""
        self.simulation = simulation
        self.me: PeerId = simulation.peers("me")[0]
        self.own = self.record("me", addressed=not unaddressed, tags=tags)
        self.net = simulation.mock(transport.Mailbox)
        self.net.control.answer(transport.ReceivePackets, None)
        self.net.control.answer(transport.GetRecord, lambda _message: simulation.known.own(self.own))
        self.upkeep = simulation.mock(maintenance.Mailbox)
        self.conns = simulation.mock(connections.Mailbox)
        self.members = simulation.mock(membership.Mailbox)
        self.listener = simulation.mock(runtime.Mailbox, "listener")
        self.mailbox = simulation.start(
            providers.Engine,
            providers.Config(**settings),
            me=self.me,
            transport=self.net,
            membership=self.members,
            maintenance=self.upkeep,
            connections=self.conns,
        )
        self.mailbox.subscribe(self.listener)
        simulation.settle()
        self._read = 0
        self.all = [self.join(f"peer-{number}") for number in range(members)]

    def record(
        self, name: str, *, generation: int = 1, tags: dict[str, str] | None = None, addressed: bool = True
    ) -> PeerRecord:
        """Of one /24 for each number at the end of the name."""
        digits = "".join(filter(str.isdigit, name)) or "255"
        identity = self.simulation.known.identity(name)
        return PeerRecord.sign(
            identity,
            network=NETWORK,
            address=Address.parse(f"tcp://10.0.{int(digits) % 256}.1:7000") if addressed else None,
            generation=generation,
            metadata=encode_tags(tags or {}),
        )

    def join(self, name: str, *, proved: bool = True, **how: Any) -> PeerId:
        record = self.record(name, **how)
        self.tell(membership.MemberUp(record.peer, record))
        if proved:
            self.tell(membership.MemberProved(record.peer))
        return record.peer

    def tell(self, message: runtime.Message) -> None:
        self.mailbox.tell(message)
        self.simulation.settle()

    def receive(self, peer: PeerId, message: codec.Message | bytes) -> None:
        payload = message if isinstance(message, bytes) else codec.encode(message)
        self.tell(transport.Packet(peer, payload, codec.KIND))

    def run(self, seconds: float) -> None:
        self.simulation.run(for_=seconds)

    def sent(self, kind: type[Any] | None = None) -> list[tuple[PeerId, Any]]:
        """What was sent since this was asked last, of this kind or all."""
        packets = self.net.control.received(transport.SendPacket)
        new, self._read = packets[self._read :], len(packets)
        said = [(packet.peer, codec.decode(packet.payload)) for packet in new]
        return [(peer, message) for peer, message in said if kind is None or isinstance(message, kind)]

    def events(self, kind: type[Any]) -> list[Any]:
        found: list[Any] = self.listener.control.received(kind)
        return found

    def wanted(self) -> list[PeerId]:
        return [want.peer for want in self.upkeep.control.received(maintenance.WantForFetch) if want.needed]

    def counted(self, name: str, *labels: str) -> float:
        value: float = self.simulation.registry.value(f"providers_{name}", *labels)
        return value


@pytest.fixture
def world(simulation: Any) -> Callable[..., World]:
    """Makes a `World`."""
    return lambda members=0, **settings: World(simulation, members, **settings)
