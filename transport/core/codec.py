"""Every frame between two nodes, and nothing else: bytes to values and back, with all bounds.

A ZeroMQ message is one *control* frame, or one *data* batch.

* A control frame is a msgpack array `[version, kind, ...]`. Its first byte is 0x92 to 0x9f.
* A data batch is one frame, then the large payloads as frames of their own. The frame's first byte is 0x01:
  `01 | flags | count u16 | (channel u8, length u32) * count | payloads`, big-endian. A length with its top bit set is
  that of a frame of its own; the payloads of the others follow one another behind the table.
* A packet is two frames: the byte 0x02, and the payload.

Decoding raises `DecodeError` and nothing else, and never allocates by an untrusted length. `docs/protocol.md` has the
golden vectors.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgpack

from ..errors import DecodeError
from ..reasons import Reason
from ..record import MAX_RECORD_BYTES
from .untrusted import unpack

VERSION: Final = 1
NONCE_BYTES: Final = 16
PROOF_BYTES: Final = 32
MAX_CONTROL_BYTES: Final = 16 * 1024
MAX_ALTERNATIVES: Final = 8
MAX_VERSIONS: Final = 8
MAX_BATCH_MESSAGES: Final = 256
MAX_BATCH_BYTES: Final = 1024 * 1024  # of payloads, unless there is only one
JOIN_UP_TO: Final = 32 * 1024  # bytes; larger payloads are frames of their own: measured, docs/performance.md

_DATA, _PACKET = 0x01, 0x02
_HEAD = struct.Struct(">BBH")
_ENTRY = struct.Struct(">BI")
_SINGLE = struct.Struct(">BBHBI")
_ONE = _HEAD.pack(_DATA, 0, 1)
_OWN_FRAME = 0x8000_0000
MAX_PAYLOAD_BYTES: Final = _OWN_FRAME - 1
PACKET_HEAD: Final = bytes([_PACKET])

_HELLO, _WELCOME, _READY, _REJECT, _BYE, _PING, _PONG = range(7)
_CONNECTION, _PACKETS = 0, 1


@dataclass(frozen=True, slots=True)
class Hello:
    """The dialling side introduces itself. packets: it wants a packet link, not a connection.

    record: encoded and not yet verified. proof: of the network key, or None.
    """

    versions: tuple[int, ...]
    network: str
    record: bytes
    packets: bool
    proof: bytes | None


@dataclass(frozen=True, slots=True)
class Welcome:
    """The listening side agrees; `Ready` with the same nonce completes a connection. proof: as in Hello."""

    version: int
    nonce: bytes
    record: bytes
    proof: bytes | None


@dataclass(frozen=True, slots=True)
class Ready:
    """The dialling side has admitted the listening side too."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class Reject:
    """No link, why not, and who may be asked instead (encoded records)."""

    reason: Reason
    alternatives: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Bye:
    """The sender closes the link, and why."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? received: messages of the other side that the sender has taken on this link so far."""

    received: int


@dataclass(frozen=True, slots=True)
class Pong:
    """I am. received: as in Ping."""

    received: int


Control = Hello | Welcome | Ready | Reject | Bye | Ping | Pong


def encode_control(message: Control) -> bytes:
    """One frame."""
    body: list[object]
    match message:
        case Hello():
            purpose = _PACKETS if message.packets else _CONNECTION
            body = [_HELLO, list(message.versions), message.network, message.record, purpose, message.proof]
        case Welcome():
            body = [_WELCOME, message.version, message.nonce, message.record, message.proof]
        case Ready():
            body = [_READY, message.nonce]
        case Reject():
            body = [_REJECT, message.reason.value, list(message.alternatives)]
        case Bye():
            body = [_BYE, message.reason.value]
        case Ping():
            body = [_PING, message.received]
        case Pong():
            body = [_PONG, message.received]
    packed: bytes = msgpack.packb([VERSION, *body])
    return packed


def decode_control(frame: bytes) -> Control:
    """Read one control frame; `DecodeError` for anything else."""
    if len(frame) > MAX_CONTROL_BYTES:
        raise DecodeError(f"control frame of {len(frame)} bytes: allowed are {MAX_CONTROL_BYTES}")
    items = unpack(frame, "control frame", items=16, text=64, size=MAX_RECORD_BYTES)
    message = _read_control(items) if isinstance(items, list) and VERSION in items[:1] else None
    if message is None:
        raise DecodeError(f"control frame: not a message of version {VERSION} with items of the right types")
    return message


