"""What transport can be asked and told, and the events it emits.

The four messages that carry payloads are not frozen: making a frozen one takes 0.9 us against 0.3, once per message and
side. Treat them as frozen all the same.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from msgspec import Struct

from .. import runtime
from ..runtime import Feedback, Lane, Limit, Message, Overflow, Reply, Request
from ..runtime.arguments import shortened
from .address import Address
from .core.codec import PACKET_KINDS
from .gatekeeper import Claim, Gate, Link, Ticket, Verdict
from .identity import PeerId
from .identity.life import Life
from .reasons import Reason
from .record import MAX_METADATA_BYTES, PeerRecord

# Events: told to observers and to the receivers of channels ----------------------------------------------------------


class Opened(Message, Struct, frozen=True):
    """A connection is there. Comes before anything is received on it, and exactly once."""

    link: Link


class Closed(Message, Struct, frozen=True):
    """A connection is gone; exactly one for each `Opened`. Nothing of the link is delivered after it was handled.

    lost: messages that `send` accepted for this link and that never left: no room, too large, or it ended before.
    unconfirmed: messages that left, and of which the other side had not said that it took them.
    """

    link_id: int
    peer: PeerId
    reason: Reason
    lost: int = 0
    unconfirmed: int = 0


class Received(Message, Struct):
    """A message from a peer, on a channel this mailbox registered."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.REJECT
    link_id: int
    peer: PeerId
    channel: int
    payload: bytes

    def size(self) -> int:
        """Bytes of the payload."""
        return len(self.payload)


class Packet(Message, Struct):
    """A datagram from a peer, to the mailbox that receives packets of its kind. The sender is authenticated."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.REJECT
    peer: PeerId
    payload: bytes
    kind: int = 0

    def size(self) -> int:
        """Bytes of the payload."""
        return len(self.payload)


# Requests and commands -----------------------------------------------------------------------------------------------


class Quota(Struct, frozen=True):
    """Messages per second that one peer may send on a channel, and how many at once."""

    rate: float = 1000.0
    burst: int = 2000

    def __post_init__(self) -> None:
        """Raise ValueError for a quota that lets nothing through."""
        if self.rate <= 0 or self.burst < 1:
            raise ValueError(f"a quota has a rate above 0 and a burst of at least 1, not {self}")


class Listen(Request[Address], Struct, frozen=True):
    """Bind and accept. Every channel must be registered by now."""


class Register(Request[None], Struct, frozen=True):
    """Deliver what comes on `channel` to `receiver`, at most `inbound` per peer; also `Opened` and `Closed`.

    max_message: bytes of the largest message; whoever sends a larger one is closed. None: transport's own limit.
    """

    channel: int
    receiver: runtime.Mailbox
    inbound: Quota
    max_message: int | None = None


class ReceivePackets(Request[None], Struct, frozen=True):
    """Deliver packets of `kind` to `receiver`. Kind 0 is the membership's, those from 128 on are applications'."""

    receiver: runtime.Mailbox
    kind: int = 0


class SetGate(Request[int], Struct, frozen=True):
    """Judge by this gate from now on; answers its version when it has taken effect.

    disconnect: end whatever it blocks that the gate before did not; else that stays until it ends by itself.
    """

    gate: Gate
    disconnect: bool = True


class Dial(Message, Struct, frozen=True):
    """Connect to the ticket's peer at `address`. The end is `Opened`, or `released(ticket, reason)`.

    short_lived: for a fetch, in a place beside `max_connections`.
    """

    ticket: Ticket
    address: Address
    short_lived: bool = False


class Close(Request[None], Struct, frozen=True):
    """End every link, handshake and pending dial of `peer`; answered when nothing of it is delivered any more."""

    peer: PeerId
    reason: Reason


class CloseLink(Message, Struct, frozen=True):
    """End one connection. A link that is gone already is counted and ignored."""

    link_id: int
    reason: Reason


class AnswersAwaited(Message, Struct, frozen=True):
    """So many more of who uses a connection wait for an answer over it, or owe one; less if negative.

    A short-lived one is not idle meanwhile. in_vain: whether this user has asked over it and got nothing yet, None if
    it has got no answer; one that this node has dialled and that was in vain for all its users has had its turn. One
    that is gone is ignored.
    """

    link_id: int
    delta: int
    in_vain: bool | None = None


class Send(Message, Struct):
    """A message for the peer of a link. OK means queued here; a loss is counted, and `Closed` tells of the link's."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.REJECT
    priority: ClassVar[bool] = False
    link_id: int
    channel: int
    payload: bytes

    def size(self) -> int:
        """Bytes of the payload."""
        return len(self.payload)


class SendFirst(Send):
    """As `Send`, ahead of all `Send`s that wait. For small messages that somebody waits for."""

    lane: ClassVar[Lane] = Lane.CONTROL
    priority: ClassVar[bool] = True


class SendPacket(Message, Struct):
    """A datagram, best effort: over the connection if there is one, else over a packet link to `address`.

    answer: over a link that the peer has opened, if there is one. It saves a handshake, and says nothing of whether the
    peer can be reached at its address, as a packet of the membership must.
    """

    lane: ClassVar[Lane] = Lane.CONTROL  # SWIM's, and small: it does not wait behind bulk
    overflow: ClassVar[Overflow] = Overflow.REJECT
    peer: PeerId
    address: Address
    payload: bytes
    kind: int = 0
    answer: bool = False

    def size(self) -> int:
        """Bytes of the payload."""
        return len(self.payload)


