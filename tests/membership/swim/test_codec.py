"""The bytes: golden vectors, round trips, and refusal of everything else by DecodeError alone."""

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.membership.swim import DecodeError, Member, MemberId, State
from rookery.actors.membership.swim.codec import MAX_UPDATES, MIN_UPDATE_BYTES, decode_packet, encode_update
from rookery.actors.membership.swim.messages import (
    Ack,
    Announce,
    Feed,
    ForwardedAck,
    Gossip,
    Header,
    IndirectAck,
    IndirectPing,
    Message,
    Packet,
    Ping,
    PingReq,
    TurnUndead,
)

from .rig import ANN, BOB, CAROL, US, alive, encode, name, suspect

KEY = {number: f"c420{number:064x}" for number in range(4)}
HEAD = "99 01 {kind} " + KEY[1] + "01 07" + KEY[0] + "01"

GOLDEN: list[tuple[Message, list[Member], str]] = [
    (Ping(300), [], HEAD.format(kind="01") + "91 cd012c 90"),
    (Ack(0), [], HEAD.format(kind="02") + "91 00 90"),
    (PingReq(BOB, 5), [], HEAD.format(kind="03") + "93" + KEY[2] + "01 05 90"),
    (IndirectPing(BOB, 5), [], HEAD.format(kind="04") + "93" + KEY[2] + "01 05 90"),
    (IndirectAck(BOB, 5), [], HEAD.format(kind="05") + "93" + KEY[2] + "01 05 90"),
    (ForwardedAck(BOB, 5), [], HEAD.format(kind="06") + "93" + KEY[2] + "01 05 90"),
    (Announce(), [], HEAD.format(kind="07") + "90 90"),
    (Feed(), [alive(CAROL)], HEAD.format(kind="08") + "90 91 94" + KEY[3] + "01 00 00"),
    (Gossip(), [suspect(CAROL, 9)], HEAD.format(kind="09") + "90 91 94" + KEY[3] + "01 09 01"),
    (TurnUndead(), [], HEAD.format(kind="0a") + "90 90"),
]

ids = st.builds(MemberId, key=st.binary(min_size=32, max_size=32), generation=st.integers(0, 2**63 - 1))
updates = st.builds(Member, id=ids, incarnation=st.integers(0, 65_535), state=st.sampled_from(State))
numbers = st.integers(0, 2**63 - 1)
messages: st.SearchStrategy[Message] = st.one_of(
    *(st.builds(kind, number=numbers) for kind in (Ping, Ack)),
    *(st.builds(kind, ids, numbers) for kind in (PingReq, IndirectPing, IndirectAck, ForwardedAck)),
    *(st.just(message) for message in (Announce(), Feed(), Gossip(), TurnUndead())),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)


def valid() -> list[object]:
    return [1, 9, ANN.key, 1, 0, US.key, 1, [], [[CAROL.key, 1, 0, 0]]]


@pytest.mark.parametrize(("message", "said", "golden"), GOLDEN)
def test_packet_has_the_documented_bytes_in_both_directions(message: Message, said: list[Member], golden: str) -> None:
    data = bytes.fromhex(golden.replace(" ", ""))
    assert encode(ANN, US, message, said, incarnation=7) == data
    assert decode_packet(data) == Packet(Header(ANN, 7, US, message), tuple(said))


@settings(max_examples=30)
@given(ids, st.integers(0, 65_535), ids, messages, st.lists(updates, max_size=6))
def test_packet_survives_the_round_trip(
    src: MemberId, incarnation: int, dst: MemberId, message: Message, said: list[Member]
) -> None:
    carried = [] if isinstance(message, Announce | TurnUndead) else said
    decoded = decode_packet(encode(src, dst, message, carried, incarnation))
    assert decoded == Packet(Header(src, incarnation, dst, message), tuple(carried))


@given(updates)
def test_update_is_never_shorter_than_the_least_that_room_is_planned_for(update: Member) -> None:
    assert len(encode_update(update)) >= MIN_UPDATE_BYTES
    assert len(encode_update(alive(ANN))) == MIN_UPDATE_BYTES


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_decode_of_random_bytes_raises_nothing_but_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_packet(data)


@settings(max_examples=50)
@given(st.integers(0, 8), values)
def test_decode_with_one_field_replaced_gives_a_packet_or_decode_error(place: int, value: object) -> None:
    fields = valid()
    fields[place] = value
    try:
        packet = decode_packet(msgpack.packb(fields))
    except DecodeError:
        return
    assert isinstance(packet, Packet)


@settings(max_examples=50)
@given(st.sampled_from(GOLDEN), st.data())
def test_decode_of_a_damaged_packet_gives_a_packet_or_decode_error(
    golden: tuple[Message, list[Member], str], data: st.DataObject
) -> None:
    damaged = bytearray.fromhex(golden[2].replace(" ", ""))
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(decode_packet(bytes(damaged)), Packet)
    except DecodeError:
        pass


@pytest.mark.parametrize("length", range(len(encode(ANN, US, Gossip(), [alive(CAROL)]))))
def test_decode_of_a_cut_packet_is_refused(length: int) -> None:
    with pytest.raises(DecodeError):
        decode_packet(encode(ANN, US, Gossip(), [alive(CAROL)])[:length])


def test_decode_of_trailing_data_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode_packet(encode(ANN, US, Ping(1)) + b"\x00")


@pytest.mark.parametrize(
    "bomb", [b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdc\xff\xff" * 900]
)
def test_decode_of_a_claimed_length_without_the_data_is_refused(bomb: bytes) -> None:
    with pytest.raises(DecodeError, match="within the limits"):
        decode_packet(bomb)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (0, 2, "protocol version 2"),
        (0, True, "protocol version True"),
        (1, 11, "message kind 11"),
        (2, b"short", "32 bytes, not 5"),
        (2, 7, "a key must be bytes"),
        (2, "text", "within the limits"),
        (2, {1: 1}, "within the limits"),
        (2, bytes(33), "within the limits"),
        (3, -1, "a generation is"),
        (3, 2**63, "a generation is"),
        (3, False, "generation must be a whole number"),
        (4, 65_536, "an incarnation is between 0 and 65535"),
        (7, [1], "the fields of the message"),
        (8, None, "updates must be an array"),
        (8, [[CAROL.key, 1, 0]], "an update must be an array of 4"),
        (8, [[CAROL.key, 1, 0, 3]], "3 is not a valid State"),
    ],
)
def test_decode_of_a_bad_field_says_what_is_wrong(place: int, value: object, says: str) -> None:
    fields = valid()
    fields[place] = value
    with pytest.raises(DecodeError, match=says):
        decode_packet(msgpack.packb(fields))


@pytest.mark.parametrize("kind", [7, 10])
def test_decode_of_updates_in_a_lightweight_message_is_refused(kind: int) -> None:
    fields = valid()
    fields[1] = kind
    with pytest.raises(DecodeError, match="carries no updates"):
        decode_packet(msgpack.packb(fields))


def test_decode_of_a_probe_number_out_of_bounds_is_refused() -> None:
    fields = valid()
    fields[1], fields[7] = 1, [2**63]
    with pytest.raises(DecodeError, match="a probe number is"):
        decode_packet(msgpack.packb(fields))


def test_packet_holds_as_many_updates_as_the_limit_and_no_more() -> None:
    said = [alive(name(number)) for number in range(10, 10 + MAX_UPDATES)]
    assert len(decode_packet(encode(ANN, US, Gossip(), said)).updates) == MAX_UPDATES
    with pytest.raises(DecodeError):
        decode_packet(encode(ANN, US, Gossip(), [*said, alive(CAROL)]))
