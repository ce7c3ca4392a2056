"""The rules at the head of `rookery.actors.blobs.parts.chunking`."""

import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.blobs import (
    DEFAULT_CHUNK_SIZE,
    MAX_BLOCK_SIZE,
    Manifest,
    SourceError,
    TreeBuilder,
    check_source,
    put_file,
)
from rookery.actors.blobs.core.manifest import root_level, span
from rookery.actors.blobs.parts.paths import Found
from rookery.actors.blobs.parts.writing import read_chunks, read_root
from rookery.actors.blobs.stores import StoreFull
from rookery.actors.blobs.stores.memory import MemoryStore


def put_bytes(data: bytes, store: MemoryStore, chunk_size: int) -> bytes:
    tree = TreeBuilder(store, chunk_size)
    for start in range(0, len(data), chunk_size):
        tree.add(data[start : start + chunk_size])
    return tree.finish()


def test_put_file_stores_chunks_and_a_root_that_lists_them(store: MemoryStore, tmp_path: Path) -> None:
    chunks = [b"a" * 128, b"b" * 128, b"c" * 7]
    (tmp_path / "file").write_bytes(b"".join(chunks[:2]))
    (tmp_path / "longer").write_bytes(b"".join(chunks))
    digests = [hashlib.sha256(chunk).digest() for chunk in chunks]
    root = Manifest(1, 256, 128, b"".join(digests[:2])).encode()
    key = put_file(tmp_path / "file", store, chunk_size=128)
    assert key == hashlib.sha256(root).digest()
    assert sorted(store.keys()) == sorted([key, *digests[:2]])
    longer = read_root(put_file(tmp_path / "longer", store, chunk_size=128), store)
    assert (longer.level, longer.size, len(longer)) == (2, 263, 2)


def test_put_file_of_an_empty_file_stores_a_root_alone(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    key = put_file(tmp_path / "empty", store)
    assert list(store.keys()) == [key]
    assert read_root(key, store) == Manifest(1, 0, DEFAULT_CHUNK_SIZE, b"")


def test_put_file_of_the_same_bytes_gives_the_same_key_whatever_the_name(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")
    (tmp_path / "c").write_bytes(b"Same")
    a, b, c = (put_file(tmp_path / name, store) for name in "abc")
    assert a == b != c


@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, 3000), chunk_size=st.integers(128, 300))
def test_tree_of_any_size_has_the_lowest_root_and_gives_the_bytes_back(size: int, chunk_size: int) -> None:
    data = hashlib.shake_256(b"file").digest(size)
    store = MemoryStore()
    root = read_root(put_bytes(data, store, chunk_size), store)
    assert root.size == size
    assert root.level == root_level(size, chunk_size)
    assert b"".join(read_chunks(root, store)) == data


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_tree_at_the_edge_of_a_level_gives_the_bytes_back(store: MemoryStore, level: int, extra: int) -> None:
    data = hashlib.shake_256(b"edge").digest(span(level, 256) + extra)
    root = read_root(put_bytes(data, store, 256), store)
    assert root.level == level + (extra > 0)
    assert b"".join(read_chunks(root, store)) == data


