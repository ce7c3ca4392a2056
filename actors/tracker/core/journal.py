"""What has changed since it was last stored: only names, so that many changes of one peer are written once.

* Whoever changes what is stored of a peer, a block or the trust in somebody notes it here.
* What is written is how it is when it is written, so the order of two changes never matters.
* Off, as it is until somebody stores, it notes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ....transport.identity import PeerId
from .targets import Target


class Journal:
    """Names in the order in which they changed first."""

    def __init__(self) -> None:
        self.on = False
        self.peers: dict[PeerId, None] = {}
        self.trust: dict[PeerId, None] = {}
        self.blocks: dict[Target, None] = {}

    def __bool__(self) -> bool:
        return bool(self.peers or self.trust or self.blocks)

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """What comes from the book need not be written to it."""
        on, self.on = self.on, False
        try:
            yield
        finally:
            self.on = on

    def peer(self, peer: PeerId) -> None:
        """The peer's record was made, changed or dropped."""
        if self.on:
            self.peers[peer] = None

    def trusts(self, peer: PeerId) -> None:
        """Somebody began or ended the trust in this peer."""
        if self.on:
            self.trust[peer] = None

    def block(self, target: Target) -> None:
        """A block began or ended."""
        if self.on:
            self.blocks[target] = None
