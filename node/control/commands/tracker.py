"""Who may connect, and where they are: what a node does for a client, and the client's `Tracker`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ....actors.tracker import Blocked, BlockInForce, Overwritten, PeerSet, Target, TrackedPeers
from ....runtime import Declined
from ....transport.address import Address
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..arguments import Arguments, BadArguments
from ..command import Caller, Command, Context, Pending, same, seconds, text, then
from ..errors import CommandFailed
from ..protocol import Plain
from ..status import BlockRow
from .peer_lists import read_peers, write_peers

# In the node ----------------------------------------------------------------------------------------------------------


class SourceIsMembership(Declined):
    """The members are the tracked peers (`tracker.source: membership`), so nobody else may track a set."""


def block(node: Context, arguments: Arguments) -> Pending:
    blocked = node.actors.tracker.block(arguments.target("target"), arguments.seconds("duration"))
    return Pending(blocked.map(_until))


def unblock(node: Context, arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.unblock(arguments.target("target")).map(same))


def blocks(node: Context, _arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.blocks().map(_blocks))


def trust(node: Context, arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.trust(arguments.peer("peer")).map(same))


def distrust(node: Context, arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.distrust(arguments.peer("peer")).map(same))


def track(node: Context, arguments: Arguments) -> Pending:
    """Lists may be long, so the pool reads them."""
    if node.actors.config.tracker.source == "membership":
        raise SourceIsMembership("the members are the tracked peers: this needs tracker.source: application")
    id, primary, secondary = arguments.number("id"), arguments.text("primary"), arguments.text("secondary")
    read = node.actors.runtime.work(_tracked, primary, secondary)
    return Pending(then(read, lambda peers: node.actors.tracker.track(id, peers)).map(lambda _none: None))


def overwrite(node: Context, arguments: Arguments) -> Pending:
    read = node.actors.runtime.work(_addresses_read, arguments.text("peers"))
    return Pending(then(read, node.actors.tracker.overwrite).map(_overwritten))


def peer_set(node: Context, arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.peer_set(arguments.number("id")).map(_peer_set))


def _tracked(primary: str, secondary: str) -> TrackedPeers:
    return TrackedPeers(_peers("primary", primary), _peers("secondary", secondary))


def _addresses_read(text: str) -> dict[PeerId, Address]:
    peers = _peers("peers", text)
    found = {peer: address for peer, address in peers.items() if address is not None}
    for peer in peers:
        if peer not in found:
            raise BadArguments(f"peers: {peer} has no address: allowed is PEERID@tcp://HOST:PORT")
    return found


def _peers(name: str, text: str) -> dict[PeerId, Address | None]:
    try:
        return read_peers(text)
    except ValueError as error:
        raise BadArguments(f"{name}: {error}") from None


def _until(blocked: Blocked) -> Plain:
    return {"until": blocked.until}


def _blocks(found: tuple[BlockInForce, ...]) -> Plain:
    return [{"target": str(each.target), "until": each.until} for each in found]


def _overwritten(done: Overwritten) -> Plain:
    return {name: [str(peer) for peer in getattr(done, name)] for name in ("changed", "unchanged", "unknown")}


def _peer_set(found: PeerSet | None) -> Plain:
    if found is None:
        return None
    return {"primary": [str(peer) for peer in found.primary], "secondary": [str(peer) for peer in found.secondary]}


COMMANDS = {
    "block": Command(block, ("target", "duration")),
    "unblock": Command(unblock, ("target",)),
    "blocks": Command(blocks),
    "trust": Command(trust, ("peer",)),
    "distrust": Command(distrust, ("peer",)),
    "track": Command(track, ("id", "primary", "secondary")),
    "overwrite": Command(overwrite, ("peers",)),
    "peer_set": Command(peer_set, ("id",)),
}


# In the client --------------------------------------------------------------------------------------------------------


Peers = Mapping[PeerId, Address | None] | Mapping[str, str | None]
"""Peers and where they are, as values or as text; None for an address: the peer's own record will tell."""


