from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import msgpack
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rookery.transport.address import Address
from rookery.transport.errors import DecodeError
from rookery.transport.identity import Identity, PeerId, verify
from rookery.transport.identity.life import Life
from rookery.transport.record import MAX_RECORD_BYTES, PeerRecord, address_of_version_1, check_network

IDENTITY = Identity.from_seed(b"r" * 32)
OTHER = Identity.from_seed(b"o" * 32)
ADDRESS = Address.parse("tcp://node-1.example.com:7000?egress=1.2.3.4")
RECORD = PeerRecord.sign(IDENTITY, network="net", address=ADDRESS, generation=1_700_000_000, metadata=b"meta")
ENCODED = RECORD.encode()
GOLDEN = (
    "9902a36e6574c4205b6489c9c7fd0dcf50545e7c164886ef40491ec06c7f1b123041797e8117535ed92c7463703a2f2f6e6f"
    "64652d312e6578616d706c652e636f6d3a373030303f6567726573733d312e322e332e34ce6553f100c4046d657461c410bc"
    "95b9a1e94796ff14d1714db1fc39bbc41019bb313d6cf892f7ad3fa105efcb8231c4402043fcb0689305d6526c38a8b4732c"
    "5031da06f8bc43ec520d151a8b661099ab79ab8c3406e341cb43c5ac2bef6804b459b34c422373e735c4b5ed403578030e"
)
LONGEST = "tcp://" + ".".join(["a" * 63] * 3 + ["b" * 61]) + ":65535?egress=2001:1111:1111:1111:1111:1111:1111:1111"

networks = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64)
addresses = st.sampled_from([None, ADDRESS, Address.parse("tcp://[::1]:1"), Address.parse(LONGEST)])


def items_of(record: PeerRecord) -> list[object]:
    items: list[object] = msgpack.unpackb(record.encode())
    return items


def signed(items: list[object]) -> bytes:
    """Encode eight items with the true peer's good signature over them, so that only their form can be refused."""
    statement: bytes = msgpack.packb(items)
    encoded: bytes = msgpack.packb([*items, IDENTITY.sign(b"rookery-record-2\0" + statement)])
    return encoded


@given(networks, addresses, st.integers(0, 2**64 - 1), st.binary(max_size=512))
def test_record_decode_reads_what_its_peer_signed(
    network: str, address: Address | None, generation: int, metadata: bytes
) -> None:
    record = PeerRecord.sign(IDENTITY, network=network, address=address, generation=generation, metadata=metadata)
    decoded = PeerRecord.decode(record.encode(), network=network)
    assert decoded == record
    assert (decoded.peer, decoded.address, decoded.generation) == (IDENTITY.peer, address, generation)
    assert (decoded.metadata, decoded.network) == (metadata, network)
    assert type(decoded.peer) is PeerId


def test_record_encoding_is_the_golden_one() -> None:
    assert ENCODED.hex() == GOLDEN
    assert PeerRecord.decode(bytes.fromhex(GOLDEN), network="net") == RECORD


def test_record_of_the_greatest_size_fits_its_bound() -> None:
    address = Address.parse(LONGEST)
    largest = PeerRecord.sign(IDENTITY, network="n" * 64, address=address, generation=2**64 - 1, metadata=bytes(512))
    assert len(largest.encode()) == 1043 <= MAX_RECORD_BYTES
    assert PeerRecord.decode(largest.encode(), network="n" * 64) == largest


def test_record_with_any_one_bit_changed_is_refused() -> None:
    for bit in range(len(ENCODED) * 8):
        changed = bytearray(ENCODED)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecodeError):
            PeerRecord.decode(bytes(changed), network="net")


@given(st.data(), addresses, st.integers(0, 2**64 - 1), st.binary(max_size=512))
def test_record_with_any_bits_changed_is_refused(
    data: st.DataObject, address: Address | None, generation: int, metadata: bytes
) -> None:
    record = PeerRecord.sign(IDENTITY, network="net", address=address, generation=generation, metadata=metadata)
    changed = bytearray(record.encode())
    for bit in data.draw(st.lists(st.integers(0, len(changed) * 8 - 1), min_size=1, max_size=8, unique=True)):
        changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DecodeError):
        PeerRecord.decode(bytes(changed), network="net")


