"""The rules at the head of `rookery.actors.blobs.core.download`."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.blobs import (
    DEFAULT_CHUNK_SIZE,
    Accepted,
    Download,
    Manifest,
    Progress,
    Reason,
    Rejected,
    TreeBuilder,
    read_chunks,
    read_root,
    resume,
)
from rookery.actors.blobs.stores import Store
from rookery.actors.blobs.stores.memory import MemoryStore

UNKNOWN = hashlib.sha256(b"unknown").digest()


def put_bytes(data: bytes, store: MemoryStore, chunk_size: int = 128) -> bytes:
    tree = TreeBuilder(store, chunk_size)
    for start in range(0, len(data), chunk_size):
        tree.add(data[start : start + chunk_size])
    return tree.finish()


def noise(size: int) -> bytes:
    return hashlib.shake_256(b"noise").digest(size)


def block(store: Store, key: bytes) -> bytes:
    value = store.get(key)
    assert value is not None
    return value


def keep(store: MemoryStore, value: bytes) -> bytes:
    key = hashlib.sha256(value).digest()
    store.put(key, value)
    return key


def fetch_all(download: Download, source: MemoryStore, store: MemoryStore, limit: int = 4) -> list[bytes]:
    """Download as a node does: the own store first, then the source. The keys that were fetched, in order."""
    fetched: list[bytes] = []
    while keys := resume(download, store, limit):
        key = keys[0]
        assert download.accept(key, block(source, key)) == Accepted()
        store.put(key, block(source, key))
        fetched.append(key)
    return fetched


def test_download_with_a_generator_names_every_block_once_in_an_order_of_its_own(store: MemoryStore) -> None:
    key = put_bytes(noise(20_000), store)
    plain = fetch_all(Download(key), store, MemoryStore())
    orders = [fetch_all(Download(key, random.Random(seed)), store, MemoryStore()) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    for order in orders:
        assert order != plain
        assert sorted(order) == sorted(plain)


def test_download_wants_its_root_first_and_knows_no_total(store: MemoryStore) -> None:
    key = put_bytes(noise(1000), store)
    download = Download(key)
    assert download.wanted(10) == [key]
    assert download.progress == Progress(0, None)
    assert not download.complete


def test_download_after_the_root_knows_the_total(store: MemoryStore) -> None:
    key = put_bytes(noise(1000), store)
    download = Download(key)
    assert download.accept(key, block(store, key)) == Accepted()
    assert download.progress == Progress(0, 1000)


def test_download_of_an_empty_file_is_complete_after_its_root(store: MemoryStore) -> None:
    key = put_bytes(b"", store)
    download = Download(key)
    assert download.accept(key, block(store, key)) == Accepted()
    assert download.complete
    assert download.wanted(5) == []
    assert download.progress == Progress(0, 0)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(0, 4000),
    chunk_size=st.integers(128, 300),
    limit=st.integers(1, 9),
    alphabet=st.sampled_from([1, 3, 256]),
)
def test_download_with_blocks_in_any_order_completes_with_the_same_bytes(
    seed: int, size: int, chunk_size: int, limit: int, alphabet: int
) -> None:
    rng = random.Random(seed)
    chunks = [bytes([rng.randrange(alphabet)]) * chunk_size for _ in range(-(-size // chunk_size))]
    data = b"".join(chunks)[:size]
    source, store = MemoryStore(), MemoryStore()
    key = put_bytes(data, source, chunk_size)
    download = Download(key)
    fetched = set()
    while keys := resume(download, store, limit):
        assert len(keys) <= limit
        one = rng.choice(keys)
        assert one not in fetched
        fetched.add(one)
        before = download.progress.done
        assert download.accept(one, block(source, one)) == Accepted()
        assert download.progress.done >= before
        store.put(one, block(source, one))
    assert download.complete
    assert download.progress == Progress(size, size)
    assert fetched == set(source.keys())
    assert b"".join(read_chunks(read_root(key, store), store)) == data


def test_download_wanted_goes_on_naming_a_block_until_it_is_there(store: MemoryStore) -> None:
    key = put_bytes(noise(256), store)
    download = Download(key)
    download.accept(key, block(store, key))
    first, second = download.wanted(5)
    assert download.wanted(5) == [first, second]
    download.accept(second, block(store, second))
    assert download.wanted(5) == [first]


def test_download_wanted_never_names_more_than_the_limit(store: MemoryStore) -> None:
    download = Download(put_bytes(noise(6000), store))
    for limit in (7, 3, 1):
        while len(keys := download.wanted(limit)) < limit:
            download.accept(keys[0], block(store, keys[0]))
        assert len(keys) == limit
    assert download.wanted(0) == []


@pytest.mark.parametrize("pick", [0, -1], ids=["first", "last"])
def test_download_walks_the_tree_lazily_with_chunks_before_further_manifests(store: MemoryStore, pick: int) -> None:
    key = put_bytes(noise(256 * 256), store, 256)
    assert read_root(key, store).level == 4
    download = Download(key)
    most = 0
    while keys := download.wanted(3):
        download.accept(keys[pick], block(store, keys[pick]))
        most = max(most, len(download._walk))
    assert download.complete
    assert most <= 1 + 3 * 3  # of 85 manifests


def test_download_wants_a_chunk_that_comes_many_times_once(store: MemoryStore) -> None:
    source = MemoryStore()
    data = b"a" * 128 * 5 + noise(128) + b"a" * 128 * 20
    key = put_bytes(data, source)
    download = Download(key)
    fetched = fetch_all(download, source, store)
    assert len(fetched) == len(set(fetched))
    assert fetched.count(hashlib.sha256(b"a" * 128).digest()) == 1
    assert download.progress == Progress(len(data), len(data))


def test_download_of_one_tebibyte_of_zeros_is_complete_after_three_blocks(store: MemoryStore) -> None:
    chunk = keep(store, bytes(DEFAULT_CHUNK_SIZE))
    leaf = keep(store, Manifest(1, 2**30, DEFAULT_CHUNK_SIZE, chunk * 4096).encode())
    root = keep(store, Manifest(2, 2**40, DEFAULT_CHUNK_SIZE, leaf * 1024).encode())
    download = Download(root)
    assert fetch_all(download, store, MemoryStore(), limit=64) == [root, leaf, chunk]
    assert download.complete
    assert download.progress == Progress(2**40, 2**40)


def test_download_same_block_as_chunk_and_as_manifest_serves_both(store: MemoryStore) -> None:
    leaf = Manifest(1, 256, 128, keep(store, b"a" * 128) + keep(store, b"b" * 128)).encode()
    assert len(leaf) < 128
    both = keep(store, leaf)
    last = keep(store, Manifest(1, len(leaf), 128, both).encode())
    root = keep(store, Manifest(2, 256 + len(leaf), 128, both + last).encode())
    download = Download(root)
    fetched = fetch_all(download, store, MemoryStore(), limit=8)
    assert download.complete
    assert download.progress.done == 256 + len(leaf)
    assert len(fetched) == 5


# Verdicts


def test_download_given_a_false_value_rejects_it_and_still_wants_the_block(store: MemoryStore) -> None:
    key = put_bytes(noise(1000), store)
    download = Download(key)
    assert download.accept(key, b"lie") == Rejected(Reason.FALSE)
    assert download.wanted(1) == [key]
    assert download.failure is None
    assert download.accept(key, block(store, key)) == Accepted()


def test_download_given_a_block_it_does_not_want_blames_nobody(store: MemoryStore) -> None:
    key = put_bytes(noise(100), store)
    download = Download(key)
    assert download.accept(UNKNOWN, b"unknown") == Rejected(Reason.UNWANTED)
    download.accept(key, block(store, key))
    assert download.accept(key, block(store, key)) == Rejected(Reason.UNWANTED)
    assert download.accept(key, b"late and false") == Rejected(Reason.UNWANTED)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"no manifest", "a manifest is a msgpack array"),
        (Manifest(2, 100, 128, UNKNOWN).encode(), "a root for 100 bytes has level 1, not 2"),
    ],
)
def test_download_whose_root_is_broken_fails_for_good(value: bytes, why: str) -> None:
    key = hashlib.sha256(value).digest()
    download = Download(key)
    assert download.accept(key, value) == Rejected(Reason.BROKEN)
    assert download.failure is not None
    assert f"block {key.hex()}: {why}" in download.failure
    assert download.wanted(5) == []
    assert not download.complete


def test_download_whose_chunk_has_not_the_promised_length_fails_for_good(store: MemoryStore) -> None:
    short = keep(store, b"short")
    root = keep(store, Manifest(1, 256, 128, short + UNKNOWN).encode())
    download = Download(root)
    download.accept(root, block(store, root))
    assert download.wanted(1) == [short]
    assert download.accept(short, b"short") == Rejected(Reason.BROKEN)
    assert download.failure is not None
    assert "a chunk has 5 bytes where its manifest says 128" in download.failure
    assert download.wanted(5) == []


def test_download_whose_chunk_stands_at_places_of_two_lengths_fails_for_good(store: MemoryStore) -> None:
    chunk = keep(store, b"a" * 128)
    root = keep(store, Manifest(1, 200, 128, chunk + chunk).encode())
    download = Download(root)
    download.accept(root, block(store, root))
    assert download.wanted(5) == [chunk]
    assert download.accept(chunk, b"a" * 128) == Rejected(Reason.BROKEN)
    assert download.progress.done == 0


def test_download_with_a_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a key is 32 bytes"):
        Download(b"short")


# Resuming


def test_download_resumes_with_what_the_store_has(store: MemoryStore) -> None:
    source = MemoryStore()
    data = noise(5000)
    key = put_bytes(data, source)
    interrupted = Download(key)
    for _ in range(20):
        one = resume(interrupted, store, 4)[-1]
        interrupted.accept(one, block(source, one))
        store.put(one, block(source, one))
    before = set(store.keys())
    resumed = Download(key)
    fetched = fetch_all(resumed, source, store)
    assert resumed.complete
    assert resumed.progress == Progress(5000, 5000)
    assert not before & set(fetched)
    assert before | set(fetched) == set(source.keys())


def test_download_of_a_file_the_store_has_needs_nothing(store: MemoryStore) -> None:
    download = Download(put_bytes(noise(5000), store))
    assert resume(download, store, 3) == []
    assert download.complete
    assert download.progress == Progress(5000, 5000)


def test_download_present_takes_a_chunk_but_needs_the_bytes_of_a_manifest(store: MemoryStore) -> None:
    key = put_bytes(noise(200), store)
    download = Download(key)
    assert not download.present(key)
    download.accept(key, block(store, key))
    first, second = download.wanted(2)
    assert download.present(first)
    assert not download.present(first)
    assert download.progress == Progress(128, 200)
    assert download.present(second)
    assert download.complete


def test_download_resumed_over_a_false_manifest_in_the_store_fetches_it_again() -> None:
    class Trusting(MemoryStore):
        lies: dict[bytes, bytes]

        def get(self, key: bytes) -> bytes | None:
            return self.lies.get(key) or super().get(key)

        def delete(self, key: bytes) -> None:
            super().delete(key)
            self.lies.pop(key)

    store = Trusting()
    key = put_bytes(noise(100), store)
    store.lies = {key: b"damaged"}
    download = Download(key)
    assert resume(download, store, 3) == [key]
    assert not store.has(key)


def test_download_resumed_over_a_block_that_turns_out_damaged_fetches_it() -> None:
    class Damaged(MemoryStore):
        def get(self, key: bytes) -> bytes | None:
            return None

    store = Damaged()
    key = put_bytes(noise(100), store)
    assert resume(Download(key), store, 3) == [key]
