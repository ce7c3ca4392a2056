"""The address book as a SQLite file.

    FOLDER/peers.db             the book; beside it, while a node runs, peers.db-wal
    FOLDER/peers.db.damaged     what was found damaged, quarantined; up to nine, the first ones are kept

* A batch is one transaction in WAL mode, so a process that is killed leaves it whole or not at all. A durable batch is
  synced, and survives a loss of power as well; of others the last ones may then be missing.
* What is written as it stands there already costs no page.
* A file that is damaged, is no database, or has other tables than it should is quarantined, with a log line, and a new
  one is begun. Who is blocked is then forgotten: the line says so.
* A file of a newer version is left alone and refused: it knows of blocks that would be forgotten. So is one that cannot
  be written or that another process uses: the operator is to look at it. Each is a BookUnusable.
* Where the disk is full or broken the node starts all the same, with what can be read; the file is begun later.
* Peers of another network are no use: when the network's name has changed they are dropped, blocks and trust are not.
* `PRAGMA user_version` counts the migrations that a file has had. Migration n makes version n out of n - 1; what stands
  here once never changes, a change is one migration more.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import struct
import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ....runtime.files import check_file
from ....runtime.log import Log
from ....transport.address import Address
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.record import PeerRecord, address_of_version_1
from .storage import Batch, BlockEntry, BookUnusable, Head, PeerEntry, Read, StorageError

APPLICATION_ID = 0x526F6F6B  # "Rook": that a file with tables is ours
_PEER = "BLOB PRIMARY KEY CHECK (typeof(peer) = 'blob' AND length(peer) = 32)"

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        f"""CREATE TABLE peers (
            peer {_PEER}, address TEXT, signed BLOB, source BLOB, seen_at REAL, failed_at REAL, missed_at REAL,
            delay REAL NOT NULL, reservable_at REAL, retry_at REAL, rest_until REAL, saved_at REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE TABLE blocks (target TEXT PRIMARY KEY, until REAL NOT NULL, saved_at REAL NOT NULL) WITHOUT ROWID",
        f"CREATE TABLE trust (peer {_PEER}, trusted INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
)

PEER_COLUMNS = (
    "peer",
    "address",
    "signed",
    "source",
    "seen_at",
    "failed_at",
    "missed_at",
    "delay",
    "reservable_at",
    "retry_at",
    "rest_until",
    "saved_at",
)
DAMAGED = "the address book is damaged: it is quarantined, and a new one begun; blocks and trust are forgotten"
OTHER_NETWORK = "the address book is of another network: its peers are dropped"
"""What is logged of such files."""
COLUMNS = {
    "peers": PEER_COLUMNS,
    "blocks": ("target", "until", "saved_at"),
    "trust": ("peer", "trusted"),
    "facts": ("name", "value"),
}
"""What the newest version has, to tell a file of ours from one that only says so."""
HEAD_BYTES = 100
"""How much of the beginning of a file `check_head` reads."""
_HEAD = struct.Struct(">60x i 4x I 28x")  # the header of SQLite's files: user version and application id

_LOCK_TIMEOUT = 1.0  # seconds to wait for another process to let go of the file
_CALL_TIMEOUT = 1.0  # seconds to wait for another thread's call to end, as the last one's when the node stops
_WAL_LIMIT = 4 * 1024 * 1024  # bytes to which the log is cut back after a checkpoint
_QUARANTINES = 9  # files kept
_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_LATER = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_COLUMNS = ", ".join(PEER_COLUMNS)
_MOMENTS = ("seen_at", "failed_at", "missed_at", "reservable_at", "retry_at", "rest_until")  # None for never
_KEPT = [name for name in PEER_COLUMNS if name not in ("peer", "saved_at")]
_PUT_PEER = f"""
    INSERT INTO peers ({_COLUMNS}) VALUES ({", ".join("?" for _ in PEER_COLUMNS)})
    ON CONFLICT (peer) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in (*_KEPT, "saved_at"))}
    WHERE ({", ".join(f"peers.{name}" for name in _KEPT)}) IS NOT ({", ".join(f"excluded.{name}" for name in _KEPT)})
"""  # noqa: S608  # our own column names
_PUT_BLOCK = """
    INSERT INTO blocks (target, until, saved_at) VALUES (?, ?, ?)
    ON CONFLICT (target) DO UPDATE SET until = excluded.until, saved_at = excluded.saved_at
    WHERE blocks.until IS NOT excluded.until
"""
_PUT_TRUST = (
    "INSERT INTO trust (peer, trusted) VALUES (?, ?) ON CONFLICT (peer) DO UPDATE SET trusted = excluded.trusted"
)


