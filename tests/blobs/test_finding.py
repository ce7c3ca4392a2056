"""Files that are told of, and looked for: the blobs engine beside mocked providers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rookery.actors import blobs, providers
from rookery.actors.blobs import BlobKey, GetTimedOut, NobodyHasIt
from rookery.actors.blobs.stores import Store
from rookery.actors.blobs.stores.files import FileStore
from rookery.actors.blobs.stores.memory import MemoryStore
from rookery.actors.providers import (
    EndSearch,
    Progress,
    Provide,
    Result,
    Search,
    SearchEnded,
    SearchProgress,
    Withdraw,
)
from rookery.actors.providers.core.search.lookup import Found
from rookery.transport import PeerId

from .rig import Rig, noise, put_bytes

NOBODY = Result((), 3, 3, 120, 120, 120)


class Searched(Rig):
    """A rig whose engine has providers."""

    def __init__(self, simulation: Any, store: Store | None = None, **settings: Any) -> None:
        self.providers = simulation.mock(providers.Mailbox)
        super().__init__(simulation, store, providers=self.providers, **settings)

    def told(self, kind: type[Any]) -> list[bytes]:
        self.simulation.settle()
        found: list[bytes] = []
        for message in self.providers.control.received(kind):
            assert message.channel == 1
            found += message.keys if isinstance(message, Provide | Withdraw) else [message.data_key]
        return found

    def nobody(self, root: bytes) -> None:
        self.blobs.tell(SearchEnded(1, root, NOBODY, 5.0))
        self.simulation.settle()


@pytest.fixture
def searched(simulation: Any) -> Searched:
    return Searched(simulation)


def test_file_that_is_put_is_provided(searched: Searched, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(noise(300))
    root = searched.blobs.put(tmp_path / "file").get(timeout=1)
    assert searched.told(Provide) == [root]
    assert list(searched.store.marked()) == [root]


def test_file_that_is_fetched_is_searched_for_until_it_is_here_and_then_provided(
    searched: Searched, tmp_path: Path
) -> None:
    root = put_bytes(noise(1000), searched.source)
    reply = searched.blobs.get(root, tmp_path / "copy")
    assert searched.told(Search) == [root]
    while not reply.done:
        for key in searched.fetched():
            assert searched.told(EndSearch) == []
            searched.verdict(key)
        searched.simulation.run(for_=0.1)
    assert searched.told(Search) == searched.told(EndSearch) == searched.told(Provide) == [root]


def test_file_that_is_here_already_is_not_searched_for(searched: Searched, tmp_path: Path) -> None:
    root = put_bytes(noise(1000), searched.store)
    searched.blobs.get(root, tmp_path / "copy").get(timeout=1)
    assert searched.told(Search) == []
    assert searched.told(Provide) == [root]


def test_file_that_nobody_waits_for_any_more_is_not_searched_for(searched: Searched, tmp_path: Path) -> None:
    root = BlobKey(noise(32))
    searched.blobs.get(root, tmp_path / "copy")
    searched.told(Search)
    searched.blobs.cancel(root).get(timeout=1)
    assert searched.told(EndSearch) == [root]
    assert searched.told(Provide) == []


def test_files_that_are_here_when_the_node_starts_are_provided(simulation: Any) -> None:
    store = MemoryStore()
    roots = {put_bytes(noise(1000, seed), store) for seed in (b"one", b"two")}
    put_bytes(noise(1000, b"in parts"), store)
    for root in roots:
        store.mark(root)
    assert set(Searched(simulation, store).told(Provide)) == roots


def provided(searched: Searched, tmp_path: Path) -> tuple[BlobKey, list[bytes]]:
    """A file that is provided; its root and its other blocks."""
    (tmp_path / "file").write_bytes(noise(1000))
    root = searched.blobs.put(tmp_path / "file").get(timeout=1)
    assert searched.told(Provide) == [root]
    return root, sorted(set(searched.store.keys()) - {root})


def test_file_whose_root_is_lost_is_taken_back_when_somebody_asks_for_it(searched: Searched, tmp_path: Path) -> None:
    root, _ = provided(searched, tmp_path)
    searched.store.delete(root)
    assert searched.blobs.produce(root).get(timeout=1) is None
    assert searched.told(Withdraw) == [root]
    assert searched.count("lost_files_total") == 1
    searched.blobs.produce(root).get(timeout=1)
    assert searched.told(Withdraw) == [root]


def test_file_whose_root_is_damaged_on_the_disk_is_taken_back_when_somebody_asks_for_it(
    simulation: Any, tmp_path: Path
) -> None:
    there = Searched(simulation, FileStore(tmp_path / "store"))
    root, _ = provided(there, tmp_path)
    (path,) = (tmp_path / "store").glob(f"*/{root.hex()}")
    path.write_bytes(b"something else")
    assert there.blobs.produce(root).get(timeout=1) is None
    assert there.told(Withdraw) == [root]


def test_file_of_which_a_block_is_lost_is_taken_back_when_somebody_fetches_it(
    searched: Searched, tmp_path: Path
) -> None:
    root, (block, *_) = provided(searched, tmp_path)
    searched.store.delete(block)
    assert searched.blobs.produce(block).get(timeout=1) is None
    assert searched.told(Withdraw) == [], "it may be of anything"
    assert searched.blobs.produce(root).get(timeout=1) is not None
    assert searched.blobs.produce(block).get(timeout=1) is None
    assert searched.told(Withdraw) == [root]
    assert list(searched.store.marked()) == []


def test_file_that_is_whole_is_looked_at_rarely_though_others_ask_for_what_is_not_here(
    searched: Searched, tmp_path: Path
) -> None:
    root, (block, *_) = provided(searched, tmp_path)
    looked: list[bytes] = []
    whole = searched.store.has
    searched.store.has = lambda key: (looked.append(key), whole(key))[1]  # type: ignore[func-returns-value,method-assign]
    for _ in range(5):
        searched.blobs.produce(root).get(timeout=1)
        searched.blobs.produce(noise(32)).get(timeout=1)
        searched.simulation.run(for_=60)
    assert looked.count(root) == 1
    assert searched.told(Withdraw) == []
    searched.simulation.run(for_=600)
    searched.blobs.produce(root).get(timeout=1)
    searched.store.delete(block)
    searched.simulation.run(for_=61)
    searched.blobs.produce(block).get(timeout=1)
    assert looked.count(root) == 1, "that was not what was given last"
    searched.blobs.produce(root).get(timeout=1)
    searched.blobs.produce(block).get(timeout=1)
    assert searched.told(Withdraw) == [root]


def test_one_file_is_looked_at_at_a_time_and_the_one_that_was_given_last_is_the_first(
    searched: Searched, tmp_path: Path
) -> None:
    one, (lost, *_) = provided(searched, tmp_path)
    (tmp_path / "file").write_bytes(noise(2000, b"another"))
    other = searched.blobs.put(tmp_path / "file").get(timeout=1)
    searched.store.delete(lost)
    for root in (one, other):
        searched.blobs.produce(root).get(timeout=1)
    for _ in range(3):
        searched.blobs.produce(lost).get(timeout=1)
        assert searched.told(Withdraw) == []
    searched.simulation.run(for_=10)
    searched.blobs.produce(lost).get(timeout=1)
    assert searched.told(Withdraw) == [one]


def test_file_that_is_found_lacking_here_is_taken_back_and_provided_again_once_it_is_whole(
    searched: Searched, tmp_path: Path
) -> None:
    root, (block, *_) = provided(searched, tmp_path)
    value = searched.store.get(block)
    assert value is not None
    searched.store.delete(block)
    reply = searched.blobs.get(root, tmp_path / "copy")
    assert searched.told(Withdraw) == searched.told(Search) == [root]
    searched.deliver(block, value)
    reply.get(timeout=1)
    assert searched.told(Provide) == [root, root]


def test_file_that_was_marked_before_the_node_started_is_taken_back_too(simulation: Any) -> None:
    store = MemoryStore()
    root = put_bytes(noise(1000), store)
    store.mark(root)
    there = Searched(simulation, store)
    assert there.told(Provide) == [root]
    store.delete(root)
    there.blobs.produce(root).get(timeout=1)
    assert there.told(Withdraw) == [root]


def test_get_that_does_not_wait_ends_when_nobody_has_the_file(searched: Searched, tmp_path: Path) -> None:
    root = BlobKey(noise(32))
    waiting = searched.blobs.get(root, tmp_path / "one")
    asking = searched.blobs.get(root, tmp_path / "two", wait=False)
    searched.simulation.settle()
    searched.nobody(root)
    with pytest.raises(NobodyHasIt, match="asked 3 index members and 120 of 120 members; nobody has it"):
        asking.get(timeout=1)
    assert not waiting.done


def test_get_that_does_not_wait_goes_on_once_its_root_came(searched: Searched, tmp_path: Path) -> None:
    root = put_bytes(noise(1000), searched.source)
    asking = searched.blobs.get(root, tmp_path / "copy", wait=False)
    assert searched.fetched() == [root]
    searched.verdict(root)
    searched.nobody(root)
    assert not asking.done


def test_get_that_does_not_wait_ends_though_its_root_came_if_nothing_more_does(
    searched: Searched, tmp_path: Path
) -> None:
    root = put_bytes(noise(1000), searched.source)
    asking = searched.blobs.get(root, tmp_path / "copy", wait=False)
    assert searched.fetched() == [root]
    searched.verdict(root)
    searched.nobody(root)
    searched.nobody(root)
    with pytest.raises(NobodyHasIt):
        asking.get(timeout=1)


def test_get_that_does_not_wait_ends_if_those_who_say_that_they_have_the_file_give_nothing(
    searched: Searched, tmp_path: Path
) -> None:
    root = BlobKey(noise(32))
    asking = searched.blobs.get(root, tmp_path / "copy", wait=False)
    holders = (Found(PeerId(noise(32, b"peer")), None),)
    for whole in (False, True, False):
        searched.blobs.tell(SearchEnded(1, root, Result(holders, 3, 3, 120, 120, 120, whole=whole), 5.0))
    searched.simulation.settle()
    assert not asking.done
    searched.blobs.tell(SearchEnded(1, root, Result(holders, 3, 3, 120, 120, 120, whole=True), 5.0))
    searched.simulation.settle()
    with pytest.raises(NobodyHasIt, match="asked 3 index members and 120 of 120 members; 1 holder"):
        asking.get(timeout=1)


def test_get_that_does_not_wait_goes_on_where_no_member_was_asked(searched: Searched, tmp_path: Path) -> None:
    root = BlobKey(noise(32))
    asking = searched.blobs.get(root, tmp_path / "copy", wait=False)
    for _ in range(3):
        searched.blobs.tell(SearchEnded(1, root, Result((), 3, 3), 5.0))
    searched.simulation.settle()
    assert not asking.done


def test_get_whose_time_is_over_says_who_was_asked(searched: Searched, tmp_path: Path) -> None:
    root = BlobKey(noise(32))
    reply = searched.blobs.get(root, tmp_path / "copy", timeout=9)
    searched.simulation.settle()
    searched.nobody(root)
    searched.simulation.run(for_=10)
    with pytest.raises(GetTimedOut, match=r"came from nobody; asked 3 index members and 120 of 120 members"):
        reply.get(timeout=1)


def test_get_whose_time_is_over_names_the_holders_that_cannot_be_reached_with_the_reason(
    searched: Searched, tmp_path: Path
) -> None:
    root = BlobKey(noise(32))
    reply = searched.blobs.get(root, tmp_path / "copy", timeout=9)
    searched.simulation.settle()
    far, there = (PeerId(noise(32, name)) for name in (b"far", b"there"))
    holders = (Found(far, None), Found(there, None))
    searched.blobs.tell(SearchEnded(1, root, Result(holders, 3, 3), 5.0))
    for unreached in ((), ((far, "timeout"),)):
        searched.blobs.tell(SearchProgress(1, root, Progress("fetching", 2, 1, None, unreached)))
    searched.simulation.run(for_=10)
    with pytest.raises(GetTimedOut, match=rf"asked 3 index members; 2 holders; {far.short} cannot be reached: timeout"):
        reply.get(timeout=1)


def test_end_of_a_search_for_something_else_changes_nothing(searched: Searched, tmp_path: Path) -> None:
    root = BlobKey(noise(32))
    reply = searched.blobs.get(root, tmp_path / "copy", wait=False)
    searched.simulation.settle()
    searched.blobs.tell(SearchEnded(16, root, NOBODY, 5.0))
    searched.nobody(noise(32, b"another"))
    assert not reply.done


def test_node_without_providers_looks_for_nobody(rig: Rig, tmp_path: Path) -> None:
    root = put_bytes(noise(1000), rig.source)
    reply = rig.blobs.get(root, tmp_path / "copy")
    while not reply.done:
        for key in rig.fetched():
            rig.verdict(key)
        rig.simulation.run(for_=0.1)
    assert list(rig.store.marked()) == [root]
    assert blobs.NobodyHasIt is NobodyHasIt
