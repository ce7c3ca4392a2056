"""Inbound connections by IP, and whom an IP that has too many of them gives up when others come.

While more than half of transport's inbound slots are taken, one IP has at most its share of them. Transport holds that
where a slot is taken; here is who had more before. One connection is given up for each that opens, so that who comes
later finds as much room as if the crowd had not been first. Protected and busy ones stay.
"""

from __future__ import annotations

from ....transport.address import counted_ip
from ....transport.gatekeeper import Direction, Link
from .peer import State, rank
from .peer_table import PeerTable


class Crowds:
    """Counts from `opened` to `closed`. IPs are as in `counted_ip`.

    Which IPs have too many is known at any time, and of those that do at most `1 / share` can be; only the links of one
    are looked at.
    """

    def __init__(self, slots: int, share: float) -> None:
        """slots: of transport, for inbound connections. share: of these, for one IP when they are scarce."""
        self._slots = slots
        self._most = max(1, int(slots * share))
        self._of_ip: dict[str, dict[int, Link]] = {}
        self._crowds: set[str] = set()  # IPs with more than `_most`
        self._ip_of: dict[int, str] = {}  # of each link

    def opened(self, link: Link) -> None:
        """A link is there."""
        if link.direction is Direction.IN:
            ip = self._ip_of[link.id] = counted_ip(link.ip)
            links = self._of_ip.setdefault(ip, {})
            links[link.id] = link
            if len(links) > self._most:
                self._crowds.add(ip)

    def closed(self, link_id: int) -> None:
        """It is gone, or will be."""
        ip = self._ip_of.pop(link_id, None)
        if ip is None:
            return
        links = self._of_ip[ip]
        del links[link_id]
        if len(links) <= self._most:
            self._crowds.discard(ip)
        if not links:
            del self._of_ip[ip]

    def surplus(self, table: PeerTable) -> Link | None:
        """Which connection to give up now, if one: of the IP that has most, the first that a trim would choose."""
        if not self._crowds or 2 * len(self._ip_of) <= self._slots:
            return None
        crowd = self._of_ip[max(self._crowds, key=lambda ip: (len(self._of_ip[ip]), ip))]
        peers = ((table.peers[link.peer], link) for link in crowd.values())
        free = [(rank(peer), link) for peer, link in peers if peer.state is not State.PROTECTED and not peer.busy]
        return min(free, key=lambda each: each[0])[1] if free else None