class OwnRecord(Struct, frozen=True):
    """This node's own signed record, and the life that begins with it: what only its owner can show."""

    record: PeerRecord
    life: Life


class GetRecord(Request[OwnRecord], Struct, frozen=True):
    """This node's own signed record, as it stands now. Answered once transport listens."""


class Renew(Request[OwnRecord], Struct, frozen=True):
    """Sign a record of a generation above `generation`, which begins a new life; it is used from now on.

    metadata: in place of the present ones, at most 512 bytes; None leaves them.
    """

    generation: int
    metadata: bytes | None = None


class Mailbox(runtime.Mailbox):
    """How the other actors reach transport."""

    limits: ClassVar = {
        Send: Limit(65_536, 256 * 2**20),
        SendFirst: Limit(8192, 32 * 2**20),
        SendPacket: Limit(4096, 16 * 2**20),
    }

    def listen(self) -> Reply[Address]:
        """Bind; the address that others may dial. Fails with `BindError` if the port is taken."""
        return self.ask(Listen())

    def register(
        self, channel: int, receiver: runtime.Mailbox, inbound: Quota | None = None, max_message: int | None = None
    ) -> Reply[None]:
        """Take a channel (0 to 255); see `Register`. Fails with `ChannelTaken`, or `ChannelsClosed` after `listen`."""
        receiver.require(Opened, Closed, Received)
        return self.ask(Register(channel, receiver, inbound or Quota(), max_message))

    def receive_packets(self, receiver: runtime.Mailbox, kind: int = 0) -> Reply[None]:
        """Take the packets of a kind (0 to 255); see `ReceivePackets`.

        Fails with `ChannelTaken` if somebody has them. Raises ValueError for a kind out of its bounds.
        """
        receiver.require(Packet)
        return self.ask(ReceivePackets(receiver, _packet_kind(kind)))

    def set_gate(self, gate: Gate, *, disconnect: bool = True) -> Reply[int]:
        """Swap the gate; its version, once in effect. See `SetGate`."""
        return self.ask(SetGate(gate, disconnect))

    def dial(self, ticket: Ticket, address: Address, *, short_lived: bool = False) -> Feedback:
        """Connect; see `Dial`."""
        return self.tell(Dial(ticket, address, short_lived))

    def close(self, peer: PeerId, reason: Reason) -> Reply[None]:
        """End everything of a peer; see `Close`."""
        return self.ask(Close(peer, reason))

    def close_link(self, link_id: int, reason: Reason) -> Feedback:
        """End one connection; see `CloseLink`."""
        return self.tell(CloseLink(link_id, reason))

    def answers_awaited(self, link_id: int, delta: int, *, in_vain: bool | None = None) -> Feedback:
        """Answers are to come over a connection, by one user of it more or less; see `AnswersAwaited`."""
        return self.tell(AnswersAwaited(link_id, delta, in_vain))

    def send(self, link_id: int, channel: int, payload: bytes, *, priority: bool = False) -> Feedback:
        """Queue a message; see `Send`.

        priority: ahead of the messages without it that wait for this peer, never inside one of them. Messages with
        priority keep their order, and so do those without.
        """
        if priority:
            return self.tell(SendFirst(link_id, channel, payload))
        return self.tell(Send(link_id, channel, payload))

    def send_packet(
        self, peer: PeerId, address: Address, payload: bytes, kind: int = 0, *, answer: bool = False
    ) -> Feedback:
        """Queue a datagram of a kind (0 to 255); see `SendPacket`."""
        return self.tell(SendPacket(peer, address, payload, _packet_kind(kind), answer))

    def record(self) -> Reply[OwnRecord]:
        """This node's record, and its life."""
        return self.ask(GetRecord())

    def renew(self, generation: int, metadata: bytes | None = None) -> Reply[OwnRecord]:
        """A newer record of this node; see `Renew`. Raises ValueError for more than 512 bytes of metadata."""
        if metadata is not None and len(metadata) > MAX_METADATA_BYTES:
            raise ValueError(f"metadata of {len(metadata)} bytes: allowed are {MAX_METADATA_BYTES}")
        return self.ask(Renew(generation, metadata))


def _packet_kind(kind: int) -> int:
    if type(kind) is not int or not 0 <= kind < PACKET_KINDS:
        raise ValueError(f"a kind of packets {shortened(kind)}: allowed is 0 to {PACKET_KINDS - 1}")
    return kind


class Gatekeeper(Protocol):
    """What transport needs of the tracker's mailbox."""

    def admit(self, claim: Claim) -> Reply[Verdict]:
        """Judge a claim. No answer in time counts as a refusal."""

    def released(self, ticket: Ticket, reason: Reason) -> Feedback:
        """The dial or link of this ticket is over. `SUPERSEDED` and `REPLACED` tickets have moved to the new claim."""

    def hint(self, records: tuple[PeerRecord, ...], source: PeerId) -> Feedback:
        """Valid records that the peer `source` named when it refused us: where else to try. Never a grant of trust."""
