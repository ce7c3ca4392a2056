"""From a file to blocks.

Rules, each with a test in `tests/blobs/test_chunking.py`:

* A file is read once, from front to end; memory holds one chunk and one unfinished manifest per level.
* Children are stored before the manifest that lists them and the root last, so who finds a root in the store
  finds the whole file, wherever a crash fell.
* The same bytes and the same chunk size give the same key, whatever the file is called.
* Only a regular file can be put, by a path as `paths` allows; what is opened is looked at once more.
* As many bytes are read as the file had when it was opened. One that became shorter meanwhile is refused, as is one
  that has more than its size says.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from ..core.manifest import DEFAULT_CHUNK_SIZE, Manifest, check_chunk_size, fanout
from ..errors import SourceError
from ..stores import KEY_SIZE, Store
from .paths import ELSEWHERE, FileId, absolute, resolve


def check_source(path: str | os.PathLike[str]) -> FileId:
    """Which file would be put. Raises `SourceError` if none could."""
    with _reporting(path):
        return FileId.of(_look(path)[1])


def put_file(
    path: str | os.PathLike[str], store: Store, *, chunk_size: int = DEFAULT_CHUNK_SIZE, seen: FileId | None = None
) -> bytes:
    """Store the file at `path` in chunks of `chunk_size` bytes and return the key of its root.

    seen: the file that whoever gave the path has found there; any other is refused. Raises `SourceError` when the file
    cannot be read, `StoreError` (`StoreFull`) when the store cannot take it, ValueError for a chunk size out of range.
    """
    tree = TreeBuilder(store, chunk_size)
    for chunk in _read_chunks(path, chunk_size, seen):
        tree.add(chunk)
    return tree.finish()


class TreeBuilder:
    """Stores chunks as they come and the manifests over them as these fill up."""

    def __init__(self, store: Store, chunk_size: int = DEFAULT_CHUNK_SIZE) -> None:
        check_chunk_size(chunk_size)
        self._store = store
        self._chunk_size = chunk_size
        self._full = fanout(chunk_size) * KEY_SIZE
        self._unfinished = [_Unfinished()]
        """The manifest being filled at each level, level 1 first."""

    def add(self, chunk: bytes) -> None:
        """Append a chunk; each has `chunk_size` bytes except the last."""
        self._list(1, self._keep(chunk), len(chunk))

    def finish(self) -> bytes:
        """Store what is unfinished and return the root's key."""
        level = 1
        while level < len(self._unfinished):
            self._close(level)
            level += 1
        return self._keep(self._manifest(level).encode())

    def _list(self, level: int, key: bytes, size: int) -> None:
        if level > len(self._unfinished):
            self._unfinished.append(_Unfinished())
        # A full manifest is closed only when another child comes: until then it may turn out to be the root.
        if len(self._unfinished[level - 1].digests) == self._full:
            self._close(level)
        unfinished = self._unfinished[level - 1]
        unfinished.digests += key
        unfinished.size += size

    def _close(self, level: int) -> None:
        manifest = self._manifest(level)
        self._unfinished[level - 1] = _Unfinished()
        self._list(level + 1, self._keep(manifest.encode()), manifest.size)

    def _manifest(self, level: int) -> Manifest:
        unfinished = self._unfinished[level - 1]
        return Manifest(level, unfinished.size, self._chunk_size, bytes(unfinished.digests))

    def _keep(self, block: bytes) -> bytes:
        key = hashlib.sha256(block).digest()
        self._store.put(key, block)
        return key


class _Unfinished:
    __slots__ = ("digests", "size")

    def __init__(self) -> None:
        self.digests = bytearray()
        self.size = 0


def _read_chunks(path: str | os.PathLike[str], chunk_size: int, seen: FileId | None) -> Iterator[bytes]:
    with _reporting(path, seen), _open(path, seen) as file:
        size = left = os.fstat(file.fileno()).st_size
        while left > 0:
            chunk = file.read(wanted := min(chunk_size, left))
            left -= len(chunk)
            if len(chunk) < wanted:
                raise SourceError(path, f"it became shorter while it was read: {size - left} bytes of {size}")
            yield chunk
        if file.read(1) and os.fstat(file.fileno()).st_size == size:
            raise SourceError(path, f"it has more bytes than its size says, which is {size}")


def _look(path: str | os.PathLike[str]) -> tuple[str, os.stat_result]:
    found = resolve(absolute(path))
    if found.status is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    _check_regular(path, found.status)
    return found.path, found.status


def _open(path: str | os.PathLike[str], seen: FileId | None) -> BinaryIO:
    # Looked at before, since to open a device can do something; with O_NONBLOCK a pipe in its place holds up nobody.
    real, _status = _look(path)
    with contextlib.ExitStack() as undo:
        file = undo.enter_context(open(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb"))
        status = os.fstat(file.fileno())
        _check_regular(path, status)
        if seen not in (None, FileId.of(status)):
            raise SourceError(path, "the node finds another file there than its caller: " + ELSEWHERE)
        undo.pop_all()
    return file


def _check_regular(path: str | os.PathLike[str], status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(path, "it is not a regular file")


@contextlib.contextmanager
def _reporting(path: str | os.PathLike[str], seen: FileId | None = None) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        why = f"; its caller does see it: {ELSEWHERE}" if seen else ""
        raise SourceError(path, f"{error.strerror}{why}") from error
    except OSError as error:
        raise SourceError(path, error.strerror or str(error)) from error