def test_put_file_stores_children_before_the_manifest_that_lists_them(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(hashlib.shake_256(b"order").digest(5000))
    order: list[bytes] = []

    class Recording(MemoryStore):
        def put(self, key: bytes, value: bytes) -> None:
            order.append(key)
            super().put(key, value)

    store = Recording()
    key = put_file(tmp_path / "file", store, chunk_size=128)
    assert order[-1] == key
    parents = {child: key for key, manifest in manifests_below(key, store) for child, _ in manifest.children()}
    assert len(parents) == len(order) - 1
    assert all(order.index(child) < order.index(parent) for child, parent in parents.items())


def manifests_below(key: bytes, store: MemoryStore) -> list[tuple[bytes, Manifest]]:
    value = store.get(key)
    assert value is not None
    manifest = Manifest.decode(value)
    found = [(key, manifest)]
    for child, place in manifest.children():
        if place.level > 0:
            found += manifests_below(child, store)
    return found


def test_put_file_holds_a_small_part_of_the_file_in_memory(tmp_path: Path) -> None:
    class Forgetting(MemoryStore):
        def put(self, key: bytes, value: bytes) -> None:
            assert len(value) <= MAX_BLOCK_SIZE

    with open(tmp_path / "file", "wb") as file:
        file.truncate(32 * 2**20)
    tracemalloc.start()
    try:
        put_file(tmp_path / "file", Forgetting(), chunk_size=64 * 1024)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_put_file_when_the_store_is_full_says_so_and_stores_no_root(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(hashlib.shake_256(b"full").digest(1000))
    store = MemoryStore(max_bytes=500)
    with pytest.raises(StoreFull):
        put_file(tmp_path / "file", store, chunk_size=128)
    assert store.size <= 500


@pytest.mark.parametrize("chunk_size", [127, 2**20 + 1, 0, -5])
def test_put_file_with_a_chunk_size_out_of_range_is_refused(
    store: MemoryStore, tmp_path: Path, chunk_size: int
) -> None:
    with pytest.raises(ValueError, match=f"a chunk size is 128 to 1048576 bytes, not {chunk_size}"):
        put_file(tmp_path / "file", store, chunk_size=chunk_size)


def test_put_file_of_a_missing_file_names_it(store: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"cannot read {tmp_path}/none: No such file") as caught:
        put_file(tmp_path / "none", store)
    assert caught.value.path == str(tmp_path / "none")


def test_put_file_of_a_folder_or_a_pipe_is_refused_at_once(store: MemoryStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SourceError, match=f"cannot read {path}: it is not a regular file"):
            put_file(path, store)


def test_put_file_that_may_not_be_read_says_so(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(SourceError, match=r"cannot read .*file: Permission denied"):
        put_file(tmp_path / "file", store)


def test_put_file_that_grows_meanwhile_is_put_as_long_as_it_was(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(300))

    class Appending(MemoryStore):
        def put(self, key: bytes, value: bytes) -> None:
            with open(tmp_path / "log", "ab") as file:
                file.write(b"one line more\n")
            super().put(key, value)

    appending = Appending()
    assert read_root(put_file(tmp_path / "log", appending, chunk_size=128), appending).size == 300


def test_put_file_that_became_shorter_meanwhile_is_refused_and_has_no_root(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(2**20))

    class Cutting(MemoryStore):
        def put(self, key: bytes, value: bytes) -> None:
            os.truncate(tmp_path / "file", 2**19 + 5)
            super().put(key, value)

    with pytest.raises(SourceError, match=f"it became shorter while it was read: {2**19 + 5} bytes of {2**20}"):
        put_file(tmp_path / "file", Cutting(), chunk_size=2**18)


def test_put_file_that_has_more_than_its_size_says_is_refused(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"data")
    whole = os.fstat

    def empty(fd: int) -> os.stat_result:
        return os.stat_result((*whole(fd)[:6], 0, *whole(fd)[7:]))

    monkeypatch.setattr(os, "fstat", empty)
    with pytest.raises(SourceError, match="it has more bytes than its size says, which is 0"):
        put_file(tmp_path / "file", store)
    assert store.count() == 0


def test_put_file_other_than_the_one_that_was_seen_is_refused(store: MemoryStore, tmp_path: Path) -> None:
    for name in ("file", "other"):
        (tmp_path / name).write_bytes(b"data")
    seen = check_source(tmp_path / "file")
    put_file(tmp_path / "file", store, seen=seen)
    os.replace(tmp_path / "other", tmp_path / "file")
    with pytest.raises(SourceError, match="the node finds another file there than its caller: it was replaced"):
        put_file(tmp_path / "file", store, seen=seen)
    (tmp_path / "file").unlink()
    with pytest.raises(SourceError, match="No such file or directory; its caller does see it: it was replaced"):
        put_file(tmp_path / "file", store, seen=seen)


def test_put_file_that_became_a_pipe_or_a_link_since_it_was_looked_at_is_refused_at_once(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    before = os.lstat(tmp_path / "file")
    for name, why in (("pipe", "it is not a regular file"), ("link", "Too many levels of symbolic links")):
        with monkeypatch.context() as patch:
            patch.setattr("rookery.actors.blobs.parts.chunking.resolve", lambda path: Found(path, before))
            with pytest.raises(SourceError, match=why):
                put_file(tmp_path / name, store)
