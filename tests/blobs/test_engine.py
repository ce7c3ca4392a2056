"""The blobs engine against a mock resolver: putting and getting."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rookery.actors import resolver
from rookery.actors.blobs import (
    DestinationError,
    GetCancelled,
    SourceError,
    StorageFailed,
)
from rookery.actors.blobs.stores import StoreFull
from rookery.actors.blobs.stores.files import FileStore
from rookery.actors.blobs.stores.memory import MemoryStore
from rookery.actors.resolver import Outcome

from .rig import CHUNK, UNKNOWN, Rig, noise, put_bytes

# Putting -------------------------------------------------------------------------------------------------------------


def test_put_answers_the_key_under_which_another_node_gets_the_same_bytes(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(noise(1000))
    key = rig.blobs.put(tmp_path / "file").get(timeout=1)
    assert key == put_bytes(noise(1000), rig.source)
    assert set(rig.store.keys()) == set(rig.source.keys())
    assert rig.blobs.has(key).get(timeout=1)
    assert rig.count("puts_total", "done") == 1


def test_put_is_counted_before_it_is_answered(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(noise(1000))
    counts: list[float] = []
    rig.blobs.put(tmp_path / "file").then(lambda _reply: counts.append(rig.count("puts_total", "done")))
    rig.simulation.settle()
    assert counts == [1]


def test_put_of_a_missing_file_is_declined_and_the_engine_lives_on(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*nowhere: No such file"):
        rig.blobs.put(tmp_path / "nowhere").get(timeout=1)
    rig.simulation.settle()
    assert rig.count("puts_total", "SourceError") == 1
    assert not rig.blobs.has(UNKNOWN).get(timeout=1)


def test_put_into_a_full_store_is_declined_with_the_stores_words(simulation: Any, tmp_path: Path) -> None:
    rig = Rig(simulation, MemoryStore(max_bytes=100))
    (tmp_path / "file").write_bytes(noise(1000))
    with pytest.raises(StorageFailed, match="the memory store is full") as caught:
        rig.blobs.put(tmp_path / "file").get(timeout=1)
    assert isinstance(caught.value.__cause__, StoreFull)


# Getting -------------------------------------------------------------------------------------------------------------


def test_get_fetches_every_block_once_and_writes_the_file(rig: Rig, tmp_path: Path) -> None:
    data = noise(5000)
    key = put_bytes(data, rig.source)
    reply = rig.blobs.get(key, tmp_path / "copy")
    served = rig.serve()
    report = reply.get(timeout=1)
    assert (tmp_path / "copy").read_bytes() == data
    assert sorted(served) == list(rig.source.keys())
    assert (report.key, report.size) == (key, 5000)
    assert report.fetched == rig.source.size
    assert report.served == ((rig.peer("bob"), rig.source.size),)
    assert report.false == ()
    assert rig.count("gets_total", "done") == 1
    assert rig.count("downloads") == rig.count("wanted_blocks") == 0


def test_get_never_has_more_than_the_window_under_way(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(noise(5000), rig.source)
    rig.blobs.get(key, tmp_path / "copy")
    most = 0
    rig.news()
    while rig.asked:
        most = max(most, len(rig.asked))
        rig.verdict(rig.asked[-1])
        rig.news()
    assert most == 4
    assert (tmp_path / "copy").exists()


def test_get_judges_all_blocks_that_came_while_the_disk_was_busy_together(simulation: Any, tmp_path: Path) -> None:
    rig = Rig(simulation, window=8)
    key = put_bytes(noise(8 * 256), rig.source, 256)
    reply = rig.blobs.get(key, tmp_path / "copy")
    rig.serve(blocks=3)
    blocks = list(rig.asked)
    assert len(blocks) == 8
    steps = _count_steps(rig)
    verdicts = [rig.deliver(block) for block in blocks]
    reply.get(timeout=1)
    assert {verdict.get(timeout=1) for verdict in verdicts} == {Outcome.COMPLETE}
    assert len(steps) <= 2  # what came first, and what came while that was at work


def _count_steps(rig: Rig) -> list[object]:
    steps: list[object] = []
    real = rig.node.work

    def work(function: Any, *args: object, **how: Any) -> Any:
        if function.__name__ == "advance":
            steps.append(args)
        return real(function, *args, **how)

    rig.node.work = work
    return steps


def test_get_of_a_file_the_store_has_asks_nobody(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(noise(1000), rig.store)
    report = rig.blobs.get(key, tmp_path / "copy").get(timeout=1)
    assert (tmp_path / "copy").read_bytes() == noise(1000)
    assert (report.size, report.fetched, report.served) == (1000, 0, ())
    assert rig.news() == []


def test_get_of_a_file_too_large_for_the_disk_ends_as_soon_as_its_size_is_known(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = put_bytes(noise(5000), rig.source)
    (tmp_path / "small").mkdir()
    whole = os.statvfs
    tight = SimpleNamespace(f_bavail=4, f_frsize=1024)
    monkeypatch.setattr(os, "statvfs", lambda path: tight if str(path).endswith("small") else whole(path))
    small, large = rig.blobs.get(key, tmp_path / "small" / "copy"), rig.blobs.get(key, tmp_path / "copy")
    assert rig.serve(blocks=1) == [key]
    with pytest.raises(DestinationError, match="it needs 5000 bytes and the disk has 4096 left"):
        small.get(timeout=0)
    assert not large.done
    late = rig.blobs.get(key, tmp_path / "small" / "late")
    with pytest.raises(DestinationError, match="it needs 5000 bytes"):
        late.get(timeout=0)
    rig.serve()
    assert large.get(timeout=1).size == 5000


def test_put_and_get_take_relative_paths_of_the_moment_when_they_are_called(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(noise(100))
    monkeypatch.chdir(tmp_path)
    put = rig.blobs.put("file")
    get = rig.blobs.get(put_bytes(noise(100), rig.source), "copy")
    monkeypatch.chdir("/")
    assert put.get(timeout=1)
    assert get.get(timeout=1).size == 100
    assert (tmp_path / "copy").read_bytes() == noise(100)


def test_get_of_an_empty_file_writes_an_empty_file(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(b"", rig.source)
    reply = rig.blobs.get(key.hex(), tmp_path / "copy")
    rig.serve()
    assert reply.get(timeout=1).size == 0
    assert (tmp_path / "copy").read_bytes() == b""


def test_get_after_an_interruption_fetches_only_what_is_missing(
    simulation: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _fd: None)
    before = Rig(simulation, FileStore(tmp_path / "store"))
    key = put_bytes(noise(5000), before.source)
    interrupted = before.blobs.get(key, tmp_path / "copy")
    came = before.serve(blocks=10)
    before.stop()
    with pytest.raises(GetCancelled, match="the node stops"):
        interrupted.get(timeout=1)
    assert not (tmp_path / "copy").exists()

    after = Rig(simulation, FileStore(tmp_path / "store"), node="after")
    put_bytes(noise(5000), after.source)
    reply = after.blobs.get(key, tmp_path / "copy")
    fetched = after.serve()
    assert not set(came) & set(fetched)
    assert set(came) | set(fetched) == set(after.source.keys())
    assert reply.get(timeout=1).fetched == sum(len(after.source.get(block) or b"") for block in fetched)
    assert (tmp_path / "copy").read_bytes() == noise(5000)


def test_gets_of_one_key_share_the_download_and_each_has_its_file(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(noise(2000), rig.source)
    first = rig.blobs.get(key, tmp_path / "first")
    before = rig.serve(blocks=5)
    second = rig.blobs.get(key, tmp_path / "second")
    after = rig.serve(peer="carol")
    assert sorted(before + after) == list(rig.source.keys())
    assert first.get(timeout=1).served == second.get(timeout=1).served
    assert [peer for peer, _ in first.get().served] == sorted([rig.peer("bob"), rig.peer("carol")])
    for name in ("first", "second"):
        assert (tmp_path / name).read_bytes() == noise(2000)


def test_block_that_two_files_share_is_asked_for_once_and_serves_both(rig: Rig, tmp_path: Path) -> None:
    shared = noise(CHUNK)
    one, two = put_bytes(shared + b"one", rig.source), put_bytes(shared + b"two", rig.source)
    replies = [rig.blobs.get(one, tmp_path / "one"), rig.blobs.get(two, tmp_path / "two")]
    served = rig.serve()
    assert sorted(served) == list(rig.source.keys())
    for reply in replies:
        reply.get(timeout=1)
    assert (tmp_path / "two").read_bytes() == shared + b"two"


def test_file_put_while_it_is_fetched_ends_the_fetch(rig: Rig, tmp_path: Path) -> None:
    data = noise(3000)
    (tmp_path / "file").write_bytes(data)
    key = put_bytes(data, rig.source)
    reply = rig.blobs.get(key, tmp_path / "copy")
    rig.serve(blocks=3)
    rig.blobs.put(tmp_path / "file").get(timeout=1)
    rig.verdict(rig.asked[0])
    assert reply.get(timeout=1).size == 3000
    rig.news()
    assert rig.asked == []


def test_get_when_the_resolver_gave_a_block_up_asks_again_after_a_pause(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(noise(1000), rig.source)
    reply = rig.blobs.get(key, tmp_path / "copy")
    assert rig.fetched() == [key]
    rig.blobs.tell(resolver.FetchFailed(key, resolver.Reason.UNANSWERED))
    assert rig.fetched() == []
    rig.asked.clear()
    rig.simulation.run(for_=1)
    assert rig.fetched() == [key]
    rig.serve()
    assert reply.get(timeout=1).size == 1000
