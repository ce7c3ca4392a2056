"""What every store promises (`rookery.actors.blobs.stores`), whatever it keeps its blocks in."""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.blobs.stores import Store, StoreError
from rookery.actors.blobs.stores.files import FileStore
from rookery.actors.blobs.stores.memory import MemoryStore


def key_of(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


@pytest.mark.parametrize("value", [b"", b"x", bytes(range(256)) * 4096], ids=["empty", "byte", "mebibyte"])
def test_store_after_put_gets_the_same_bytes(store: Store, value: bytes) -> None:
    store.put(key_of(value), value)
    assert store.get(key_of(value)) == value
    assert store.has(key_of(value))
    assert store.count() == 1


def test_store_asked_for_a_missing_block_answers_none(store: Store) -> None:
    assert store.get(key_of(b"x")) is None
    assert not store.has(key_of(b"x"))
    assert store.count() == 0


def test_store_when_a_block_is_put_twice_holds_it_once(store: Store) -> None:
    store.put(key_of(b"x"), b"x")
    store.put(key_of(b"x"), b"x")
    assert list(store.keys()) == [key_of(b"x")]
    assert store.count() == 1


def test_store_refuses_a_value_that_does_not_hash_to_its_key(store: Store) -> None:
    with pytest.raises(ValueError, match="a block of 5 bytes does not hash to its key"):
        store.put(key_of(b"true"), b"false")
    assert store.count() == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda store, key: store.get(key),
        lambda store, key: store.has(key),
        lambda store, key: store.delete(key),
        lambda store, key: store.put(key, b""),
    ],
    ids=["get", "has", "delete", "put"],
)
def test_store_refuses_a_key_of_the_wrong_length(store: Store, call: Callable[[Store, bytes], object]) -> None:
    with pytest.raises(ValueError, match=r"a key is 32 bytes \(a SHA-256 digest\), not 3"):
        call(store, b"abc")


def test_store_after_delete_has_no_such_block(store: Store) -> None:
    store.put(key_of(b"x"), b"x")
    store.put(key_of(b"y"), b"y")
    store.delete(key_of(b"x"))
    assert store.get(key_of(b"x")) is None
    assert list(store.keys()) == [key_of(b"y")]
    assert store.count() == 1


def test_store_when_a_missing_block_is_deleted_does_nothing(store: Store) -> None:
    store.delete(key_of(b"x"))
    assert store.count() == 0


def test_store_keys_are_in_ascending_order(store: Store) -> None:
    keys = [key_of(bytes([byte])) for byte in range(50)]
    for byte, key in enumerate(keys):
        store.put(key, bytes([byte]))
    assert list(store.keys()) == sorted(keys)


def test_store_keys_survive_deletion_under_way(store: Store) -> None:
    for byte in range(20):
        store.put(key_of(bytes([byte])), bytes([byte]))
    for key in iter(store.keys()):
        store.delete(key)
    assert list(store.keys()) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get(key_of(b"x")),
        lambda store: store.has(key_of(b"x")),
        lambda store: store.put(key_of(b"x"), b"x"),
        lambda store: store.delete(key_of(b"x")),
        lambda store: store.keys(),
        lambda store: store.count(),
    ],
    ids=["get", "has", "put", "delete", "keys", "count"],
)
def test_store_after_close_refuses_every_call(store: Store, call: Callable[[Store], object]) -> None:
    store.close()
    with pytest.raises(StoreError, match="closed"):
        call(store)


def test_store_closed_twice_does_not_mind(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.count()


def test_store_used_by_many_threads_at_once_counts_each_block_once(store: Store) -> None:
    values = [bytes([byte]) for byte in range(8)] * 8
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda value: store.put(key_of(value), value), values))
    assert store.count() == 8
    assert list(store.keys()) == sorted({key_of(value) for value in values})


ACTIONS = st.lists(st.tuples(st.sampled_from(["put", "delete"]), st.binary(max_size=2)), max_size=12)


@pytest.mark.parametrize("kind", ["memory", "files"])
@settings(max_examples=15, deadline=None)
@given(actions=ACTIONS)
def test_store_after_any_changes_agrees_with_a_dictionary(kind: str, actions: list[tuple[str, bytes]]) -> None:
    model: dict[bytes, bytes] = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _fd: None)  # when it syncs is another test's
        store: Store = MemoryStore() if kind == "memory" else FileStore(Path(folder) / "store")
        with contextlib.closing(store):
            for action, value in actions:
                if action == "put":
                    store.put(key_of(value), value)
                    model[key_of(value)] = value
                else:
                    store.delete(key_of(value))
                    model.pop(key_of(value), None)
            assert list(store.keys()) == sorted(model)
            assert store.count() == len(model)
            assert dict(zip(model, map(store.get, model), strict=True)) == model


def test_store_remembers_which_blocks_are_roots(store: Store) -> None:
    for value in (b"one", b"two"):
        store.put(key_of(value), value)
    store.mark(key_of(b"two"))
    store.mark(key_of(b"two"))
    assert list(store.marked()) == [key_of(b"two")]
    assert sorted(store.keys()) == sorted([key_of(b"one"), key_of(b"two")])
    assert store.count() == 2
    for _ in range(2):
        store.unmark(key_of(b"two"))
        assert list(store.marked()) == []
    assert store.has(key_of(b"two"))


def test_store_names_no_root_whose_block_is_missing(store: Store) -> None:
    store.mark(key_of(b"one"))
    store.put(key_of(b"two"), b"two")
    store.mark(key_of(b"two"))
    store.delete(key_of(b"two"))
    assert list(store.marked()) == []
    store.put(key_of(b"two"), b"two")
    assert list(store.marked()) == []
