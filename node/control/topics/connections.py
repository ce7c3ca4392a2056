"""Which connections are kept: `node.connections`."""

from __future__ import annotations

from dataclasses import asdict

from ....actors.connections import TagInfo, TrimReport
from ..arguments import Arguments
from ..command import Command, Pending, same, then
from ..parts import Parts
from ..protocol import Plain


def protect(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.connections.protect(arguments.peer("peer"), arguments.text("tag")).map(same))


def unprotect(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.connections.unprotect(arguments.peer("peer"), arguments.text("tag")).map(same))


def tag(node: Parts, arguments: Arguments) -> Pending:
    peer, connections = arguments.peer("peer"), node.actors.connections
    done = connections.tag_peer(peer, arguments.text("tag"), arguments.integer("weight"))
    return Pending(then(done, lambda _none: connections.get_tag_info(peer)).map(_tags))


def untag(node: Parts, arguments: Arguments) -> Pending:
    peer, connections = arguments.peer("peer"), node.actors.connections
    done = connections.untag_peer(peer, arguments.text("tag"))
    return Pending(then(done, lambda _was_there: connections.get_tag_info(peer)).map(_tags))


def trim(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.connections.trim_open_connections(arguments.number("target")).map(_trimmed))


def _tags(info: TagInfo | None) -> Plain:
    return {"value": 0, "tags": {}} if info is None else {"value": info.value, "tags": info.tags}


def _trimmed(report: TrimReport) -> Plain:
    return asdict(report) | {"closed": [str(link.peer) for link in report.closed]}


COMMANDS = {
    "protect": Command(protect, ("peer", "tag")),
    "unprotect": Command(unprotect, ("peer", "tag")),
    "tag": Command(tag, ("peer", "tag", "weight")),
    "untag": Command(untag, ("peer", "tag")),
    "trim": Command(trim, ("target",)),
}
