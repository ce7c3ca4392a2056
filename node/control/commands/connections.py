"""Which connections are kept: what a node does for a client, and the client's `Connections`."""

from __future__ import annotations

from typing import Any, cast

from msgspec import Struct
from msgspec.structs import asdict

from ....actors.connections import TagInfo, TrimReport
from ....transport.identity import PeerId
from ..arguments import Arguments
from ..command import Caller, Command, Context, Pending, same, text, then
from ..protocol import Plain
from ..status import ConnectionRow

# In the node ----------------------------------------------------------------------------------------------------------


def protect(node: Context, arguments: Arguments) -> Pending:
    return Pending(node.actors.connections.protect(arguments.peer("peer"), arguments.text("tag")).map(same))


def unprotect(node: Context, arguments: Arguments) -> Pending:
    return Pending(node.actors.connections.unprotect(arguments.peer("peer"), arguments.text("tag")).map(same))


def tag(node: Context, arguments: Arguments) -> Pending:
    peer, connections = arguments.peer("peer"), node.actors.connections
    done = connections.tag_peer(peer, arguments.text("tag"), arguments.integer("weight"))
    return Pending(then(done, lambda _none: connections.get_tag_info(peer)).map(_tags_sent))


def untag(node: Context, arguments: Arguments) -> Pending:
    peer, connections = arguments.peer("peer"), node.actors.connections
    done = connections.untag_peer(peer, arguments.text("tag"))
    return Pending(then(done, lambda _was_there: connections.get_tag_info(peer)).map(_tags_sent))


def trim(node: Context, arguments: Arguments) -> Pending:
    return Pending(node.actors.connections.trim_open_connections(arguments.number("target")).map(_trimmed))


def _tags_sent(info: TagInfo | None) -> Plain:
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


# In the client --------------------------------------------------------------------------------------------------------


class Tags(Struct, frozen=True):
    """What a peer is worth. value: the sum of its tags."""

    value: int
    tags: dict[str, int]


class Trimmed(Struct, frozen=True):
    """What a trim did; see `connections.TrimReport`. closed: whose connections are gone."""

    closed: tuple[PeerId, ...]
    short_by: int
    protected: int
    in_grace: int
    unclosed: int


class Connections:
    """Which connections are kept there: called, they are listed; else the methods of `node.connections`."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def __call__(self) -> tuple[ConnectionRow, ...]:
        """The open connections, oldest first."""
        rows = cast("list[dict[str, Any]]", self._client.call("connections"))
        return tuple(ConnectionRow(**(row | {"protections": tuple(row["protections"])})) for row in rows)

    def protect(self, peer: PeerId | str, tag: str) -> None:
        """Keep a peer's connections out of trims, until `unprotect` with the same tag."""
        self._client.call("protect", {"peer": text(peer, "peer"), "tag": tag})

    def unprotect(self, peer: PeerId | str, tag: str) -> bool:
        """End a protection; whether the peer is still protected under another tag."""
        return bool(self._client.call("unprotect", {"peer": text(peer, "peer"), "tag": tag}))

    def tag_peer(self, peer: PeerId | str, tag: str, weight: int) -> Tags:
        """Give a peer this weight under this tag; what it is worth now."""
        return _tags(self._client.call("tag", {"peer": text(peer, "peer"), "tag": tag, "weight": weight}))

    def untag_peer(self, peer: PeerId | str, tag: str) -> Tags:
        """Take a tag away; what the peer is worth now."""
        return _tags(self._client.call("untag", {"peer": text(peer, "peer"), "tag": tag}))

    def trim_open_connections(self, target: int) -> Trimmed:
        """Close connections until at most `target` are open, as far as they may be closed."""
        said = cast("dict[str, Any]", self._client.call("trim", {"target": target}))
        return Trimmed(**(said | {"closed": tuple(map(PeerId.fromhex, said["closed"]))}))


def _tags(body: Plain) -> Tags:
    return Tags(**cast("dict[str, Any]", body))
