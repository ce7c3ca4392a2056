"""The bytes of a packet: what goes in comes out, and what is no envelope is a DecodeError and nothing else."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.membership.config import MAX_SWIM_BYTES
from rookery.actors.membership.core.envelope import MAX_RECORDS, MAX_WANTED, Envelope, named_in_feed
from rookery.actors.membership.swim import Member, MemberId
from rookery.actors.membership.swim.codec import encode_header, encode_packet, encode_update
from rookery.actors.membership.swim.messages import Announce, Feed, Gossip, Header, Message, Ping
from rookery.transport.errors import DecodeError
from rookery.transport.identity import PeerId
from rookery.transport.parts.packets import MAX_PACKET
from rookery.transport.record import MAX_RECORD_BYTES

ME, BOB, CAROL = (MemberId(bytes([number]) * 32, 1) for number in range(3))

envelopes = st.builds(
    Envelope,
    swim=st.binary(max_size=64),
    records=st.lists(st.binary(max_size=40), max_size=4).map(tuple),
    wanted=st.lists(st.binary(min_size=32, max_size=32).map(PeerId), max_size=4).map(tuple),
)


@settings(max_examples=50)
@given(envelopes)
def test_envelope_survives_the_round_trip(envelope: Envelope) -> None:
    assert Envelope.decode(envelope.encode()) == envelope


@settings(max_examples=150)
@given(st.binary(max_size=200))
def test_any_bytes_give_an_envelope_or_a_decode_error(data: bytes) -> None:
    try:
        Envelope.decode(data)
    except DecodeError:
        return


@settings(max_examples=150)
@given(envelopes, st.data())
def test_corrupt_envelope_gives_an_envelope_or_a_decode_error(envelope: Envelope, data: st.DataObject) -> None:
    damaged = bytearray(envelope.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        Envelope.decode(bytes(damaged))
    except DecodeError:
        return


def test_largest_envelope_fits_into_a_packet_of_transport_and_comes_back() -> None:
    largest = Envelope(
        bytes(MAX_SWIM_BYTES), (bytes(MAX_RECORD_BYTES),) * MAX_RECORDS, (PeerId(bytes(32)),) * MAX_WANTED
    )
    assert len(largest.encode()) <= MAX_PACKET
    assert Envelope.decode(largest.encode()) == largest


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([1, b"", [], []], "version 1: allowed is 2"),
        ([True, b"", [], []], "version True"),
        ([2, b"", []], "array of 4 parts"),
        ([2, b"", [], [], 0], "array of 4 parts"),
        ([2, [], [], []], "array of 4 parts"),
        ([], "array of 4 parts"),
        (1, "array of 4 parts"),
        ([2, "text", [], []], "not msgpack within bounds"),
        ([2, bytes(MAX_SWIM_BYTES + 1), [], []], "not msgpack within bounds"),
        ([2, b"", [b""] * (MAX_RECORDS + 1), []], "not msgpack within bounds"),
        ([2, b"", [bytes(MAX_RECORD_BYTES + 1)], []], "a record is at most 1088 bytes"),
        ([2, b"", [1], []], "a record is at most 1088 bytes"),
        ([2, b"", [], [bytes(33)]], "a wanted peer is at most 32 bytes"),
        ([2, b"", [], [bytes(31)]], "32 bytes, not 31"),
        ([2, b"", {}, {}], "array of 4 parts"),
    ],
)
def test_decode_says_what_is_wrong(value: object, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        Envelope.decode(msgpack.packb(value))


def test_decode_refuses_what_comes_after_the_envelope() -> None:
    with pytest.raises(DecodeError):
        Envelope.decode(Envelope().encode() + b"\x00")


def test_decode_refuses_a_claimed_length_without_allocating_it() -> None:
    with pytest.raises(DecodeError):
        Envelope.decode(b"\xdd\xff\xff\xff\xff")


def swim_packet(message: Message, *updates: Member) -> bytes:
    return encode_packet(encode_header(Header(ME, 0, BOB, message)), [encode_update(update) for update in updates])


def test_members_named_in_a_feed_are_read_from_it_in_order() -> None:
    assert named_in_feed(swim_packet(Feed(), Member(CAROL), Member(BOB))) == [CAROL.key, BOB.key]


@pytest.mark.parametrize("message", [Gossip(), Announce(), Ping(1)])
def test_other_packets_name_nobody(message: Message) -> None:
    assert named_in_feed(swim_packet(message)) is None
