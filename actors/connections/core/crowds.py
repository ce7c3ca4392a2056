"""Inbound connections by IP and subnet, and whom one that has too many of them gives up when others come.

While more than half of transport's inbound slots are taken, one IP has at most its share of them, and one public subnet
twice that while more than three quarters are. Transport holds that where a slot is taken; here is who had more before.
One connection is given up for each that opens, so that who comes later finds as much room as if the crowd had not been
first. Protected and busy ones stay.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Generic, TypeVar

from ....transport.address import Subnet, counted_ip, is_global, share_of_subnet, subnet
from ....transport.gatekeeper import Direction, Link
from .peer import State, rank
from .peer_table import PeerTable

T = TypeVar("T")


class _Groups(Generic[T]):
    """Links by what they have in common. Which groups have too many is known at any time, and few can be such."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._links: dict[T, dict[int, Link]] = {}
        self._crowds: set[T] = set()  # with more than `_most`

    def add(self, group: T, link: Link) -> None:
        links = self._links.setdefault(group, {})
        links[link.id] = link
        if len(links) > self._most:
            self._crowds.add(group)

    def drop(self, group: T, link_id: int) -> None:
        links = self._links[group]
        del links[link_id]
        if len(links) <= self._most:
            self._crowds.discard(group)
        if not links:
            del self._links[group]

    @property
    def largest(self) -> dict[int, Link]:
        """The links of the one that has most, of those that have too many; else none."""
        if not self._crowds:
            return {}
        return self._links[max(self._crowds, key=lambda group: (len(self._links[group]), str(group)))]


class Crowds:
    """Counts from `opened` to `closed`. IPs are as in `counted_ip`. Only the links of a crowd are looked at."""

    def __init__(self, slots: int, share: float) -> None:
        """slots: of transport, for inbound connections. share: of these, for one IP when they are scarce."""
        self._slots = slots
        self._ips: _Groups[str] = _Groups(max(1, int(slots * share)))
        self._subnets: _Groups[Subnet] = _Groups(max(1, int(slots * share_of_subnet(share))))
        self._groups_of: dict[int, tuple[str, Subnet | None]] = {}  # each link; no subnet that is not public

    def opened(self, link: Link) -> None:
        """A link is there."""
        if link.direction is not Direction.IN:
            return
        ip = ip_address(link.ip)
        net = subnet(ip) if is_global(ip) else None
        self._groups_of[link.id] = counted_ip(link.ip), net
        self._ips.add(counted_ip(link.ip), link)
        if net is not None:
            self._subnets.add(net, link)

    def closed(self, link_id: int) -> None:
        """It is gone, or will be."""
        if link_id not in self._groups_of:
            return
        ip, net = self._groups_of.pop(link_id)
        self._ips.drop(ip, link_id)
        if net is not None:
            self._subnets.drop(net, link_id)

    def surplus(self, table: PeerTable) -> Link | None:
        """Which connection to give up now, if one: of the IP, or subnet, that has most, the first that a trim would
        choose.
        """
        taken, found = len(self._groups_of), None
        if 2 * taken > self._slots:
            found = _first(self._ips.largest, table)
        if found is None and 4 * taken > 3 * self._slots:
            found = _first(self._subnets.largest, table)
        return found


def _first(crowd: dict[int, Link], table: PeerTable) -> Link | None:
    """Whom a trim would choose first, of those that may be given up and are not closing already."""
    peers = ((table.peers[link.peer], link) for link in crowd.values())
    free = [
        (rank(peer), link)
        for peer, link in peers
        if peer.state is not State.PROTECTED and not peer.busy and link in peer.links
    ]
    return min(free, key=lambda each: each[0])[1] if free else None
