"""The memory store's bound."""

import hashlib

import pytest

from rookery.actors.blobs.stores import StoreFull
from rookery.actors.blobs.stores.memory import MemoryStore


def put(store: MemoryStore, value: bytes) -> bytes:
    key = hashlib.sha256(value).digest()
    store.put(key, value)
    return key


def test_memory_store_at_its_bound_refuses_a_block_and_keeps_the_others() -> None:
    store = MemoryStore(max_bytes=10)
    key = put(store, b"12345678")
    with pytest.raises(StoreFull, match="it holds 8 of at most 10 bytes, and a block of 3 does not fit"):
        put(store, b"abc")
    assert list(store.keys()) == [key]
    assert store.size == 8


def test_memory_store_takes_a_block_that_fits_exactly() -> None:
    store = MemoryStore(max_bytes=3)
    put(store, b"abc")
    assert store.size == 3


def test_memory_store_when_full_takes_a_block_it_has() -> None:
    store = MemoryStore(max_bytes=3)
    key = put(store, b"abc")
    assert put(store, b"abc") == key
    assert store.size == 3


def test_memory_store_after_delete_has_room_again() -> None:
    store = MemoryStore(max_bytes=3)
    store.delete(put(store, b"abc"))
    assert store.get(put(store, b"def")) == b"def"


def test_memory_store_refuses_a_negative_bound() -> None:
    with pytest.raises(ValueError, match="zero or more, not -1"):
        MemoryStore(max_bytes=-1)