class Tracker:
    """Who may connect there: the same methods as `node.tracker` has. A refusal is a CommandFailed of that kind."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def track(self, id: int, peers: TrackedPeers | Peers, secondary: Peers | None = None) -> None:
        """Make `peers` the newest set; a plain mapping lists primaries. Returns when it has taken effect.

        Raises CommandFailed of kind `StaleSetId` (`details["newest"]` is the newest id), `PeerSetTooLarge`,
        `SourceIsStatic`, `SourceIsMembership` or `BadArguments`, with nothing changed, or `NotInEffect`.
        """
        if isinstance(peers, TrackedPeers):
            primary, others = _listed(_addresses(peers.primary)), _listed(_addresses(peers.secondary))
        else:
            primary, others = _listed(peers), _listed(secondary or {})
        lists: dict[str, Plain] = {"primary": primary, "secondary": others}
        self._client.call("track", {"id": id, **lists})

    def overwrite(self, peers: Mapping[PeerId, Address] | Mapping[str, str]) -> Overwritten:
        """Change addresses of tracked peers in place; what became of each. Raises CommandFailed, see `track`."""
        text = _listed(cast("Mapping[PeerId, Address | None]", peers))
        said = cast("dict[str, list[str]]", self._client.call("overwrite", {"peers": text}))
        return Overwritten(**{name: tuple(map(PeerId.fromhex, found)) for name, found in said.items()})

    def peer_set(self, id: int) -> PeerSet | None:
        """The set with this id; None if it is not among the newest ones."""
        said = cast("dict[str, list[str]] | None", self._client.call("peer_set", {"id": id}))
        if said is None:
            return None
        return PeerSet(tuple(map(PeerId.fromhex, said["primary"])), tuple(map(PeerId.fromhex, said["secondary"])))

    def block(self, target: Target | str, duration: float | None = None) -> float:
        """Disconnect and refuse a peer, an IP or a network of IPs; until when, in unix seconds, infinite for good.

        duration: seconds, infinite for good, None for the node's default. Returns when it has taken effect and is
        stored. Raises CommandFailed of kind `CannotBlock`, `NotInEffect`, `NotStored` or `BadArguments`.
        """
        given: dict[str, Plain] = {"target": text(target, "target"), "duration": seconds(duration, "a block")}
        answer = self._client.call("block", given)
        return cast("dict[str, float]", answer)["until"]

    def unblock(self, target: Target | str) -> bool:
        """End the block of this very target; False if there was none."""
        return bool(self._client.call("unblock", {"target": text(target, "target")}))

    def blocks(self) -> tuple[BlockRow, ...]:
        """Every block in force: of peers, then of IPs, then of networks."""
        return tuple(BlockRow(**row) for row in cast("list[dict[str, Any]]", self._client.call("blocks")))

    def trust(self, peer: PeerId | str) -> bool:
        """Trust a peer: dialled first, and let in by admission `private`. False if it was trusted."""
        return bool(self._client.call("trust", {"peer": text(peer, "peer")}))

    def distrust(self, peer: PeerId | str) -> bool:
        """End the trust; False if there was none."""
        return bool(self._client.call("distrust", {"peer": text(peer, "peer")}))


def _addresses(places: Mapping[PeerId, Address | PeerRecord | None]) -> Mapping[PeerId, Address | None]:
    """What an operator says of where peers are; of a record, its address."""
    return {peer: where.address if isinstance(where, PeerRecord) else where for peer, where in places.items()}


def _listed(peers: Mapping[PeerId, Address | None] | Mapping[str, str | None]) -> str:
    """Peers as they are sent. Raises CommandFailed of kind `BadArguments`."""
    try:
        return write_peers(peers)
    except ValueError as error:
        raise CommandFailed("BadArguments", str(error)) from None
