"""The bytes: golden vectors, round trips, and refusal of everything else by DecodeError alone."""

from hashlib import blake2b

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.membership.swim import DecodeError, Member, MemberId, State
from rookery.actors.membership.swim.codec import (
    LIST_HEADS_BYTES,
    MAX_UPDATES,
    MIN_UPDATE_BYTES,
    decode_packet,
    digest,
    encode_update,
    keys_named_in,
)
from rookery.actors.membership.swim.config import MAX_HEADER
from rookery.actors.membership.swim.core.member_list import MemberList
from rookery.actors.membership.swim.member import MAX_INCARNATION
from rookery.actors.membership.swim.messages import (
    Ack,
    Announce,
    Broadcast,
    DecodedPacket,
    Feed,
    ForwardedAck,
    Gossip,
    Header,
    IndirectAck,
    IndirectPing,
    Message,
    Nack,
    Ping,
    PingReq,
    SyncPart,
    SyncRequest,
    TurnUndead,
)

from .rig import ANN, BOB, CAROL, US, alive, down, encode, name, suspect

KEY = {number: f"c420{number:064x}" for number in range(4)}
PROOF, ANSWER = b"\x05" * 16, b"\x06" * 64
HEAD = "9b 02 {kind} " + KEY[1] + "01 07 c410" + "05" * 16 + KEY[0] + "01"

GOLDEN: list[tuple[Message, list[Member], str]] = [  # without items
    (Ping(300), [], HEAD.format(kind="01") + "91 cd012c 90 90"),
    (Ack(0), [], HEAD.format(kind="02") + "91 00 90 90"),
    (PingReq(BOB, 5), [], HEAD.format(kind="03") + "93" + KEY[2] + "01 05 90 90"),
    (IndirectPing(BOB, 5), [], HEAD.format(kind="04") + "93" + KEY[2] + "01 05 90 90"),
    (IndirectAck(BOB, 5, ANSWER), [], HEAD.format(kind="05") + "94" + KEY[2] + "01 05 c440" + "06" * 64 + "90 90"),
    (IndirectAck(BOB, 5), [], HEAD.format(kind="05") + "94" + KEY[2] + "01 05 c400 90 90"),
    (ForwardedAck(BOB, 5, ANSWER), [], HEAD.format(kind="06") + "94" + KEY[2] + "01 05 c440" + "06" * 64 + "90 90"),
    (ForwardedAck(BOB, 5), [], HEAD.format(kind="06") + "94" + KEY[2] + "01 05 c400 90 90"),
    (Announce(), [], HEAD.format(kind="07") + "90 90 90"),
    (Feed(), [alive(CAROL)], HEAD.format(kind="08") + "90 91 94" + KEY[3] + "01 00 00 90"),
    (Gossip(), [suspect(CAROL, 9)], HEAD.format(kind="09") + "90 91 94" + KEY[3] + "01 09 01 90"),
    (TurnUndead(down(US), 9), [], HEAD.format(kind="0a") + "95 01 00 02 c400 09 90 90"),
    (TurnUndead(down(US, 3), 9), [], HEAD.format(kind="0a") + "95 01 03 02 c400 09 90 90"),
    (Broadcast(), [], HEAD.format(kind="0b") + "90 90 90"),
    (Nack(BOB, 5), [], HEAD.format(kind="0c") + "93" + KEY[2] + "01 05 90 90"),
    (SyncRequest(300), [], HEAD.format(kind="0d") + "91 cd012c 90 90"),
    (SyncPart(1), [alive(CAROL)], HEAD.format(kind="0e") + "91 01 91 94" + KEY[3] + "01 00 00 90"),
]

