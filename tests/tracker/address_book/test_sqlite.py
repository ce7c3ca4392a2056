"""The address book as a file: damage, versions, places that cannot be written, other processes, migrations."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rookery.actors.tracker import BookUnusable, SqliteStorage, StorageError
from rookery.actors.tracker.address_book import tables
from rookery.actors.tracker.address_book.storage import Batch, BlockEntry, Read
from rookery.transport import Identity
from tests.tracker.address_book.books import KNOWN, NETWORK, WALL, entry, peer

MANY = 300


def open_book(path: Path, network: str = NETWORK) -> SqliteStorage:
    return SqliteStorage(path, network=network)


def sql(path: Path, *statements: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [connection.execute(statement).fetchall() for statement in statements]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a book is, with many peers and a block, closed."""
    path = tmp_path / "data" / "peers.db"
    storage = open_book(path)
    block = BlockEntry(str(peer("bad")), WALL, WALL)
    storage.write(Batch(peers=tuple(entry(f"peer {number}") for number in range(MANY)), blocks=(block,)))
    storage.close()
    return path


# a file of before

VERSION_1 = Path(__file__).parents[2] / "node" / "version_1" / "peers.db"
"""What a node of protocol version 1 wrote: a peer, with its address in the record only, a block and trust."""


def test_book_of_version_1_keeps_addresses_blocks_and_trust_and_drops_the_records(tmp_path: Path) -> None:
    path = tmp_path / "peers.db"
    shutil.copyfile(VERSION_1, path)
    bob, carol = (Identity.from_seed(bytes(range(first, first + 32))).peer for first in (1, 2))
    storage = open_book(path, "net")
    assert storage.quarantined is None
    assert storage.peers() == (bob,)
    read = storage.read([bob])
    assert read.corrupt == ()
    (found,) = read.peers
    assert (str(found.address), found.signed) == ("tcp://127.0.0.1:42095", None)
    assert found.seen_at is not None
    head = storage.head()
    assert ([block.target for block in head.blocks], head.trust) == (["203.0.113.7"], ((carol, True),))
    storage.write(Batch(peers=(found,)))  # as the node does when it hears of the peer again
    storage.close()
    assert sql(path, "SELECT address, signed FROM peers") == [[("tcp://127.0.0.1:42095", None)]]


@pytest.mark.parametrize("signed", [b"", b"\x97\x01", KNOWN.record("bob").encode()[:-1]])
def test_record_of_neither_version_in_the_book_is_corrupt(path: Path, signed: bytes) -> None:
    sql(path, f"UPDATE peers SET address = NULL, signed = X'{signed.hex()}' WHERE peer = X'{peer('peer 1').hex()}'")
    storage = open_book(path)
    read = storage.read([peer("peer 1"), peer("peer 2")])
    assert (read.corrupt, [each.peer for each in read.peers]) == ((peer("peer 1"),), [peer("peer 2")])
    storage.close()


# a file as it should be


def test_book_makes_its_folder_and_is_for_its_owner_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    storage = open_book(path)
    storage.write(Batch(forgotten=(peer("peer 1"),)))
    assert stat.S_IMODE(Path(f"{path}-wal").stat().st_mode) == 0o600
    storage.close()
    assert [file.name for file in path.parent.iterdir()] == ["peers.db"]


def test_book_says_what_it_is_and_which_version(path: Path) -> None:
    answers = sql(path, "PRAGMA application_id", "PRAGMA user_version", "PRAGMA journal_mode", "PRAGMA integrity_check")
    assert answers == [[(tables.APPLICATION_ID,)], [(len(tables.MIGRATIONS),)], [("wal",)], [("ok",)]]


def test_book_writes_no_page_for_what_stands_there_already(path: Path) -> None:
    storage = open_book(path)
    storage.write(Batch(peers=tuple(entry(f"peer {number}", saved_at=WALL + 1) for number in range(MANY))))
    wal = Path(f"{path}-wal").stat().st_size
    storage.write(Batch(peers=(entry("peer 1", 8000),)))
    assert wal == 0
    assert Path(f"{path}-wal").stat().st_size > 0
    storage.close()


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_book_syncs_a_batch_that_is_to_be_durable(path: Path, durable: bool, level: int) -> None:
    storage = open_book(path)
    storage.write(Batch(durable=durable))
    assert storage._connection is not None
    assert storage._connection.execute("PRAGMA synchronous").fetchone() == (level,)
    storage.close()


