"""Every decoder that bytes from outside reach, with good input to damage: for Hypothesis, the loops and the fuzzer."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgpack

from rookery.actors.blobs.core.manifest import Manifest, ManifestError
from rookery.actors.discovery.core import text_forms
from rookery.actors.maintenance.core import codec as exchange
from rookery.actors.membership.core.envelope import Envelope
from rookery.actors.membership.core.tags import encode_tags, tags_of
from rookery.actors.membership.parts.snapshot import SavedMember, Snapshot, UnusableSnapshot
from rookery.actors.membership.swim import MemberId, NamedBroadcasts, State
from rookery.actors.membership.swim import errors as swim_errors
from rookery.actors.membership.swim.codec import decode_packet
from rookery.actors.providers.core import codec as providers
from rookery.actors.resolver.core import codec as resolver
from rookery.node.control import protocol
from rookery.transport import Address, DecodeError, Identity, PeerRecord, Reason, parse_peer
from rookery.transport.core import codec
from rookery.transport.identity import generation
from rookery.transport.identity.life import Life
from rookery.transport.record import address_of_version_1

IDENTITY = Identity.from_seed(bytes(range(32)))
LIFE = Life(IDENTITY, 9)
RECORD = PeerRecord.sign(
    IDENTITY, network="net", address=Address.parse("tcp://[::1]:7000"), generation=9, metadata=b"x"
)
RECORD_1 = bytes.fromhex(
    "9701a36e6574c42003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8b47463703a2f2f313932"
    "2e302e322e313a37303030ce6553f100c4026869c440e16c83f98718af8fd229dd60cad626420f03d0669ea4cf83e058bf97"
    "586cf9406815e02cdfb98686758b7518d3b3dd1debd3ab487c59f97789bccffc3bf9810c"
)
"""Of protocol version 1: of it the address is read."""
SWIM = bytes.fromhex(
    "9b0201c420"
    + "11" * 32
    + "ce6553f10002c410"
    + "55" * 16
    + "c420"
    + "22" * 32
    + "ce6553f101910991"
    + "94c420"
    + "33" * 32
    + "ce6553f1010001"
    + "91c40161"
)
SWIM_ACCUSED = bytes.fromhex(
    "9b020ec420" + "11" * 32 + "0102c400c420" + "22" * 32 + "0191019196c420" + "33" * 32 + "010001c410" + "44" * 16
) + (b"\x92\xc4\x08accuser1\xc4\x08accuser2\x90")
NAMED_SENDER = MemberId(bytes(32), 1)
EXTENSIONS = ((1, 5), (2, b"bytes"), (300, "text"), (65535, None))
CONTROL = (
    codec.Hello((1, 2), "net", RECORD.encode(), packets=False, proof=bytes(32)),
    codec.Hello((2,), "net", RECORD.encode(), packets=True, proof=None, extensions=EXTENSIONS),
    codec.Hello((2,), "net", RECORD.encode(), packets=False, proof=None, extensions=((codec.SHORT_LIVED, 1),)),
    codec.Welcome(2, bytes(16), RECORD.encode(), None),
    codec.Welcome(2, bytes(16), RECORD.encode(), bytes(32), EXTENSIONS),
    codec.Ready(bytes(16)),
    codec.Reject(Reason.TOO_MANY, (RECORD.encode(),)),
    codec.Bye(Reason.TRIMMED),
    codec.Ping(2**40),
    codec.Pong(1),
    codec.Ping(7, EXTENSIONS),
    codec.Pong(2**33, EXTENSIONS),
)


class NeverError(Exception):
    """For a decoder that takes all bytes and makes nothing of most."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """decode: of untrusted bytes. raises: all it may raise. good: what it takes."""

    decode: Callable[[bytes], object]
    raises: type[Exception]
    good: Sequence[bytes]

    def survives(self, data: bytes) -> bool:
        """Whether the bytes were taken; False if they were refused as they should. Any other error goes through."""
        try:
            self.decode(data)
        except self.raises:
            return False
        return True


def _frames(data: bytes) -> list[bytes]:
    """Frames out of one string of bytes: each begins with its length in one byte, the last takes the rest."""
    frames: list[bytes] = []
    while data:
        frames.append(data[1 : 1 + data[0]])
        data = data[1 + data[0] :]
    return frames or [b""]


def _joined(frames: Sequence[bytes]) -> bytes:
    return b"".join(bytes([len(frame)]) + frame for frame in frames)


def _single(frame: bytes) -> list[tuple[int, bytes]]:
    """The short way for a batch of one says the same as the long way, where it says anything."""
    long = codec.decode_batch([frame])
    short = codec.decode_single(frame)
    assert short is None or [short] == long
    return long


DECODERS: dict[str, Decoder] = {
    "control": Decoder(
        codec.decode_control,
        DecodeError,
        [*(codec.encode_control(message) for message in CONTROL), codec.REJECT_VERSION],
    ),
    "batch": Decoder(
        lambda data: codec.decode_batch(_frames(data)),
        DecodeError,
        [
            _joined(codec.encode_batch([(16, b"hi"), (1, b""), (2, b"you")])),
            _joined([b"\x01\0\0\1\x10\x80\0\0\2", b"hi"]),
        ],
    ),
    "single": Decoder(_single, DecodeError, [codec.encode_batch([(16, payload)])[0] for payload in (b"hi", b"")]),
    "record": Decoder(lambda data: PeerRecord.decode(data, network="net"), DecodeError, [RECORD.encode()]),
    "record of version 1": Decoder(address_of_version_1, DecodeError, [RECORD_1]),
    "text": Decoder(
        lambda data: text_forms.StaticRecord(text_forms.read_text(data)).decode("net"),
        DecodeError,
        [str(text_forms.StaticRecord.of(RECORD)).encode()],
    ),
    "http": Decoder(
        text_forms.read_answer,
        DecodeError,
        [b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n" + str(text_forms.StaticRecord.of(RECORD)).encode()],
    ),
    "address": Decoder(
        lambda data: parse_peer(data.decode("latin-1")),
        ValueError,
        [
            f"{IDENTITY.peer}@{address}".encode()
            for address in ("tcp://[::1]:7000", "tcp://a.example:1?egress=10.0.0.1")
        ],
    ),
    "exchange": Decoder(
        exchange.decode,
        DecodeError,
        [
            exchange.encode(message)
            for message in (
                exchange.BOOTSTRAP,
                exchange.PRIVATE,
                exchange.ExchangeMessage(exchange.Kind.ADVERTISE, (RECORD.encode(),)),
            )
        ],
    ),
    "resolver": Decoder(
        lambda data: resolver.decode(data, 32),
        DecodeError,
        [
            resolver.encode(message)
            for message in (
                resolver.Request(2**63, bytes(32)),
                resolver.Request(1, bytes(32), priority=True),
                resolver.Response(7, b"value"),
                resolver.Missing(1),
            )
        ],
    ),
    "providers": Decoder(
        providers.decode,
        DecodeError,
        [
            providers.encode(message)
            for message in (
                providers.Provide(2**32 - 1, 7200, (bytes(16), bytes(range(16)))),
                providers.Provide(1, 0, (bytes(16), bytes(16))),
                providers.Provided(1, 2),
                providers.Who(2, bytes(16)),
                providers.Holders(3, ((60, RECORD.encode()),), (RECORD.encode(),)),
                providers.Have(4, (bytes(16),), dial=True),
                providers.Have(4, (bytes(16), bytes(16))),
                providers.Having(5, 2**32 - 1),
            )
        ],
    ),
    "envelope": Decoder(Envelope.decode, DecodeError, [Envelope(SWIM, (RECORD.encode(),), (IDENTITY.peer,)).encode()]),
    "swim": Decoder(decode_packet, swim_errors.DecodeError, [SWIM, SWIM_ACCUSED]),
    "named": Decoder(
        lambda data: NamedBroadcasts(repr).receive_item(data, NAMED_SENDER),
        swim_errors.DecodeError,
        [NamedBroadcasts(repr).item(NAMED_SENDER, "weather", b"rain")],
    ),
    "tags": Decoder(
        lambda data: tags_of(replace(RECORD, metadata=data[:512])),
        NeverError,
        [encode_tags({"role": "secondary", "zone": "a"})],
    ),
    "generation": Decoder(
        lambda data: generation.decode(hashlib.sha256(data).digest() + data, IDENTITY.peer),
        generation.Unusable,
        [generation.encode(1_767_225_600_000, IDENTITY.peer)[32:]],
    ),
    "snapshot": Decoder(
        lambda data: Snapshot.decode(hashlib.sha256(data).digest() + data, network="net", own=IDENTITY.peer),
        UnusableSnapshot,
        [Snapshot("net", IDENTITY.peer, 1.5, (SavedMember(RECORD, 2, State.ALIVE, LIFE.link(2)),)).encode()[32:]],
    ),
    "manifest": Decoder(Manifest.decode_root, ManifestError, [Manifest(1, 5, 65536, bytes(32)).encode()]),
    "call": Decoder(
        protocol.decode_call, protocol.ProtocolError, [protocol.encode_call(protocol.Call(1, "get", {"key": b"x"}))]
    ),
    "answer": Decoder(
        protocol.decode_answer,
        protocol.ProtocolError,
        [protocol.encode_answer(protocol.Answer(1, protocol.Kind.RESULT, {"key": [1, None, 2.5]}))],
    ),
}


def damaged(good: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four changes: a byte of any value, a piece cut out, doubled, or put in."""
    data = bytearray(good)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 if at < len(data):
                data[at] = rng.randrange(256)
            case 1 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                del data[at : at + rng.randint(1, 9)]
            case 3:
                data[at:at] = data[at : at + rng.randint(1, 40)]
            case _:
                data[at:at] = rng.randbytes(rng.randint(1, 6))
    return bytes(data)


