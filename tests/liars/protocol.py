"""What a liar says, byte by byte, written from docs/protocol.md alone: msgpack, and nothing of the nodes' own codecs.

Every frame of a liar is made and read here, in the simulation and over sockets, so that a new version of the protocol
changes this file only.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgpack

VERSION = 2
HELLO, WELCOME, READY, REJECT, BYE, PING, PONG = range(7)
CONNECTION, PACKETS = 0, 1  # the purpose of a Hello
EXCHANGE, BLOBS = 0, 1  # channels
BOOTSTRAP, ADVERTISE = 0, 1
REQUEST, RESPONSE, MISSING = range(3)
(
    SWIM_PING, ACK, PING_REQ, INDIRECT_PING, INDIRECT_ACK, FORWARDED_ACK, ANNOUNCE, FEED, GOSSIP, TURN_UNDEAD,
    BROADCAST, NACK, SYNC_REQUEST, SYNC_PART,
) = range(1, 15)  # fmt: skip
ALIVE, SUSPECT, DOWN, LEFT = range(4)
PROVIDE, PROVIDED, WHO, HOLDERS, HAVE, HAVING = range(6)
MAX_UPDATES, MAX_RECORDS, MAX_WANTED = 256, 32, 32
MAX_INCARNATION = 1024
PROOF_BYTES, ANSWER_BYTES = 16, 64
_PRIME = 2**255 - 19
MAX_PROVIDED, MAX_NAMED, MAX_NEARER, MAX_ASKED = 512, 16, 3, 32
_PACKET_HEAD = b"\x02\x00"  # of the membership
_PROVIDERS_HEAD = b"\x02\x01"
_HASH_BYTES = 16
_OWN_FRAME = 2**31


class Signer(Protocol):
    """A key pair: the peer id, and Ed25519 signatures."""

    @property
    def peer(self) -> bytes: ...

    def sign(self, data: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Update:
    """What is claimed about one life of a member. proof: the owner's, where one is known."""

    key: bytes
    generation: int
    incarnation: int = 0
    state: int = ALIVE
    accusers: tuple[bytes, ...] = ()
    proof: bytes = b""


@dataclass(frozen=True, slots=True)
class Swim:
    """A SWIM packet. src: who says so, as an update; dst: key and generation of whom it is for."""

    kind: int
    src: Update
    dst: tuple[bytes, int]
    fields: tuple[Any, ...] = ()
    updates: tuple[Update, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """A packet of the membership."""

    swim: Swim | None
    records: tuple[bytes, ...] = ()
    wanted: tuple[bytes, ...] = ()


def curve_public(peer: bytes) -> bytes:
    """The key to which a connection with this peer is encrypted."""
    y = int.from_bytes(peer, "little") % 2**255
    return ((1 + y) * pow(1 - y, -1, _PRIME) % _PRIME).to_bytes(32, "little")


# Records -------------------------------------------------------------------------------------------------------------


def record(
    key: Signer, network: str, address: str | None, generation: int, metadata: bytes = b"", *, life: int = 0
) -> bytes:
    """A record with a good signature. life: which of those that the owner signs under this generation; honest: one."""
    chain, farewell = links(key, generation, life)[0], _hash(farewell_of(key, generation))
    items = [VERSION, network, bytes(key.peer), address, generation, metadata, chain, farewell]
    return _pack([*items, key.sign(b"rookery-record-2\0" + _pack(items))])


def forged(genuine: bytes, *, address: str | None = None, generation: int | None = None) -> bytes:
    """The record of somebody else with another address or generation, under the signature that it had."""
    version, network, peer, old, number, *rest = msgpack.unpackb(genuine)
    return _pack([version, network, peer, address or old, generation or number, *rest])


def read_record(data: bytes) -> tuple[bytes, str | None, int]:
    """Peer, address and generation; the signature is not looked at."""
    _, _, peer, address, generation, *_ = msgpack.unpackb(data)
    return peer, address, generation


# A life: any secret of its owner's will do, so these begin with a signature -------------------------------------------


def links(key: Signer, generation: int, life: int = 0) -> list[bytes]:
    """The links of all incarnations; the first one is the end of the chain."""
    found = _LIVES.get((bytes(key.peer), generation, life))
    if found is None:
        link, found = _hash(key.sign(b"a liar's life" + struct.pack(">QQ", generation, life))), []
        for _ in range(MAX_INCARNATION + 1):
            found.append(link)
            link = _hash(link)
        found.reverse()
        if len(_LIVES) > 64:
            _LIVES.clear()
        _LIVES[bytes(key.peer), generation, life] = found
    return found


def farewell_of(key: Signer, generation: int) -> bytes:
    return _hash(key.sign(b"a liar's farewell" + struct.pack(">Q", generation)))


_LIVES: dict[tuple[bytes, int, int], list[bytes]] = {}


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:PROOF_BYTES]


