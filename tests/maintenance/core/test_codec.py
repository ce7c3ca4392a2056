"""Peer exchange on the wire: golden bytes, and that nothing else gets through."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.maintenance.core import codec
from rookery.actors.maintenance.core.codec import BOOTSTRAP, MAX_MESSAGE, MAX_RECORDS, PRIVATE, ExchangeMessage, Kind
from rookery.transport import DecodeError
from rookery.transport.record import MAX_RECORD_BYTES

records = st.lists(st.binary(max_size=MAX_RECORD_BYTES), max_size=MAX_RECORDS).map(tuple)


@pytest.mark.parametrize(
    ("message", "hexadecimal"),
    [
        (BOOTSTRAP, "920200"),
        (ExchangeMessage(Kind.ADVERTISE), "93020190"),
        (ExchangeMessage(Kind.ADVERTISE, (b"\x01", b"")), "93020192c40101c400"),
        (PRIVATE, "920202"),
    ],
)
def test_exchange_message_is_written_as_the_protocol_says(message: ExchangeMessage, hexadecimal: str) -> None:
    assert codec.encode(message).hex() == hexadecimal
    assert codec.decode(bytes.fromhex(hexadecimal)) == message


@given(records)
def test_advertise_of_any_records_is_read_as_it_was_written(encoded: tuple[bytes, ...]) -> None:
    message = ExchangeMessage(Kind.ADVERTISE, encoded)
    assert codec.decode(codec.encode(message)) == message


def test_longest_advertise_fits_the_message_limit() -> None:
    longest = codec.encode(ExchangeMessage(Kind.ADVERTISE, (bytes(MAX_RECORD_BYTES),) * MAX_RECORDS))
    assert MAX_MESSAGE - 16 < len(longest) <= MAX_MESSAGE


@pytest.mark.parametrize("records", [(b"",) * (MAX_RECORDS + 1), (bytes(MAX_RECORD_BYTES + 1),)])
def test_advertise_of_too_much_is_not_written_and_not_read(records: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="at most 100 records of at most 1088 bytes"):
        codec.encode(ExchangeMessage(Kind.ADVERTISE, records))
    with pytest.raises(DecodeError):
        codec.decode(msgpack.packb([2, 1, records]))


@pytest.mark.parametrize(
    "items",
    [
        [],
        [2],
        [1, 0],
        [True, 0],
        [2.0, 0],
        [2, 0, 0],
        [2, False],
        [2, 0.0],
        [2, 1],
        [2, 1, b""],
        [2, 1, [1]],
        [2, 1, [["nested"]]],
        [2, 1, {}],
        [2, 2, []],
        [2, 3],
        [2, "0"],
        ["1", 0],
        {"1": 0},
        b"bytes",
        7,
        None,
    ],
)
def test_exchange_message_out_of_form_is_a_decode_error(items: object) -> None:
    with pytest.raises(DecodeError):
        codec.decode(msgpack.packb(items))


@given(st.binary(max_size=200))
def test_exchange_decoder_of_any_bytes_raises_nothing_but_decode_error(data: bytes) -> None:
    try:
        codec.decode(data)
    except DecodeError:
        pass


@pytest.mark.parametrize(
    "data", ["", "92 02 00 00", "dd ffffffff", "93 02 01 dd 7fffffff", "93 02 01 91 c6 7fffffff", "91" * 3000]
)
def test_exchange_message_cut_trailing_or_claiming_great_lengths_is_a_decode_error(data: str) -> None:
    with pytest.raises(DecodeError):
        codec.decode(bytes.fromhex(data))
