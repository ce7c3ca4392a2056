"""What the blobs engine has done on the pool: everything that reads, writes or hashes. One thread per download.

Whatever goes wrong with a file or the store is a `BlobError`.
"""

import contextlib
from collections.abc import Iterator, Sequence

from msgspec import Struct

from ..core.download import Accepted, Download, Progress, Reason, Rejected
from ..core.keys import BlobKey
from ..core.manifest import ManifestError
from ..errors import BlobError, BrokenFile, StorageFailed
from ..stores import Store, StoreError
from .chunking import put_file
from .paths import FileId
from .writing import assemble, check_destination

Verdict = Accepted | Rejected

WORK_TIMEOUT = 7 * 86_400.0
"""Seconds. Work on the pool has no limit of its own: a large file on a slow disk takes as long as it takes."""


class Step(Struct, frozen=True):
    """What became of a download when blocks came.

    verdicts: of the blocks in order, fewer than there were if the store failed. lacking: what to fetch, at most a
    window. error: why it cannot go on.
    """

    verdicts: tuple[Verdict, ...]
    lacking: tuple[bytes, ...]
    progress: Progress
    error: BlobError | None = None

    @property
    def complete(self) -> bool:
        """Every block is in the store."""
        return self.error is None and not self.lacking


def advance(download: Download, store: Store, blocks: Sequence[tuple[bytes, bytes]], window: int) -> Step:
    """Take blocks (key, value), store the good ones, and look what else the store has."""
    verdicts: list[Verdict] = []
    try:
        with _failing(download.key):
            for key, value in blocks:
                verdict = download.accept(key, value)
                if verdict == Accepted():
                    store.put(key, value)
                verdicts.append(verdict)
            lacking = resume(download, store, window)
            if download.failure is not None:
                raise ManifestError(download.failure)
    except BlobError as error:
        return Step(tuple(verdicts), (), download.progress, error)
    return Step(tuple(verdicts), tuple(lacking), download.progress)


def look(key: bytes, store: Store, window: int) -> Progress:
    """What a download would start from. Raises `BrokenFile`, `StorageFailed`."""
    step = advance(Download(key), store, (), window)
    if step.error is not None:
        raise step.error
    return step.progress


def has(key: bytes, store: Store, window: int) -> bool:
    """Whether every block of the file is here. Raises `StorageFailed`."""
    try:
        progress = look(key, store, window)
    except BrokenFile:
        return False
    return progress.done == progress.total


def check(destination: str, size: int, seen: FileId | None) -> FileId:
    """Whether a file of so many bytes could be written; its folder. Raises `DestinationError`."""
    return check_destination(destination, size=size, seen=seen)


def write(key: bytes, store: Store, destination: str, seen: FileId | None) -> int:
    """Write a file whose blocks are here; its size. Raises what `assemble` does, as a `BlobError`."""
    with _failing(key):
        return assemble(key, store, destination, seen=seen)


def put(path: str, store: Store, chunk_size: int, seen: FileId | None) -> BlobKey:
    """Cut a file. Raises `SourceError`, `StorageFailed`."""
    with _failing(b""):
        return BlobKey(put_file(path, store, chunk_size=chunk_size, seen=seen))


def as_failure(error: Exception) -> BlobError:
    """What is no `BlobError` by now comes from a store that broke its contract."""
    if isinstance(error, BlobError):
        return error
    failure = StorageFailed(f"{type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def ending(result: object) -> str:
    """How something ended, for a metric: `done`, or which `BlobError`."""
    return type(as_failure(result)).__name__ if isinstance(result, Exception) else "done"


@contextlib.contextmanager
def _failing(key: bytes) -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise StorageFailed(str(error)) from error
    except ManifestError as error:
        raise BrokenFile(key, str(error)) from error


def resume(download: Download, store: Store, limit: int) -> list[bytes]:
    """Give a download what the store has of what it wants; the answer is what is left to fetch, at most `limit` keys.

    Reads the disk. Chunks are taken on the store's word (`has`); raises `StoreError`.
    """
    lacking: set[bytes] = set()
    while fresh := [key for key in download.wanted(limit) if key not in lacking]:
        lacking.update(key for key in fresh if not _give(download, store, key))
    return download.wanted(limit)


def _give(download: Download, store: Store, key: bytes) -> bool:
    """False if the block is to be fetched."""
    if not store.has(key):
        return False
    if download.present(key):
        return True
    value = store.get(key)
    if value is None:
        return False
    verdict = download.accept(key, value)
    if verdict == Rejected(Reason.FALSE):  # a store that does not verify what it reads
        store.delete(key)
        return False
    return True