@pytest.mark.parametrize(
    "change",
    [
        lambda record: replace(record, peer=OTHER.peer),
        lambda record: replace(record, address=None),
        lambda record: replace(record, address=Address.parse("tcp://6.6.6.6:7000")),
        lambda record: replace(record, generation=record.generation + 1),
        lambda record: replace(record, metadata=b""),
        lambda record: replace(record, chain=bytes(16)),
        lambda record: replace(record, farewell=bytes(16)),
        lambda record: replace(record, signature=OTHER.sign(b"x")),
        lambda record: replace(record, peer=PeerId(record.peer[:31] + bytes([record.peer[31] ^ 0x80]))),
    ],
)
def test_record_changed_by_somebody_else_is_refused(change: Callable[[PeerRecord], PeerRecord]) -> None:
    forged = change(RECORD)
    assert not forged.verify()
    with pytest.raises(DecodeError, match="the signature is not that peer's"):
        PeerRecord.decode(forged.encode(), network="net")


def test_record_of_another_network_is_refused_by_name_and_cannot_be_renamed() -> None:
    with pytest.raises(DecodeError, match="record of network 'net': allowed is 'other'"):
        PeerRecord.decode(ENCODED, network="other")
    with pytest.raises(DecodeError, match="the signature is not that peer's"):
        PeerRecord.decode(replace(RECORD, network="other").encode(), network="other")


def test_record_shows_the_ends_of_the_life_that_begins_with_its_generation() -> None:
    life = Life(IDENTITY, RECORD.generation)
    assert (RECORD.chain, RECORD.farewell) == (life.chain, life.farewell_hash)
    given_life = PeerRecord.sign(
        IDENTITY, network="net", address=ADDRESS, generation=RECORD.generation, metadata=b"meta", life=life
    )
    assert given_life == RECORD
    renewed = PeerRecord.sign(IDENTITY, network="net", address=ADDRESS, generation=RECORD.generation + 1)
    assert renewed.chain != RECORD.chain
    assert renewed.farewell != RECORD.farewell


def test_record_of_another_life_than_its_generations_is_not_signed() -> None:
    for life in (Life(IDENTITY, 2), Life(OTHER, 1)):
        with pytest.raises(ValueError, match="is not the life of"):
            PeerRecord.sign(IDENTITY, network="net", address=None, generation=1, life=life)


def version_1(*items: object) -> bytes:
    """A record as protocol version 1 has it; what its signature says, nobody can check any more."""
    packed: bytes = msgpack.packb([1, "net", IDENTITY.peer, *items, bytes(64)])
    return packed


def test_record_of_version_1_is_good_for_its_address_alone() -> None:
    old = version_1(str(ADDRESS), 1_700_000_000, b"meta")
    with pytest.raises(DecodeError, match="record of version 1: this node speaks 2"):
        PeerRecord.decode(old, network="net")
    assert address_of_version_1(old) == ADDRESS
    assert address_of_version_1(version_1(None, 1, b"")) is None


@pytest.mark.parametrize(
    "data", [ENCODED, b"", version_1("nowhere", 1, b""), version_1("a" * 313, 1, b""), version_1(7, 1, b"")]
)
def test_address_of_anything_but_a_record_of_version_1_is_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        address_of_version_1(data)


def test_record_signature_is_of_its_own_domain() -> None:
    statement = msgpack.packb(items_of(RECORD)[:-1])
    assert verify(IDENTITY.peer, RECORD.signature, b"rookery-record-2\0" + statement)
    elsewhere = replace(RECORD, signature=IDENTITY.sign(statement))
    assert not elsewhere.verify()


