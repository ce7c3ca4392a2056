"""Files for people and scripts: `node.blobs.put("model.bin")`, `node.blobs.get(key, "copy.bin")`. It blocks.

Rules, each with a test in `tests/node/test_blobs.py`:

* It stands on the mailbox alone, so it works wherever there is one. Inside an engine use the mailbox: waiting there
  raises `WouldDeadlock`.
* Relative paths are those of the caller's working directory.
* `progress` is called on the caller's thread, a few times a second and at the end. If it raises, so does `get`, and
  the download goes on without its caller.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from ..actors.blobs import BlobKey, GetReport, Mailbox, Progress

SHOW_EVERY = 0.2
"""Seconds between two calls of `progress`."""


class Blobs:
    """Keys are 32 bytes or 64 hex digits, else ValueError; what fails is a `BlobError`."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def put(self, path: str | os.PathLike[str]) -> BlobKey:
        """Store a file for everybody to get; its key. Raises `SourceError`, `StorageFailed`."""
        return self._mailbox.put(path).get()

    def get(
        self,
        key: bytes | str,
        destination: str | os.PathLike[str],
        *,
        timeout: float | None = None,
        wait: bool = True,
        progress: Callable[[Progress], object] | None = None,
    ) -> GetReport:
        """Fetch a file and write it, going on from what is here. timeout: seconds, not counting the writing.

        wait: also if nobody has it now. Raises `DestinationError`, `BrokenFile`, `GetCancelled`, `GetTimedOut` (a
        TimeoutError), `StorageFailed`, without `wait` also `NobodyHasIt`.
        """
        reply = self._mailbox.get(key, destination, timeout=timeout, wait=wait)
        if progress is None:
            return reply.get()
        while not reply.done:
            progress(self._mailbox.progress(key).get())
            with contextlib.suppress(Exception):  # if it is the answer's error, it comes below
                reply.get(timeout=SHOW_EVERY)
        report = reply.get()
        progress(Progress(report.size, report.size))
        return report

    def cancel(self, key: bytes | str) -> int:
        """End every get of this key, whoever waits; how many. What came stays."""
        return self._mailbox.cancel(key).get()

    def progress(self, key: bytes | str) -> Progress:
        """How much of a file is here. Raises `BrokenFile`, `StorageFailed`."""
        return self._mailbox.progress(key).get()

    def has(self, key: bytes | str) -> bool:
        """Whether the whole file is here. Raises `StorageFailed`."""
        return self._mailbox.has(key).get()
