"""The messages of the protocol and the header that every packet has (membership: how news travels).

Everything that helpers of an indirect probe need travels in the messages; they only remember whether a Nack is due.

    prober --Ping--> target --Ack--> prober
    prober --PingReq--> helper --IndirectPing--> target --IndirectAck--> helper --ForwardedAck--> prober
                               (no answer in time)                              --Nack----------> prober

Each class says what its messages may carry: `updates` about members, and `items`, the application's broadcasts.
"""

from typing import ClassVar

from msgspec import Struct

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


class _Carrier(Struct, frozen=True):
    updates: ClassVar[bool] = True
    items: ClassVar[bool] = True


class _Bare(Struct, frozen=True):
    updates: ClassVar[bool] = False
    items: ClassVar[bool] = False


class Ping(_Carrier, frozen=True):
    """Are you there? `number` ties the answer to the current probe."""

    number: int


class Ack(_Carrier, frozen=True):
    """The answer to a Ping, with its number."""

    number: int


class PingReq(_Carrier, frozen=True):
    """Please ping `target` for me."""

    target: MemberId
    number: int


class IndirectPing(_Carrier, frozen=True):
    """Are you there? `origin` asks."""

    origin: MemberId
    number: int


class IndirectAck(_Carrier, frozen=True):
    """The answer to an IndirectPing, for `target`, which began the probe. `answer`: proves it (see `proofs`)."""

    target: MemberId
    number: int
    answer: bytes = b""


class ForwardedAck(_Carrier, frozen=True):
    """`origin`, which you asked me to ping, has answered; here is its own `answer`."""

    origin: MemberId
    number: int
    answer: bytes = b""


class Nack(_Carrier, frozen=True):
    """`target`, which you asked me to ping, has not answered yet; but I am alive and have received your request."""

    target: MemberId
    number: int


class Announce(_Bare, frozen=True):
    """I am joining: send me a Feed with the members that you know."""


class Feed(_Carrier, frozen=True):
    """The answer to Announce: carries random active members in place of the backlog."""


class Gossip(_Carrier, frozen=True):
    """Has no meaning but the updates and items that it carries."""


class TurnUndead(_Bare, frozen=True):
    """I hold this about you: Down, Left, or a later life, in which case its record is beside the packet.

    Who is there answers with an Ack of this number.
    """

    held: Member
    number: int = 0


class Broadcast(_Carrier, frozen=True):
    """Has no meaning but the items that it carries."""

    updates: ClassVar[bool] = False


class SyncRequest(_Bare, frozen=True):
    """The digest of the members that I hold active. If yours differs, send me yours in SyncParts and ask for mine."""

    digest: int


class SyncPart(_Carrier, frozen=True):
    """Carries active members, or Down ones that the receiver holds active, in place of the backlog.

    `asks` is 1 if the sender wants the receiver's members too, else 0.
    """

    asks: int = 0


Probing = Ping | Ack | PingReq | IndirectPing | IndirectAck | ForwardedAck | Nack
Message = Probing | Announce | Feed | Gossip | TurnUndead | Broadcast | SyncRequest | SyncPart


class Header(Struct, frozen=True):
    """Sender, receiver and message. With the sender's incarnation, and the proof of it, every packet is also the newest
    update about it."""

    src: MemberId
    src_incarnation: int
    dst: MemberId
    message: Message
    src_proof: bytes = b""


class DecodedPacket(Struct, frozen=True):
    """A packet as `codec.decode_packet` returns it. news: the updates that are not held already, and suspicions."""

    header: Header
    updates: tuple[Member, ...] = ()
    news: tuple[Member, ...] = ()
    items: tuple[bytes, ...] = ()
