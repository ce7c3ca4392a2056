"""What every storage of the address book promises, in memory or in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.actors.tracker import MemoryStorage, SqliteStorage, Storage, StorageError
from rookery.actors.tracker.address_book.storage import Batch, BlockEntry, Head
from rookery.transport.address import Address
from tests.tracker.address_book.books import NETWORK, WALL, entry, peer

Open = Callable[[], Storage]
NAMES = ("ada", "bob", "carol", "dave")


@pytest.fixture(params=["memory", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """`reopen()`: the storage, closed and opened again from the second call on."""
    memory = MemoryStorage()
    opened: list[Storage] = []

    def make() -> Storage:
        for before in opened:
            before.close()
        kept = memory if request.param == "memory" else SqliteStorage(tmp_path / "peers.db", network=NETWORK)
        opened.append(kept)
        return kept

    yield make
    for each in opened:
        each.close()


def test_storage_that_is_new_is_empty(reopen: Open) -> None:
    storage = reopen()
    assert (storage.head(), storage.peers(), storage.read([peer("ada")]).peers) == (Head(), (), ())
    assert storage.quarantined is None


def test_storage_gives_back_what_was_written_also_after_it_was_closed(reopen: Open) -> None:
    moved = entry("carol", address=Address.parse("tcp://10.0.0.2:9"))
    sparse = entry(
        "bob", signed=None, source=None, seen_at=None, failed_at=None, missed_at=None, reservable_at=None,
        retry_at=None, rest_until=None, delay=0.0,
    )  # fmt: skip
    blocks = (BlockEntry(str(peer("dave")), float("inf"), WALL), BlockEntry("10.0.0.0/24", WALL + 5, WALL))
    reopen().write(
        Batch(peers=(entry("ada"), sparse, moved), blocks=blocks, trust=((peer("carol"), True),), durable=True)
    )
    storage = reopen()
    assert set(storage.read(storage.peers()).peers) == {entry("ada"), sparse, moved}
    assert set(storage.head().blocks) == set(blocks)
    assert storage.head().trust == ((peer("carol"), True),)


def test_storage_names_the_most_lately_seen_first_and_reads_in_the_order_asked(reopen: Open) -> None:
    storage = reopen()
    seen = {"ada": WALL - 9, "bob": WALL, "carol": None, "dave": WALL - 5}
    storage.write(Batch(peers=tuple(entry(name, seen_at=at) for name, at in seen.items())))
    assert storage.peers() == tuple(peer(name) for name in ("bob", "dave", "ada", "carol"))
    asked = [peer(name) for name in ("ada", "nobody", "dave")]
    assert [found.peer for found in storage.read(asked).peers] == [peer("ada"), peer("dave")]


def test_storage_writes_the_same_twice_without_harm_and_a_newer_entry_over_an_older(reopen: Open) -> None:
    storage = reopen()
    for _ in range(2):
        storage.write(Batch(peers=(entry("ada"),), blocks=(BlockEntry("10.0.0.1", WALL + 5, WALL),)))
    storage.write(
        Batch(peers=(entry("ada", 8000, seen_at=None),), blocks=(BlockEntry("10.0.0.1", WALL + 9, WALL + 1),))
    )
    assert storage.read([peer("ada")]).peers == (entry("ada", 8000, seen_at=None),)
    assert storage.head().blocks == (BlockEntry("10.0.0.1", WALL + 9, WALL + 1),)


def test_storage_forgets_what_it_is_told_to_and_does_not_mind_strangers(reopen: Open) -> None:
    storage = reopen()
    block = BlockEntry(str(peer("ada")), WALL + 5, WALL)
    storage.write(Batch(peers=(entry("ada"), entry("bob")), blocks=(block,), trust=((peer("ada"), False),)))
    strangers = (peer("ada"), peer("nobody"))
    gone = tuple(map(str, strangers))
    storage.write(Batch(forgotten=strangers, unblocked=gone, trust=((peer("ada"), None), (peer("nobody"), None))))
    assert (storage.peers(), storage.head()) == ((peer("bob"),), Head())


_batches = st.lists(
    st.builds(
        Batch,
        peers=st.lists(st.builds(entry, st.sampled_from(NAMES), st.integers(1, 9)), max_size=3).map(tuple),
        forgotten=st.lists(st.sampled_from([peer(name) for name in NAMES]), max_size=1).map(tuple),
        blocks=st.lists(
            st.builds(BlockEntry, st.sampled_from(["10.0.0.1", "10.0.0.2"]), st.floats(0, 9e9), st.just(WALL)),
            max_size=2,
        ).map(tuple),
        unblocked=st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]), max_size=1).map(tuple),
        trust=st.lists(
            st.tuples(st.sampled_from([peer(name) for name in NAMES]), st.sampled_from([True, False, None])), max_size=1
        ).map(tuple),
        durable=st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=_batches)
def test_file_and_memory_hold_the_same_after_any_batches(
    tmp_path_factory: pytest.TempPathFactory, batches: list[Batch]
) -> None:
    memory, path = MemoryStorage(), tmp_path_factory.mktemp("book") / "peers.db"
    file = SqliteStorage(path, network=NETWORK)
    for batch in batches:
        memory.write(batch)
        file.write(batch)
    file.close()
    file = SqliteStorage(path, network=NETWORK)
    assert file.peers() == memory.peers()
    assert file.read(file.peers()) == memory.read(memory.peers())
    assert set(file.head().blocks) == set(memory.head().blocks)
    assert set(file.head().trust) == set(memory.head().trust)
    file.close()


def test_storage_in_a_file_that_is_closed_says_so(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "peers.db", network=NETWORK)
    storage.close()
    storage.close()
    for call in (storage.head, storage.peers, lambda: storage.write(Batch()), lambda: storage.read([peer("ada")])):
        with pytest.raises(StorageError, match=r"peers\.db is closed"):
            call()