ids = st.builds(MemberId, key=st.binary(min_size=32, max_size=32), generation=st.integers(0, 2**63 - 1))
incarnations = st.integers(0, MAX_INCARNATION)
proofs = st.sampled_from([b"", PROOF]) | st.binary(min_size=16, max_size=16)
updates = st.builds(Member, id=ids, incarnation=incarnations, state=st.sampled_from(State), proof=proofs)
numbers = st.integers(0, 2**63 - 1)
bare: list[Message] = [Announce(), Feed(), Gossip(), Broadcast()]
messages: st.SearchStrategy[Message] = st.one_of(
    *(st.builds(kind, numbers) for kind in (Ping, Ack, SyncRequest, SyncPart)),
    *(st.builds(kind, ids, numbers) for kind in (PingReq, IndirectPing, Nack)),
    *(st.builds(kind, ids, numbers, st.sampled_from([b"", ANSWER])) for kind in (IndirectAck, ForwardedAck)),
    st.sampled_from(bare),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)


def valid() -> list[object]:
    return [2, 9, ANN.key, 1, 0, b"", US.key, 1, [], [[CAROL.key, 1, 0, 0]], [b"item"]]


@pytest.mark.parametrize(("message", "said", "golden"), GOLDEN)
def test_packet_has_the_documented_bytes_in_both_directions(message: Message, said: list[Member], golden: str) -> None:
    data = bytes.fromhex(golden.replace(" ", ""))
    assert encode(ANN, US, message, said, incarnation=7, proof=PROOF) == data
    assert decode_packet(data) == DecodedPacket(Header(ANN, 7, US, message, PROOF), tuple(said), tuple(said))


def test_suspect_with_accusers_has_the_documented_bytes_in_both_directions() -> None:
    accusers = (b"\x01" * 8, b"\x02" * 8)
    accused = Member(CAROL, 9, State.SUSPECT, accusers)
    golden = "90 91 96" + KEY[3] + "01 09 01 c400 92 c408" + "01" * 8 + "c408" + "02" * 8 + "90"
    data = bytes.fromhex((HEAD.format(kind="09") + golden).replace(" ", ""))
    assert encode(ANN, US, Gossip(), [accused], incarnation=7, proof=PROOF) == data
    (update,) = decode_packet(data).updates
    assert (update, update.accusers, update.proof) == (accused, accusers, b"")


@pytest.mark.parametrize("accusers", [(), (bytes(8),)])
def test_update_with_a_proof_has_the_documented_bytes_in_both_directions(accusers: tuple[bytes, ...]) -> None:
    proved = Member(CAROL, 9, State.SUSPECT, accusers, PROOF)
    golden = ("95" if not accusers else "96") + KEY[3] + "01 09 01 c410" + "05" * 16
    data = bytes.fromhex(golden.replace(" ", "")) + (b"\x91\xc4\x08" + bytes(8) if accusers else b"")
    assert encode_update(proved) == data
    (update,) = decode_packet(encode(ANN, US, Gossip(), [proved])).updates
    assert (update, update.accusers, update.proof) == (proved, accusers, PROOF)


def test_packet_with_items_has_the_documented_bytes_in_both_directions() -> None:
    data = bytes.fromhex((HEAD.format(kind="0b") + "90 90 92 c40161 c403626364").replace(" ", ""))
    assert encode(ANN, US, Broadcast(), incarnation=7, items=[b"a", b"bcd"], proof=PROOF) == data
    assert decode_packet(data) == DecodedPacket(Header(ANN, 7, US, Broadcast(), PROOF), (), (), (b"a", b"bcd"))


@settings(max_examples=30)
@given(
    ids,
    incarnations,
    ids,
    messages,
    st.lists(updates, max_size=6),
    st.lists(st.binary(min_size=1, max_size=300), max_size=4),
)
def test_packet_survives_the_round_trip(
    src: MemberId, incarnation: int, dst: MemberId, message: Message, said: list[Member], items: list[bytes]
) -> None:
    carried = tuple(said) if message.updates else ()
    packet = DecodedPacket(
        Header(src, incarnation, dst, message),
        carried,
        carried,
        tuple(items) if message.items else (),
    )
    assert decode_packet(encode(src, dst, message, packet.updates, incarnation, packet.items)) == packet


