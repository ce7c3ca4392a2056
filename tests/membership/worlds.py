"""One real engine between a mocked transport and a mocked tracker; the other members are packets that a test writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rookery import runtime
from rookery.actors import membership, tracker
from rookery.actors.membership.core.envelope import Envelope
from rookery.actors.membership.core.tags import encode_tags
from rookery.actors.membership.swim import Member, MemberId, State
from rookery.actors.membership.swim.codec import decode_packet, encode_header, encode_packet, encode_update
from rookery.actors.membership.swim.messages import Announce, DecodedPacket, Feed, Gossip, Header, Message
from rookery.transport import mailbox as transport
from rookery.transport.gatekeeper import Direction, Link, Role
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason
from rookery.transport.record import PeerRecord

CONFIG = membership.Config(cluster_size=5)


class World:
    """A member called "me" of generation 1. Records are at 10.0.0.N, N by name."""

    def __init__(self, simulation: Any, config: membership.Config = CONFIG, *, snapshot: Path | None = None) -> None:
        self.simulation = simulation
        self.config = config
        self.me = self.record("me")
        self.tracked: list[tracker.Track] = []
        self.net = simulation.mock(transport.Mailbox)
        self.net.control.answer(transport.ReceivePackets, None)
        self.net.control.answer(transport.Close, None)
        self.net.control.answer(transport.GetRecord, self.owned(self.me))
        self.net.control.answer(transport.Renew, lambda message: self.owned(self.record("me", message.generation + 1)))
        self.peers = simulation.mock(tracker.Mailbox)
        self.peers.control.answer(tracker.Track, self.tracked.append)
        self.peers.control.answer(tracker.Block, tracker.Blocked(0.0))
        self.members = simulation.start(
            membership.Engine, config, transport=self.net, tracker=self.peers, snapshot=snapshot
        )
        self.listener = simulation.mock(runtime.Mailbox, "listener")
        self.members.subscribe(self.listener)
        simulation.settle()

    def record(self, name: str, generation: int = 1) -> PeerRecord:
        address = f"tcp://10.0.0.{sum(name.encode()) % 250 + 1}:7000"
        record: PeerRecord = self.simulation.known.record(name, address, generation=generation)
        return record

    def owned(self, record: PeerRecord) -> transport.OwnRecord:
        """A record of ours with the life that begins with it."""
        own: transport.OwnRecord = self.simulation.known.own(record)
        return own

    def tagged(self, name: str, tags: Mapping[str, str], generation: int = 1) -> PeerRecord:
        """As `record`, with these tags."""
        plain = self.record(name, generation)
        return PeerRecord.sign(
            self.simulation.known.identity(name),
            network=plain.network,
            address=plain.address,
            generation=generation,
            metadata=encode_tags(tags),
        )

    def peer(self, name: str) -> PeerId:
        return self.record(name).peer

    def id(self, name: str, generation: int = 1) -> MemberId:
        return MemberId(self.peer(name), generation)

    def join(self, *seeds: str) -> World:
        self.members.join([self.record(name) for name in seeds]).get(timeout=1)
        return self

    def packet(
        self,
        sender: str,
        message: Message | None = None,
        *updates: Member,
        records: Iterable[PeerRecord] | None = None,
        wanted: Iterable[str] = (),
        generation: int = 1,
        to: int = 1,
    ) -> None:
        """A packet of `sender`; `records` are by default its own."""
        swim = b""
        if message is not None:
            header = Header(self.id(sender, generation), 0, self.id("me", to), message)
            swim = encode_packet(encode_header(header), [encode_update(update) for update in updates])
        records = [self.record(sender, generation)] if records is None else records
        envelope = Envelope(swim, tuple(record.encode() for record in records), tuple(map(self.peer, wanted)))
        self.deliver(sender, envelope.encode())

    def envelope(self, swim: bytes) -> bytes:
        """A packet with nothing beside."""
        return Envelope(swim).encode()

    def deliver(self, sender: str, payload: bytes) -> None:
        self.members.tell(transport.Packet(self.peer(sender), payload))
        self.simulation.settle()

    def meet(self, *names: str) -> World:
        """Let each of these announce itself with a packet, so that they are members."""
        for name in names:
            self.packet(name, Gossip())
        return self

    def introduce(self, sender: str, *names: str, records: bool = True) -> World:
        """Let `sender` tell of these in gossip, with their records or without."""
        for begin in range(0, len(names), 31):
            some = names[begin : begin + 31]
            beside = [self.record(name) for name in some] if records else []
            updates = [Member(self.id(name)) for name in some]
            self.packet(sender, Gossip(), *updates, records=[self.record(sender), *beside])
        return self

    def down(self, name: str, generation: int = 1) -> Member:
        return Member(self.id(name, generation), 0, State.DOWN)

    def left(self, name: str, generation: int = 1) -> Member:
        farewell = self.simulation.known.life(name, generation).farewell
        return Member(self.id(name, generation), 0, State.LEFT, (), farewell)

    def proved(self, name: str, incarnation: int, state: State = State.ALIVE, *, generation: int = 1) -> Member:
        """What only the member can have begun to say of itself."""
        link = self.simulation.known.life(name, generation).link(incarnation) if incarnation else b""
        return Member(self.id(name, generation), incarnation, state, (), link)

    def sent(self, to: str) -> list[Envelope]:
        """The envelopes that were sent to a member so far."""
        self.simulation.settle()
        peer = self.peer(to)
        return [
            Envelope.decode(message.payload)
            for message in self.net.control.received(transport.SendPacket)
            if message.peer == peer
        ]

    def said(self, to: str, kind: type[Message]) -> list[DecodedPacket]:
        packets = [decode_packet(envelope.swim) for envelope in self.sent(to) if envelope.swim]
        return [packet for packet in packets if isinstance(packet.header.message, kind)]

    def heard(self) -> list[runtime.Message]:
        """The events that a subscriber got so far."""
        self.simulation.settle()
        received: list[runtime.Message] = self.listener.control.received()
        return received

    def visible(self) -> list[PeerId]:
        return [info.peer for info in self.members.members().get(timeout=1).active]

    def open(self, name: str, record: PeerRecord | None = None) -> None:
        record = record or self.record(name)
        link = Link(1, record.peer, Direction.IN, Role.PRIMARY, "10.0.0.1", 0.0, record)
        self.members.tell(transport.Opened(link))
        self.simulation.settle()

    def close(self, name: str) -> None:
        self.members.tell(transport.Closed(1, self.peer(name), Reason.LOST))
        self.simulation.settle()

    def metric(self, name: str, *labels: str) -> float:
        value: float = self.simulation.registry.value(f"membership_{name}", *labels)
        return value

    def dropped(self, why: str) -> float:
        return self.metric("packets_total", why)

    def newcomers(self, outcome: str) -> float:
        """How many became this."""
        return self.metric("newcomers_total", outcome)


def ghosts(count: int, begin: int = 0) -> list[str]:
    """Names of members that somebody invents."""
    return [f"ghost {number}" for number in range(begin, begin + count)]


__all__ = ["CONFIG", "Announce", "Feed", "Gossip", "Member", "MemberId", "State", "World", "ghosts"]
