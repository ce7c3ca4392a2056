"""From blocks to a file.

Rules, each with a test in `tests/blobs/test_writing.py`:

* The destination is the whole file or what it was before, never a part: bytes go to a temporary name beside it
  (`.rookery-....part`), which is synced and renamed when its length is right, and removed when anything fails.
* A destination that is a folder, a device or out of reach, or a disk without room, is refused before the first byte
  where that can be known, and is a `DestinationError` with the path and the reason at any time.
* A symbolic link is followed: the file it points to is replaced, not the link.
* Memory holds one chunk and one manifest per level.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from ...runtime.files import sync_folder
from ..stores import Store
from .errors import DestinationError, MissingBlock
from .manifest import Manifest, ManifestError


def assemble(key: bytes, store: Store, path: str | os.PathLike[str]) -> int:
    """Write the file with root `key` from the blocks in `store` to `path`; the answer is its size in bytes.

    Raises `MissingBlock` when the store lacks one, `ManifestError` when the blocks do not make a file,
    `DestinationError` and `StoreError`; on each of these the destination is as it was.
    """
    root = read_root(key, store)
    with FileWriter(path, root.size) as writer:
        for chunk in read_chunks(root, store):
            writer.write(chunk)
    return root.size


def check_destination(path: str | os.PathLike[str]) -> None:
    """Raises `DestinationError` if no file could be written there now, whatever its size."""
    FileWriter(path, 0).check()


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

    def __init__(self, path: str | os.PathLike[str], size: int) -> None:
        self._path = os.fspath(path)
        self._size = size
        self._target = os.path.realpath(self._path)
        self._folder = os.path.dirname(self._target)
        self._temporary = os.path.join(self._folder, f".rookery-{secrets.token_hex(8)}.part")
        self._written = 0

    def check(self) -> None:
        """Refuse what is known to fail; nothing is written."""
        with self._reporting():
            self._check_target()

    def __enter__(self) -> Self:
        self.check()
        with self._reporting():
            fd = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
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
            os.fsync(self._file.fileno())
            os.replace(self._temporary, self._target)
            sync_folder(self._folder)

    def _check_target(self) -> None:
        if os.path.isdir(self._target):
            raise DestinationError(self._path, "it is a folder; name a file in it")
        if os.path.exists(self._target) and not stat.S_ISREG(os.stat(self._target).st_mode):
            raise DestinationError(self._path, "it is not a regular file")
        disk = os.statvfs(os.path.join(self._folder, "."))  # the dot refuses what is no folder
        if os.path.isdir(self._folder) and not os.access(self._folder, os.W_OK | os.X_OK):
            raise DestinationError(self._path, f"files may not be made in {self._folder}")
        free = disk.f_bavail * disk.f_frsize
        if self._size > free:
            raise DestinationError(self._path, f"it needs {self._size} bytes and the disk has {free} left")

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DestinationError(self._path, error.strerror or str(error)) from error
