"""The parts of a node in another process, as its client offers them: the same methods as the node's own, blocking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

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