def _read_control(items: list[object]) -> Control | None:
    match items[1:]:
        case [0, list(versions), str(network), bytes(record), 0 | 1 as purpose, bytes() | None as proof]:
            numbers = tuple(item for item in versions if isinstance(item, int) and 0 <= item <= 0xFFFF)
            if 0 < len(numbers) == len(versions) <= MAX_VERSIONS and _is_proof(proof):
                return Hello(numbers, network, record, purpose == _PACKETS, proof)
        case [1, int(version), bytes(nonce), bytes(record), bytes() | None as proof]:
            if len(nonce) == NONCE_BYTES and _is_proof(proof):
                return Welcome(version, nonce, record, proof)
        case [2, bytes(nonce)] if len(nonce) == NONCE_BYTES:
            return Ready(nonce)
        case [3, str(reason), list(records)]:
            alternatives = tuple(record for record in records if isinstance(record, bytes))
            if len(alternatives) == len(records) <= MAX_ALTERNATIVES:
                return Reject(Reason.of(reason), alternatives)
        case [4, str(reason)]:
            return Bye(Reason.of(reason))
        case [5 | 6 as kind, int(received)] if 0 <= received < 2**64:
            return Ping(received) if kind == _PING else Pong(received)
    return None


def _is_proof(proof: bytes | None) -> bool:
    return proof is None or len(proof) == PROOF_BYTES


def is_control(head: bytes) -> bool:
    """Whether a first frame is a control frame; what it really is, `decode_control` says."""
    return bool(head) and 0x90 <= head[0] <= 0x9F


def encode_batch(messages: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """Frames for (channel, payload) pairs, 1 to `MAX_BATCH_MESSAGES` of them, in their order."""
    if len(messages) == 1:  # the usual case when idle
        channel, payload = messages[0]
        length = len(payload)
        if length <= JOIN_UP_TO:
            return [_SINGLE.pack(_DATA, 0, 1, channel, length) + payload]
        return [_SINGLE.pack(_DATA, 0, 1, channel, length | _OWN_FRAME), payload]
    entries: list[int] = []
    joined: list[bytes] = []
    large: list[bytes] = []
    for channel, payload in messages:
        length = len(payload)
        if length <= JOIN_UP_TO:
            joined.append(payload)
            entries += (channel, length)
        else:
            large.append(payload)
            entries += (channel, length | _OWN_FRAME)
    table = struct.pack(">BBH" + "BI" * len(messages), _DATA, 0, len(messages), *entries)
    return [b"".join((table, *joined)), *large]


def decode_single(frame: bytes) -> tuple[int, bytes] | None:
    """The (channel, payload) pair of a batch of one joined payload, the usual one when idle; None for others."""
    if frame[:4] != _ONE or len(frame) < _SINGLE.size:
        return None
    _, _, _, channel, length = _SINGLE.unpack_from(frame)
    return (channel, frame[_SINGLE.size :]) if _SINGLE.size + length == len(frame) else None


def decode_batch(frames: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """The (channel, payload) pairs of a batch; `DecodeError` unless every byte of it is accounted for."""
    head = frames[0]
    if len(head) < _HEAD.size or head[0] != _DATA or head[1] != 0:
        raise DecodeError("batch: the head is not of a kind and with flags that are known")
    count = head[2] << 8 | head[3]
    offset = _HEAD.size + count * _ENTRY.size
    if not 1 <= count <= MAX_BATCH_MESSAGES or len(head) < offset:
        raise DecodeError(f"batch: {count} messages in a head of {len(head)} bytes")
    entries = struct.unpack_from(">" + "BI" * count, head, _HEAD.size)
    messages: list[tuple[int, bytes]] = []
    frame = 1
    for channel, length in zip(entries[::2], entries[1::2], strict=True):
        if length < _OWN_FRAME:
            end = offset + length
            messages.append((channel, head[offset:end]))
            offset = end
        else:
            if frame == len(frames) or len(frames[frame]) != length - _OWN_FRAME:
                raise DecodeError("batch: a payload's frame is missing or not as long as the head says")
            messages.append((channel, frames[frame]))
            frame += 1
    if offset != len(head) or frame != len(frames):
        raise DecodeError(
            f"batch: {len(frames)} frames, the first of {len(head)} bytes, where its table says otherwise"
        )
    return messages
