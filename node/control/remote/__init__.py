"""The parts of a node in another process, as its client offers them: the same methods as the node's own, blocking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from ....runtime import arguments
from ....transport.address import Address
from ....transport.identity import PeerId
from ...peerlist import write_peers
from ..errors import CommandFailed
from ..protocol import Plain


class Caller(Protocol):
    """What sends commands: the client."""

    def call(
        self,
        command: str,
        arguments: dict[str, Plain] | None = None,
        *,
        timeout: float | None = -1.0,
        progress: Callable[[Plain], object] | None = None,
    ) -> Plain:
        """See `Client.call`."""


def seconds(given: float | None, what: str) -> float | None:
    """A length of time as it is sent; None for none. Raises CommandFailed of kind `BadArguments`, as the node would."""
    try:
        return None if given is None else arguments.seconds(given, what)
    except ValueError as error:
        raise CommandFailed("BadArguments", str(error)) from None


def listed(peers: Mapping[PeerId, Address | None] | Mapping[str, str | None]) -> str:
    """Peers as they are sent. Raises CommandFailed of kind `BadArguments`."""
    try:
        return write_peers(peers)
    except ValueError as error:
        raise CommandFailed("BadArguments", str(error)) from None