# Control messages ----------------------------------------------------------------------------------------------------


def hello(network: str, own: bytes, purpose: int, *, short_lived: bool = False) -> list[bytes]:
    extensions = {1: 1} if short_lived and purpose == CONNECTION else {}
    return _control(HELLO, [VERSION], network, own, purpose, None, extensions)


def welcome(own: bytes) -> list[bytes]:
    return _control(WELCOME, VERSION, bytes(16), own, None, {})


def ready(nonce: bytes) -> list[bytes]:
    return _control(READY, nonce)


def ping(received: int) -> list[bytes]:
    return _control(PING, received, {})


def pong(received: int) -> list[bytes]:
    return _control(PONG, received, {})


def read_control(frames: Sequence[bytes]) -> tuple[int, list[Any]] | None:
    """Kind and items; None if it is another message."""
    if len(frames) != 1 or not 0x90 <= frames[0][0] <= 0x9F:
        return None
    _, kind, *items = msgpack.unpackb(frames[0], strict_map_key=False)  # extensions are numbers
    return kind, items


def nonce_of(items: Sequence[Any]) -> bytes:
    """That of a Welcome."""
    nonce: bytes = items[1]
    return nonce


def record_of(items: Sequence[Any]) -> bytes:
    """That of a Hello."""
    found: bytes = items[2]
    return found


def purpose_of(items: Sequence[Any]) -> int:
    """That of a Hello."""
    purpose: int = items[3]
    return purpose


def _control(*items: object) -> list[bytes]:
    return [_pack([VERSION, *items])]


# Channels ------------------------------------------------------------------------------------------------------------


def on_channel(channel: int, message: Sequence[object]) -> list[bytes]:
    """A batch of one message: `[VERSION, *message]`."""
    payload = _pack([VERSION, *message])
    if len(payload) > 32 * 1024:
        return [struct.pack(">BBHBI", 1, 0, 1, channel, len(payload) | _OWN_FRAME), payload]
    return [struct.pack(">BBHBI", 1, 0, 1, channel, len(payload)) + payload]


def read_batch(frames: Sequence[bytes]) -> list[tuple[int, list[Any]]]:
    """Channel and message, without its version, of each; empty if it is no batch."""
    first, found, large = frames[0], list[tuple[int, list[Any]]](), iter(frames[1:])
    if first[:1] != b"\x01":
        return found
    (count,) = struct.unpack_from(">H", first, 2)
    start = 4 + 5 * count
    for channel, length in struct.iter_unpack(">BI", first[4:start]):
        payload = next(large) if length >= _OWN_FRAME else first[start : start + length]
        start += 0 if length >= _OWN_FRAME else length
        found.append((channel, msgpack.unpackb(payload)[1:]))
    return found


# Membership ----------------------------------------------------------------------------------------------------------


def packet(swim: Swim | None, records: Iterable[bytes] = (), wanted: Iterable[bytes] = ()) -> list[bytes]:
    """The frames of one packet."""
    said = b"" if swim is None else _swim(swim)
    return [_PACKET_HEAD, _pack([VERSION, said, list(records), list(wanted)])]


def read_packet(frames: Sequence[bytes]) -> Envelope | None:
    """What an honest node says; None if it is another message."""
    if len(frames) != 2 or frames[0] != _PACKET_HEAD:
        return None
    _, said, records, wanted = msgpack.unpackb(frames[1])
    return Envelope(_read_swim(said) if said else None, tuple(records), tuple(wanted))


def _swim(said: Swim) -> bytes:
    src, updates = said.src, [_update(update) for update in said.updates]
    head = [VERSION, said.kind, src.key, src.generation, src.incarnation, src.proof, *said.dst]
    return _pack([*head, list(said.fields), updates, []])


