"""Connection gaters: the application's own say in who may connect, asked at five moments.

=============  =============================================  ============================  =======================
point          when                                           knows                         asked by
=============  =============================================  ============================  =======================
peer dial      before an address of the peer is looked up     peer                          the tracker's directory
address dial   after resolution, for each address             peer, IP and port             transport
accept         a connection comes in, before any handshake    IP                            transport, at once
secured        the peer has proved who it is; both directions direction, peer, IP           the tracker's directory
upgraded       the connection is there; both directions       the link                      the tracker's directory
=============  =============================================  ============================  =======================

* An answer is True (allow) or False (deny). A dial that is denied ends as `gated`, an address that is denied is left
  out, a connection that is denied is closed.
* It is asked last, after the tracker's own rules: a gater can forbid what they allow, and allow nothing they forbid.
* Several are one: `Gaters(first, second)` allows what all of them allow.
* A gater that raises denies, and is counted and logged: what was meant to keep somebody out must not let him in.
* It runs on the threads of tracker and transport. So it answers from memory, at once, and changes nothing there.
* Lists of blocked peers, IPs and networks need no gater: `tracker.block` has expiry, persistence and disconnects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from ..runtime.log import Log
from .address import Endpoint
from .gatekeeper import Direction, Link
from .identity import PeerId


class Gater(Protocol):
    """Whether to go on, at each of the five points. Derive from `AllowAll` to answer some of them only."""

    def intercept_peer_dial(self, peer: PeerId) -> bool:
        """Whether this peer may be dialled."""

    def intercept_addr_dial(self, peer: PeerId, endpoint: Endpoint) -> bool:
        """Whether it may be dialled at this address; its host is an IP."""

    def intercept_accept(self, ip: str) -> bool:
        """Whether anybody may connect from this IP, canonical text. Packet links too."""

    def intercept_secured(self, direction: Direction, peer: PeerId, ip: str) -> bool:
        """Whether this peer, whose key is proved, may have a connection."""

    def intercept_upgraded(self, link: Link) -> bool:
        """Whether this connection may stay."""


class AllowAll:
    """A gater that allows everything."""

    def intercept_peer_dial(self, peer: PeerId) -> bool:
        """Yes."""
        del peer
        return True

    def intercept_addr_dial(self, peer: PeerId, endpoint: Endpoint) -> bool:
        """Yes."""
        del peer, endpoint
        return True

    def intercept_accept(self, ip: str) -> bool:
        """Yes."""
        del ip
        return True

    def intercept_secured(self, direction: Direction, peer: PeerId, ip: str) -> bool:
        """Yes."""
        del direction, peer, ip
        return True

    def intercept_upgraded(self, link: Link) -> bool:
        """Yes."""
        del link
        return True


class Gaters:
    """Several gaters as one: all must allow, in order; the first that does not is the last that is asked.

    denied, failed: how often, by point. Each point is asked on one thread, so each number has one writer.
    """

    def __init__(self, *gaters: Gater) -> None:
        """None of them: everything is allowed."""
        self.denied: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._gaters = gaters
        self._log = Log("gater")

    def __bool__(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._gaters)

    def intercept_peer_dial(self, peer: PeerId) -> bool:
        """See `Gater`."""
        return self._all("peer_dial", lambda gater: gater.intercept_peer_dial(peer))

    def intercept_addr_dial(self, peer: PeerId, endpoint: Endpoint) -> bool:
        """See `Gater`."""
        return self._all("addr_dial", lambda gater: gater.intercept_addr_dial(peer, endpoint))

    def intercept_accept(self, ip: str) -> bool:
        """See `Gater`."""
        return self._all("accept", lambda gater: gater.intercept_accept(ip))

    def intercept_secured(self, direction: Direction, peer: PeerId, ip: str) -> bool:
        """See `Gater`."""
        return self._all("secured", lambda gater: gater.intercept_secured(direction, peer, ip))

    def intercept_upgraded(self, link: Link) -> bool:
        """See `Gater`."""
        return self._all("upgraded", lambda gater: gater.intercept_upgraded(link))

    def _all(self, point: str, allows: Callable[[Gater], bool]) -> bool:
        for gater in self._gaters:
            try:
                allowed = allows(gater)
            except Exception as error:  # the application's code
                self.failed[point] += 1
                self._log.error("gater failed", point=point, error=error)
                allowed = False
            if not allowed:
                self.denied[point] += 1
                return False
        return True


POINTS = ("peer_dial", "addr_dial", "accept", "secured", "upgraded")
"""The five of them, as metrics name them."""
