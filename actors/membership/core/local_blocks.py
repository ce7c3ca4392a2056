"""The peers, IPs and networks that this node blocks, as the tracker's events report them.

A block is this node's own affair and must not have anybody declared dead (design: local blocks): this node neither
probes nor accuses a blocked peer, nor a peer whose address has a blocked IP.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from ....transport.address import IP, Address, Subnet
from ....transport.identity import PeerId


class LocalBlocks:
    """The blocks that are in force now."""

    def __init__(self) -> None:
        self._peers: set[PeerId] = set()
        self._ips: set[IP | Subnet] = set()

    def add(self, blocked: PeerId | IP | Subnet) -> None:
        """Begin to block this peer, IP or network."""
        if isinstance(blocked, PeerId):
            self._peers.add(blocked)
        else:
            self._ips.add(blocked)

    def discard(self, blocked: PeerId | IP | Subnet) -> None:
        """Stop blocking exactly this peer, IP or network."""
        if isinstance(blocked, PeerId):
            self._peers.discard(blocked)
        else:
            self._ips.discard(blocked)

    @property
    def peers(self) -> frozenset[PeerId]:
        """Those that are blocked by their ids."""
        return frozenset(self._peers)

    def is_blocked(self, peer: PeerId, address: Address | None) -> bool:
        """Whether the peer is blocked, or the IP of its address is. A host name is not looked up."""
        return peer in self._peers or self.is_ip_blocked(address)

    def is_ip_blocked(self, address: Address | None) -> bool:
        """Whether the IP of this address is blocked, whoever has it."""
        ip = None if address is None or not self._ips else address.endpoint.ip
        return ip is not None and any(_covers(blocked, ip) for blocked in self._ips)


def _covers(blocked: IP | Subnet, ip: IP) -> bool:
    return ip in blocked if isinstance(blocked, IPv4Network | IPv6Network) else ip == blocked
