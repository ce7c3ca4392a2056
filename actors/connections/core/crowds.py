"""Inbound connections by IP, and whom an IP that has too many of them gives up when others come.

While more than half of transport's inbound slots are taken, one IP has at most its share of them. Transport holds that
where a slot is taken; here is who had more before. One connection is given up for each that opens, so that who comes
later finds as much room as if the crowd had not been first. Protected and busy ones stay.
"""

from __future__ import annotations

from collections import Counter

from ....transport.address import counted_ip
from ....transport.gatekeeper import Direction, Link
from .peer import State, rank
from .peer_table import PeerTable


class Crowds:
    """Counts from `opened` to `closed`. IPs are as in `counted_ip`."""

    def __init__(self, slots: int, share: float) -> None:
        """slots: of transport, for inbound connections. share: of these, for one IP when they are scarce."""
        self._slots = slots
        self._most = max(1, int(slots * share))
        self._of_ip: Counter[str] = Counter()
        self._counted: dict[int, str] = {}  # the IP of each link

    def opened(self, link: Link) -> None:
        """A link is there."""
        if link.direction is Direction.IN:
            ip = self._counted[link.id] = counted_ip(link.ip)
            self._of_ip[ip] += 1

    def closed(self, link_id: int) -> None:
        """It is gone, or will be."""
        ip = self._counted.pop(link_id, None)
        if ip is not None:
            self._of_ip[ip] -= 1
            if not self._of_ip[ip]:
                del self._of_ip[ip]

    def surplus(self, table: PeerTable) -> Link | None:
        """Which connection to give up now, if one: of the IP that has most, the first that a trim would choose."""
        if 2 * len(self._counted) <= self._slots:
            return None
        ip, number = max(self._of_ip.items(), key=lambda each: each[1])
        if number <= self._most:
            return None
        crowd = [
            (rank(peer), link)
            for peer in table.peers.values()
            if peer.state is not State.PROTECTED and not peer.busy
            for link in peer.links
            if self._counted.get(link.id) == ip
        ]
        return min(crowd, key=lambda each: each[0])[1] if crowd else None
