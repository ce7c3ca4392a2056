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
    MAX_EXTENSIONS_BYTES,
    PACKET_HEADS,
    REJECT_VERSION,
    Bye,
    Control,
    Extensions,
    Hello,
    OtherVersion,
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
    packet_kind,
)

EXTENSIONS: Extensions = ((1, 5), (2, b"b"), (65535, "t"), (3, None))
ENCODED = "84" + "0105" + "02c40162" + "cdffffa174" + "03c0"
GOLDEN: list[tuple[Control, str]] = [
    (Hello((2,), "net", b"rec", packets=False, proof=None), "980200" + "9102" + "a36e6574" + "c403726563" + "00c080"),
    (
        Hello((2,), "net", b"rec", packets=True, proof=None, extensions=EXTENSIONS),
        "980200" + "9102" + "a36e6574" + "c403726563" + "01c0" + ENCODED,
    ),
    (Welcome(2, bytes(16), b"rec", None), "97020102c410" + "00" * 16 + "c403726563c080"),
    (Welcome(2, bytes(16), b"rec", None, EXTENSIONS), "97020102c410" + "00" * 16 + "c403726563c0" + ENCODED),
    (Ready(bytes(16)), "930202c410" + "00" * 16),
    (Reject(Reason.TOO_MANY, (b"a",)), "940203a8746f6f5f6d616e7991c40161"),
    (Bye(Reason.TRIMMED), "930204a77472696d6d6564"),
    (Ping(5), "9402050580"),
    (Ping(2**64 - 1), "940205cf" + "ff" * 8 + "80"),
    (Ping(5, EXTENSIONS), "94020505" + ENCODED),
    (Pong(2**32), "940206cf000000010000000080"),
    (Pong(2**32, EXTENSIONS), "940206cf0000000100000000" + ENCODED),
]


@pytest.mark.parametrize(("message", "encoded"), GOLDEN, ids=lambda value: type(value).__name__)
def test_control_message_has_its_golden_encoding(message: Control, encoded: str) -> None:
    assert encode_control(message).hex() == encoded
    assert decode_control(bytes.fromhex(encoded)) == message


@pytest.mark.parametrize(("message", "encoded"), GOLDEN, ids=lambda value: type(value).__name__)
def test_control_frame_is_told_from_data_and_packets_by_its_first_byte(message: Control, encoded: str) -> None:
    assert is_control(bytes.fromhex(encoded))
    assert not is_control(encode_batch([(0, b"x")])[0])
    assert packet_kind(bytes.fromhex(encoded)) is None
    for kind in (0, 1, 255):
        assert not is_control(PACKET_HEADS[kind])
        assert packet_kind(PACKET_HEADS[kind]) == kind
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


plain = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5) | st.binary(max_size=40)
values = st.recursive(
    plain | st.dictionaries(st.integers(-1, 2**17) | st.text(max_size=2), plain, max_size=3),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=10,
)


@given(st.lists(values, max_size=8))
def test_control_of_any_msgpack_array_is_decoded_or_refused_and_nothing_else(items: list[object]) -> None:
    try:
        message = decode_control(msgpack.packb([2, *items]))
    except DecodeError:
        return
    assert decode_control(encode_control(message)) == message


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**16 - 1),
            st.none() | st.integers(0, 2**64 - 1) | st.text(max_size=20) | st.binary(max_size=40),
        ),
        max_size=16,
        unique_by=lambda pair: pair[0],
    )
)
def test_extensions_of_any_kind_are_read_as_they_were_written(
    pairs: list[tuple[int, int | bytes | str | None]],
) -> None:
    extensions = tuple(pairs)
    for message in (
        Ping(1, extensions),
        Pong(300, extensions),
        Hello((2,), "net", b"rec", packets=False, proof=None, extensions=extensions),
        Welcome(2, bytes(16), b"rec", None, extensions),
    ):
        assert decode_control(encode_control(message)) == message


FILL = MAX_EXTENSIONS_BYTES - 5  # of one value of bytes: head of the map, key, head of the value
MOST = dict.fromkeys(range(16))


ENDS_AS_NONE = {0: 128}, {128: None, 0: 2**15 + 128}, {0: b"\x80"}, {1: 2**64 - 128}
"""The last byte of each, or of some, is that of no extensions at all."""


@pytest.mark.parametrize("good", [{1: bytes(FILL)}, {1: "t" * FILL}, MOST, {65_535: 2**64 - 1}, {0: 0}, *ENDS_AS_NONE])
def test_extensions_up_to_their_bounds_are_read(good: dict[int, int | bytes | str | None]) -> None:
    assert decode_control(msgpack.packb([2, 5, 1, good])) == Ping(1, tuple(good.items()))


