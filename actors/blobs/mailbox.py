"""What the blobs actor can be asked and told, and the event it emits.

The mailbox is also what a resolver needs: give it as `producer` and as `consumer`.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import ClassVar

from msgspec import Struct

from ... import runtime
from ...runtime import Lane, Limit, Message, Overflow, Reply, Request, arguments
from ...transport.identity import PeerId
from ..resolver.core.decisions import Outcome
from ..resolver.parts.application import Delivery
from .core.download import Progress
from .core.keys import BlobKey
from .parts.paths import FileId, absolute

# Events: told to subscribers -----------------------------------------------------------------------------------------


class BlobProgress(Message, Struct, frozen=True):
    """How much of a file is here, in bytes. total: None until the root is here.

    stage: of the search for who has it, in words, where members are asked: "looking", "fetching".
    """

    overflow: ClassVar[Overflow] = Overflow.LATEST
    root: BlobKey
    done: int
    total: int | None
    stage: str = ""

    def key(self) -> Hashable:
        """The newest of each file waits."""
        return self.root


# Answers and requests ------------------------------------------------------------------------------------------------


class GetReport(Struct, frozen=True):
    """A file that was written.

    size: bytes. seconds: from the get to the file. fetched: bytes of blocks that came from peers while the download
    ran; what the store had is not among them. served: who gave how many of those bytes. false: who gave how many false
    blocks. Both are sorted by peer and list at most `MAX_PEERS`.
    """

    key: BlobKey
    size: int
    seconds: float
    fetched: int
    served: tuple[tuple[PeerId, int], ...]
    false: tuple[tuple[PeerId, int], ...]


class Put(Request[BlobKey], Struct, frozen=True):
    """Cut the file at `path` into blocks. seen: which file the caller has seen there."""

    path: str
    seen: FileId | None = None


class Get(Request[GetReport], Struct, frozen=True):
    """Fetch the file and write it to `destination`. timeout: seconds, None for no limit. wait: also if nobody has it.

    seen: in which folder the caller has seen the destination.
    """

    root: BlobKey
    destination: str
    timeout: float | None = None
    seen: FileId | None = None
    wait: bool = True


class Cancel(Request[int], Struct, frozen=True):
    """End every get of this file that is not writing yet."""

    root: BlobKey


class GetProgress(Request[Progress], Struct, frozen=True):
    """How much is here."""

    root: BlobKey


class Has(Request[bool], Struct, frozen=True):
    """Whether all is here."""

    root: BlobKey


class Produce(Request[bytes | None], Struct, frozen=True):
    """Another node asks for a block."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.REJECT
    block: bytes


class Deliver(Request[Outcome], Struct, frozen=True):
    """A block that was asked for. Never refused: the window bounds how many there can be."""

    lane: ClassVar[Lane] = Lane.DATA
    delivery: Delivery
    value: bytes


class Mailbox(runtime.EventMailbox):
    """How others reach the files of this node. Keys are 32 bytes or 64 hex digits, else ValueError.

    What fails is answered with a `BlobError`, which says why. Relative paths count from the present working folder;
    `paths` says which are allowed. seen: what a caller in another process has found there, by `check_source` or
    `check_destination`; anything else is refused.
    """

    events: ClassVar = (BlobProgress,)
    limits: ClassVar = {Produce: Limit(1024)}

    def put(self, path: str | os.PathLike[str], *, seen: FileId | None = None) -> Reply[BlobKey]:
        """Store a file; its key. Fails with `SourceError`, `StorageFailed`."""
        return self.ask(Put(absolute(path), seen))

    def get(
        self,
        key: bytes | str,
        destination: str | os.PathLike[str],
        *,
        timeout: float | None = None,
        seen: FileId | None = None,
        wait: bool = True,
    ) -> Reply[GetReport]:
        """Fetch a file, going on from what is here, and write it. Gets of one key share one download.

        It waits for peers that have the file as long as it takes, or `timeout` seconds; writing is not counted. Without
        `wait` it fails with `NobodyHasIt` once all members were asked and none has it, where members are asked.
        Fails with `DestinationError`, `BrokenFile`, `GetCancelled`, `GetTimedOut`, `StorageFailed`.
        """
        if timeout is not None:
            timeout = arguments.seconds(timeout, "a get")
        return self.ask(Get(BlobKey.parse(key), absolute(destination), timeout, seen, wait))

    def cancel(self, key: bytes | str) -> Reply[int]:
        """End the gets of this key with `GetCancelled`; how many. One that is writing its file already goes on."""
        return self.ask(Cancel(BlobKey.parse(key)))

    def progress(self, key: bytes | str) -> Reply[Progress]:
        """How far the download is; without one, from where it would start. Fails with `BrokenFile`, `StorageFailed`."""
        return self.ask(GetProgress(BlobKey.parse(key)))

    def has(self, key: bytes | str) -> Reply[bool]:
        """Whether the whole file is in this node's store. Fails with `StorageFailed`."""
        return self.ask(Has(BlobKey.parse(key)))

    def produce(self, key: bytes) -> Reply[bytes | None]:
        """For the resolver: a block, None if it is not here or `serve_rate` leaves no room for it."""
        return self.ask(Produce(key))

    def deliver(self, delivery: Delivery, value: bytes) -> Reply[Outcome]:
        """For the resolver: what a block is worth. `INVALID` only if it does not hash to its key."""
        return self.ask(Deliver(delivery, value))
