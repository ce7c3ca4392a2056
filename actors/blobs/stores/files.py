"""The default store: one file per block, in a folder that one process owns.

    FOLDER/lock              who owns the folder
    FOLDER/ab/ab3f...        a block, named by its key in hex (`sha256sum` checks it), in the shard of its first byte
    FOLDER/ab/ab3f....root   empty: that block is the root of a file which is here as a whole
    FOLDER/ab/.ab3f....tmp   a block being written
    FOLDER/ab/ab3f....corrupt  a damaged block, set aside

Rules beside those of every store:

* A block is written to a temporary name in its shard, synced, renamed, and the shard synced: after a crash at any
  point the block is whole or absent. Temporary files a crash left are removed when the store is opened; other
  files that happen to be there are left alone.
* A block whose bytes do not hash to its name is damaged: `get` sets it aside, logs and counts it, and answers None,
  so that it is fetched again. `put` repairs it. With `verify=False` reads are faster and trust the disk.
* A folder has one owner; a second one is refused by an error that names the folder and the process.
* A full disk is `StoreFull`; every other failure of the system is a `StoreError` that names the path.
"""

import contextlib
import errno
import hashlib
import itertools
import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from ....runtime.files import check_folder, sync_folder
from . import StoreError, StoreFull, check_block, check_key
from .lock import FolderLock, check_lock

_SHARDS = tuple(f"{byte:02x}" for byte in range(256))
_BLOCK = re.compile(r"[0-9a-f]{64}")
_MARK = ".root"
_TEMPORARY = re.compile(r"\.[0-9a-f]{64}\.[0-9]+\.tmp")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

_log = logging.getLogger(__name__)


class FileStore:
    """A `Store` in `folder`, which is made if missing.

    `verify` checks every block that is read against its key. Raises `StoreLocked` when the folder has another owner,
    `StoreError` when it cannot be used.
    """

    def __init__(self, folder: str | os.PathLike[str], *, verify: bool = True) -> None:
        self.folder = Path(folder).absolute()
        self.verify = verify
        self.corrupt = 0
        """Damaged blocks set aside since the store was opened."""
        self._root = str(self.folder)
        self._serial = itertools.count()
        self._changing = threading.Lock()
        self.check(self.folder)
        with _reporting("open the store folder", self._root):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._owner: FolderLock | None = FolderLock(self.folder)
        try:
            self._count = self._prepare()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def check(folder: Path) -> None:
        """Raise the StoreError that opening a store in `folder` would, its being in use aside. Changes nothing."""
        with _reporting("open the store folder", str(folder)):
            check_folder(folder)
            there = _names(str(folder))
        check_lock(folder)
        for shard in (folder / name for name in _SHARDS if name in there):
            with _reporting("use the folder of blocks", str(shard)):
                check_folder(shard)
                os.scandir(shard).close()

    def get(self, key: bytes) -> bytes | None:
        path = self._path(key)
        value = _read(path)
        if value is not None and self.verify and hashlib.sha256(value).digest() != key:
            return self._read_again(path, key)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        path = self._path(key)
        check_block(key, value)
        if _read(path) == value:
            return
        shard, name = os.path.split(path)
        temporary = os.path.join(shard, f".{name}.{next(self._serial)}.tmp")
        with _reporting("write", path):
            self._make_shard(shard)
            try:
                _write_synced(temporary, value)
                with self._changing:
                    is_new = not os.path.exists(path)
                    os.replace(temporary, path)
                    self._count += is_new
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
            sync_folder(shard)

    def has(self, key: bytes) -> bool:
        return os.path.exists(self._path(key))

    def delete(self, key: bytes) -> None:
        path = self._path(key)
        with _reporting("delete", path), self._changing:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
                self._count -= 1
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + _MARK)

    def mark(self, key: bytes) -> None:
        path = self._path(key) + _MARK
        if os.path.exists(path):
            return
        shard = os.path.dirname(path)
        with _reporting("write", path), self._changing:
            self._make_shard(shard)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            sync_folder(shard)

    def unmark(self, key: bytes) -> None:
        path = self._path(key) + _MARK
        with _reporting("delete", path), self._changing, contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def marked(self) -> Iterator[bytes]:
        self._check_open()
        return self._walk(_MARK)

    def keys(self) -> Iterator[bytes]:
        self._check_open()
        return self._walk()

    def count(self) -> int:
        self._check_open()
        return self._count

    def close(self) -> None:
        if self._owner is not None:
            self._owner.release()
            self._owner = None

    def _prepare(self) -> int:
        """Remove what a crash left, and count the blocks."""
        blocks = 0
        with _reporting("prepare the store folder", self._root):
            for shard in _SHARDS:
                folder = os.path.join(self._root, shard)
                for name in _names(folder):
                    if _TEMPORARY.fullmatch(name):
                        os.unlink(os.path.join(folder, name))
                    blocks += _is_block(name, shard)
        return blocks

    def _make_shard(self, folder: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
            sync_folder(self._root)

    def _walk(self, mark: str = "") -> Iterator[bytes]:
        """The blocks; mark: of a file that has to be beside each."""
        for shard in _SHARDS:
            folder = os.path.join(self._root, shard)
            with _reporting("list", folder):
                there = set(_names(folder))
            names = sorted(name for name in there if _is_block(name, shard) and name + mark in there)
            yield from map(bytes.fromhex, names)

    def _read_again(self, path: str, key: bytes) -> bytes | None:
        """Set a damaged block aside, unless a `put` has repaired it since it was read."""
        with self._changing, _reporting("set aside", path):
            value = _read(path)
            if value is None or hashlib.sha256(value).digest() == key:
                return value
            os.replace(path, path + ".corrupt")
            self._count -= 1
            self.corrupt += 1
        _log.warning("damaged block set aside as %s.corrupt: %d bytes that do not hash to its name", path, len(value))
        return None

    def _path(self, key: bytes) -> str:
        check_key(key)
        self._check_open()
        name = key.hex()
        return os.path.join(self._root, name[:2], name)

    def _check_open(self) -> None:
        if self._owner is None:
            raise StoreError(f"the store {self._root} is closed", self.folder)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:  # a shard without a block yet
        return []


def _is_block(name: str, shard: str) -> bool:
    return name.startswith(shard) and _BLOCK.fullmatch(name) is not None


def _read(path: str) -> bytes | None:
    with _reporting("read", path):
        try:
            with open(path, "rb", buffering=0) as file:
                return file.readall()
        except FileNotFoundError:
            return None


def _write_synced(path: str, value: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:
        file.write(value)
        file.flush()
        os.fsync(fd)


@contextlib.contextmanager
def _reporting(action: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StoreFull if error.errno in _NO_ROOM else StoreError
        raise kind(f"cannot {action} {path}: {error.strerror}", Path(path)) from error