def test_book_that_another_uses_is_refused_and_left_alone(path: Path) -> None:
    first = open_book(path)
    with pytest.raises(BookUnusable, match=r"peers\.db is in use by another process"):
        open_book(path)
    assert len(first.peers()) == MANY
    first.close()


def test_book_of_another_network_drops_its_peers_and_keeps_its_blocks(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = open_book(path, "other")
    assert (storage.peers(), len(storage.head().blocks)) == ((), 1)
    storage.close()
    assert "the address book is of another network: its peers are dropped" in caplog.text
    storage = open_book(path, "other")
    storage.write(Batch(peers=(entry("ada", signed=None),)))
    storage.close()
    storage = open_book(path, "other")
    assert storage.peers() == (peer("ada"),)
    storage.close()


# damage


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(100_000))


def short_garbage(path: Path) -> None:
    path.write_bytes(b"these are no peers")


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwritten_in_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4 * 4096)


def another_programs(path: Path) -> None:
    path.unlink()
    sql(path, "CREATE TABLE bookmarks (url TEXT)")


def table_missing(path: Path) -> None:
    sql(path, "DROP TABLE blocks")


def column_missing(path: Path) -> None:
    sql(path, "ALTER TABLE peers DROP COLUMN delay")


def never_migrated(path: Path) -> None:
    sql(path, "PRAGMA user_version = 0")


def negative_version(path: Path) -> None:
    sql(path, "PRAGMA user_version = -3")


