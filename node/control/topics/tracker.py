"""Who may connect, and where they are: `node.tracker`."""

from __future__ import annotations

from ....actors.tracker import Blocked, BlockInForce, Overwritten, PeerSet, TrackedPeers
from ....runtime import Declined
from ....transport.address import Address
from ....transport.identity import PeerId
from ...peerlist import read_peers
from ..arguments import Arguments, BadArguments
from ..command import Command, Pending, same, then
from ..parts import Parts
from ..protocol import Plain


class SourceIsMembership(Declined):
    """The members are the tracked peers (`tracker.source: membership`), so nobody else may track a set."""


def block(node: Parts, arguments: Arguments) -> Pending:
    blocked = node.actors.tracker.block(arguments.target("target"), arguments.seconds("duration"))
    return Pending(blocked.map(_until))


def unblock(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.unblock(arguments.target("target")).map(same))


def blocks(node: Parts, _arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.blocks().map(_blocks))


def trust(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.trust(arguments.peer("peer")).map(same))


def distrust(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.distrust(arguments.peer("peer")).map(same))


def track(node: Parts, arguments: Arguments) -> Pending:
    """Lists may be long, so the pool reads them."""
    if node.actors.config.tracker.source == "membership":
        raise SourceIsMembership("the members are the tracked peers: this needs tracker.source: application")
    id, primary, secondary = arguments.number("id"), arguments.text("primary"), arguments.text("secondary")
    read = node.actors.runtime.work(_tracked, primary, secondary)
    return Pending(then(read, lambda peers: node.actors.tracker.track(id, peers)).map(lambda _none: None))


def overwrite(node: Parts, arguments: Arguments) -> Pending:
    read = node.actors.runtime.work(_addresses, arguments.text("peers"))
    return Pending(then(read, node.actors.tracker.overwrite).map(_overwritten))


def peer_set(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.peer_set(arguments.number("id")).map(_peer_set))


def _tracked(primary: str, secondary: str) -> TrackedPeers:
    return TrackedPeers(_peers("primary", primary), _peers("secondary", secondary))


def _addresses(text: str) -> dict[PeerId, Address]:
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
