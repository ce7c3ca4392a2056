"""The tracker of another node's process."""

from __future__ import annotations

from typing import cast

from ....transport.identity import PeerId
from . import Caller


class Tracker:
    """Who may connect there: the same methods as `node.tracker` has. A refusal is a CommandFailed of that kind."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def block(self, peer: PeerId | str, duration: float | None = None) -> float:
        """Disconnect and refuse a peer; until when, in unix seconds. duration: seconds, None for the node's default."""
        answer = self._client.call("block", {"peer": str(peer), "duration": duration})
        return cast("dict[str, float]", answer)["until"]

    def unblock(self, peer: PeerId | str) -> bool:
        """End a block; False if there was none."""
        return bool(self._client.call("unblock", {"peer": str(peer)}))
