"""Every frame between two nodes, and nothing else: bytes to values and back, with all bounds.

A ZeroMQ message is one *control* frame, or one *data* batch.

* A control frame is a msgpack array `[version, kind, ...]`. Its first byte is 0x92 to 0x9f. Hello, Welcome, Ping and
  Pong end with a map of extensions, of which each side ignores what it does not know.
* One frame is read in every version: the Reject that says that the version is not spoken (`REJECT_VERSION`).
* A data batch is one frame, then the large payloads as frames of their own. The frame's first byte is 0x01:
  `01 | flags | count u16 | (channel u8, length u32) * count | payloads`, big-endian. A length with its top bit set is
  that of a frame of its own; the payloads of the others follow one another behind the table.
* A packet is two frames: `02 kind`, and the payload.

Decoding raises `DecodeError` and nothing else, and never allocates by an untrusted length. `docs/protocol.md` has the
golden vectors.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from types import NoneType
from typing import Final

import msgpack
from msgspec import Struct

from ..errors import DecodeError
from ..reasons import Reason
from ..record import MAX_NETWORK_NAME, MAX_RECORD_BYTES
from .untrusted import unpack

VERSION: Final = 2
NONCE_BYTES: Final = 16
PROOF_BYTES: Final = 32
MAX_CONTROL_BYTES: Final = 16 * 1024
MAX_ALTERNATIVES: Final = 8
MAX_VERSIONS: Final = 8
MAX_EXTENSIONS: Final = 16
MAX_EXTENSIONS_BYTES: Final = 1024  # encoded
PACKET_KINDS: Final = 256
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
PACKET_HEADS: Final = tuple(bytes((_PACKET, kind)) for kind in range(PACKET_KINDS))
"""The first frame of a packet, by its kind."""

_HELLO, _WELCOME, _READY, _REJECT, _BYE, _PING, _PONG = range(7)
_CONNECTION, _PACKETS = 0, 1
_MAX_REASON = 64  # characters
_MAX_COUNT = 2**64 - 1

Extensions = tuple[tuple[int, int | bytes | str | None], ...]
"""What a message says beyond its fields: numbers below 2^16, at most 16 and none twice, each with a number below 2^64,
bytes, text or None; together at most 1 KiB encoded. Who does not know one ignores it."""
_NONE_ENCODED = b"\x80"
SHORT_LIVED: Final = 1
"""The extension of a Hello for a short-lived connection; its value is 1. Anything else is as if it were absent."""


def is_short_lived(hello: Hello) -> bool:
    """Whether the connection that is asked for is a short-lived one."""
    return not hello.packets and dict(hello.extensions).get(SHORT_LIVED) == 1


class OtherVersion(DecodeError):
    """A control frame of a version that this node does not speak. version: of the frame."""

    def __init__(self, version: int) -> None:
        super().__init__(f"control frame of version {version}: this node speaks {VERSION}")
        self.version = version


class Hello(Struct, frozen=True):
    """The dialling side introduces itself. packets: it wants a packet link, not a connection.

    record: encoded and not yet verified. proof: of the network key, or None.
    """

    versions: tuple[int, ...]
    network: str
    record: bytes
    packets: bool
    proof: bytes | None
    extensions: Extensions = ()


class Welcome(Struct, frozen=True):
    """The listening side agrees; `Ready` with the same nonce completes a connection. proof: as in Hello."""

    version: int
    nonce: bytes
    record: bytes
    proof: bytes | None
    extensions: Extensions = ()


class Ready(Struct, frozen=True):
    """The dialling side has admitted the listening side too."""

    nonce: bytes


class Reject(Struct, frozen=True):
    """No link, why not, and who may be asked instead (encoded records)."""

    reason: Reason
    alternatives: tuple[bytes, ...] = ()


class Bye(Struct, frozen=True):
    """The sender closes the link, and why."""

    reason: Reason


class Ping(Struct, frozen=True):
    """Are you there? received: messages of the other side that the sender has taken on this link so far."""

    received: int
    extensions: Extensions = ()


class Pong(Struct, frozen=True):
    """I am. received: as in Ping."""

    received: int
    extensions: Extensions = ()


Control = Hello | Welcome | Ready | Reject | Bye | Ping | Pong


REJECT_VERSION: Final[bytes] = msgpack.packb([1, _REJECT, Reason.VERSION.value, []])
"""What a frame of another version is answered with. It stays as version 1 wrote it, so that every version reads it."""
_PING_HEAD, _PONG_HEAD = (bytes((0x94, VERSION, kind)) for kind in (_PING, _PONG))
_HEARTBEATS: dict[bytes, type[Ping | Pong]] = {_PING_HEAD: Ping, _PONG_HEAD: Pong}
_UINT_BYTES = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}  # of a number by its first byte; of any other first byte: one


def encode_control(message: Control) -> bytes:
    """One frame. ValueError for extensions that are out of their bounds."""
    if isinstance(message, Ping | Pong):  # by far the most
        head = _PING_HEAD if isinstance(message, Ping) else _PONG_HEAD
        more = _pack(_checked(message.extensions)) if message.extensions else _NONE_ENCODED
        return b"".join((head, _pack(message.received), more))
    match message:
        case Hello():
            purpose = _PACKETS if message.packets else _CONNECTION
            versions, extensions = list(message.versions), _checked(message.extensions)
            return _pack(
                [VERSION, _HELLO, versions, message.network, message.record, purpose, message.proof, extensions]
            )
        case Welcome():
            extensions = _checked(message.extensions)
            return _pack([VERSION, _WELCOME, message.version, message.nonce, message.record, message.proof, extensions])
        case Ready():
            return _pack([VERSION, _READY, message.nonce])
        case Reject():
            return _pack([VERSION, _REJECT, message.reason.value, list(message.alternatives)])
        case Bye():
            return _pack([VERSION, _BYE, message.reason.value])


def _checked(extensions: Extensions) -> dict[int, int | bytes | str | None]:
    if not _are_extensions(extensions):
        raise ValueError(
            f"extensions: allowed are at most {MAX_EXTENSIONS}, each a number below 2^16 with a number, bytes, text or "
            f"None, together {MAX_EXTENSIONS_BYTES} bytes"
        )
    return dict(extensions)


def _pack(value: object) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def decode_control(frame: bytes) -> Control:
    """Read one control frame; `DecodeError` for anything else, `OtherVersion` if it is of another version.

    A Reject of any other version is read as one for the version: it is the answer of a peer that does not speak ours.
    """
    heartbeat = _HEARTBEATS.get(frame[:3])
    if heartbeat is not None and frame[3:] and frame[3 + _UINT_BYTES.get(frame[3], 1) :] == _NONE_ENCODED:
        received = unpack(frame[3:-1], "control frame", items=0)  # by far the most: nothing but a number
        if type(received) is int and received >= 0:
            return heartbeat(received)
    if len(frame) > MAX_CONTROL_BYTES:
        raise DecodeError(f"control frame of {len(frame)} bytes: allowed are {MAX_CONTROL_BYTES}")
    items = unpack(
        frame,
        "control frame",
        items=16,
        text=MAX_EXTENSIONS_BYTES,
        size=MAX_RECORD_BYTES,
        entries=MAX_EXTENSIONS,
    )
    message = None
    if isinstance(items, list) and not any(type(item) in (bool, float) for item in items):
        match items:
            case [int(version), *rest] if version != VERSION:
                if rest[:1] == [_REJECT]:
                    return Reject(Reason.VERSION)
                raise OtherVersion(version)
            case [_, *body]:
                message = _read_control(body)
    if message is None:
        raise DecodeError(f"control frame: not a message of version {VERSION} with items of the right types")
    return message


def _read_control(items: list[object]) -> Control | None:
    """The message whose items have these types: none of them is a float or a bool, which would equal numbers."""
    match items:
        case [0, list(versions), str(network), bytes(record), 0 | 1 as purpose, bytes() | None as proof, tuple(more)]:
            numbers = tuple(item for item in versions if _is_u16(item))
            good = 0 < len(numbers) == len(versions) <= MAX_VERSIONS and len(network) <= MAX_NETWORK_NAME
            if good and _is_proof(proof) and _are_extensions(more):
                return Hello(numbers, network, record, purpose == _PACKETS, proof, more)
        case [1, int(version), bytes(nonce), bytes(record), bytes() | None as proof, tuple(more)]:
            good = _is_u16(version) and len(nonce) == NONCE_BYTES
            if good and _is_proof(proof) and _are_extensions(more):
                return Welcome(version, nonce, record, proof, more)
        case [2, bytes(nonce)] if len(nonce) == NONCE_BYTES:
            return Ready(nonce)
        case [3, str(reason), list(records)] if len(reason) <= _MAX_REASON:
            alternatives = tuple(record for record in records if isinstance(record, bytes))
            if len(alternatives) == len(records) <= MAX_ALTERNATIVES:
                return Reject(Reason.of(reason), alternatives)
        case [4, str(reason)] if len(reason) <= _MAX_REASON:
            return Bye(Reason.of(reason))
        case [5 | 6 as kind, int(received), tuple(more)] if 0 <= received <= _MAX_COUNT and _are_extensions(more):
            return Ping(received, more) if kind == _PING else Pong(received, more)
    return None


def _are_extensions(pairs: Extensions) -> bool:
    """Whether these pairs are a map within its bounds; what its keys mean is not looked at."""
    if not pairs:
        return True
    good = all(
        _is_u16(key) and (type(value) in (bytes, str, NoneType) or (type(value) is int and 0 <= value <= _MAX_COUNT))
        for key, value in pairs
    )
    return good and len(dict(pairs)) == len(pairs) <= MAX_EXTENSIONS and len(_pack(dict(pairs))) <= MAX_EXTENSIONS_BYTES


def _is_u16(item: object) -> bool:
    return type(item) is int and 0 <= item <= 0xFFFF


def _is_proof(proof: bytes | None) -> bool:
    return proof is None or len(proof) == PROOF_BYTES


def packet_kind(head: bytes) -> int | None:
    """The kind of the packet that begins with this frame; None if it begins something else."""
    return head[1] if len(head) == 2 and head[0] == _PACKET else None


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
