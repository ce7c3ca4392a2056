"""Packets as msgpack, version 1.

    packet = [1, kind, src_key, src_generation, src_incarnation, dst_key, dst_generation, fields, updates]
    fields = []                         Announce, Feed, Gossip, TurnUndead
             [number]                   Ping, Ack
             [key, generation, number]  PingReq, IndirectPing, IndirectAck, ForwardedAck
    update = [key, generation, incarnation, state]; state 0 Alive, 1 Suspect, 2 Down

* A packet is exactly one such array, with nothing before or behind it.
* Keys are 32-byte `bin`; numbers are whole, within the bounds of `member`; a probe number is below 2**63.
* Announce and TurnUndead have no updates; no packet has more than 256.
* What breaks a rule raises DecodeError and nothing else, and no memory is taken by a length that the packet claims.
"""

from collections.abc import Iterable, Sequence

import msgpack

from .errors import DecodeError
from .member import KEY_BYTES, Member, MemberId, State
from .messages import (
    Ack,
    Announce,
    Feed,
    ForwardedAck,
    Gossip,
    Header,
    IndirectAck,
    IndirectPing,
    Message,
    Packet,
    Ping,
    PingReq,
    TurnUndead,
)

__all__ = [
    "MAX_UPDATES",
    "MIN_UPDATE_BYTES",
    "UPDATES_HEAD_BYTES",
    "VERSION",
    "decode_packet",
    "encode_header",
    "encode_packet",
    "encode_update",
]

VERSION = 1
MAX_UPDATES = 256
MIN_UPDATE_BYTES = 38
"""An update with every number below 128; a real one, with unix time as generation, has about 42."""

UPDATES_HEAD_BYTES = 3
"""The longest head of an array of at most 256 updates."""

_NUMBER_LIMIT = 1 << 63
_PACKET_FIELDS = 9

_BARE: dict[int, type[Announce | Feed | Gossip | TurnUndead]] = {7: Announce, 8: Feed, 9: Gossip, 10: TurnUndead}
_NUMBERED: dict[int, type[Ping | Ack]] = {1: Ping, 2: Ack}
_INDIRECT: dict[int, type[PingReq | IndirectPing | IndirectAck | ForwardedAck]] = {
    3: PingReq,
    4: IndirectPing,
    5: IndirectAck,
    6: ForwardedAck,
}
_KINDS: dict[type[Message], int] = {
    **{cls: kind for kind, cls in _BARE.items()},
    **{cls: kind for kind, cls in _NUMBERED.items()},
    **{cls: kind for kind, cls in _INDIRECT.items()},
}


def encode_header(header: Header) -> bytes:
    """A packet up to its updates, which `encode_packet` adds."""
    fields = (VERSION, _KINDS[type(header.message)], *_identity(header.src), header.src_incarnation)
    head = msgpack.packb((*fields, *_identity(header.dst), _fields(header.message), ()))
    return bytes(head[:-1])  # the last byte is the empty list of updates


def encode_update(update: Member) -> bytes:
    """One update."""
    return bytes(msgpack.packb((*_identity(update.id), update.incarnation, int(update.state))))


def encode_packet(header: bytes, updates: Sequence[bytes]) -> bytes:
    """A whole packet from its encoded parts; at most 256 updates."""
    return b"".join((header, msgpack.Packer().pack_array_header(len(updates)), *updates))


def decode_packet(data: bytes) -> Packet:
    """Read a packet; raises DecodeError, which says what is wrong."""
    values = _array(_unpack(data), _PACKET_FIELDS, "a packet")
    version, kind, src_key, src_generation, src_incarnation, dst_key, dst_generation, fields, raw_updates = values
    if type(version) is not int or version != VERSION:
        raise DecodeError(f"protocol version {version!r} is not spoken here, only {VERSION}")
    try:
        message = _read_message(kind, fields)
        sender = _read_member(src_key, src_generation, src_incarnation, int(State.ALIVE))
        header = Header(sender.id, sender.incarnation, _read_identity(dst_key, dst_generation), message)
        updates = tuple(_read_update(raw) for raw in _items(raw_updates, "updates"))
    except DecodeError:
        raise
    except ValueError as error:  # a bound of MemberId or Member
        raise DecodeError(str(error)) from error
    if updates and isinstance(message, Announce | TurnUndead):
        raise DecodeError(f"{type(message).__name__} carries no updates, but here are {len(updates)}")
    return Packet(header, updates)


def _identity(identity: MemberId) -> tuple[bytes, int]:
    return identity.key, identity.generation


def _fields(message: Message) -> tuple[object, ...]:
    match message:
        case Ping(number) | Ack(number):
            return (number,)
        case PingReq(third, number) | IndirectPing(third, number):
            return (*_identity(third), number)
        case IndirectAck(third, number) | ForwardedAck(third, number):
            return (*_identity(third), number)
        case _:
            return ()


def _unpack(data: bytes) -> object:
    limits = {"max_str_len": 0, "max_map_len": 0, "max_ext_len": 0, "max_bin_len": KEY_BYTES}
    try:
        return msgpack.unpackb(data, max_array_len=MAX_UPDATES, **limits)
    except (ValueError, msgpack.UnpackException) as error:
        raise DecodeError(f"not one msgpack value within the limits of a packet: {error or type(error)}") from error


def _read_message(kind: object, fields: object) -> Message:
    if type(kind) is int:
        if kind in _BARE:
            _array(fields, 0, "the fields of the message")
            return _BARE[kind]()
        if kind in _NUMBERED:
            (number,) = _array(fields, 1, "the fields of the message")
            return _NUMBERED[kind](_number(number))
        if kind in _INDIRECT:
            key, generation, number = _array(fields, 3, "the fields of the message")
            return _INDIRECT[kind](_read_identity(key, generation), _number(number))
    raise DecodeError(f"message kind {kind!r} is unknown; it must be 1 to {len(_KINDS)}")


def _read_update(raw: object) -> Member:
    key, generation, incarnation, state = _array(raw, 4, "an update")
    return _read_member(key, generation, incarnation, state)


def _read_member(key: object, generation: object, incarnation: object, state: object) -> Member:
    return Member(_read_identity(key, generation), _whole(incarnation, "incarnation"), State(_whole(state, "state")))


def _read_identity(key: object, generation: object) -> MemberId:
    if not isinstance(key, bytes):
        raise DecodeError(f"a key must be bytes, not {type(key).__name__}")
    return MemberId(key, _whole(generation, "generation"))


def _number(value: object) -> int:
    number = _whole(value, "probe number")
    if not 0 <= number < _NUMBER_LIMIT:
        raise DecodeError(f"a probe number is 0 or more and below 2**63, not {number}")
    return number


def _whole(value: object, what: str) -> int:
    if type(value) is not int:  # a bool is an int for isinstance
        raise DecodeError(f"{what} must be a whole number, not {type(value).__name__}")
    return value


def _items(value: object, what: str) -> Iterable[object]:
    if not isinstance(value, list):
        raise DecodeError(f"{what} must be an array, not {type(value).__name__}")
    return value


def _array(value: object, length: int, what: str) -> list[object]:
    if not isinstance(value, list) or len(value) != length:
        found = f"{len(value)} items" if isinstance(value, list) else type(value).__name__
        raise DecodeError(f"{what} must be an array of {length}, not {found}")
    return value