def reshaped(good: bytes, rng: random.Random) -> bytes:
    """The msgpack value in the bytes with one item changed, so that it gets past the parser; other bytes damaged."""
    try:
        value = msgpack.unpackb(good, max_map_len=codec.MAX_EXTENSIONS, max_ext_len=0, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException):  # this can be the bytes of a fuzzer
        return damaged(good, rng)
    holders = [holder for holder in _lists_in(value) if holder]
    if not holders:
        return damaged(good, rng)
    holder = rng.choice(holders)
    at = rng.randrange(len(holder))
    match rng.randrange(4):
        case 0:
            del holder[at]
        case 1:
            holder.insert(at, rng.choice(holder))
        case 2:
            holder[at] = rng.choice(ODDITIES)
        case _:
            holder[at] = _changed(holder[at], rng)
    packed: bytes = msgpack.packb(value)
    return packed


ODDITIES: list[object] = [
    *(0, 1, -1, 255, 2**16, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)),
    *(None, True, False, 0.5, float("nan"), "", "text", b"", bytes(32), bytes(64), bytes(2000), [], [[]], [1] * 20, {}),
]


def _lists_in(value: object) -> Iterator[list[object]]:
    if isinstance(value, list):
        yield value
        for item in value:
            yield from _lists_in(item)


def _changed(item: object, rng: random.Random) -> object:
    match item:
        case bool():
            return not item
        case int():
            return max(-(2**63), min(2**64 - 1, item + rng.choice((-1, 1, rng.randrange(256), rng.randrange(2**32)))))
        case str():
            return item + rng.choice("x:[]0\0\u00e9") if rng.random() < 0.5 else item[: rng.randrange(len(item) + 1)]
        case bytes():
            return damaged(item, rng)
        case dict():
            return {**item, rng.choice((0, 1, 65_535, 65_536, -1, "1")): rng.choice(ODDITIES)}
    return rng.choice(ODDITIES)
