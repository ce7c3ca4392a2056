"""The messages of the protocol and the header that every packet has (membership: how news travels).

Everything that helpers of an indirect probe need travels in the messages; they only remember whether a Nack is due.

    prober --Ping--> target --Ack--> prober
    prober --PingReq--> helper --IndirectPing--> target --IndirectAck--> helper --ForwardedAck--> prober
                               (no answer in time)                              --Nack----------> prober

Each class says what its messages may carry: `updates` about members, and `items`, the application's broadcasts.
"""

from dataclasses import dataclass
from typing import ClassVar

from .member import Member, MemberId

__all__ = [
    "Ack",
    "Announce",
    "Broadcast",
    "DecodedPacket",
    "Feed",
    "ForwardedAck",
    "Gossip",
    "Header",
    "IndirectAck",
    "IndirectPing",
    "Message",
    "Nack",
    "Ping",
    "PingReq",
    "Probing",
    "SyncPart",
    "SyncRequest",
    "TurnUndead",
]


@dataclass(frozen=True, slots=True)
class _Carrier:
    updates: ClassVar[bool] = True
    items: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class _Bare:
    updates: ClassVar[bool] = False
    items: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Ping(_Carrier):
    """Are you there? `number` ties the answer to the current probe."""

    number: int


@dataclass(frozen=True, slots=True)
class Ack(_Carrier):
    """The answer to a Ping, with its number."""

    number: int


@dataclass(frozen=True, slots=True)
class PingReq(_Carrier):
    """Please ping `target` for me."""

    target: MemberId
    number: int


@dataclass(frozen=True, slots=True)
class IndirectPing(_Carrier):
    """Are you there? `origin` asks."""

    origin: MemberId
    number: int


@dataclass(frozen=True, slots=True)
class IndirectAck(_Carrier):
    """The answer to an IndirectPing, for `target`, which began the probe. `answer`: proves it (see `proofs`)."""

    target: MemberId
    number: int
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class ForwardedAck(_Carrier):
    """`origin`, which you asked me to ping, has answered; here is its own `answer`."""

    origin: MemberId
    number: int
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Nack(_Carrier):
    """`target`, which you asked me to ping, has not answered yet; but I am alive and have received your request."""

    target: MemberId
    number: int


@dataclass(frozen=True, slots=True)
class Announce(_Bare):
    """I am joining: send me a Feed with the members that you know."""


@dataclass(frozen=True, slots=True)
class Feed(_Carrier):
    """The answer to Announce: carries random active members in place of the backlog."""


@dataclass(frozen=True, slots=True)
class Gossip(_Carrier):
    """Has no meaning but the updates and items that it carries."""


@dataclass(frozen=True, slots=True)
class TurnUndead(_Bare):
    """I hold this about you: Down, Left, or a later life, in which case its record is beside the packet.

    Who is there answers with an Ack of this number.
    """

    held: Member
    number: int = 0


@dataclass(frozen=True, slots=True)
class Broadcast(_Carrier):
    """Has no meaning but the items that it carries."""

    updates: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class SyncRequest(_Bare):
    """The digest of the members that I hold active. If yours differs, send me yours in SyncParts and ask for mine."""

    digest: int


@dataclass(frozen=True, slots=True)
class SyncPart(_Carrier):
    """Carries active members, or Down ones that the receiver holds active, in place of the backlog.

    `asks` is 1 if the sender wants the receiver's members too, else 0.
    """

    asks: int = 0


Probing = Ping | Ack | PingReq | IndirectPing | IndirectAck | ForwardedAck | Nack
Message = Probing | Announce | Feed | Gossip | TurnUndead | Broadcast | SyncRequest | SyncPart


@dataclass(frozen=True, slots=True)
class Header:
    """Sender, receiver and message. With the sender's incarnation, and the proof of it, every packet is also the newest
    update about it."""

    src: MemberId
    src_incarnation: int
    dst: MemberId
    message: Message
    src_proof: bytes = b""


@dataclass(frozen=True, slots=True)
class DecodedPacket:
    """A packet as `codec.decode_packet` returns it."""

    header: Header
    updates: tuple[Member, ...] = ()
    items: tuple[bytes, ...] = ()
