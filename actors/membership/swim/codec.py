"""Packets as msgpack, version 2.

    packet = [2, kind, src_key, src_generation, src_incarnation, src_proof, dst_key, dst_generation,
              fields, updates, items]
    fields = []                                      Announce, Feed, Gossip, Broadcast
             [number]                                Ping, Ack; SyncRequest: a digest; SyncPart: 0 or 1
             [key, generation, number]               PingReq, IndirectPing, Nack
             [key, generation, number, answer]       IndirectAck, ForwardedAck
             [generation, incarnation, state, proof, number] TurnUndead: of the receiver's key
    update = [key, generation, incarnation, state]   state 0 Alive, 1 Suspect, 2 Down, 3 Left
             [key, generation, incarnation, state, proof]
             [key, generation, incarnation, 1, proof, [accuser, ...]] a Suspect with up to 8 accusers, 8 bytes each
    item   = bin, the application's broadcast

* A packet is exactly one such array, with nothing before or behind it.
* Keys are 32-byte `bin`; numbers are whole, within the bounds of `member`; the number of a message is below 2**63.
* A proof is `bin` of 16 bytes, an answer of 64 (see `proofs`); either may be empty. An update is written in its
  shortest form.
* No packet has more than 256 updates and 64 items, and each message only what `messages` says. No item is empty.
* Input that breaks a rule raises DecodeError and nothing else, and a length that the packet claims allocates nothing.

The same members are named again and again, so encoded updates are kept in caches of a fixed size, and one that says
what is held is decoded to the very object that is held (`Known`). What was only said is not kept: whoever invents
members would push out those that there are.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b

import msgpack

from .errors import DecodeError
from .member import ACCUSER_BYTES, MAX_ACCUSERS, Member, MemberId, State
from .messages import (
    Ack,
    Announce,
    Broadcast,
    DecodedPacket,
    Feed,
    ForwardedAck,
    Gossip,
    Header,
    IndirectAck,
    IndirectPing,
    Message,
    Nack,
    Ping,
    PingReq,
    SyncPart,
    SyncRequest,
    TurnUndead,
)
from .proofs import ANSWER_BYTES, PROOF_BYTES

__all__ = [
    "LIST_HEADS_BYTES",
    "MAX_ITEMS",
    "MAX_UPDATES",
    "MIN_UPDATE_BYTES",
    "VERSION",
    "Known",
    "decode_packet",
    "digest",
    "encode_header",
    "encode_item",
    "encode_packet",
    "encode_update",
    "items_of",
    "keys_named_in",
]

VERSION = 2
MAX_UPDATES = 256
MAX_ITEMS = 64
MIN_UPDATE_BYTES = 38
"""An update with every number below 128; a real one, with unix time as generation, has about 42."""

LIST_HEADS_BYTES = 6
"""The longest heads of the lists of updates and items together."""

Known = Mapping[tuple[object, ...], Member]
"""Members by what an update that says the same has as its items (`items_of`)."""

_NOBODY: Known = {}
_NUMBER_LIMIT = 1 << 63
_PACKET_FIELDS = 11
_UPDATES_AT = 9  # of the fields of a packet
_UPDATE_FIELDS = 4
_ACCUSED_FIELDS = 6
_LIST_HEADS = [msgpack.Packer().pack_array_header(length) for length in range(max(MAX_UPDATES, MAX_ITEMS) + 1)]
_EMPTY_LISTS = len(_LIST_HEADS[0]) * 2

_Bare = Announce | Feed | Gossip | Broadcast
_Numbered = Ping | Ack | SyncRequest | SyncPart
_Indirect = PingReq | IndirectPing | Nack
_Answered = IndirectAck | ForwardedAck
_BARE: dict[int, type[_Bare]] = {
    7: Announce,
    8: Feed,
    9: Gossip,
    11: Broadcast,
}
_NUMBERED: dict[int, type[_Numbered]] = {1: Ping, 2: Ack, 13: SyncRequest, 14: SyncPart}
_INDIRECT: dict[int, type[_Indirect]] = {
    3: PingReq,
    4: IndirectPing,
    12: Nack,
}
_ANSWERED: dict[int, type[_Answered]] = {5: IndirectAck, 6: ForwardedAck}
_TURN_UNDEAD = 10
_KINDS: dict[type[Message], int] = {
    **{cls: kind for kind, cls in _BARE.items()},
    **{cls: kind for kind, cls in _NUMBERED.items()},
    **{cls: kind for kind, cls in _INDIRECT.items()},
    **{cls: kind for kind, cls in _ANSWERED.items()},
    TurnUndead: _TURN_UNDEAD,
}


def encode_header(header: Header) -> bytes:
    """A packet up to its updates, which `encode_packet` adds."""
    src, dst, message = header.src, header.dst, header.message
    kind = _KINDS[type(message)]
    sender = (src.key, src.generation, header.src_incarnation, header.src_proof)
    head = msgpack.packb((VERSION, kind, *sender, dst.key, dst.generation, _fields(message), (), ()))
    return bytes(head[:-_EMPTY_LISTS])


def encode_update(update: Member) -> bytes:
    """Encode an update."""
    identity = update.id
    if update.accusers and update.state is State.SUSPECT:
        fields = (identity.key, identity.generation, update.incarnation, int(update.state), update.proof)
        return bytes(msgpack.packb((*fields, update.accusers)))
    return _encode_member(identity.key, identity.generation, update.incarnation, update.state, update.proof)


@lru_cache(16_384)
def _encode_member(key: bytes, generation: int, incarnation: int, state: int, proof: bytes = b"") -> bytes:
    proofs = (proof,) if proof else ()
    return bytes(msgpack.packb((key, generation, incarnation, int(state), *proofs)))


def digest(member: Member) -> int:
    """A 63-bit hash of what is held about a member, the same in every process. Those of several are combined by XOR.

    It covers neither proof nor accusers.
    """
    identity = member.id
    return _digest(identity.key, identity.generation, member.incarnation, member.state)


@lru_cache(16_384)
def _digest(key: bytes, generation: int, incarnation: int, state: int) -> int:
    encoded = _encode_member(key, generation, incarnation, state)
    return int.from_bytes(blake2b(encoded, digest_size=8).digest(), "big") >> 1


def items_of(member: Member) -> tuple[object, ...]:
    """What a packet has of this update, but for accusers."""
    identity, proof = member.id, (member.proof,) if member.proof else ()
    return (identity.key, identity.generation, member.incarnation, int(member.state), *proof)


def encode_item(item: bytes) -> bytes:
    """Encode a broadcast, which gets up to 5 bytes longer."""
    return bytes(msgpack.packb(item))


def encode_packet(header: bytes, updates: Sequence[bytes] = (), items: Sequence[bytes] = ()) -> bytes:
    """A whole packet from its encoded parts; at most 256 updates and 64 items."""
    return b"".join((header, _LIST_HEADS[len(updates)], *updates, _LIST_HEADS[len(items)], *items))


def keys_named_in(packet: bytes) -> list[bytes]:
    """The keys of whom a packet of ours tells."""
    updates = _array(_unpack(packet), _PACKET_FIELDS, "a packet")[_UPDATES_AT]
    return [key for key, *_ in updates] if isinstance(updates, list) else []


def decode_packet(data: bytes, known: Known = _NOBODY) -> DecodedPacket:
    """Read a packet; raises DecodeError, which says what is wrong. known: what need not be made anew."""
    values = _array(_unpack(data), _PACKET_FIELDS, "a packet")
    version, kind, src_key, src_generation, src_incarnation, src_proof, dst_key, dst_generation, *rest = values
    fields, updates, items = rest
    if type(version) is not int or version != VERSION:
        raise DecodeError(f"protocol version {version!r:.80} is not spoken here, only {VERSION}")
    try:
        message = _read_message(kind, fields, dst_key)
        sender = _sender(src_key, src_generation, src_incarnation, src_proof, known)
        header = Header(sender.id, sender.incarnation, _identity(dst_key, dst_generation), message, sender.proof)
        packet = DecodedPacket(header, *_read_updates(updates, known), _read_items(items))
    except DecodeError:
        raise
    except TypeError as error:  # an unhashable value, which no cache can look up
        raise DecodeError(f"an array where a key or a number belongs: {error}") from error
    except ValueError as error:  # a bound of MemberId or Member
        raise DecodeError(str(error)) from error
    _check_load(packet)
    return packet


def _fields(message: Message) -> tuple[object, ...]:
    match message:
        case Ping(number) | Ack(number) | SyncRequest(number) | SyncPart(number):
            return (number,)
        case PingReq(third, number) | IndirectPing(third, number) | Nack(third, number):
            return third.key, third.generation, number
        case IndirectAck(third, number, answer) | ForwardedAck(third, number, answer):
            return third.key, third.generation, number, answer
        case TurnUndead(held, number):
            return held.id.generation, held.incarnation, int(held.state), held.proof, number
        case _:
            return ()


def _unpack(data: bytes) -> object:
    limits = {"max_str_len": 0, "max_map_len": 0, "max_ext_len": 0}
    try:
        return msgpack.unpackb(data, max_array_len=MAX_UPDATES, max_bin_len=len(data), **limits)
    except (ValueError, msgpack.UnpackException) as error:
        raise DecodeError(f"not one msgpack value within the limits of a packet: {error or type(error)}") from error


def _read_message(kind: object, fields: object, dst_key: object) -> Message:
    if type(kind) is int:
        if kind in _NUMBERED:
            (number,) = _array(fields, 1, "the fields of the message")
            return _NUMBERED[kind](_number(number))
        if kind in _BARE:
            _array(fields, 0, "the fields of the message")
            return _BARE[kind]()
        if kind in _INDIRECT:
            key, generation, number = _array(fields, 3, "the fields of the message")
            return _INDIRECT[kind](_identity(key, generation), _number(number))
        if kind in _ANSWERED:
            key, generation, number, answer = _array(fields, 4, "the fields of the message")
            return _ANSWERED[kind](
                _identity(key, generation), _number(number), _bytes(answer, ANSWER_BYTES, "an answer")
            )
        if kind == _TURN_UNDEAD:
            *held, number = _array(fields, 5, "the fields of the message")
            return TurnUndead(_member(dst_key, *held), _number(number))
    raise DecodeError(f"message kind {kind!r:.80} is unknown; it must be 1 to {len(_KINDS)}")


def _read_updates(raws: object, known: Known) -> tuple[tuple[Member, ...], tuple[Member, ...]]:
    """All of them, and those of them that are news: most are known already."""
    if not isinstance(raws, list):
        raise DecodeError(f"updates must be an array, not {type(raws).__name__}")
    known_of, updates, news = known.get, [], []
    try:
        for raw in raws:
            update = known_of(tuple(raw))
            # True is 1 for a dict
            if update is None or not type(raw[1]) is type(raw[2]) is type(raw[3]) is int:
                update = _member(*raw)
                news.append(update)
            updates.append(update)
    except TypeError:  # one of them is longer, shorter or no array
        updates = news = [_read_update(raw) for raw in raws]
    return tuple(updates), tuple(news)


def _read_update(raw: object) -> Member:
    if not isinstance(raw, list) or not _UPDATE_FIELDS <= len(raw) <= _ACCUSED_FIELDS:
        found = f"{len(raw)} items" if isinstance(raw, list) else type(raw).__name__
        raise DecodeError(f"an update must be an array of {_UPDATE_FIELDS} to {_ACCUSED_FIELDS}, not {found}")
    if len(raw) < _ACCUSED_FIELDS:
        return _member(*raw)
    member = _member(*raw[:-1])
    if member.state is not State.SUSPECT:
        raise DecodeError(f"only a Suspect has accusers, not {member.id}")
    return Member(member.id, member.incarnation, State.SUSPECT, _read_accusers(raw[-1]), member.proof)


def _read_accusers(raws: object) -> tuple[bytes, ...]:
    if not isinstance(raws, list) or not 1 <= len(raws) <= MAX_ACCUSERS:
        raise DecodeError(f"accusers must be an array of 1 to {MAX_ACCUSERS}")
    accusers = tuple(raw for raw in raws if isinstance(raw, bytes) and len(raw) == ACCUSER_BYTES)
    if len(accusers) != len(raws):
        raise DecodeError(f"an accuser must be {ACCUSER_BYTES} bytes")
    return accusers


def _read_items(raws: object) -> tuple[bytes, ...]:
    if raws == []:  # most packets
        return ()
    if not isinstance(raws, list) or len(raws) > MAX_ITEMS:
        raise DecodeError(f"items must be an array of at most {MAX_ITEMS}")
    items = tuple(raw for raw in raws if isinstance(raw, bytes) and raw)
    if len(items) != len(raws):
        raise DecodeError("an item must be bytes, at least one")
    return items


def _check_load(packet: DecodedPacket) -> None:
    message = packet.header.message
    if packet.updates and not message.updates:
        raise DecodeError(f"{type(message).__name__} carries no updates, but here are {len(packet.updates)}")
    if packet.items and not message.items:
        raise DecodeError(f"{type(message).__name__} carries no items, but here are {len(packet.items)}")


def _sender(key: object, generation: object, incarnation: object, proof: object, known: Known) -> Member:
    said = (key, generation, incarnation, 0, proof) if proof else (key, generation, incarnation, 0)
    held = known.get(said)
    if held is not None and type(generation) is type(incarnation) is int:
        return held
    return _member(key, generation, incarnation, 0, proof)


_STATES = {int(state): state for state in State}


def _member(key: object, generation: object, incarnation: object, state: object, proof: object = b"") -> Member:
    if type(key) is type(proof) is bytes and type(generation) is type(incarnation) is type(state) is int:
        known = _STATES.get(state)  # as most are
        if known is not None and len(proof) in (0, PROOF_BYTES):
            return Member(MemberId(key, generation), incarnation, known, (), proof)
    identity, incarnation = _identity(key, generation), _whole(incarnation, "incarnation")
    return Member(identity, incarnation, State(_whole(state, "state")), (), _bytes(proof, PROOF_BYTES, "a proof"))


def _identity(key: object, generation: object) -> MemberId:
    if not isinstance(key, bytes):
        raise DecodeError(f"a key must be bytes, not {type(key).__name__}")
    return MemberId(key, _whole(generation, "generation"))


def _number(value: object) -> int:
    number = _whole(value, "the number of a message")
    if not 0 <= number < _NUMBER_LIMIT:
        raise DecodeError(f"the number of a message is 0 or more and below 2**63, not {number}")
    return number


def _whole(value: object, what: str) -> int:
    if type(value) is not int:  # a bool is an int for isinstance
        raise DecodeError(f"{what} must be a whole number, not {type(value).__name__}")
    return value


def _bytes(value: object, length: int, what: str) -> bytes:
    if not isinstance(value, bytes) or len(value) not in (0, length):
        found = f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__
        raise DecodeError(f"{what} must be {length} bytes or none, not {found}")
    return value


def _array(value: object, length: int, what: str) -> list[object]:
    if not isinstance(value, list) or len(value) != length:
        found = f"{len(value)} items" if isinstance(value, list) else type(value).__name__
        raise DecodeError(f"{what} must be an array of {length}, not {found}")
    return value
