"""The messages of the resolver's channel: golden bytes, round trips, and everything that is refused."""

import hashlib
import random

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.resolver.core import codec
from rookery.actors.resolver.core.codec import Message, Missing, Request, Response, decode, encode
from rookery.transport.errors import DecodeError

IDS = st.integers(0, 2**64 - 1)

GOLDEN: list[tuple[Message, str]] = [
    (Request(1234, b"\x7b"), "95 02 00 cd04d2 c4017b 00"),
    (Request(0, b"k", priority=True), "95 02 00 00 c4016b 01"),
    (Response(4321, b"Hello, world!"), "94 02 01 cd10e1 c40d48656c6c6f2c20776f726c6421"),
    (Response(0, b""), "94 02 01 00 c400"),
    (Missing(255), "93 02 02 ccff"),
    (Missing(2**64 - 1), "93 02 02 cfffffffffffffffff"),
]


@pytest.mark.parametrize(("message", "golden"), GOLDEN)
def test_message_encodes_to_the_golden_bytes_and_back(message: Message, golden: str) -> None:
    assert encode(message) == bytes.fromhex(golden)
    assert decode(bytes.fromhex(golden), key_length=1) == message


@given(IDS, st.binary(min_size=32, max_size=32), st.booleans())
def test_request_round_trips_over_a_memoryview(request_id: int, key: bytes, priority: bool) -> None:
    request = Request(request_id, key, priority)
    assert decode(memoryview(encode(request)), 32) == request


@given(IDS, st.binary())
def test_response_round_trips_within_the_stated_overhead(request_id: int, value: bytes) -> None:
    encoded = encode(Response(request_id, memoryview(value)))
    assert decode(encoded, 32) == Response(request_id, value)
    assert len(encoded) <= len(value) + codec.OVERHEAD


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_535, 65_536, 300_000])
def test_response_is_encoded_as_msgpack_encodes_it_at_every_length_of_its_header(size: int) -> None:
    value = bytes(range(256)) * (size // 256 + 1)
    assert encode(Response(7, value[:size])) == msgpack.packb((codec.VERSION, 1, 7, value[:size]))


@given(IDS)
def test_missing_round_trips(request_id: int) -> None:
    assert decode(encode(Missing(request_id)), 32) == Missing(request_id)


def test_decoded_value_outlives_the_frame_it_came_in() -> None:
    frame = bytearray(encode(Response(1, b"value")))
    decoded = decode(memoryview(frame), 32)
    frame[:] = bytes(len(frame))
    assert decoded == Response(1, b"value")


@pytest.mark.parametrize("request_id", [-1, 2**64])
def test_encode_of_an_id_outside_64_bits_is_refused(request_id: int) -> None:
    with pytest.raises(ValueError, match="unsigned 64-bit"):
        encode(Missing(request_id))


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([1, 0, 1, b"k", 0], "version 1"),
        ([2, 3, 1, b"k"], "tag 3 with 1"),
        ([2, 0, 1, b"kk", 0], "key of 2 bytes"),
        ([2, 0, 1, b"", 0], "key of 0 bytes"),
        ([2, 0, 1], "tag 0 with 0"),
        ([2, 0, 1, b"k"], "tag 0 with 1"),
        ([2, 0, 1, b"k", 2], "the priority of a request is 0 or 1"),
        ([2, 0, 1, b"k", -1], "the priority of a request is 0 or 1"),
        ([2, 0, 1, b"k", True], "the priority of a request is 0 or 1"),
        ([2, 0, 1, b"k", None], "the priority of a request is 0 or 1"),
        ([2, 0, 1, None, 0], "tag 0 with 2"),
        ([2, 1, 1], "tag 1 with 0"),
        ([2, 2, 1, b""], "tag 2 with 1"),
        ([2, 1, 1, 5], "tag 1 with 1"),
        ([2, 1, -1, b""], "the id"),
        ([2, 1, True, b""], "the id"),
        ([2, 1, 1.0, b""], "the id"),
        ([True, 1, 1, b""], "an array of"),
        ([2, 1], "an array of"),
        ([], "an array of"),
        (7, "an array of"),
        (None, "an array of"),
        ([2, 1, 1, "text"], "a resolver message: not msgpack within bounds"),
        ([2, 1, 1, {1: 2}], "a resolver message: not msgpack within bounds"),
        ([2, 1, 1, b"", b""], "tag 1 with 2"),
        ([2, 1, 1, b"", b"", b""], "a resolver message: not msgpack within bounds"),
        ([2, 1, 1, msgpack.ExtType(1, b"x")], "a resolver message: not msgpack within bounds"),
    ],
)
def test_decode_of_a_wrong_message_says_what_was_wrong(items: object, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode(msgpack.packb(items), key_length=1)


@pytest.mark.parametrize("message", [message for message, _ in GOLDEN])
def test_decode_of_every_truncation_and_of_trailing_bytes_is_refused(message: Message) -> None:
    encoded = encode(message)
    for end in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode(encoded[:end], key_length=1)
    with pytest.raises(DecodeError):
        decode(encoded + b"\x00", key_length=1)


def test_decode_of_a_length_beyond_the_input_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode(bytes.fromhex("94 02 01 01 c6 ffffffff 00"), key_length=1)


def test_decode_of_deep_nesting_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode(b"\x91" * 100_000, key_length=1)


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda tail: bytes.fromhex("9401") + tail))
def test_decode_of_arbitrary_bytes_gives_a_message_or_a_decode_error(data: bytes) -> None:
    try:
        message = decode(data, key_length=4)
    except DecodeError:
        return
    assert decode(encode(message), key_length=4) == message


def test_format_is_pinned_by_the_hash_of_many_encodings() -> None:
    rng, digest = random.Random(0), hashlib.sha256()
    for _ in range(2**14):
        request_id, body = rng.getrandbits(rng.randrange(65)), rng.randbytes(rng.randrange(300))
        for message in (Request(request_id, body), Response(request_id, body), Missing(request_id)):
            digest.update(encode(message))
    assert digest.hexdigest() == "d999e458db660524bdf534c7d8c5ebe03e3fc4f4455db33874aeaca00e13cbaa"