@given(ids, incarnations, ids, messages)
def test_header_is_never_longer_than_the_room_that_is_planned_for(
    src: MemberId, incarnation: int, dst: MemberId, message: Message
) -> None:
    longest = encode(
        MemberId(bytes(32), 2**63 - 1),
        MemberId(bytes(32), 2**63 - 1),
        ForwardedAck(name(1, 2**62), 2**62, ANSWER),
        (),
        1_024,
        (),
        PROOF,
    )
    assert len(longest) + LIST_HEADS_BYTES <= MAX_HEADER
    assert len(encode(src, dst, message, (), incarnation, (), PROOF)) + LIST_HEADS_BYTES <= MAX_HEADER


def test_digest_of_a_member_is_the_documented_one_and_below_2_to_the_63() -> None:
    encoded = encode_update(suspect(CAROL, 9))
    assert digest(suspect(CAROL, 9)) == int.from_bytes(blake2b(encoded, digest_size=8).digest(), "big") // 2
    assert digest(suspect(CAROL, 9)) == digest(Member(CAROL, 9, State.SUSPECT, (bytes(8),)))
    assert len({digest(member) for member in (alive(CAROL), alive(CAROL, 1), suspect(CAROL), alive(BOB))}) == 4


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
@given(st.integers(0, 10), values)
def test_decode_with_one_field_replaced_gives_a_packet_or_decode_error(place: int, value: object) -> None:
    fields = valid()
    fields[place] = value
    try:
        packet = decode_packet(msgpack.packb(fields))
    except DecodeError:
        return
    assert isinstance(packet, DecodedPacket)


@settings(max_examples=50)
@given(st.sampled_from(GOLDEN), st.data())
def test_decode_of_a_corrupt_packet_gives_a_packet_or_decode_error(
    golden: tuple[Message, list[Member], str], data: st.DataObject
) -> None:
    damaged = bytearray.fromhex(golden[2].replace(" ", ""))
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(decode_packet(bytes(damaged)), DecodedPacket)
    except DecodeError:
        pass


@pytest.mark.parametrize("said", [[True, 0, 1], [1, False, 1], [1, 0, True], [1, 0, 1.0]])
def test_decode_of_what_only_equals_a_stored_update_is_refused(said: list[object]) -> None:
    members = MemberList()
    members.apply(suspect(CAROL))
    fields = valid()
    fields[9] = [[CAROL.key, *said]]
    with pytest.raises(DecodeError, match="must be a whole number"):
        decode_packet(msgpack.packb(fields), members.known)


def test_keys_named_in_a_packet_of_ours_are_those_of_its_updates() -> None:
    said = [alive(CAROL), Member(BOB, 1, State.SUSPECT, (b"12345678",), PROOF)]
    assert keys_named_in(encode(ANN, US, Gossip(), said)) == [CAROL.key, BOB.key]
    assert keys_named_in(encode(ANN, US, Announce())) == []