@pytest.mark.parametrize(
    "wrong",
    [
        {1: bytes(FILL + 1)},
        {1: "t" * (FILL + 1)},
        {1: bytes(600), 2: bytes(600)},
        dict.fromkeys(range(17)),
        {65_536: 1},
        {-1: 1},
        {"1": 1},
        {b"1": 1},
        {True: 1},
        {1.0: 1},
        {None: 1},
        {1: -1},
        {1: True},
        {1: 1.0},
        {1: [1]},
        {1: {1: 1}},
        {1: msgpack.ExtType(1, b"x")},
        [],
        [[1, 1]],
        None,
        0,
        b"",
        "",
    ],
)
def test_extensions_out_of_their_bounds_are_refused_in_every_message(wrong: object) -> None:
    for items in ([5, 1], [6, 1], [0, [2], "net", b"rec", 0, None], [1, 2, bytes(16), b"rec", None]):
        assert decode_control(msgpack.packb([2, *items, {}]))
        with pytest.raises(DecodeError):
            decode_control(msgpack.packb([2, *items, wrong]))
        with pytest.raises(DecodeError):
            decode_control(msgpack.packb([2, *items]))


def test_extensions_with_one_key_twice_are_refused() -> None:
    assert decode_control(bytes.fromhex("94020501" + "82" + "0101" + "0201")) == Ping(1, ((1, 1), (2, 1)))
    with pytest.raises(DecodeError):
        decode_control(bytes.fromhex("94020501" + "82" + "0101" + "0102"))


@pytest.mark.parametrize(
    "wrong", [((1, -1),), ((2**16, 1),), ((1, 1), (1, 2)), tuple(dict.fromkeys(range(17)).items())]
)
def test_extensions_out_of_their_bounds_are_not_written(wrong: Extensions) -> None:
    for message in (Ping(1, wrong), Welcome(2, bytes(16), b"rec", None, wrong)):
        with pytest.raises(ValueError, match="allowed are at most 16"):
            encode_control(message)


@pytest.mark.parametrize(
    "items",
    [
        [2, 5, True, {}],
        [2, 6, False, {}],
        [2, 5, 1.0, {}],
        [2, 5, -1, {}],
        [2, True, 1, {}],
        [2, 5.0, 1, {}],
        [2.0, 5, 1, {}],
        [True, 3, "version", []],
        [2, 0, [True], "net", b"rec", 0, None, {}],
        [2, 0, [2.0], "net", b"rec", 0, None, {}],
        [2, 0, [2**16], "net", b"rec", 0, None, {}],
        [2, 0, [2], "net", b"rec", False, None, {}],
        [2, 0, [2], "n" * 65, b"rec", 0, None, {}],
        [2, 1, True, bytes(16), b"rec", None, {}],
        [2, 1, -1, bytes(16), b"rec", None, {}],
        [2, 1, 2**16, bytes(16), b"rec", None, {}],
        [2, 2, bytes(16), {}],
        [2, 3, "n" * 65, []],
        [2, 4, "n" * 65],
        [2, 4, "trimmed", {}],
    ],
)
def test_control_with_an_item_that_only_equals_a_good_one_or_is_out_of_bounds_is_refused(items: list[object]) -> None:
    with pytest.raises(DecodeError):
        decode_control(msgpack.packb(items))


@pytest.mark.parametrize(
    "frame", ["93020501", "940205ccff", "9402050580c0", "94020501c0", "940205cc80", "94020580", "9402"]
)
def test_heartbeat_cut_or_with_trailing_bytes_is_refused(frame: str) -> None:
    with pytest.raises(DecodeError):
        decode_control(bytes.fromhex(frame))


@pytest.mark.parametrize("frame", [b"", b"\x90", b"\x91\x02", b"\x94\x02\x05\x01\x80\x00", b"\x91\xcb" + bytes(8)])
def test_control_without_a_version_or_with_trailing_bytes_is_refused(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_control(frame)


@pytest.mark.parametrize("version", [0, 1, 3, -1, 2**40])
def test_control_of_another_version_is_told_apart_and_its_reject_is_read(version: int) -> None:
    for items in ([0, [1], "net", b"rec", 0, None], [5, 1], [77, {1: 2}], []):
        with pytest.raises(OtherVersion, match=f"version {version}: this node speaks 2") as error:
            decode_control(msgpack.packb([version, *items]))
        assert error.value.version == version
    for body in (["protocol", []], ["version", [], {}], []):
        assert decode_control(msgpack.packb([version, 3, *body])) == Reject(Reason.VERSION)


def test_answer_to_another_version_stays_as_version_1_reads_it() -> None:
    assert REJECT_VERSION.hex() == "940103a776657273696f6e90"
    assert decode_control(REJECT_VERSION) == Reject(Reason.VERSION)


def test_control_claiming_a_huge_length_is_refused_without_allocating() -> None:
    with pytest.raises(DecodeError):
        decode_control(b"\xdd\xff\xff\xff\xff")
    with pytest.raises(DecodeError):
        decode_control(b"\x92\x02\xc6\xff\xff\xff\xff")
    with pytest.raises(DecodeError):
        decode_control(bytes(MAX_CONTROL_BYTES + 1))


def test_reason_unknown_to_us_becomes_other() -> None:
    assert decode_control(msgpack.packb([2, 4, "meteor"])) == Bye(Reason.OTHER)
