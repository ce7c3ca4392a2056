"""The tracker of another node's process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ....actors.tracker import Overwritten, PeerSet, Target, TrackedPeers
from ....transport.address import Address
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ...status import BlockRow
from ..protocol import Plain
from . import Caller, listed, seconds

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
            primary, others = listed(_addresses(peers.primary)), listed(_addresses(peers.secondary))
        else:
            primary, others = listed(peers), listed(secondary or {})
        lists: dict[str, Plain] = {"primary": primary, "secondary": others}
        self._client.call("track", {"id": id, **lists})

    def overwrite(self, peers: Mapping[PeerId, Address] | Mapping[str, str]) -> Overwritten:
        """Change addresses of tracked peers in place; what became of each. Raises CommandFailed, see `track`."""
        text = listed(cast("Mapping[PeerId, Address | None]", peers))
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
        answer = self._client.call("block", {"target": str(target), "duration": seconds(duration, "a block")})
        return cast("dict[str, float]", answer)["until"]

    def unblock(self, target: Target | str) -> bool:
        """End the block of this very target; False if there was none."""
        return bool(self._client.call("unblock", {"target": str(target)}))

    def blocks(self) -> tuple[BlockRow, ...]:
        """Every block in force: of peers, then of IPs, then of networks."""
        return tuple(BlockRow(**row) for row in cast("list[dict[str, Any]]", self._client.call("blocks")))

    def trust(self, peer: PeerId | str) -> bool:
        """Trust a peer: dialled first, and let in by admission `private`. False if it was trusted."""
        return bool(self._client.call("trust", {"peer": str(peer)}))

    def distrust(self, peer: PeerId | str) -> bool:
        """End the trust; False if there was none."""
        return bool(self._client.call("distrust", {"peer": str(peer)}))


def _addresses(places: Mapping[PeerId, Address | PeerRecord | None]) -> Mapping[PeerId, Address | None]:
    """What an operator says of where peers are; of a record, its address."""
    return {peer: where.address if isinstance(where, PeerRecord) else where for peer, where in places.items()}
