"""One owner per folder.

The lock is `flock` on a file that stays in the folder: the kernel lets go of it however the owner ends, so a
killed node leaves no stale lock behind. The file holds the owner's process id, only to name it in the error.

* A process that the owner forks holds no lock: it closes its copy at once, and the owner's `release` unlocks instead of
  only closing. So neither a worker that outlives the node nor one that ends before it changes who owns the folder.
* What stands at the lock's place and is no lock, a link above all, is left as it is and refused.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
import weakref
from pathlib import Path

from ....runtime.files import check_file, read_file
from . import StoreError, StoreLocked

LOCK_NAME = "lock"
_CONTENT = re.compile(rb"[0-9 ]*\n?")
_WIDTH = 20  # bytes of a process id, so that a shorter one leaves nothing of a longer one


def check_lock(folder: Path) -> None:
    """Raise the StoreError that locking `folder` would, its being locked aside. Changes nothing, and locks nothing."""
    path = folder / LOCK_NAME
    try:
        check_file(path)
        content = read_file(path, 2 * _WIDTH)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"cannot open the lock file {path}: {error.strerror or error}", path) from error
    _check_content(path, content)


class FolderLock:
    """Holds a folder from construction to `release`.

    Raises `StoreLocked` when the folder has an owner (in this process or another), `StoreError` when the lock
    file cannot be opened, or is something else.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK_NAME
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as error:
            why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
            raise StoreError(f"cannot open the lock file {path}: {why}", path) from error
        try:
            self._take(folder, path)
        except BaseException:
            os.close(self._fd)
            raise
        _held.add(self)

    def _take(self, folder: Path, path: Path) -> None:
        content = self._content()
        _check_content(path, content)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(self._fd, f"{os.getpid():<{_WIDTH}}\n".encode(), 0)
        except BlockingIOError as error:
            pid = int(content) if content.strip().isdigit() else None
            raise StoreLocked(f"the store folder {folder} is in use by {_name(pid)}", folder, pid) from error
        except OSError as error:
            raise StoreError(f"cannot lock the store folder {folder}: {error.strerror}", folder) from error

    def release(self) -> None:
        """Give the folder up. The file stays: removing it would let two owners lock two different files."""
        if self in _held:
            _held.discard(self)
            with contextlib.suppress(OSError):
                fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)

    def forked(self) -> None:
        """In a forked process: the lock is the parent's."""
        _held.discard(self)
        with contextlib.suppress(OSError):
            os.close(self._fd)

    def _content(self) -> bytes:
        """What the file says, or what no lock says where it is no file."""
        return os.pread(self._fd, 2 * _WIDTH, 0) if stat.S_ISREG(os.fstat(self._fd).st_mode) else b"no file"


def _check_content(path: Path, content: bytes) -> None:
    if len(content) > _WIDTH + 1 or not _CONTENT.fullmatch(content):
        raise StoreError(f"{path} is no lock file: move it away (allowed: nothing, or a file of a process id)", path)


_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _let_go() -> None:
    for lock in list(_held):
        lock.forked()


os.register_at_fork(after_in_child=_let_go)


def _name(pid: int | None) -> str:
    if pid is None:
        return "another process"
    return "this process" if pid == os.getpid() else f"process {pid}"
