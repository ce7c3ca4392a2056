"""The rules at the head of `rookery.actors.blobs.core.manifest`."""

import hashlib
from collections.abc import Callable

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from rookery.actors.blobs import Config
from rookery.actors.blobs.core.manifest import (
    DEFAULT_CHUNK_SIZE,
    MAX_BLOCK_SIZE,
    MAX_FILE_SIZE,
    MIN_CHUNK_SIZE,
    Manifest,
    ManifestError,
    Place,
    fanout,
    root_level,
    span,
)
from rookery.runtime.settings import declared

KIB, GIB, TIB = 2**10, 2**30, 2**40


def digests(count: int) -> bytes:
    return b"".join(hashlib.sha256(index.to_bytes(8)).digest() for index in range(count))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    chunk_size = draw(st.integers(MIN_CHUNK_SIZE, 2048))
    level = draw(st.integers(1, 4))
    size = draw(st.integers(1, span(level, chunk_size)))
    count = -(-size // span(level - 1, chunk_size))
    return Manifest(level, size, chunk_size, draw(st.binary(min_size=32, max_size=32)) * count)


@given(manifest=manifests())
def test_manifest_encoded_and_decoded_is_the_same(manifest: Manifest) -> None:
    assert Manifest.decode(manifest.encode()) == manifest


@given(manifest=manifests())
def test_manifest_children_cover_exactly_its_size(manifest: Manifest) -> None:
    places = [place for _, place in manifest.children()]
    assert sum(place.size for place in places) == manifest.size
    assert all(place.size == span(manifest.level - 1, manifest.chunk_size) for place in places[:-1])
    assert {place.level for place in places} == {manifest.level - 1}


def test_manifest_child_out_of_range_is_an_index_error() -> None:
    manifest = Manifest(1, 200, 128, digests(2))
    assert manifest.child(1) == (manifest.digests[32:], Place(0, 72, 128))
    with pytest.raises(IndexError, match="child 2 of 2"):
        manifest.child(2)


def test_manifest_golden_bytes_stay_what_they_are() -> None:
    manifest = Manifest(1, 200, 128, bytes(range(64)))
    assert manifest.encode().hex() == "950101ccc8cc80c440" + bytes(range(64)).hex()


def test_manifest_of_an_empty_file_is_level_one_without_children() -> None:
    empty = Manifest.decode_root(Manifest(1, 0, DEFAULT_CHUNK_SIZE, b"").encode())
    assert list(empty.children()) == []


def test_chunk_sizes_that_can_be_configured_are_those_of_manifests() -> None:
    (declared_size,) = (each.option for each in declared(Config) if each.name == "chunk_size")
    assert (Config().chunk_size, declared_size.minimum) == (DEFAULT_CHUNK_SIZE, MIN_CHUNK_SIZE)
    assert declared_size.maximum == MAX_BLOCK_SIZE - 1024


@pytest.mark.parametrize("chunk_size", [MIN_CHUNK_SIZE, 1000, DEFAULT_CHUNK_SIZE, MAX_BLOCK_SIZE])
def test_manifest_with_all_the_children_it_may_have_fits_a_block(chunk_size: int) -> None:
    full = Manifest(1, span(1, chunk_size), chunk_size, digests(fanout(chunk_size)))
    assert len(full.encode()) <= chunk_size // 2 + 32 < MAX_BLOCK_SIZE


def test_manifest_tree_over_one_tebibyte_is_two_levels_of_small_blocks() -> None:
    assert fanout(DEFAULT_CHUNK_SIZE) == 4096
    assert span(1, DEFAULT_CHUNK_SIZE) == GIB
    assert root_level(TIB, DEFAULT_CHUNK_SIZE) == 2
    root = Manifest.decode_root(Manifest(2, TIB, DEFAULT_CHUNK_SIZE, digests(1024)).encode())
    assert len(root.encode()) < 33 * KIB
    assert {place for _, place in root.children()} == {Place(1, GIB, DEFAULT_CHUNK_SIZE)}
    assert Manifest(2, TIB + 1, DEFAULT_CHUNK_SIZE, digests(1025)).child(1024)[1].size == 1


@pytest.mark.parametrize(
    ("size", "level"), [(0, 1), (1, 1), (GIB, 1), (GIB + 1, 2), (4 * TIB, 2), (4 * TIB + 1, 3), (MAX_FILE_SIZE, 4)]
)
def test_root_level_is_the_lowest_that_covers_the_file(size: int, level: int) -> None:
    assert root_level(size, DEFAULT_CHUNK_SIZE) == level


def test_root_of_the_largest_file_in_the_smallest_chunks_is_valid() -> None:
    level = root_level(MAX_FILE_SIZE, MIN_CHUNK_SIZE)
    root = Manifest(level, MAX_FILE_SIZE, MIN_CHUNK_SIZE, digests(2))
    assert Manifest.decode_root(root.encode()) == root


def test_root_higher_than_its_size_asks_for_is_refused() -> None:
    tower = Manifest(2, 100, 128, digests(1)).encode()
    assert Manifest.decode(tower).level == 2
    with pytest.raises(ManifestError, match="a root for 100 bytes has level 1, not 2"):
        Manifest.decode_root(tower)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"chunk_size": MIN_CHUNK_SIZE - 1}, "chunk size 127 is not in 128 to 1048576"),
        ({"chunk_size": MAX_BLOCK_SIZE + 1}, "chunk size 1048577 is not in"),
        ({"size": -1}, "size -1 is not in 0 to"),
        ({"size": MAX_FILE_SIZE + 1}, "size 9223372036854775808 is not in"),
        ({"level": 0}, "level 0 is not in 1 to 63"),
        ({"level": 2**63}, "level 9223372036854775808 is not in"),
        ({"size": 0, "level": 2, "digests": b""}, "an empty manifest has level 1, not 2"),
        ({"size": 257}, "size 257 is more than a manifest of level 1 can cover"),
        ({"digests": b""}, "0 bytes of digests where the size asks for 2 digests"),
        ({"digests": bytes(63)}, "63 bytes of digests"),
        ({"digests": bytes(96)}, "96 bytes of digests"),
        ({"size": 128}, "64 bytes of digests where the size asks for 1"),
    ],
)
def test_manifest_that_contradicts_itself_is_refused(change: dict[str, int | bytes], why: str) -> None:
    good = Manifest(1, 200, 128, bytes(64))
    with pytest.raises(ManifestError, match=why):
        structs.replace(good, **change)


