"""What an address book's file is before it is opened: its place, whether a start would refuse it, what it would log.

So a start and `config check` judge alike. Nothing here changes or locks a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import tempfile
import weakref
from pathlib import Path
from typing import Protocol

from ....runtime.files import check_file
from .storage import BookUnusable, StorageError
from .tables import HEAD_BYTES, Foreign, TooNew, check_head, check_tables, check_whole, migrate

DAMAGED = "the address book is damaged: it is quarantined, and a new one begun; blocks and trust are forgotten"
OTHER_NETWORK = "the address book is of another network: its peers are dropped"
"""What is logged of such files."""

BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})


class OpenBook(Protocol):
    """A book that this process may have open."""

    @property
    def path(self) -> Path: ...

    @property
    def is_open(self) -> bool: ...


def check(path: Path) -> None:
    """Raise the BookUnusable that opening the file would, except that it is in use. Changes nothing."""
    try:
        check_places(path)
        if _is_open_here(path):
            return
        with path.open("rb") as file:
            check_head(file.read(HEAD_BYTES))
    except FileNotFoundError:
        pass  # to be made
    except OSError as error:
        raise unwritable(path, error) from error
    except TooNew as error:
        raise too_new(path, error) from error
    except BookUnusable:
        raise
    except StorageError:
        pass  # no room, for now


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


def check_places(path: Path) -> None:
    """See that the book and what SQLite keeps beside it are regular files that can be written, or can be made.

    SQLite would follow a link there, and make what it leads to its own. Raises BookUnusable or StorageError.
    """
    for place in (path, *(Path(f"{path}{suffix}") for suffix in BESIDE)):
        try:
            check_file(place)
        except OSError as error:
            raise unwritable(place, error) from error


open_books: weakref.WeakSet[OpenBook] = weakref.WeakSet()
"""Those of this process."""


def _is_open_here(path: Path) -> bool:
    """Whether this process has the book open. To close another descriptor of it would end the lock (POSIX)."""
    with contextlib.suppress(OSError):
        status = path.stat()
        here = [each.path.stat() for each in list(open_books) if each.is_open]
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
        return f"{DAMAGED}: {path}: {error}" if is_damage(error) else None
    return f"{OTHER_NETWORK}: {path}" if peers and (found is None or found[0] != network) else None


def unwritable(path: Path, error: OSError) -> StorageError:
    """The error of a file that the system does not let be written: a BookUnusable, but where there is no room now."""
    kind = StorageError if error.errno in _NO_ROOM else BookUnusable
    return kind(f"{path} cannot be written: {error.strerror}")


def too_new(path: Path, error: TooNew) -> BookUnusable:
    """The error of a file that a newer program wrote."""
    return BookUnusable(f"{path} is of a newer Rookery ({error}): run that, or move the file away")


def result_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its details."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def is_damage(error: Exception) -> bool:
    """Whether a file with this error is quarantined."""
    return not isinstance(error, sqlite3.Error) or result_code(error) in _DAMAGED