DAMAGE = [
    garbage,
    short_garbage,
    cut_off,
    overwritten_in_the_middle,
    another_programs,
    table_missing,
    column_missing,
    never_migrated,
    negative_version,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_book_that_is_damaged_is_quarantined_with_a_log_line_and_a_new_one_begun(
    path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(path)
    before = path.read_bytes()
    with caplog.at_level(logging.ERROR, "rookery"):
        storage = open_book(path)
    quarantined = Path(f"{path}.damaged")
    assert storage.quarantined == str(quarantined)
    assert quarantined.read_bytes() == before
    (record,) = caplog.records
    assert record.message.startswith("the address book is damaged: it is quarantined, and a new one begun")
    assert record.fields["quarantined"] == str(quarantined)  # type: ignore[attr-defined]
    assert storage.peers() == ()
    storage.write(Batch(peers=(entry("ada"),)))
    storage.close()
    storage = open_book(path)
    assert (storage.peers(), storage.quarantined) == ((peer("ada"),), None)
    storage.close()


def test_book_keeps_the_first_damaged_files_and_a_bounded_number(path: Path) -> None:
    for number in range(12):
        path.write_bytes(b"damage %d" % number)
        open_book(path).close()
    kept = {file.name: file.read_bytes() for file in path.parent.iterdir() if "damaged" in file.name}
    assert len(kept) == 9
    assert kept["peers.db.damaged"] == b"damage 0"
    assert kept["peers.db.damaged-9"] == b"damage 11"


def test_book_whose_log_is_garbage_gives_what_the_file_holds(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(random.Random(1).randbytes(50_000))
    storage = open_book(path)
    assert (len(storage.peers()), storage.quarantined) == (MANY, None)
    storage.close()


def test_book_that_is_empty_is_a_new_one(path: Path) -> None:
    path.write_bytes(b"")
    storage = open_book(path)
    assert (storage.peers(), storage.quarantined) == ((), None)
    storage.close()


@pytest.mark.parametrize(
    "spoil",
    [
        "address = 'nowhere'",
        "signed = NULL",
        "address = x'00'",
        "signed = x'c0'",
        "signed = (SELECT signed FROM peers WHERE peer <> :peer LIMIT 1)",
        "source = x'00'",
        "seen_at = 'yesterday'",
        "delay = 'long'",
    ],
)
def test_entry_that_cannot_be_read_is_named_and_the_others_are_read(path: Path, spoil: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE peers SET {spoil} WHERE peer = :peer", {"peer": peer("peer 7")})
    storage = open_book(path)
    read = storage.read([peer("peer 6"), peer("peer 7"), peer("peer 8")])
    assert read == Read((entry("peer 6"), entry("peer 8")), (peer("peer 7"),))
    storage.close()


# places and versions


def test_book_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    sql(path, "PRAGMA user_version = 99", "ALTER TABLE blocks ADD COLUMN why TEXT")
    before = path.read_bytes()
    with pytest.raises(BookUnusable, match="of a newer Rookery .version 99, and this program knows 1.: run that, or"):
        open_book(path)
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["peers.db"]


def below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "peers.db"


def a_folder(tmp_path: Path) -> Path:
    (tmp_path / "peers.db").mkdir()
    return tmp_path / "peers.db"


def without_permission(tmp_path: Path) -> Path:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("whoever runs this may write everywhere")
    return folder / "peers.db"


@pytest.mark.parametrize("place", [below_a_file, a_folder, without_permission])
def test_book_that_cannot_be_written_is_refused_by_its_name(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    path = place(tmp_path)
    with pytest.raises(BookUnusable, match=f"{path} cannot be written: "):
        open_book(path)


@contextlib.contextmanager
def no_room(storage: SqliteStorage) -> Iterator[None]:
    """What a full disk does: SQLite has no page more."""
    assert storage._connection is not None
    (pages,) = storage._connection.execute("PRAGMA page_count").fetchone()
    storage._connection.execute(f"PRAGMA max_page_count = {pages}")
    yield
    storage._connection.execute("PRAGMA max_page_count = 1000000")


def test_book_on_a_full_disk_fails_with_a_reason_stays_whole_and_goes_on_when_there_is_room(path: Path) -> None:
    storage = open_book(path)
    more = tuple(entry(f"another {number}") for number in range(MANY))
    with no_room(storage):
        with pytest.raises(StorageError, match=r"cannot write .*peers\.db: database or disk is full"):
            storage.write(Batch(peers=more))
        assert len(storage.peers()) == MANY
    storage.write(Batch(peers=more))
    assert len(storage.peers()) == 2 * MANY
    storage.close()
    assert sql(path, "PRAGMA integrity_check") == [[("ok",)]]


def test_book_that_finds_no_room_at_the_start_is_begun_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        storage = open_book(tmp_path / "peers.db")
        with pytest.raises(StorageError, match="No space left on device"):
            storage.head()
    storage.write(Batch(peers=(entry("ada"),)))
    assert storage.peers() == (peer("ada"),)
    storage.close()


def test_batch_that_fails_in_its_middle_leaves_nothing(path: Path) -> None:
    storage = open_book(path)
    bad: Any = BlockEntry(None, WALL, WALL)  # type: ignore[arg-type]
    broken = Batch(peers=(entry("ada"),), blocks=(bad,))
    with pytest.raises(StorageError, match="NOT NULL"):
        storage.write(broken)
    assert peer("ada") not in storage.peers()
    storage.write(Batch(peers=(entry("ada"),)))
    assert peer("ada") in storage.peers()
    storage.close()


# migrations


def test_migrations_are_done_once_in_order_and_together(tmp_path: Path) -> None:
    first = ("CREATE TABLE notes (text TEXT)",)
    second = ("ALTER TABLE notes ADD COLUMN author TEXT", "UPDATE notes SET author = 'ada'")
    with contextlib.closing(sqlite3.connect(tmp_path / "file", isolation_level=None)) as connection:
        assert tables.migrate(connection, [first]) == 0
        connection.execute("INSERT INTO notes VALUES ('hello')")
        assert tables.migrate(connection, [first, second]) == 1
        assert tables.migrate(connection, [first, second]) == 2
        assert connection.execute("SELECT * FROM notes").fetchall() == [("hello", "ada")]
        with pytest.raises(tables.TooNew):
            tables.migrate(connection, [first])


def test_database_of_another_program_is_never_migrated(tmp_path: Path) -> None:
    first, second = ("CREATE TABLE notes (text TEXT)",), ("DROP TABLE notes",)
    with contextlib.closing(sqlite3.connect(tmp_path / "file", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.execute("PRAGMA user_version = 1")
        with pytest.raises(tables.Foreign, match="another program's database"):
            tables.migrate(connection, [first, second])
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]


def test_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    first = ("CREATE TABLE notes (text TEXT)",)
    broken = ("CREATE TABLE more (text TEXT)", "ALTER TABLE nothing ADD COLUMN author TEXT")
    with contextlib.closing(sqlite3.connect(tmp_path / "file", isolation_level=None)) as connection:
        tables.migrate(connection, [first])
        with pytest.raises(sqlite3.OperationalError):
            tables.migrate(connection, [first, broken])
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]