def pack(*fields: object) -> bytes:
    packed: bytes = msgpack.packb(fields)
    return packed


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "a manifest is a msgpack array of 5", id="nothing"),
        pytest.param(pack(1, 1, 200, 128), "a manifest is a msgpack array of 5", id="four"),
        pytest.param(pack(1, 1, 200, 128, bytes(64), 0), "a manifest is a msgpack array of 5", id="six"),
        pytest.param(
            pack(1, 1, 200, 128, bytes(64))[:-1],
            r"a manifest is \[version, level, size, chunk_size, digests\]",
            id="cut",
        ),
        pytest.param(pack(1, 1, 200, 128, bytes(64)) + b"\0", "not in its one encoding", id="trailing"),
        pytest.param(pack(2, 1, 200, 128, bytes(64)), "a manifest has version 2; this program knows 1", id="version"),
        pytest.param(pack(1, True, 200, 128, bytes(64)), r"a manifest is \[version", id="boolean"),
        pytest.param(pack(1, 1, 200.0, 128, bytes(64)), r"a manifest is \[version", id="float"),
        pytest.param(pack(1, 1, 200, 128, "a" * 64), "a manifest is not msgpack", id="text"),
        pytest.param(pack(1, 1, 200, 128, [[], []]), "a manifest is not msgpack", id="array"),
        pytest.param(
            b"\x95\x01\x01\xcc\xc8\xcc\x80\xc6\xff\xff\xff\xff", r"a manifest is \[version", id="claimed-length"
        ),
        pytest.param(
            b"\x95\x01\x01\xcd\x00\xc8\xcc\x80\xc4\x40" + bytes(64), "not in its one encoding", id="wide-integer"
        ),
        pytest.param(b"\x95\xc1", "a manifest is not msgpack", id="no-such-byte"),
        pytest.param(b"\x95" + b"\x91" * 100_000, "a manifest is not msgpack", id="nested"),
        pytest.param(b"\x95" + b"\x90" * 100_000, r"a manifest is \[version", id="many-arrays"),
        pytest.param(bytes(MAX_BLOCK_SIZE + 1), "a manifest has at most 1048576 bytes, not 1048577", id="too-long"),
    ],
)
def test_manifest_bytes_that_break_a_rule_are_refused_with_the_rule(data: bytes, why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        Manifest.decode(data)


def decodes_or_is_refused(data: bytes) -> None:
    try:
        manifest = Manifest.decode(data)
    except ManifestError:
        return
    assert manifest.encode() == data


@given(data=st.one_of(st.binary(), st.binary().map(lambda tail: b"\x95\x01\x01" + tail)))
def test_manifest_decoding_any_bytes_raises_nothing_but_its_error(data: bytes) -> None:
    decodes_or_is_refused(data)


@given(manifest=manifests(), where=st.integers(0, 2**16), byte=st.integers(0, 255), keep=st.integers(0, 2**16))
def test_manifest_with_damaged_bytes_is_refused_or_is_another_one(
    manifest: Manifest, where: int, byte: int, keep: int
) -> None:
    data = bytearray(manifest.encode())
    data[where % len(data)] = byte
    decodes_or_is_refused(bytes(data))
    decodes_or_is_refused(bytes(data[: keep % len(data)]))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=3,
)


@settings(max_examples=40)
@given(fields=st.lists(JUNK, min_size=5, max_size=5))
def test_manifest_of_any_five_values_raises_nothing_but_its_error(fields: list[object]) -> None:
    decodes_or_is_refused(pack(*fields))


CHILD = Manifest(1, 256, 128, digests(2))


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (Place(0, 100, 128), bytes(99), "a chunk has 99 bytes where its manifest says 100"),
        (Place(1, 255, 128), CHILD.encode(), "a manifest is for .*256.* where its parent says .*255"),
        (Place(2, 256, 128), CHILD.encode(), "where its parent says Place"),
        (Place(1, 256, 256), CHILD.encode(), "where its parent says Place"),
        (Place(1, 256, 128), bytes(128), "a manifest is a msgpack array"),
    ],
)
def test_place_refuses_a_block_that_does_not_fit_it(place: Place, value: bytes, why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        place.read(value)


def test_place_reads_a_manifest_that_fits_and_nothing_from_a_chunk() -> None:
    read: Callable[[bytes], Manifest | None] = CHILD.place.read
    assert read(CHILD.encode()) == CHILD
    assert Place(0, 100, 128).read(bytes(100)) is None