def test_record_of_a_key_nobody_owns_is_refused() -> None:
    neutral = PeerId(b"\1" + bytes(31))
    with pytest.raises(DecodeError, match="the signature is not that peer's"):
        PeerRecord.decode(replace(RECORD, peer=neutral, signature=neutral + bytes(32)).encode(), network="net")


def test_record_decoded_without_verifying_tells_the_truth_when_asked() -> None:
    forged = replace(RECORD, generation=1)
    assert not PeerRecord.decode(forged.encode(), network="net", verify=False).verify()
    assert PeerRecord.decode(ENCODED, network="net", verify=False).verify()


@given(st.binary(max_size=1200))
@example(b"")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\xdb\xff\xff\xff\xff")
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\xc9\xff\xff\xff\xff\x01")
@example(b"\xd6\xff\0\0\0\0")
@example(b"\xc1")
@example(b"\xa1\xff")
@example(b"\x91" * 1088)
@example(b"\x81\x80\x80")
def test_record_decode_of_any_bytes_raises_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        PeerRecord.decode(data, network="net")


@given(st.integers(0, 8), st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary())
def test_record_with_any_item_replaced_is_refused(index: int, value: object) -> None:
    items = items_of(RECORD)
    assume(items[index] != value or type(items[index]) is not type(value))
    items[index] = value
    with pytest.raises(DecodeError):
        PeerRecord.decode(msgpack.packb(items), network="net")


@pytest.mark.parametrize("end", range(0, len(ENCODED), 7))
def test_record_cut_short_is_refused(end: int) -> None:
    with pytest.raises(DecodeError, match="not msgpack within bounds"):
        PeerRecord.decode(ENCODED[:end], network="net")


def test_record_with_trailing_bytes_is_refused() -> None:
    with pytest.raises(DecodeError, match="not msgpack within bounds"):
        PeerRecord.decode(ENCODED + b"\0", network="net")


def test_record_larger_than_its_bound_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match="record of 1089 bytes: allowed are 1088"):
        PeerRecord.decode(ENCODED + bytes(1089 - len(ENCODED)), network="net")


