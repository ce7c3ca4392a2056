"""Files that are told of, and looked for: the blobs engine beside mocked providers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rookery.actors import blobs, providers
from rookery.actors.blobs import BlobKey, GetTimedOut, NobodyHasIt
from rookery.actors.blobs.stores.memory import MemoryStore
from rookery.actors.providers import EndSearch, Provide, Result, Search, SearchEnded
from rookery.actors.providers.core.search.lookup import Found
from rookery.transport import PeerId

from .rig import Rig, noise, put_bytes

NOBODY = Result((), 3, 3, 120, 120, 120)


class Searched(Rig):
    """A rig whose engine has providers."""

    def __init__(self, simulation: Any, store: MemoryStore | None = None, **settings: Any) -> None:
        self.providers = simulation.mock(providers.Mailbox)
        super().__init__(simulation, store, providers=self.providers, **settings)

    def told(self, kind: type[Any]) -> list[bytes]:
        self.simulation.settle()
        found: list[bytes] = []
        for message in self.providers.control.received(kind):
            assert message.channel == 1
            found += message.keys if isinstance(message, Provide) else [message.data_key]
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
