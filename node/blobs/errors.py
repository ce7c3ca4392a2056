"""What can go wrong between files and blocks. (`ManifestError` is in `manifest`, `StoreError` in `stores`.)"""

import os


class BlobError(Exception):
    """A file could not be cut into blocks or put together from them."""


class SourceError(BlobError):
    """The file to put cannot be read; `path` names it."""

    def __init__(self, path: str | os.PathLike[str], why: str) -> None:
        super().__init__(f"cannot read {os.fspath(path)}: {why}")
        self.path = os.fspath(path)


class DestinationError(BlobError):
    """The file to write cannot be written; `path` names it, and what was there before is untouched."""

    def __init__(self, path: str | os.PathLike[str], why: str) -> None:
        super().__init__(f"cannot write {os.fspath(path)}: {why}")
        self.path = os.fspath(path)


class MissingBlock(BlobError):
    """The store lacks a block of the file; `key` names it. Another `Download` fetches it."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"the store has no block {key.hex()}")
        self.key = key