def test_update_that_says_what_is_held_is_decoded_to_it_and_in_another_node_to_what_that_holds() -> None:
    one, other = MemberList(), MemberList()
    for members in (one, other):
        members.apply(alive(CAROL))
    for members in (one, other):
        packet = decode_packet(encode(CAROL, US, Gossip(), [alive(CAROL), alive(BOB)]), members.known)
        assert packet.updates[0] is members.get(CAROL.key)
        assert packet.updates[1] == alive(BOB)
        assert len(members.known) == 1  # what was only said is not kept
        assert [update.id for update in packet.news] == [BOB]
    assert one.get(CAROL.key) is not other.get(CAROL.key)


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
        (0, 1, "protocol version 1"),
        (0, True, "protocol version True"),
        (1, 15, "message kind 15"),
        (2, b"short", "32 bytes, not 5"),
        (2, 7, "a key must be bytes"),
        (2, "text", "within the limits"),
        (2, {1: 1}, "within the limits"),
        (2, bytes(33), "32 bytes, not 33"),
        (2, [ANN.key], "an array where a key or a number belongs"),
        (3, -1, "a generation is"),
        (3, 2**63, "a generation is"),
        (3, False, "generation must be a whole number"),
        (4, 1_025, "an incarnation is between 0 and 1024"),
        (5, bytes(15), "a proof must be 16 bytes or none, not 15"),
        (5, 7, "a proof must be 16 bytes or none, not int"),
        (8, [1], "the fields of the message"),
        (9, None, "updates must be an array"),
        (9, [[CAROL.key, 1, 0]], "an update must be an array of 4 to 6, not 3"),
        (9, [[CAROL.key, 1, 0, 0, bytes(17)]], "a proof must be 16 bytes or none, not 17 bytes"),
        (9, [[CAROL.key, 1, 0, 0, b"", [], 0]], "an update must be an array of 4 to 6, not 7"),
        (9, [[CAROL.key, 1, 0, 4]], "4 is not a valid State"),
        (9, [[CAROL.key, 1, 0, True]], "state must be a whole number"),
        (9, [[[], 1, 0, 0]], "a key must be bytes, not list"),
        (9, [b"abcd"], "a key must be bytes, not int"),
        (9, [7], "an update must be an array of 4 to 6, not int"),
        (9, [[CAROL.key, 1, 0, 0, b"", [bytes(8)]]], "only a Suspect has accusers"),
        (9, [[CAROL.key, 1, 0, 1, b"", []]], "accusers must be an array of 1 to 8"),
        (9, [[CAROL.key, 1, 0, 1, b"", [bytes(8)] * 9]], "accusers must be an array of 1 to 8"),
        (9, [[CAROL.key, 1, 0, 1, b"", 7]], "accusers must be an array of 1 to 8"),
        (9, [[CAROL.key, 1, 0, 1, b"", [bytes(7)]]], "an accuser must be 8 bytes"),
        (10, None, "items must be an array"),
        (10, [b"item"] * 65, "at most 64"),
        (10, [b""], "an item must be bytes, at least one"),
        (10, [7], "an item must be bytes, at least one"),
    ],
)
def test_decode_of_a_bad_field_says_what_is_wrong(place: int, value: object, says: str) -> None:
    fields = valid()
    fields[place] = value
    with pytest.raises(DecodeError, match=says):
        decode_packet(msgpack.packb(fields))


@pytest.mark.parametrize("kind", [7, 10, 11])
def test_decode_of_updates_in_a_message_that_carries_none_is_refused(kind: int) -> None:
    fields = valid()
    fields[1], fields[8] = kind, [1, 0, 2, b"", 0] * (kind == 10)
    with pytest.raises(DecodeError, match="carries no updates"):
        decode_packet(msgpack.packb(fields))


@pytest.mark.parametrize("kind", [7, 10])
def test_decode_of_items_in_a_lightweight_message_is_refused(kind: int) -> None:
    fields = valid()
    fields[1], fields[8], fields[9] = kind, [1, 0, 2, b"", 0] * (kind == 10), []
    with pytest.raises(DecodeError, match="carries no items"):
        decode_packet(msgpack.packb(fields))


def test_decode_of_a_probe_number_out_of_bounds_is_refused() -> None:
    fields = valid()
    fields[1], fields[8] = 1, [2**63]
    with pytest.raises(DecodeError, match="the number of a message is"):
        decode_packet(msgpack.packb(fields))


def test_packet_holds_as_many_updates_as_the_limit_and_no_more() -> None:
    said = [alive(name(number)) for number in range(10, 10 + MAX_UPDATES)]
    assert len(decode_packet(encode(ANN, US, Gossip(), said)).updates) == MAX_UPDATES
    fields = valid()
    fields[9] = [fields[9][0]] * (MAX_UPDATES + 1)  # type: ignore[index]
    with pytest.raises(DecodeError, match="within the limits"):
        decode_packet(msgpack.packb(fields))
