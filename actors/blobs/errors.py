"""What can go wrong between files and blocks. (`ManifestError` is in `manifest`, `StoreError` in `stores`.)

All are `Declined`: an answer of the blobs engine, which lives on.
"""

import os

from ...runtime import Declined
from ...runtime.arguments import SHOWN

_LONGEST_PATH = 4096  # bytes on Linux; less elsewhere


class BlobError(Declined):
    """A file could not be cut into blocks, fetched, or put together from them."""


class SourceError(BlobError):
    """The file to put cannot be read; `path` names it."""

    def __init__(self, path: str | os.PathLike[str], why: str) -> None:
        super().__init__(f"cannot read {_cut(path)}: {why}")
        self.path = os.fspath(path)


class DestinationError(BlobError):
    """The file to write cannot be written; `path` names it, and what was there before is untouched."""

    def __init__(self, path: str | os.PathLike[str], why: str) -> None:
        super().__init__(f"cannot write {_cut(path)}: {why}")
        self.path = os.fspath(path)


class MissingBlock(BlobError):
    """The store lacks a block of the file; `key` names it. Another `Download` fetches it."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"the store has no block {key.hex()}")
        self.key = key


class BrokenFile(BlobError):
    """The blocks with this root do not make a file. Who made it is at fault, so no peer can help."""

    def __init__(self, key: bytes, why: str) -> None:
        super().__init__(f"{key.hex()} is no whole file: {why}")
        self.key = key


class StorageFailed(BlobError):
    """The node's own store could not do its part; the cause is chained. What it has stays."""


class GetCancelled(BlobError):
    """The get was ended before the file was there. Blocks that came stay, so another get goes on from them."""

    def __init__(self, key: bytes, why: str) -> None:
        super().__init__(f"{key.hex()} was not fetched: {why}")
        self.key = key


class NobodyHasIt(BlobError):
    """All members that can be were asked, and none has the file; another get may find who has it by then."""

    def __init__(self, key: bytes, searched: str, done: int = 0, total: int | None = None) -> None:
        """searched: who was asked, in words. done, total: bytes, that came and of the file, if that is known."""
        came = "" if total is None else f"; {done} of {total} bytes came"
        super().__init__(f"{key.hex()} was not fetched: {searched}{came}")
        self.key, self.done, self.total = key, done, total


class GetTimedOut(BlobError, TimeoutError):
    """The time that a get was given is over. Blocks that came stay, so another get goes on from them."""

    def __init__(self, key: bytes, timeout: float, done: int, total: int | None, searched: str = "") -> None:
        """timeout: seconds. done, total: bytes. searched: what the last search for who has it has done, in words."""
        what = "its root came from nobody" if total is None else f"{done} of {total} bytes came"
        what += f"; {searched}" if searched else ""
        super().__init__(f"{key.hex()} was not fetched within {timeout:g} s: {what}")
        self.key, self.done, self.total = key, done, total


def _cut(path: str | os.PathLike[str]) -> str:
    """Whole if any system can have it; no error is as long as what somebody made up."""
    text = os.fspath(path)
    return text if len(text) <= _LONGEST_PATH else f"{text[:SHOWN]}... ({len(text)} characters)"
