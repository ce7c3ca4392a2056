"""From blocks to a file.

Rules, each with a test in `tests/blobs/test_writing.py`:

* The destination is the whole file or what it was before, never a part: bytes go to a temporary name beside it
  (`.rookery-....part`), which is synced and renamed when its length is right, and removed when anything fails.
* A destination that is neither a regular file nor a new name in a folder, is out of reach (`paths`), cannot be
  replaced, or has no room on its disk, is refused before the first byte where that can be known, and is a
  `DestinationError` with the path and the reason at any time. A path that ends with `/` names a folder: refused too.
* A symbolic link is followed: the file it points to is replaced, not the link.
* A file that is replaced keeps its permissions (read, write, execute), and its owner and group where the system lets
  this process give them; the group's are dropped where it does not. Until then nobody else can read what comes.
* Memory holds one chunk and one manifest per level.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from ....runtime.files import sync_folder
from ..core.manifest import Manifest, ManifestError
from ..errors import DestinationError, MissingBlock
from ..stores import Store
from .paths import ELSEWHERE, FileId, Found, absolute, resolve


def assemble(key: bytes, store: Store, path: str | os.PathLike[str], *, seen: FileId | None = None) -> int:
    """Write the file with root `key` from the blocks in `store` to `path`; the answer is its size in bytes.

    seen: the folder that whoever gave the path has found there; any other is refused. Raises `MissingBlock` when the
    store lacks one, `ManifestError` when the blocks do not make a file, `DestinationError` and `StoreError`; on each of
    these the destination is as it was.
    """
    root = read_root(key, store)
    with FileWriter(path, root.size, seen=seen) as writer:
        for chunk in read_chunks(root, store):
            writer.write(chunk)
    return root.size


def check_destination(path: str | os.PathLike[str], *, size: int = 0, seen: FileId | None = None) -> FileId:
    """The folder in which a file of `size` bytes would be written. Raises `DestinationError` if none could be now."""
    return FileWriter(path, size, seen=seen).check()


def read_root(key: bytes, store: Store) -> Manifest:
    """The root manifest of a file; raises `MissingBlock`, `ManifestError`, `StoreError`."""
    return Manifest.decode_root(_load(key, store))


def read_chunks(root: Manifest, store: Store) -> Iterator[bytes]:
    """The file's chunks in order, one at a time; raises as `read_root` does."""
    walk = [root.children()]
    while walk:
        child = next(walk[-1], None)
        if child is None:
            walk.pop()
            continue
        key, place = child
        value = _load(key, store)
        manifest = place.read(value)
        if manifest is None:
            yield value
        else:
            walk.append(manifest.children())


def _load(key: bytes, store: Store) -> bytes:
    value = store.get(key)
    if value is None:
        raise MissingBlock(key)
    return value


class FileWriter:
    """A file of `size` bytes that appears at `path` when the `with` block ends well, and not before.

    Raises `DestinationError` on entering, writing and leaving.
    """

    def __init__(self, path: str | os.PathLike[str], size: int, *, seen: FileId | None = None) -> None:
        """seen: the folder's id as whoever gave the path has it."""
        self._path = absolute(path)
        self._size = size
        self._seen = seen
        self._written = 0

    def check(self) -> FileId:
        """Refuse what is known to fail; nothing is written. The folder."""
        with self._reporting():
            self._target = self._find()
            return self._check_folder(self._target)

    def __enter__(self) -> Self:
        self.check()
        mode = 0o666 if self._target.status is None else 0o600  # the file's own is given to it at the end
        self._temporary = os.path.join(self._target.folder, f".rookery-{secrets.token_hex(8)}.part")
        with self._reporting():
            fd = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        self._file = open(fd, "wb", buffering=0)
        return self

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with self._reporting():
            rest = memoryview(data)
            while rest:  # a disk that fills up takes a part first
                rest = rest[self._file.write(rest) :]
        self._written += len(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._publish()
        finally:
            self._file.close()
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)

    def _publish(self) -> None:
        if self._written != self._size:
            raise ManifestError(f"{self._written} bytes were written of a file of {self._size}")
        with self._reporting():
            target = self._find()
            if target.path != self._target.path:
                raise DestinationError(self._path, f"it led to {self._target.path} when that was begun, now elsewhere")
            self._take_over(target.status or self._target.status)
            os.fsync(self._file.fileno())
            os.replace(self._temporary, target.path)
            sync_folder(target.folder)

    def _take_over(self, replaced: os.stat_result | None) -> None:
        """Be as open as the file that is replaced, and no more. A file system without owners or modes has its own."""
        if replaced is None:
            return
        fd, mode = self._file.fileno(), stat.S_IMODE(replaced.st_mode) & 0o777
        with contextlib.suppress(OSError):
            os.fchown(fd, -1, replaced.st_gid)
        if os.fstat(fd).st_gid != replaced.st_gid:
            mode &= ~0o070
        with contextlib.suppress(OSError):
            os.fchmod(fd, mode)
            os.fchown(fd, replaced.st_uid, -1)

    def _find(self) -> Found:
        if os.path.basename(self._path) in ("", ".", ".."):
            raise DestinationError(self._path, "it names a folder; name a file in it")
        target = resolve(self._path)
        if target.status is None:
            return target
        if stat.S_ISDIR(target.status.st_mode):
            raise DestinationError(self._path, "it is a folder; name a file in it")
        if not stat.S_ISREG(target.status.st_mode):
            raise DestinationError(self._path, "it is not a regular file")
        if target.is_mounted:
            raise DestinationError(self._path, "it is a mount point, which cannot be replaced; name another file")
        return target

    def _check_folder(self, target: Found) -> FileId:
        folder = target.folder
        status, disk = os.stat(folder), os.statvfs(folder)
        if self._seen not in (None, FileId.of(status)):
            raise DestinationError(self._path, f"the node finds another folder {folder} than its caller: {ELSEWHERE}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise DestinationError(self._path, f"files may not be made in {folder}")
        owners = {0, status.st_uid, target.status.st_uid if target.status else os.geteuid()}
        if status.st_mode & stat.S_ISVTX and os.geteuid() not in owners:
            raise DestinationError(self._path, f"it is somebody else's, who alone may replace it in {folder}")
        free = disk.f_bavail * disk.f_frsize
        if self._size > free:
            raise DestinationError(self._path, f"it needs {self._size} bytes and the disk has {free} left")
        return FileId.of(status)

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            why = f"; its caller does see the folder: {ELSEWHERE}" if self._seen else ""
            raise DestinationError(self._path, f"{error.strerror}{why}") from error
        except OSError as error:
            raise DestinationError(self._path, error.strerror or str(error)) from error
