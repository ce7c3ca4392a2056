"""The rules at the head of `node/blobs.py`, on threads and a real folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import blobs, resolver
from rookery.actors.blobs import (
    BlobKey,
    DestinationError,
    GetTimedOut,
    Progress,
    SourceError,
)
from rookery.actors.blobs.stores.files import FileStore
from rookery.actors.blobs.stores.memory import MemoryStore
from rookery.actors.resolver import Delivery
from rookery.node.blobs import Blobs
from rookery.runtime import Request, ThreadRuntime, WouldDeadlock
from rookery.transport.identity import PeerId
from tests.blobs.rig import CHUNK, noise, put_bytes

BOB = PeerId(bytes(31) + b"\x01")


class OnePeer(runtime.Engine[resolver.Mailbox]):
    """A resolver with one peer, that has what `source` has."""

    def __init__(self, consumer: Any, source: MemoryStore) -> None:
        super().__init__()
        self.handlers = {
            resolver.FetchAll: self.on_fetch_all,
            resolver.Cancel: lambda _message: None,
            runtime.Subscribe: lambda _message: None,
        }
        self.consumer, self.source = consumer, source

    def on_fetch_all(self, message: resolver.FetchAll) -> None:
        for fetch in message.fetches:
            value = self.source.get(fetch.data_key)
            if value is not None:
                self.consumer.deliver(Delivery(fetch.data_key, ((),), BOB), value)


@pytest.fixture
def source() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def files(source: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Blobs]:
    monkeypatch.setattr("os.fsync", lambda _fd: None)
    with ThreadRuntime() as node:
        data, mailbox = node.mailbox(resolver.Mailbox), node.mailbox(blobs.Mailbox)
        store = FileStore(tmp_path / "store")
        node.start(mailbox, blobs.Engine, blobs.Config(chunk_size=CHUNK), store=store, resolver=data)
        node.start(data, OnePeer, mailbox, source)
        yield Blobs(mailbox)


def test_blobs_put_and_get_give_the_same_bytes_by_key_and_by_hex_digits(
    no_leaks: None, files: Blobs, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(noise(5000))
    key = files.put(tmp_path / "file")
    assert isinstance(key, BlobKey)
    assert files.has(key)
    for given in (key, key.hex()):
        assert files.get(given, tmp_path / "copy", timeout=10).size == 5000
        assert (tmp_path / "copy").read_bytes() == noise(5000)


def test_blobs_get_fetches_from_a_peer_and_shows_progress_that_ends_with_all(
    files: Blobs, source: MemoryStore, tmp_path: Path
) -> None:
    key = put_bytes(noise(5000), source)
    seen: list[Progress] = []
    report = files.get(key, tmp_path / "copy", timeout=10, progress=seen.append)
    assert (tmp_path / "copy").read_bytes() == noise(5000)
    assert report.served == ((BOB, source.size),)
    assert seen[-1] == Progress(5000, 5000)
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert files.progress(key) == Progress(5000, 5000)


def test_blobs_relative_paths_are_those_of_the_caller(
    files: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"data")
    files.get(files.put("file"), "copy")
    assert (tmp_path / "copy").read_bytes() == b"data"


def test_blobs_errors_are_raised_as_what_they_are(files: Blobs, tmp_path: Path) -> None:
    unknown = "0" * 64
    with pytest.raises(SourceError):
        files.put(tmp_path / "nowhere")
    with pytest.raises(DestinationError):
        files.get(unknown, tmp_path)
    with pytest.raises(GetTimedOut):
        files.get(unknown, tmp_path / "copy", timeout=0.05)
    with pytest.raises(GetTimedOut):
        files.get(unknown, tmp_path / "copy", timeout=0.05, progress=lambda _progress: None)
    with pytest.raises(ValueError, match="64 hex digits"):
        files.get("abc", tmp_path / "copy")
    assert files.cancel(unknown) == 0


def test_blobs_get_whose_callback_raises_goes_on_without_its_caller(
    files: Blobs, source: MemoryStore, tmp_path: Path
) -> None:
    key = put_bytes(noise(5000), source)

    def fail(_progress: Progress) -> None:
        raise KeyError("the progress bar broke")

    with pytest.raises(KeyError):
        files.get(key, tmp_path / "copy", progress=fail)
    files.get(key, tmp_path / "other", timeout=10)
    assert files.has(key)


class Use(Request[str]):
    pass


class UserMailbox(runtime.Mailbox):
    pass


class User(runtime.Engine[UserMailbox]):
    """Waits where it should not."""

    def __init__(self, files: Blobs, path: Path) -> None:
        super().__init__()
        self.handlers = {Use: self.on_use}
        self.files, self.path = files, path

    def on_use(self, _message: Use) -> str:
        try:
            self.files.get("0" * 64, self.path)
        except WouldDeadlock as error:
            return str(error)
        return "it waited"


def test_blobs_inside_an_engine_says_that_it_would_deadlock(files: Blobs, tmp_path: Path) -> None:
    with ThreadRuntime() as node:
        user = node.start(User, files, tmp_path / "copy")
        assert "use self.on_reply" in user.ask(Use()).get(timeout=5)
