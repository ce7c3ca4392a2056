"""Files: what a node does for a client, and the client's `Files`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

from msgspec import Struct

from ....actors.blobs import (
    BlobKey,
    DestinationError,
    FileId,
    GetReport,
    Progress,
    SourceError,
    absolute,
    check_destination,
    check_source,
)
from ....actors.providers import Findings, Holder
from ....runtime.arguments import shortened
from ....transport.address import Address
from ....transport.identity import PeerId
from ..arguments import Arguments
from ..command import A_WEEK, Caller, Command, Context, Pending, same, seconds
from ..errors import CommandFailed, ControlError
from ..protocol import Plain

FIND_TIMEOUT = 120.0
"""Seconds; a sweep of the members takes up to 60."""

# In the node ----------------------------------------------------------------------------------------------------------


def put(node: Context, arguments: Arguments) -> Pending:
    return Pending(node.actors.files.put(arguments.path("path"), seen=arguments.file_id("seen")).map(str), A_WEEK)


def get(node: Context, arguments: Arguments) -> Pending:
    key = BlobKey.parse(arguments.text("key"))
    timeout, seen = arguments.seconds("timeout"), arguments.file_id("seen")
    path, wait = arguments.path("destination"), arguments.flag("wait", True)
    report = node.actors.files.get(key, path, timeout=timeout, seen=seen, wait=wait)
    return Pending(report.map(_report_sent), A_WEEK, watch=key)


def find(node: Context, arguments: Arguments) -> Pending:
    found = node.actors.providers.find(BlobKey.parse(arguments.text("key")))
    return Pending(found.map(_findings_sent), FIND_TIMEOUT)


def cancel(node: Context, arguments: Arguments) -> Pending:
    return Pending(node.actors.files.cancel(arguments.text("key")).map(same))


def _findings_sent(found: Findings) -> Plain:
    return {
        "holders": [
            [str(each.peer), None if each.address is None else str(each.address), each.age] for each in found.holders
        ],
        "result": str(found.result),
    }


def _report_sent(report: GetReport) -> Plain:
    return {
        "key": str(report.key),
        "size": report.size,
        "seconds": report.seconds,
        "fetched": report.fetched,
        "served": [[str(peer), count] for peer, count in report.served],
        "false": [[str(peer), count] for peer, count in report.false],
    }


COMMANDS = {
    "put": Command(put, ("path", "seen")),
    "get": Command(get, ("key", "destination", "timeout", "seen", "wait")),
    "find": Command(find, ("key",)),
    "cancel": Command(cancel, ("key",), always=True),
}


# In the client --------------------------------------------------------------------------------------------------------


class Found(Struct, frozen=True):
    """Who has a file, in no order; result: what was done to find that, in words."""

    holders: tuple[Holder, ...]
    result: str


class Files:
    """The files of another node's process: the same methods as `node.blobs` has.

    The node opens what a path says. So relative ones are made absolute here, and what would be something else there is
    refused: here at once, and there by the id of the file or folder that was seen here.
    """

    def __init__(self, client: Caller) -> None:
        self._client = client

    def put(self, path: str | os.PathLike[str], *, timeout: float | None = None) -> BlobKey:
        """Store a file for everybody to get; its key. timeout: seconds.

        Raises CommandFailed of kind `SourceError`, `StorageFailed`.
        """
        source = _absolute(path, "path")
        limit = seconds(timeout, "a put")
        arguments: dict[str, Plain] = {"path": source, "seen": _seen(check_source, source)}
        return BlobKey.parse(str(self._client.call("put", arguments, timeout=limit)))

    def get(
        self,
        key: bytes | str,
        destination: str | os.PathLike[str],
        *,
        timeout: float | None = None,
        wait: bool = True,
        progress: Callable[[Progress], object] | None = None,
    ) -> GetReport:
        """Fetch a file and write it. timeout: seconds, not counting the writing. progress: called a few times a second.

        wait: also if nobody has the file now. Raises CommandFailed of kind `DestinationError`, `BrokenFile`,
        `GetCancelled`, `GetTimedOut`, `StorageFailed`, without `wait` also `NobodyHasIt`.
        """
        root, target = _key(key), _absolute(destination, "destination")
        arguments: dict[str, Plain] = {
            "key": str(root),
            "destination": target,
            "timeout": seconds(timeout, "a get"),
            "seen": _seen(check_destination, target),
            "wait": wait,
        }

        def show(body: Plain) -> None:
            if progress is not None:
                progress(Progress(**cast("dict[str, Any]", body)))

        try:
            report = _report(self._client.call("get", arguments, timeout=None, progress=show))
        except ControlError:
            raise
        except BaseException:  # the caller has given up
            self.cancel(root)
            raise
        show({"done": report.size, "total": report.size})
        return report

    def find(self, key: bytes | str, *, timeout: float | None = None) -> Found:
        """Who has a file. timeout: seconds. Raises CommandFailed of kind `NotTakingPart`, `TooManySearches`."""
        said = cast(
            "dict[str, Any]",
            self._client.call("find", {"key": str(_key(key))}, timeout=seconds(timeout, "a find")),
        )
        holders = tuple(
            Holder(PeerId.fromhex(peer), None if address is None else Address.parse(address), age)
            for peer, address, age in said["holders"]
        )
        return Found(holders, said["result"])

    def cancel(self, key: bytes | str) -> int:
        """End every get of this key, whoever waits; how many. What came stays."""
        return cast("int", self._client.call("cancel", {"key": str(_key(key))}))


def _absolute(path: str | os.PathLike[str], name: str) -> str:
    """Raises CommandFailed of kind `BadArguments` for what is no path."""
    try:
        found = absolute(path)
        if b"\0" not in os.fsencode(found):
            return found
    except (TypeError, UnicodeEncodeError):
        pass
    raise CommandFailed("BadArguments", f"{name} must be a path that the system has a name for, not {shortened(path)}")


def _key(key: bytes | str) -> BlobKey:
    """Raises CommandFailed of kind `BadArguments` for what is no key."""
    try:
        return BlobKey.parse(key)
    except (TypeError, ValueError) as error:
        raise CommandFailed("BadArguments", f"key: {error}") from None


def _seen(check: Callable[[str], FileId], path: str) -> Plain:
    """What is there for this process. Refuses it as the node would."""
    try:
        return [*check(path)]
    except (SourceError, DestinationError) as error:
        raise CommandFailed(type(error).__name__, str(error), {"path": error.path}) from None


def _report(body: Plain) -> GetReport:
    said = cast("dict[str, Any]", body)
    return GetReport(
        key=BlobKey.parse(said["key"]),
        size=said["size"],
        seconds=said["seconds"],
        fetched=said["fetched"],
        served=tuple((PeerId.fromhex(peer), count) for peer, count in said["served"]),
        false=tuple((PeerId.fromhex(peer), count) for peer, count in said["false"]),
    )
