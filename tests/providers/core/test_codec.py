"""The packets: what is said comes back, and nothing else is taken."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.providers.core.announcing import MAX_BATCH
from rookery.actors.providers.core.codec import (
    MAX_ASKED,
    MAX_NAMED,
    MAX_SECONDS,
    Have,
    Having,
    Holders,
    Message,
    Provide,
    Provided,
    Who,
    decode,
    encode,
)
from rookery.transport import DecodeError
from rookery.transport.parts.packets import MAX_PACKET
from rookery.transport.record import MAX_RECORD_BYTES

NUMBERS = st.integers(0, 2**32 - 1)
HASH = st.binary(min_size=16, max_size=16)
RECORDS = st.binary(min_size=1, max_size=60)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Provide, NUMBERS, st.integers(0, MAX_SECONDS), st.lists(HASH, min_size=1, max_size=9).map(tuple)),
    st.builds(Provided, NUMBERS, st.integers(0, MAX_BATCH)),
    st.builds(Who, NUMBERS, HASH),
    st.builds(
        Holders,
        NUMBERS,
        st.lists(st.tuples(st.integers(0, MAX_SECONDS), RECORDS), max_size=MAX_NAMED).map(tuple),
        st.lists(RECORDS, max_size=3).map(tuple),
    ),
    st.builds(Have, NUMBERS, st.lists(HASH, min_size=1, max_size=MAX_ASKED).map(tuple), st.booleans()),
    st.builds(Having, NUMBERS, NUMBERS),
)
H = bytes(16)


@given(MESSAGES)
def test_message_comes_back_as_it_was_said(message: Message) -> None:
    assert decode(encode(message)) == message


def test_largest_messages_fit_into_a_packet() -> None:
    record = bytes(MAX_RECORD_BYTES)
    largest = Holders(2**32 - 1, ((MAX_SECONDS, record),) * MAX_NAMED, (record,) * 3)
    assert decode(encode(largest)) == largest
    assert len(encode(largest)) < MAX_PACKET
    assert len(encode(Provide(2**32 - 1, MAX_SECONDS, (H,) * MAX_BATCH))) < MAX_PACKET


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([2, 0, 1], "is an array of"),
        ([1, 2, 1, H], "of version 1"),
        ([2.0, 2, 1, H], "of version 2.0"),
        ([True, 2, 1, H], "of version True"),
        ([2, 6, 1, H], "of kind 6"),
        ([2, True, 1, 5], "of kind True"),
        ([2, 2, 1, H, H], "with 2 items"),
        ([2, 2, -1, H], "the number is -1"),
        ([2, 2, 2**32, H], "the number is 4294967296"),
        ([2, 2, 1, b"short"], "hashes of 5 bytes"),
        ([2, 2, 1, H + H], "hashes of 32 bytes: allowed are 1 to 1"),
        ([2, 0, 1, 7200, b""], "hashes of 0 bytes"),
        ([2, 0, 1, MAX_SECONDS + 1, H], "the time is 86401"),
        ([2, 0, 1, 1.5, H], "the time is 1.5"),
        ([2, 1, 1, MAX_BATCH + 1], "of those taken"),
        ([2, 3, 1, [], [b"r"] * 4], "4 are named"),
        ([2, 3, 1, [b"r"], []], "a holder is an array"),
        ([2, 3, 1, [[1, b"r", 2]], []], "a holder is an array"),
        ([2, 3, 1, [[MAX_SECONDS + 1, b"r"]], []], "the age is"),
        ([2, 3, 1, [], [b""]], "a record is 1 to"),
        ([2, 3, 1, [], [bytes(MAX_RECORD_BYTES + 1)]], "a record is 1 to"),
        ([2, 4, 1, 2, H], "the wish to be dialled"),
        ([2, 4, 1, 0, H * (MAX_ASKED + 1)], "hashes of 528 bytes"),
        ([2, 5, 1, 2**32], "the answer is"),
        ([2, 5, 1, -1], "the answer is"),
        (7, "is an array of"),
    ],
)
def test_what_is_no_message_is_refused_with_what_is_wrong(items: object, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode(msgpack.packb(items))


def test_bytes_behind_a_message_are_refused() -> None:
    with pytest.raises(DecodeError):
        decode(encode(Who(1, H)) + b"\0")


def test_batch_of_more_hashes_than_allowed_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode(msgpack.packb([2, 0, 1, 60, H * (MAX_BATCH + 1)]))