def test_record_claiming_great_lengths_allocates_nothing_of_the_kind() -> None:
    import tracemalloc

    tracemalloc.start()
    try:
        for lead in (b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"):
            with pytest.raises(DecodeError):
                PeerRecord.decode(lead + b"\x7f\xff\xff\xff" + bytes(16), network="net")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 256 * 1024


@pytest.mark.parametrize(
    ("index", "value", "problem"),
    [
        (0, 1, "record of version 1: this node speaks 2"),
        (0, 2.0, "shortest form"),
        (0, True, "record of version True"),
        (1, "", "allowed are 1 to 64 printable ASCII"),
        (1, "n" * 65, "allowed are 1 to 64 printable ASCII"),
        (1, "n\n", "allowed are 1 to 64 printable ASCII"),
        (1, b"net", "right types"),
        (2, bytes(31), "a peer id is 32 bytes, not 31"),
        (2, "a" * 32, "right types"),
        (3, "127.0.0.1:7000", "allowed is tcp://HOST:PORT"),
        (3, "tcp://0.0.0.0:7000", "listening only"),
        (3, "tcp://NODE-1.example.com:7000", "shortest form"),
        (3, "tcp://[::ffff:1.2.3.4]:7000", "shortest form"),
        (3, "tcp://1.2.3.4:7000?egress=1.2.3.4", "shortest form"),
        (3, "", "allowed is tcp://HOST:PORT"),
        (4, -1, "allowed is 0 to 2"),
        (4, True, "allowed is 0 to 2"),
        (4, 1.0, "right types"),
        (5, None, "right types"),
        (5, bytes(513), "not msgpack within bounds"),
        (6, bytes(15), "record chain of 15 bytes: allowed are exactly 16"),
        (6, None, "right types"),
        (7, bytes(17), "record farewell of 17 bytes: allowed are exactly 16"),
        (7, "f" * 16, "right types"),
    ],
)
def test_record_out_of_form_is_refused_even_with_a_good_signature(index: int, value: object, problem: str) -> None:
    items = items_of(RECORD)[:-1]
    assert PeerRecord.decode(signed(items), network="net") == RECORD
    items[index] = value
    with pytest.raises(DecodeError, match=problem):
        PeerRecord.decode(signed(items), network="net")


def test_record_with_an_integer_written_longer_than_needed_is_refused() -> None:
    record = PeerRecord.sign(IDENTITY, network="net", address=None, generation=5)
    encoded = record.encode()
    assert encoded.count(b"\xc0\x05\xc4") == 1
    with pytest.raises(DecodeError, match="shortest form"):
        PeerRecord.decode(encoded.replace(b"\xc0\x05\xc4", b"\xc0\xcc\x05\xc4"), network="net")


@pytest.mark.parametrize("count", [0, 7, 8, 10])
def test_record_with_another_number_of_items_is_refused(count: int) -> None:
    items = [*items_of(RECORD), 1][:count]
    with pytest.raises(DecodeError):
        PeerRecord.decode(msgpack.packb(items), network="net")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("generation", -1),
        ("generation", 2**64),
        ("generation", True),
        ("metadata", bytes(513)),
        ("network", ""),
        ("network", "n" * 65),
        ("network", "b\u00fccher"),
    ],
)
def test_record_sign_with_a_field_out_of_bounds_says_what_is_allowed(field: str, value: object) -> None:
    fields: dict[str, object] = {"network": "net", "address": None, "generation": 1, "metadata": b""}
    with pytest.raises(ValueError, match="allowed"):
        PeerRecord.sign(IDENTITY, **(fields | {field: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0, 63, 65])
def test_record_with_a_signature_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(DecodeError, match=f"record signature of {length} bytes: allowed are exactly 64"):
        PeerRecord.decode(msgpack.packb([*items_of(RECORD)[:-1], bytes(length)]), network="net")


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_record_is_newer_exactly_if_its_generation_is_greater(mine: int, theirs: int) -> None:
    record, other = replace(RECORD, generation=mine), replace(RECORD, generation=theirs)
    assert record.newer_than(other) == (mine > theirs)


@pytest.mark.parametrize("other", [replace(RECORD, peer=OTHER.peer), replace(RECORD, network="other")])
def test_record_of_another_peer_or_network_is_not_compared(other: PeerRecord) -> None:
    with pytest.raises(ValueError, match="have no order"):
        RECORD.newer_than(other)


def test_record_is_immutable_hashable_and_shows_no_long_bytes() -> None:
    with pytest.raises(FrozenInstanceError):
        RECORD.generation = 2  # type: ignore[misc]
    assert len({RECORD, PeerRecord.decode(ENCODED, network="net")}) == 1
    assert len(repr(RECORD)) < 300


@given(networks)
def test_network_name_of_1_to_64_printable_ascii_characters_is_allowed(name: str) -> None:
    assert check_network(name) == name


@pytest.mark.parametrize("name", ["", "n" * 65, "a\tb", "a\x7f", "\u00e9", "a\0", "n" * 1_000_000])
def test_network_name_of_any_other_kind_says_what_is_allowed(name: str) -> None:
    with pytest.raises(ValueError, match="allowed are 1 to 64 printable ASCII characters") as error:
        check_network(name)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("address", "ip", "told"),
    [
        ("tcp://192.0.2.1:7000", "203.0.113.5", True),
        ("tcp://some.example:7000", "203.0.113.5", True),
        ("tcp://127.0.0.1:7000", "203.0.113.5", False),
        ("tcp://[::1]:7000", "203.0.113.5", False),
        ("tcp://127.0.0.1:7000", "127.0.0.1", True),
        (None, "127.0.0.1", False),
    ],
)
def test_record_may_be_told_to_who_can_use_its_address(address: str | None, ip: str, told: bool) -> None:
    endpoint = None if address is None else Address.parse(address)
    record = PeerRecord.sign(IDENTITY, network="net", address=endpoint, generation=1)
    assert record.may_be_told(ip) is told
