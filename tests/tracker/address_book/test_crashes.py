"""What is on disk at every moment at which a process may be killed: the files are copied before each statement."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from rookery.actors.tracker import SqliteStorage
from rookery.actors.tracker.address_book.storage import Batch, BlockEntry
from tests.tracker.address_book.books import NETWORK, WALL, entry, peer

BATCHES = [
    Batch(peers=tuple(entry(f"peer {number}") for number in range(10)), durable=True),
    Batch(peers=tuple(entry(f"peer {number}", 8000) for number in range(5, 15))),
    Batch(blocks=(BlockEntry("10.0.0.1", WALL, WALL),), forgotten=(peer("peer 3"),), durable=True),
    Batch(unblocked=("10.0.0.1",), trust=((peer("ada"), True),)),
]


class Copies:
    """The files of a book as they were before each statement, and how many batches had been written by then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "book"
        self.copies: list[tuple[Path, int]] = []
        self.written = 0

    def take(self, _statement: str) -> None:
        copy = self.folder.parent / f"copy-{len(self.copies)}"
        shutil.copytree(self.folder, copy)
        self.copies.append((copy, self.written))


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copies:
    """Every statement of any connection is copied before it runs."""
    made = Copies(tmp_path)
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def traced(*arguments: object, **settings: object) -> sqlite3.Connection:
        connection = connect(*arguments, **settings)
        connection.set_trace_callback(made.take)
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", traced)
        storage = SqliteStorage(made.folder / "peers.db", network=NETWORK)
        for batch in BATCHES:
            storage.write(batch)
            made.written += 1
        storage.close()
    made.take("at the end")
    return made


def content(path: Path) -> tuple[object, ...]:
    storage = SqliteStorage(path, network=NETWORK)
    try:
        assert storage.quarantined is None
        return storage.read(storage.peers()), storage.head()
    finally:
        storage.close()


def test_book_is_whole_and_has_all_batches_that_were_written_whenever_the_process_is_killed(
    copies: Copies, tmp_path: Path
) -> None:
    wanted = []
    for count in range(len(BATCHES) + 1):
        path = tmp_path / f"wanted-{count}" / "peers.db"
        storage = SqliteStorage(path, network=NETWORK)
        for batch in BATCHES[:count]:
            storage.write(batch)
        storage.close()
        wanted.append(content(path))
    assert len(copies.copies) > 40
    for copy, written in copies.copies:
        found = content(copy / "peers.db")
        assert found in wanted[written : written + 2], (copy.name, written)
    assert content(copies.copies[-1][0] / "peers.db") == wanted[-1]
