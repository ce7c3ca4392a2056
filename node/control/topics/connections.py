"""Which connections are kept: `node.connections`."""

from __future__ import annotations

from dataclasses import asdict

from ....actors.connections import IsThisNode, TagInfo, TrimReport
from ....transport.identity import PeerId
from ..arguments import Arguments
from ..command import Command, Pending, same
from ..parts import Parts
from ..protocol import Plain


def protect(node: Parts, arguments: Arguments) -> Pending:
    peer, tag = _other(node, arguments), arguments.text("tag")
    node.actors.connections.protect(peer, tag)
    return Pending(node.actors.connections.is_protected(peer, tag).map(same))  # handled after it


def unprotect(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.connections.unprotect(arguments.peer("peer"), arguments.text("tag")).map(same))


def tag(node: Parts, arguments: Arguments) -> Pending:
    peer = _other(node, arguments)
    node.actors.connections.tag_peer(peer, arguments.text("tag"), arguments.integer("weight"))
    return Pending(node.actors.connections.get_tag_info(peer).map(_tags))


def untag(node: Parts, arguments: Arguments) -> Pending:
    peer = arguments.peer("peer")
    node.actors.connections.untag_peer(peer, arguments.text("tag"))
    return Pending(node.actors.connections.get_tag_info(peer).map(_tags))


def trim(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.connections.trim_open_connections(arguments.number("target")).map(_trimmed))


def _other(node: Parts, arguments: Arguments) -> PeerId:
    """Another node; of itself the engine would decline it without an answer, as it is told and not asked."""
    peer = arguments.peer("peer")
    if peer == node.actors.peer:
        raise IsThisNode(f"{peer} is this node: it has no connections to itself")
    return peer


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
