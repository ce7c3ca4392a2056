"""Files: `node.blobs`."""

from __future__ import annotations

from ....actors.blobs import BlobKey, GetReport
from ..arguments import Arguments
from ..command import A_WEEK, Command, Pending, same
from ..parts import Parts
from ..protocol import Plain


def put(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.files.put(arguments.path("path"), seen=arguments.file_id("seen")).map(str), A_WEEK)


def get(node: Parts, arguments: Arguments) -> Pending:
    key = BlobKey.parse(arguments.text("key"))
    timeout, seen = arguments.seconds("timeout"), arguments.file_id("seen")
    report = node.actors.files.get(key, arguments.path("destination"), timeout=timeout, seen=seen)
    return Pending(report.map(_report), A_WEEK, watch=key)


def cancel(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.files.cancel(arguments.text("key")).map(same))


def _report(report: GetReport) -> Plain:
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
    "get": Command(get, ("key", "destination", "timeout", "seen")),
    "cancel": Command(cancel, ("key",)),
}
