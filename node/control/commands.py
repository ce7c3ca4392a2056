"""What the control socket can be told to do: each command, the names of its arguments, and who does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

from ...runtime import Registry, Reply
from ..blobs import BlobKey, GetReport
from ..blobs import Mailbox as Blobs
from .arguments import Arguments, BadArguments
from .protocol import Plain

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ...actors.tracker import Mailbox as Tracker
    from .mailbox import Mailbox

T = TypeVar("T")
A_WEEK = 7 * 86_400.0
"""Seconds. A put or get takes as long as it takes."""
SHORT = 30.0
"""Seconds for everything else to be answered."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A command under way.

    within: seconds until the caller is told that nobody answered. watch: whose progress it is told. answered: called
    once the answer has left.
    """

    reply: Reply[Plain]
    within: float = SHORT
    watch: BlobKey | None = None
    answered: Callable[[], object] = lambda: None


Handler = Callable[[Arguments], Pending]


class Commands:
    """The table, and one method for each entry."""

    def __init__(
        self, node: Mailbox, *, tracker: Tracker, blobs: Blobs, registry: Registry, stop: Callable[[], object]
    ) -> None:
        """node: the control engine's own mailbox. stop: ends the node, some time later."""
        self._node = node
        self._tracker = tracker
        self._blobs = blobs
        self._registry = registry
        self._stop = stop
        self.table: dict[str, tuple[Handler, tuple[str, ...]]] = {
            "status": (self.status, ()),
            "peers": (self.peers, ()),
            "members": (self.members, ()),
            "connections": (self.connections, ()),
            "metrics": (self.metrics, ()),
            "wait": (self.wait, ("connected", "members", "within")),
            "put": (self.put, ("path",)),
            "get": (self.get, ("key", "destination", "timeout")),
            "cancel": (self.cancel, ("key",)),
            "block": (self.block, ("peer", "duration")),
            "unblock": (self.unblock, ("peer",)),
            "stop": (self.stop, ()),
        }

    def begin(self, command: str, given: Mapping[str, Plain]) -> Pending:
        """Start a command. Raises BadArguments, or what the command itself refuses with."""
        entry = self.table.get(command)
        if entry is None:
            raise BadArguments(f"unknown command {command!r:.80} (allowed: {', '.join(self.table)})")
        handler, names = entry
        try:
            return handler(Arguments(given, names))
        except ValueError as error:
            raise BadArguments(str(error)) from None

    def status(self, _arguments: Arguments) -> Pending:
        return Pending(self._node.status().map(_row))

    def peers(self, _arguments: Arguments) -> Pending:
        return Pending(self._node.peers().map(_rows))

    def members(self, _arguments: Arguments) -> Pending:
        return Pending(self._node.members().map(_rows))

    def connections(self, _arguments: Arguments) -> Pending:
        return Pending(self._node.connections().map(_rows))

    def metrics(self, _arguments: Arguments) -> Pending:
        samples: list[Plain] = [
            {"name": sample.name, "labels": dict(sample.labels), "value": sample.value}
            for sample in self._registry.samples()
        ]
        return Pending(Reply.of(samples))

    def wait(self, arguments: Arguments) -> Pending:
        status = self._node.wait(
            connected=arguments.count("connected"),
            members=arguments.count("members"),
            within=arguments.seconds("within"),
        )
        return Pending(status.map(_row), A_WEEK)

    def put(self, arguments: Arguments) -> Pending:
        return Pending(self._blobs.put(arguments.path("path")).map(str), A_WEEK)

    def get(self, arguments: Arguments) -> Pending:
        key = BlobKey.parse(arguments.text("key"))
        timeout = arguments.seconds("timeout")
        report = self._blobs.get(key, arguments.path("destination"), timeout=timeout)
        return Pending(report.map(_report), A_WEEK, watch=key)

    def cancel(self, arguments: Arguments) -> Pending:
        return Pending(self._blobs.cancel(arguments.text("key")).map(_same))

    def block(self, arguments: Arguments) -> Pending:
        blocked = self._tracker.block(arguments.peer("peer"), arguments.seconds("duration"))
        return Pending(blocked.map(lambda answer: {"until": answer.until}))

    def unblock(self, arguments: Arguments) -> Pending:
        return Pending(self._tracker.unblock(arguments.peer("peer")).map(_same))

    def stop(self, _arguments: Arguments) -> Pending:
        return Pending(Reply.of(None), answered=self._stop)


def _row(row: DataclassInstance) -> Plain:
    return asdict(row)


def _rows(rows: tuple[DataclassInstance, ...]) -> Plain:
    return [asdict(row) for row in rows]


def _same(value: Plain) -> Plain:
    return value


def _report(report: GetReport) -> Plain:
    return {
        "key": str(report.key),
        "size": report.size,
        "seconds": report.seconds,
        "fetched": report.fetched,
        "served": [[str(peer), count] for peer, count in report.served],
        "false": [[str(peer), count] for peer, count in report.false],
    }
