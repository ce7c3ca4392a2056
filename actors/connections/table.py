"""The connections there are: a pure table of links, by id and by peer.

::

    opened ──▶ open ──choose──▶ closing ──closed──▶ gone
                 └───────────────closed──────────────▲

Rules:

* A link counts once: as open, or as closing. `closed` takes it out of whichever.
* Opening a known link or closing an unknown one changes nothing and says so.
* `choose` takes the quota exactly, in the order: inbound before outbound, younger before older, then by a hash keyed
  with a secret, so that no identity can be ground to survive. What it chose is closing, so the next choice starts from
  what is really left.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ...transport.gatekeeper import Direction
from ...transport.identity import PeerId
from ...transport.mailbox import Link


@dataclass(slots=True)
class Table:
    """Links from `Opened` to `Closed`. secret: at most 64 bytes that nobody else knows."""

    secret: bytes
    _open: dict[int, Link] = field(default_factory=dict)
    _closing: dict[int, Link] = field(default_factory=dict)
    _links_of: dict[PeerId, int] = field(default_factory=dict)

    @property
    def open(self) -> int:
        """Connections that are open and shall stay."""
        return len(self._open)

    @property
    def closing(self) -> int:
        """Connections that were chosen to be closed and are not gone."""
        return len(self._closing)

    def links(self) -> tuple[Link, ...]:
        """The open links, oldest first."""
        return tuple(sorted(self._open.values(), key=lambda link: (link.opened_at, link.id)))

    def has_peer(self, peer: PeerId) -> bool:
        """Whether a link to `peer` is open or closing."""
        return peer in self._links_of

    def opened(self, link: Link) -> bool:
        """A link is there. False, and nothing changes, if it is known."""
        if link.id in self._open or link.id in self._closing:
            return False
        self._open[link.id] = link
        self._links_of[link.peer] = self._links_of.get(link.peer, 0) + 1
        return True

    def closed(self, link_id: int) -> Link | None:
        """A link is gone. None, and nothing changes, if it is not known."""
        link = self._open.pop(link_id, None) or self._closing.pop(link_id, None)
        if link is not None:
            self._links_of[link.peer] -= 1
            if not self._links_of[link.peer]:
                del self._links_of[link.peer]
        return link

    def choose(self, target: int) -> tuple[Link, ...]:
        """Mark links as closing until `target` are open; these links, in the order they are to go."""
        quota = self.open - target
        if quota <= 0:
            return ()
        victims = tuple(sorted(self._open.values(), key=self._rank)[:quota])
        for link in victims:
            self._closing[link.id] = self._open.pop(link.id)
        return victims

    def _rank(self, link: Link) -> tuple[bool, float, bytes, int]:
        tie = hashlib.blake2b(link.peer, key=self.secret, digest_size=8).digest()
        return (link.direction is not Direction.IN, -link.opened_at, tie, link.id)
