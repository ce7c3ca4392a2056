"""The messages of the protocol and the header that every packet has (membership reference 1.4 and 1.5).

Helpers of an indirect probe keep no state: all they need travels in the message.

    prober --Ping--> target --Ack--> prober
    prober --PingReq--> helper --IndirectPing--> target --IndirectAck--> helper --ForwardedAck--> prober
"""

from dataclasses import dataclass

from .member import Member, MemberId

__all__ = [
    "Ack",
    "Announce",
    "Feed",
    "ForwardedAck",
    "Gossip",
    "Header",
    "IndirectAck",
    "IndirectPing",
    "Message",
    "Packet",
    "Ping",
    "PingReq",
    "TurnUndead",
]


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? `number` ties the answer to the current probe."""

    number: int


@dataclass(frozen=True, slots=True)
class Ack:
    """The answer to a Ping, with its number."""

    number: int


@dataclass(frozen=True, slots=True)
class PingReq:
    """Please ping `target` for me."""

    target: MemberId
    number: int


@dataclass(frozen=True, slots=True)
class IndirectPing:
    """Are you there? `origin` asks."""

    origin: MemberId
    number: int


@dataclass(frozen=True, slots=True)
class IndirectAck:
    """The answer to an IndirectPing, for `target`, who asked first."""

    target: MemberId
    number: int


@dataclass(frozen=True, slots=True)
class ForwardedAck:
    """`origin`, whom you asked me to ping, has answered."""

    origin: MemberId
    number: int


@dataclass(frozen=True, slots=True)
class Announce:
    """I join; whom do you know? Carries no updates."""


@dataclass(frozen=True, slots=True)
class Feed:
    """The answer to Announce: carries random active members in place of the backlog."""


@dataclass(frozen=True, slots=True)
class Gossip:
    """Only carries updates."""


@dataclass(frozen=True, slots=True)
class TurnUndead:
    """I hold you Down. Carries no updates."""


Message = Ping | Ack | PingReq | IndirectPing | IndirectAck | ForwardedAck | Announce | Feed | Gossip | TurnUndead


@dataclass(frozen=True, slots=True)
class Header:
    """Who speaks to whom. The sender's incarnation makes every packet the freshest word about its sender."""

    src: MemberId
    src_incarnation: int
    dst: MemberId
    message: Message


@dataclass(frozen=True, slots=True)
class Packet:
    """A decoded packet."""

    header: Header
    updates: tuple[Member, ...]