def _update(update: Update) -> list[object]:
    items: list[object] = [update.key, update.generation, update.incarnation, update.state]
    if update.accusers:
        return [*items, update.proof, [accuser[-8:] for accuser in update.accusers]]
    return [*items, update.proof] if update.proof else items


def _read_swim(data: bytes) -> Swim:
    _, kind, key, generation, incarnation, proof, dst, dst_generation, fields, updates, _ = msgpack.unpackb(data)
    src = Update(key, generation, incarnation, proof=proof)
    return Swim(kind, src, (dst, dst_generation), tuple(fields), tuple(map(_read_update, updates)))


def _read_update(items: Sequence[Any]) -> Update:
    key, generation, incarnation, state, *rest = items  # a proof, and then accusers
    return Update(key, generation, incarnation, state, proof=rest[0] if rest else b"")


def third(swim: Swim) -> tuple[bytes, int, int]:
    """Key, generation and probe number of kinds 3 to 6 and 12."""
    key, generation, number = swim.fields[:3]
    return key, generation, number


def turn_undead(generation: int, incarnation: int, state: int, proof: bytes, number: int) -> tuple[object, ...]:
    """The fields of the TurnUndead that tells its receiver what is held of it."""
    return generation, incarnation, state, proof, number


def indirect_ack(key: Signer, generation: int, asked: Swim) -> tuple[object, ...]:
    """The fields of the IndirectAck to an IndirectPing, by its target."""
    origin, origin_generation, number = third(asked)
    signed = b"rookery-answer-2\0" + struct.pack(">Q", generation) + origin
    return *third(asked), key.sign(signed + struct.pack(">QQ", origin_generation, number))


def false_answer(target: bytes, generation: int, number: int) -> tuple[object, ...]:
    """The fields of a ForwardedAck whose target never answered."""
    return target, generation, number, bytes(ANSWER_BYTES)


def forwarded_ack(answer: Swim) -> tuple[object, ...]:
    """The fields of the ForwardedAck that passes on an IndirectAck."""
    return answer.src.key, answer.src.generation, third(answer)[2], answer.fields[3]


def own(key: Signer, generation: int, incarnation: int, *, life: int = 0) -> Update:
    """What a member says of itself, with whatever proves it."""
    proof = links(key, generation, life)[incarnation] if incarnation else b""
    return Update(bytes(key.peer), generation, incarnation, proof=proof)


def digest(members: Iterable[Update]) -> int:
    """What a SyncRequest says of these."""
    total = 0
    for each in members:
        hashed = hashlib.blake2b(
            _pack([each.key, each.generation, each.incarnation, each.state]), digest_size=8
        ).digest()
        total ^= int.from_bytes(hashed, "big") >> 1
    return total


# Who has a key -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """A packet of the providers. fields: what follows the number."""

    kind: int
    number: int
    fields: tuple[Any, ...] = ()


def key_hash(channel: int, key: bytes) -> bytes:
    """What packets name a key by."""
    return hashlib.sha256(b"rookery-key-1\0" + bytes([channel]) + key).digest()[:_HASH_BYTES]


def place_of(peer: bytes) -> bytes:
    """Where a member stands among hashes."""
    return hashlib.sha256(b"rookery-place-1\0" + peer).digest()[:_HASH_BYTES]


def behind(hashed: bytes, place: bytes) -> int:
    """How far a place follows a hash: after the last comes the first."""
    return (int.from_bytes(place, "big") - int.from_bytes(hashed, "big")) % 2 ** (8 * _HASH_BYTES)


def finding(kind: int, number: int, *fields: object) -> list[bytes]:
    """The frames of a packet of the providers."""
    return [_PROVIDERS_HEAD, _pack([VERSION, kind, number, *fields])]


def read_finding(frames: Sequence[bytes]) -> Finding | None:
    """None if it is another message."""
    if len(frames) != 2 or frames[0] != _PROVIDERS_HEAD:
        return None
    _, kind, number, *fields = msgpack.unpackb(frames[1])
    return Finding(kind, number, tuple(fields))


def hashes_of(joined: bytes) -> list[bytes]:
    """Those of a Provide or a Have."""
    return [joined[start : start + _HASH_BYTES] for start in range(0, len(joined), _HASH_BYTES)]


def _pack(items: object) -> bytes:
    packed: bytes = msgpack.packb(items)
    return packed
