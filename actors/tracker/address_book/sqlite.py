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
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ....runtime.log import Log
from ....transport.identity import PeerId
from . import inspection
from .inspection import (
    BESIDE,
    DAMAGED,
    OTHER_NETWORK,
    check_places,
    is_damage,
    open_books,
    result_code,
    too_new,
    unwritable,
)
from .storage import Batch, BlockEntry, BookUnusable, Head, Read, StorageError
from .tables import PEER_COLUMNS, Foreign, TooNew, check_tables, check_whole, from_row, migrate, to_row, transaction

_LOCK_TIMEOUT = 1.0  # seconds to wait for another process to let go of the file
_CALL_TIMEOUT = 1.0  # seconds to wait for another thread's call to end, as the last one's when the node stops
_WAL_LIMIT = 4 * 1024 * 1024  # bytes to which the log is cut back after a checkpoint
_QUARANTINES = 9  # files kept
_LATER = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_COLUMNS = ", ".join(PEER_COLUMNS)
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
            if not is_damage(error):
                raise self._unusable(error) from error
            self.quarantined = self._quarantine(error)
            self._begin()

    check = staticmethod(inspection.check)
    foresee = staticmethod(inspection.foresee)

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
            if result_code(error) in _LATER:
                raise StorageError(f"{self.path}: {error}") from error
            raise
        except TooNew as error:
            connection.close()
            raise too_new(self.path, error) from error
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        open_books.add(self)

    def _touch(self) -> None:
        """Make folder and file, for nobody else to read: it says whom this node knows."""
        check_places(self.path)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise unwritable(self.path, error) from error

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
            for suffix in ("", *BESIDE):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{self.path}{suffix}", f"{quarantined}{suffix}")
        except OSError as failed:
            raise BookUnusable(f"{self.path} is damaged ({error}) and cannot be moved: {failed.strerror}") from failed
        self._log.error(DAMAGED, file=str(self.path), quarantined=quarantined, why=str(error))
        return quarantined

    def _unusable(self, error: Exception) -> BookUnusable:
        if isinstance(error, sqlite3.Error) and result_code(error) in _BUSY:
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