class SqliteStorage:
    """A `Storage` in a file that this process alone uses. Safe to call from any thread."""

    def __init__(self, path: str | os.PathLike[str], *, network: str) -> None:
        """Open or make the file, and the folder it is in. network: the name of the node's. Raises BookUnusable."""
        self.path = Path(path).absolute()
        self.quarantined: str | None = None
        self._network = network
        self._log = Log("tracker")
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        try:
            self._begin()
        except (Foreign, sqlite3.DatabaseError) as error:
            if not _is_damage(error):
                raise self._unusable(error) from error
            self.quarantined = self._quarantine(error)
            self._begin()

    @staticmethod
    def check(path: Path) -> None:
        """Raise the BookUnusable that opening the file would, except that it is in use. Changes nothing."""
        try:
            _check_places(path)
            if _is_open_here(path):
                return
            with path.open("rb") as file:
                check_head(file.read(HEAD_BYTES))
        except FileNotFoundError:
            pass  # to be made
        except OSError as error:
            raise _unwritable(path, error) from error
        except TooNew as error:
            raise _too_new(path, error) from error
        except BookUnusable:
            raise
        except StorageError:
            pass  # no room, for now

    @staticmethod
    def foresee(path: Path, *, network: str) -> str | None:
        """What will be logged of the file when it is opened; None if nothing, or if somebody is using it.

        It is for what `check` has passed. A copy is looked at: nothing is changed or locked.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="rookery-") as folder:
                copy = Path(folder, path.name)
                if not _is_open_here(path) and _copied(path, copy):
                    return _foretold(path, copy, network)
        except OSError as error:
            return f"the address book cannot be looked at: {error}"
        return None

    def head(self) -> Head:
        with self._held(), self._reporting("read"):
            connection = self._opened()
            blocks = connection.execute("SELECT target, until, saved_at FROM blocks").fetchall()
            trust = connection.execute("SELECT peer, trusted FROM trust").fetchall()
        return Head(
            tuple(BlockEntry(str(target), float(until), float(saved)) for target, until, saved in blocks),
            tuple((PeerId(peer), bool(trusted)) for peer, trusted in trust),
        )

    def peers(self) -> tuple[PeerId, ...]:
        with self._held(), self._reporting("read"):
            found = self._opened().execute("SELECT peer FROM peers ORDER BY seen_at DESC, peer")
            return tuple(PeerId(peer) for (peer,) in found)

    def read(self, peers: Sequence[PeerId]) -> Read:
        marks = ", ".join("?" for _ in peers)
        statement = f"SELECT {_COLUMNS} FROM peers WHERE peer IN ({marks})"  # noqa: S608  # only question marks
        with self._held(), self._reporting("read"):
            rows = self._opened().execute(statement, tuple(peers)).fetchall()
        order = {peer: index for index, peer in enumerate(peers)}
        read, corrupt = [], []
        for row in sorted(rows, key=lambda row: order[row[0]]):
            try:
                read.append(from_row(row, self._network))
            except (ValueError, TypeError):
                corrupt.append(PeerId(row[0]))
        return Read(tuple(read), tuple(corrupt))

    def write(self, batch: Batch) -> None:
        rows = [to_row(entry) for entry in batch.peers]
        with self._held(), self._reporting("write"):
            connection = self._opened()
            connection.execute(f"PRAGMA synchronous = {'FULL' if batch.durable else 'NORMAL'}")
            with transaction(connection):
                connection.executemany(_PUT_PEER, rows)
                connection.executemany("DELETE FROM peers WHERE peer = ?", [(peer,) for peer in batch.forgotten])
                blocks = [(block.target, block.until, block.saved_at) for block in batch.blocks]
                connection.executemany(_PUT_BLOCK, blocks)
                connection.executemany("DELETE FROM blocks WHERE target = ?", [(text,) for text in batch.unblocked])
                connection.executemany(_PUT_TRUST, [row for row in batch.trust if row[1] is not None])
                ended = [(peer,) for peer, trusted in batch.trust if trusted is None]
                connection.executemany("DELETE FROM trust WHERE peer = ?", ended)

    @property
    def is_open(self) -> bool:
        """Whether the file is open, and locked."""
        return self._connection is not None

    def close(self) -> None:
        with self._held():
            self._closed = True
            self._drop()

    # Opening ---------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Open the file, or leave that to the first write if there is no room now."""
        try:
            self._open()
        except BookUnusable:
            raise
        except StorageError as error:
            self._log.error("the address book cannot be written now", why=str(error))

    def _open(self) -> None:
        """Raises StorageError where there is no room; BookUnusable, Foreign or what SQLite raises."""
        self._touch()
        connection = sqlite3.connect(
            self.path, timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            self._prepare(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            if _code(error) in _LATER:
                raise StorageError(f"{self.path}: {error}") from error
            raise
        except TooNew as error:
            connection.close()
            raise _too_new(self.path, error) from error
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        _open_books.add(self)

    def _touch(self) -> None:
        """Make folder and file, for nobody else to read: it says whom this node knows."""
        _check_places(self.path)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        check_whole(connection)
        migrate(connection)
        check_tables(connection)
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise BookUnusable(f"{self.path}: this file system cannot do what SQLite needs of it (WAL, not {mode})")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
        found = connection.execute("SELECT value FROM facts WHERE name = 'network'").fetchone()
        if found is None or found[0] != self._network:
            with transaction(connection):
                dropped = connection.execute("DELETE FROM peers").rowcount
                connection.execute("INSERT OR REPLACE INTO facts VALUES ('network', ?)", (self._network,))
            if dropped:
                self._log.warning(OTHER_NETWORK, peers=dropped)

    def _opened(self) -> sqlite3.Connection:
        if self._closed:
            raise StorageError(f"{self.path} is closed")
        if self._connection is None:
            self._open()
        assert self._connection is not None
        return self._connection

    def _quarantine(self, error: Exception) -> str:
        """Move a damaged file, and what SQLite keeps beside it, out of the way."""
        names = [
            f"{self.path}.damaged",
            *(f"{self.path}.damaged-{number}" for number in range(2, _QUARANTINES + 1)),
        ]
        quarantined = next((name for name in names if not os.path.exists(name)), names[-1])
        try:
            for suffix in ("", *_BESIDE):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{self.path}{suffix}", f"{quarantined}{suffix}")
        except OSError as failed:
            raise BookUnusable(f"{self.path} is damaged ({error}) and cannot be moved: {failed.strerror}") from failed
        self._log.error(DAMAGED, file=str(self.path), quarantined=quarantined, why=str(error))
        return quarantined

    def _unusable(self, error: Exception) -> BookUnusable:
        if isinstance(error, sqlite3.Error) and _code(error) in _BUSY:
            return BookUnusable(f"{self.path} is in use by another process")
        return BookUnusable(f"{self.path} cannot be used: {error}")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    # Parts -----------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_CALL_TIMEOUT):
            raise StorageError(f"{self.path}: the disk does not answer")
        try:
            yield
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def _reporting(self, action: str) -> Iterator[None]:
        try:
            yield
        except (Foreign, TooNew, sqlite3.Error) as error:
            raise StorageError(f"cannot {action} {self.path}: {error}") from error


# Tables and rows -----------------------------------------------------------------------------------------------------


class TooNew(Exception):
    """The file has had migrations that this program does not know. found, known: versions."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"version {found}, and this program knows {known}")
        self.found = found
        self.known = known


class Foreign(Exception):
    """A database, but no address book."""


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> int:
    """Bring a file to the newest version, in one transaction, or make its tables; the version it had.

    Raises TooNew or Foreign, with nothing changed, or what SQLite raises.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION_ID:
        raise Foreign("it is another program's database")
    if version > len(migrations):
        raise TooNew(version, len(migrations))
    if version < 0 or bool(version) != bool(tables):
        raise Foreign(f"it has {tables} tables and says that it is version {version}")
    if version < len(migrations):
        with transaction(connection):
            for statement in chain.from_iterable(migrations[version:]):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(migrations)}")
    return int(version)


def check_head(head: bytes) -> None:
    """Raise TooNew if a file that begins like this is an address book that `migrate` refuses as such."""
    if len(head) == HEAD_BYTES:
        version, application = _HEAD.unpack(head)
        if application == APPLICATION_ID and version > len(MIGRATIONS):
            raise TooNew(version, len(MIGRATIONS))


def check_whole(connection: sqlite3.Connection) -> None:
    """Look whether a file is whole. Raises Foreign, or what SQLite raises."""
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise Foreign(str(said))


def check_tables(connection: sqlite3.Connection) -> None:
    """Look whether a file of the newest version has the tables it should have. Raises Foreign."""
    for table, columns in COLUMNS.items():
        found = tuple(name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})"))
        if found != columns:
            raise Foreign(f"its table {table} has the columns {', '.join(found) or 'of none'}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of what is done inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have done so by itself
            connection.execute("ROLLBACK")
        raise


def to_row(entry: PeerEntry) -> tuple[Any, ...]:
    """An entry as a row of `peers`. An address that the peer's own record says is not written twice."""
    row = {name: getattr(entry, name) for name in PEER_COLUMNS}
    signed = entry.signed
    row["address"] = None if signed is not None and signed.address == entry.address else str(entry.address)
    row["signed"] = None if signed is None else signed.encode()
    return tuple(row.values())


def from_row(values: tuple[Any, ...], network: str) -> PeerEntry:
    """The entry in a row. Raises ValueError or TypeError for what nobody wrote.

    Signatures are not looked at: the file is as private as the key, and 100,000 of them would take ten seconds. Of a
    record of protocol version 1 the address is left, which is worth a try; the next write of that peer drops the rest.
    """
    row = dict(zip(PEER_COLUMNS, values, strict=True))
    signed, address = (None, None) if row["signed"] is None else _read_signed(row["signed"], network)
    if signed is not None and signed.peer != row["peer"]:
        raise ValueError("the record of another peer")
    if row["address"] is not None:
        address = Address.parse(row["address"])
    if address is None:
        raise ValueError("no address")
    return PeerEntry(
        peer=PeerId(row["peer"]),
        address=address,
        signed=signed,
        source=None if row["source"] is None else PeerId(row["source"]),
        delay=float(row["delay"]),
        saved_at=float(row["saved_at"]),
        **{name: None if row[name] is None else float(row[name]) for name in _MOMENTS},
    )


def _read_signed(data: bytes, network: str) -> tuple[PeerRecord | None, Address | None]:
    """The record of a row, and the address that it says. DecodeError for what is none."""
    try:
        record = PeerRecord.decode(data, network=network, verify=False)
    except DecodeError:
        return None, address_of_version_1(data)
    return record, record.address


def _check_places(path: Path) -> None:
    """See that the book and what SQLite keeps beside it are regular files that can be written, or can be made.

    SQLite would follow a link there, and make what it leads to its own. Raises BookUnusable or StorageError.
    """
    for place in (path, *(Path(f"{path}{suffix}") for suffix in _BESIDE)):
        try:
            check_file(place)
        except OSError as error:
            raise _unwritable(place, error) from error


_open_books: weakref.WeakSet[SqliteStorage] = weakref.WeakSet()


def _is_open_here(path: Path) -> bool:
    """Whether this process has the book open. To close another descriptor of it would end the lock (POSIX)."""
    with contextlib.suppress(OSError):
        status = path.stat()
        here = [each.path.stat() for each in list(_open_books) if each.is_open]
        return any(os.path.samestat(status, each) for each in here)
    return False


def _copied(path: Path, copy: Path) -> bool:
    """Copy a book with what SQLite needs beside it; False if there is none, or it changes meanwhile."""
    names = ["", "-wal", "-journal"]
    before = [_version(Path(f"{path}{name}")) for name in names]
    if before[0] is None:
        return False
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{path}{name}", f"{copy}{name}")
    return before == [_version(Path(f"{path}{name}")) for name in names]


def _version(path: Path) -> tuple[int, int, int] | None:
    """What differs after a write."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _foretold(path: Path, copy: Path, network: str) -> str | None:
    """What would be logged of the book at `path`, of which there is a copy to try it."""
    try:
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            check_whole(connection)
            migrate(connection)
            check_tables(connection)
            found = connection.execute("SELECT value FROM facts WHERE name = 'network'").fetchone()
            (peers,) = connection.execute("SELECT count(*) FROM peers").fetchone()
    except TooNew:
        return None  # which is no damage: a start refuses it
    except (Foreign, sqlite3.DatabaseError) as error:
        return f"{DAMAGED}: {path}: {error}" if _is_damage(error) else None
    return f"{OTHER_NETWORK}: {path}" if peers and (found is None or found[0] != network) else None


def _unwritable(path: Path, error: OSError) -> StorageError:
    kind = StorageError if error.errno in _NO_ROOM else BookUnusable
    return kind(f"{path} cannot be written: {error.strerror}")


def _too_new(path: Path, error: TooNew) -> BookUnusable:
    return BookUnusable(f"{path} is of a newer Rookery ({error}): run that, or move the file away")


def _code(error: sqlite3.Error) -> int:
    """SQLite's result code without its details."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _is_damage(error: Exception) -> bool:
    return not isinstance(error, sqlite3.Error) or _code(error) in _DAMAGED
