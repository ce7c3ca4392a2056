"""The blobs engine against a mock resolver: gets that fail, stores that lose, verdicts, progress."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from rookery import runtime
from rookery.actors.blobs import (
    BlobProgress,
    BrokenFile,
    DestinationError,
    GetCancelled,
    GetTimedOut,
    Manifest,
    MissingBlock,
    Progress,
    StorageFailed,
)
from rookery.actors.blobs.stores import StoreError
from rookery.actors.blobs.stores.memory import MemoryStore
from rookery.actors.resolver import Outcome
from rookery.runtime import Feedback, UnhandledMessage

from .rig import CHUNK, UNKNOWN, Rig, noise, put_bytes

# How a get ends otherwise --------------------------------------------------------------------------------------------


def test_get_to_a_place_that_cannot_be_written_is_declined_before_anything_came(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(noise(1000), rig.source)
    with pytest.raises(DestinationError, match="it is a folder"):
        rig.blobs.get(key, tmp_path).get(timeout=1)
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="No such file or directory"):
        rig.blobs.get(key, tmp_path / "nowhere" / "copy").get(timeout=1)
    with pytest.raises(DestinationError, match="Not a directory"):
        rig.blobs.get(key, tmp_path / "file" / "copy").get(timeout=1)
    rig.news()
    assert rig.asked == []
    assert rig.count("downloads") == 0


def test_get_to_a_bad_place_leaves_the_other_gets_of_the_file_alone(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(noise(1000), rig.source)
    good, bad = rig.blobs.get(key, tmp_path / "copy"), rig.blobs.get(key, tmp_path)
    rig.serve()
    assert good.get(timeout=1).size == 1000
    with pytest.raises(DestinationError):
        bad.get(timeout=1)


def test_get_of_blocks_that_make_no_file_is_declined_and_blames_no_peer(rig: Rig, tmp_path: Path) -> None:
    short = hashlib.sha256(b"short").digest()
    rig.source.put(short, b"short")
    root = Manifest(1, 2 * CHUNK, CHUNK, short + UNKNOWN).encode()
    key = hashlib.sha256(root).digest()
    rig.source.put(key, root)
    reply = rig.blobs.get(key, tmp_path / "copy")
    rig.serve(blocks=1)
    assert rig.verdict(short) is Outcome.COMPLETE
    with pytest.raises(BrokenFile, match="a chunk has 5 bytes where its manifest says 128"):
        reply.get(timeout=1)
    rig.news()
    assert rig.asked == []
    assert not rig.store.has(short)


def test_get_when_the_store_fails_is_declined_and_blames_no_peer(simulation: Any, tmp_path: Path) -> None:
    rig = Rig(simulation, MemoryStore(max_bytes=600))
    key = put_bytes(noise(5000), rig.source)
    reply = rig.blobs.get(key, tmp_path / "copy")
    outcomes = set()
    rig.news()
    while rig.asked:
        outcomes.add(rig.verdict(rig.asked[0]))
        rig.news()
    assert outcomes == {Outcome.COMPLETE, Outcome.IGNORED}
    with pytest.raises(StorageFailed, match="the memory store is full"):
        reply.get(timeout=1)


def test_cancel_ends_every_get_of_the_file_and_what_was_asked_for(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(noise(5000), rig.source)
    gets = [rig.blobs.get(key, tmp_path / name) for name in ("first", "second")]
    rig.serve(blocks=6)
    under_way = rig.asked[0]
    assert rig.blobs.cancel(key).get(timeout=1) == 2
    rig.news()
    assert rig.asked == []
    for get in gets:
        with pytest.raises(GetCancelled, match="somebody cancelled it"):
            get.get(timeout=1)
    assert rig.verdict(under_way) is Outcome.COMPLETE  # a true block, but nobody wants it stored
    assert rig.store.count() == 6
    assert rig.blobs.cancel(key).get(timeout=1) == 0


def test_cancel_of_one_file_leaves_a_shared_block_to_the_other(rig: Rig, tmp_path: Path) -> None:
    shared = noise(CHUNK)
    one, two = put_bytes(shared + b"one", rig.source), put_bytes(shared + b"two", rig.source)
    rig.blobs.get(one, tmp_path / "one")
    kept = rig.blobs.get(two, tmp_path / "two")
    rig.news()
    rig.verdict(one)
    rig.verdict(two)
    rig.news()
    block = hashlib.sha256(shared).digest()
    arriving = rig.deliver(block)  # handed to the first file, which is then cancelled
    rig.blobs.cancel(one).get(timeout=1)
    assert ("cancel", block) not in rig.news()
    assert arriving.get(timeout=1) is Outcome.COMPLETE
    rig.asked.remove(block)
    rig.serve()
    assert kept.get(timeout=1).size == CHUNK + 3


def test_block_stored_for_a_cancelled_get_serves_the_next_one_which_withdraws_its_wish(
    rig: Rig, tmp_path: Path
) -> None:
    key = put_bytes(noise(100), rig.source)
    rig.blobs.get(key, tmp_path / "first")
    assert rig.fetched() == [key]
    work = rig.node.work
    rig.node.work = lambda *call, cost, **named: work(*call, cost=0.1, **named)  # the disk takes its time
    arriving = rig.deliver(key)
    rig.simulation.settle()
    rig.node.work = work
    rig.blobs.cancel(key)
    second = rig.blobs.get(key, tmp_path / "second")
    assert rig.news() == [("cancel", key), ("fetch", key)]
    assert arriving.get(timeout=1) is Outcome.COMPLETE
    assert rig.news()[0] == ("cancel", key)
    rig.serve()
    assert second.get(timeout=1).size == 100


def test_get_that_is_out_of_time_says_how_far_it_came_and_the_others_go_on(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(noise(1000), rig.source)
    hurried = rig.blobs.get(key, tmp_path / "hurried", timeout=2)
    patient = rig.blobs.get(key, tmp_path / "patient", timeout=60)
    rig.simulation.run(for_=1)
    rig.serve(blocks=4)
    done = rig.blobs.progress(key).get(timeout=0.5).done
    rig.simulation.run(for_=3)
    with pytest.raises(GetTimedOut, match=f"not fetched within 2 s: {done} of 1000 bytes came"):
        hurried.get(timeout=1)
    rig.serve()
    assert patient.get(timeout=1).size == 1000
    assert not (tmp_path / "hurried").exists()


def test_get_of_a_file_nobody_has_is_out_of_time_and_gives_its_wishes_up(rig: Rig, tmp_path: Path) -> None:
    reply = rig.blobs.get(UNKNOWN, tmp_path / "copy", timeout=5)
    rig.simulation.run(for_=6)
    with pytest.raises(TimeoutError, match="its root came from nobody"):
        reply.get(timeout=1)
    assert rig.news() == [("fetch", UNKNOWN), ("cancel", UNKNOWN)]


def test_get_after_the_resolver_stopped_is_declined(rig: Rig, tmp_path: Path) -> None:
    rig.resolver.control.close()
    with pytest.raises(GetCancelled, match="the resolver has stopped"):
        rig.blobs.get(UNKNOWN, tmp_path / "copy").get(timeout=1)


def test_engine_that_stops_ends_its_gets_and_closes_its_store(rig: Rig, tmp_path: Path) -> None:
    reply = rig.blobs.get(UNKNOWN, tmp_path / "copy")
    rig.simulation.settle()
    rig.stop()
    with pytest.raises(GetCancelled, match="the node stops"):
        reply.get(timeout=1)
    with pytest.raises(StoreError, match="closed"):
        rig.store.has(UNKNOWN)


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_get_with_no_time_or_a_bad_key_is_refused_at_the_callers_side(rig: Rig, timeout: float) -> None:
    with pytest.raises(ValueError, match="a get lasts longer than 0 seconds"):
        rig.blobs.get(UNKNOWN, "copy", timeout=timeout)
    for ask in (rig.blobs.has, rig.blobs.progress, rig.blobs.cancel):
        with pytest.raises(ValueError, match="a key is 32 bytes or 64 hex digits"):
            ask("abc")


# A store that loses blocks -------------------------------------------------------------------------------------------


def test_block_the_store_lost_before_the_file_was_written_is_fetched_again(simulation: Any, tmp_path: Path) -> None:
    rig = Rig(simulation, Forgetful(forgets=1))
    key = put_bytes(noise(1000), rig.source)
    reply = rig.blobs.get(key, tmp_path / "copy")
    served = rig.serve()
    assert reply.get(timeout=1).size == 1000
    assert (tmp_path / "copy").read_bytes() == noise(1000)
    lost = hashlib.sha256(noise(CHUNK)).digest()
    assert served.count(lost) == 2
    assert rig.count("lost_blocks_total") == 1


def test_block_the_store_loses_again_and_again_ends_the_get(simulation: Any, tmp_path: Path) -> None:
    rig = Rig(simulation, Forgetful(forgets=1_000_000))
    reply = rig.blobs.get(put_bytes(noise(1000), rig.source), tmp_path / "copy")
    rig.serve()
    with pytest.raises(MissingBlock):
        reply.get(timeout=1)
    assert rig.count("downloads") == 0


class Forgetful(MemoryStore):
    """Finds a chunk damaged when it is read, so often."""

    def __init__(self, forgets: int) -> None:
        super().__init__()
        self.forgets = forgets

    def get(self, key: bytes) -> bytes | None:
        value = super().get(key)
        if value == noise(CHUNK) and self.forgets:
            self.forgets -= 1
            self.delete(key)
            return None
        return value


# Judging -------------------------------------------------------------------------------------------------------------


def test_false_block_is_invalid_and_its_sender_named_in_the_report(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(noise(1000), rig.source)
    reply = rig.blobs.get(key, tmp_path / "copy")
    assert rig.fetched() == [key]
    assert rig.verdict(key, b"a lie", peer="mallory") is Outcome.INVALID
    assert rig.news() == []  # the resolver asks another by itself
    rig.serve()
    report = reply.get(timeout=1)
    assert report.false == ((rig.peer("mallory"), 1),)
    assert report.served == ((rig.peer("bob"), rig.source.size),)
    assert rig.count("blocks_total", "invalid") == 1


def test_block_that_no_download_waits_for_is_judged_and_not_stored(rig: Rig) -> None:
    put_bytes(noise(100), rig.source)
    for key in list(rig.source.keys()):
        assert rig.verdict(key) is Outcome.COMPLETE
        assert rig.verdict(key, b"a lie") is Outcome.INVALID
    assert rig.store.count() == 0


# Progress ------------------------------------------------------------------------------------------------------------


class WatcherMailbox(runtime.Mailbox):
    pass


class Watcher(runtime.Engine[WatcherMailbox]):
    def __init__(self, seen: list[BlobProgress]) -> None:
        super().__init__()
        self.handlers = {BlobProgress: seen.append}


def test_subscriber_hears_progress_that_grows_from_nothing_to_all(rig: Rig, tmp_path: Path) -> None:
    seen: list[BlobProgress] = []
    watcher = rig.node.start(Watcher, seen)
    rig.blobs.subscribe(watcher)
    rig.blobs.subscribe(watcher)
    key = put_bytes(noise(1000), rig.source)
    rig.blobs.get(key, tmp_path / "copy")
    rig.serve()
    done = [event.done for event in seen]
    assert done == sorted(set(done))
    assert seen[0] == BlobProgress(key, 0, 1000)
    assert seen[-1] == BlobProgress(key, 1000, 1000)


def test_subscriber_without_a_handler_is_refused_and_one_that_is_gone_is_forgotten(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(UnhandledMessage, match="BlobProgress"):
        rig.blobs.subscribe(rig.blobs)
    gone = rig.simulation.mock(WatcherMailbox)
    rig.blobs.subscribe(gone)
    gone.control.feedback(Feedback.CLOSED, times=1)  # were it told again, it would receive that
    rig.blobs.get(put_bytes(noise(1000), rig.source), tmp_path / "copy")
    rig.serve()
    assert gone.control.received() == []


def test_progress_without_a_download_is_what_one_would_start_from(rig: Rig, tmp_path: Path) -> None:
    key = put_bytes(noise(1000), rig.source)
    assert rig.blobs.progress(key).get(timeout=1) == Progress(0, None)
    rig.blobs.get(key, tmp_path / "copy")
    rig.serve(blocks=12)
    during = rig.blobs.progress(key).get(timeout=1)
    assert 0 < during.done < 1000
    assert not rig.blobs.has(key).get(timeout=1)
    rig.blobs.cancel(key)
    assert rig.blobs.progress(key).get(timeout=1) == during
    rig.blobs.get(key, tmp_path / "copy")
    rig.serve()
    assert rig.blobs.progress(key).get(timeout=1) == Progress(1000, 1000)
    assert rig.blobs.has(key).get(timeout=1)


def test_progress_of_what_is_no_file_is_declined_and_it_is_not_here(rig: Rig) -> None:
    key = hashlib.sha256(b"no manifest").digest()
    rig.store.put(key, b"no manifest")
    with pytest.raises(BrokenFile, match="a manifest is a msgpack array"):
        rig.blobs.progress(key).get(timeout=1)
    assert not rig.blobs.has(key).get(timeout=1)
