"""Frames: golden vectors, round trips, and what hostile bytes may do (raise DecodeError)."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.transport import DecodeError, Reason
from rookery.transport.core.codec import (
    JOIN_UP_TO,
    MAX_BATCH_MESSAGES,
    MAX_CONTROL_BYTES,
    PACKET_HEAD,
    Bye,
    Control,
    Hello,
    Ping,
    Pong,
    Ready,
    Reject,
    Welcome,
    decode_batch,
    decode_control,
    decode_single,
    encode_batch,
    encode_control,
    is_control,
)

GOLDEN: list[tuple[Control, str]] = [
    (Hello((1,), "net", b"rec", packets=False, proof=None), "970100" + "9101" + "a36e6574" + "c403726563" + "00c0"),
    (Welcome(1, bytes(16), b"rec", None), "96010101c410" + "00" * 16 + "c403726563c0"),
    (Ready(bytes(16)), "930102c410" + "00" * 16),
    (Reject(Reason.TOO_MANY, (b"a",)), "940103a8746f6f5f6d616e7991c40161"),
    (Bye(Reason.TRIMMED), "930104a77472696d6d6564"),
    (Ping(5), "93010505"),
    (Pong(2**32), "930106cf0000000100000000"),
]


@pytest.mark.parametrize(("message", "encoded"), GOLDEN, ids=lambda value: type(value).__name__)
def test_control_message_has_its_golden_encoding(message: Control, encoded: str) -> None:
    assert encode_control(message).hex() == encoded
    assert decode_control(bytes.fromhex(encoded)) == message


@pytest.mark.parametrize(("message", "encoded"), GOLDEN, ids=lambda value: type(value).__name__)
def test_control_frame_is_told_from_data_and_packets_by_its_first_byte(message: Control, encoded: str) -> None:
    assert is_control(bytes.fromhex(encoded))
    assert not is_control(encode_batch([(0, b"x")])[0])
    assert not is_control(PACKET_HEAD)
    assert not is_control(b"")


def test_batch_of_one_has_its_golden_encoding() -> None:
    assert [frame.hex() for frame in encode_batch([(16, b"hi")])] == ["01000001" + "1000000002" + "6869"]


def test_batch_of_small_and_large_has_its_golden_encoding() -> None:
    large = bytes(JOIN_UP_TO + 1)
    frames = encode_batch([(1, b"a"), (2, large), (3, b"bc")])
    assert frames[0].hex() == "01000003" + "0100000001" + "0280008001" + "0300000002" + b"abc".hex()
    assert frames[1:] == [large]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 255),
            st.one_of(st.binary(max_size=20), st.integers(JOIN_UP_TO + 1, JOIN_UP_TO + 4).map(bytes)),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_batch_round_trip_keeps_messages_and_order(messages: list[tuple[int, bytes]]) -> None:
    assert decode_batch(encode_batch(messages)) == messages


def test_batch_of_the_most_messages_keeps_them() -> None:
    messages = [(number % 256, bytes([number % 256]) * (number % 7)) for number in range(MAX_BATCH_MESSAGES)]
    assert decode_batch(encode_batch(messages)) == messages


def test_batch_does_not_copy_large_payloads() -> None:
    large = bytes(100_000)
    frames = encode_batch([(1, large), (1, b"small")])
    assert any(frame is large for frame in frames)
    assert decode_batch(frames)[0][1] is large


@given(st.binary(max_size=40).map(lambda tail: b"\x01\0\0\x01" + tail) | st.binary(max_size=40))
def test_single_of_any_frame_is_what_the_batch_decodes_to_or_left_to_it(frame: bytes) -> None:
    single = decode_single(frame)
    try:
        whole = decode_batch([frame])
    except DecodeError:
        assert single is None
    else:
        assert single == (whole[0] if len(whole) == 1 else None)


def test_single_of_a_batch_of_one_joined_payload_is_that_payload_and_of_any_other_none() -> None:
    assert decode_single(encode_batch([(16, b"hi")])[0]) == (16, b"hi")
    assert decode_single(encode_batch([(16, b"")])[0]) == (16, b"")
    assert decode_single(encode_batch([(16, bytes(JOIN_UP_TO + 1))])[0]) is None
    assert decode_single(encode_batch([(16, b"a"), (16, b"b")])[0]) is None


@pytest.mark.parametrize(
    "frames",
    [
        [b"\x01"],
        [b"\x01\x00\x00\x00"],
        [b"\x01\x01\x00\x01" + b"\x10\x00\x00\x00\x01" + b"a"],
        [b"\x01\x00\x00\x01" + b"\x10\x00\x00\x00\x02" + b"a"],
        [b"\x01\x00\x00\x01" + b"\x10\x00\x00\x00\x01" + b"ab"],
        [b"\x01\x00\x00\x01" + b"\x10\x00\x00\x00\x01"],
        [b"\x01\x00\x00\x01" + b"\x10\x00\x00\x00\x01" + b"a", b"b"],
        [b"\x01\x00\x00\x01" + b"\x10\x80\x00\x00\x02", b"a"],
        [b"\x01\x00\x00\x01" + b"\x10\x80\x00\x00\x02"],
        [b"\x01\x00\xff\xff" + b"\x10\x00\x00\x00\x01" * 65535 + b"a"],
        [b"\x03", b"a"],
    ],
)
def test_batch_whose_head_and_frames_disagree_is_refused(frames: list[bytes]) -> None:
    with pytest.raises(DecodeError):
        decode_batch(frames)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_batch_of_any_bytes_is_decoded_or_refused_and_nothing_else(frames: list[bytes]) -> None:
    try:
        messages = decode_batch(frames)
    except DecodeError:
        return
    table = 4 + 5 * len(messages)
    assert sum(len(payload) for _, payload in messages) == sum(map(len, frames)) - table


@given(st.binary(max_size=200))
def test_control_of_any_bytes_is_decoded_or_refused_and_nothing_else(frame: bytes) -> None:
    try:
        decode_control(frame)
    except DecodeError:
        pass


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=10,
)


@given(st.lists(values, max_size=7))
def test_control_of_any_msgpack_array_is_decoded_or_refused_and_nothing_else(items: list[object]) -> None:
    try:
        message = decode_control(msgpack.packb([1, *items]))
    except DecodeError:
        return
    assert decode_control(encode_control(message)) == message


@pytest.mark.parametrize("frame", [b"", b"\x90", b"\x91\x02", b"\x93\x02\x05\x01", b"\x93\x01\x05\x01\x00"])
def test_control_of_another_version_or_with_trailing_bytes_is_refused(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_control(frame)


def test_control_claiming_a_huge_length_is_refused_without_allocating() -> None:
    with pytest.raises(DecodeError):
        decode_control(b"\xdd\xff\xff\xff\xff")
    with pytest.raises(DecodeError):
        decode_control(b"\x92\x01\xc6\xff\xff\xff\xff")
    with pytest.raises(DecodeError):
        decode_control(bytes(MAX_CONTROL_BYTES + 1))


def test_reason_unknown_to_us_becomes_other() -> None:
    assert decode_control(msgpack.packb([1, 4, "meteor"])) == Bye(Reason.OTHER)
