"""Whom this node blocks: peers, IPs and networks, as the tracker told.

A block is this node's own affair and must not kill anybody for the others (design: local blocks): who is barred is
neither probed nor accused here, and neither are those who live at a barred IP.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from ...transport.address import IP, Address, Subnet
from ...transport.identity import PeerId


class LocalBlocks:
    """The blocks in force."""

    def __init__(self) -> None:
        self._peers: set[PeerId] = set()
        self._places: set[IP | Subnet] = set()

    def add(self, target: PeerId | IP | Subnet) -> None:
        """A block begins."""
        if isinstance(target, PeerId):
            self._peers.add(target)
        else:
            self._places.add(target)

    def discard(self, target: PeerId | IP | Subnet) -> None:
        """A block has ended."""
        if isinstance(target, PeerId):
            self._peers.discard(target)
        else:
            self._places.discard(target)

    def is_blocked(self, peer: PeerId, address: Address | None) -> bool:
        """Whether the peer is blocked, or the IP of its address is. A name is not looked up."""
        if peer in self._peers:
            return True
        ip = None if address is None or not self._places else address.endpoint.ip
        return ip is not None and any(_holds(place, ip) for place in self._places)


def _holds(place: IP | Subnet, ip: IP) -> bool:
    return ip in place if isinstance(place, IPv4Network | IPv6Network) else ip == place
