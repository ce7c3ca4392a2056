"""One owner per folder.

The lock is `flock` on a file that stays in the folder: the kernel lets go of it however the owner ends, so a
killed node leaves no stale lock behind. The file holds the owner's process id, only to name it in the error.
"""

import fcntl
import os
from pathlib import Path

from . import StoreError, StoreLocked

LOCK_NAME = "lock"


class FolderLock:
    """Holds a folder from construction to `release`.

    Raises `StoreLocked` when the folder has an owner (in this process or another), `StoreError` when the lock
    file cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK_NAME
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"cannot open the lock file {path}: {error.strerror}", path) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            pid = self._owner()
            os.close(self._fd)
            raise StoreLocked(f"the store folder {folder} is in use by {_name(pid)}", folder, pid) from error
        except OSError as error:
            os.close(self._fd)
            raise StoreError(f"cannot lock the store folder {folder}: {error.strerror}", folder) from error

    def release(self) -> None:
        """Give the folder up. The file stays: removing it would let two owners lock two different files."""
        os.close(self._fd)

    def _owner(self) -> int | None:
        text = os.pread(self._fd, 32, 0).strip()
        return int(text) if text.isdigit() else None


def _name(pid: int | None) -> str:
    if pid is None:
        return "another process"
    return "this process" if pid == os.getpid() else f"process {pid}"
