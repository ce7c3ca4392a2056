"""The hard limits of connections."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address

from ..address import counted_ip, is_global, share_of_subnet, subnet
from ..gatekeeper import Direction
from ..reasons import Reason
from .short_lived import ShortLivedPlaces


class Slots:
    """The hard limits, counted in one place: each link and handshake holds a slot from its first cost to its end."""

    def __init__(
        self,
        *,
        total: int,
        inbound: int,
        per_ip: int,
        per_subnet: int,
        share_per_ip: float = 1.0,
        short_lived: int = 0,
    ) -> None:
        """Most slots of each kind, an IP being as in `counted_ip`. short_lived: places beside the total.

        share_per_ip: of the inbound ones, for an IP that takes one with which more than half of those are taken. A
        public subnet has twice that when more than three quarters are. Who had more before others came is
        `connections`' to close.
        """
        self._limits = {"total": total, "inbound": inbound}
        self._per_ip, self._per_subnet = per_ip, per_subnet
        self._per_ip_when_scarce = min(per_ip, max(1, int(inbound * share_per_ip)))
        self._per_subnet_when_scarce = min(per_subnet, max(1, int(inbound * share_of_subnet(share_per_ip))))
        self._used: Counter[object] = Counter()
        self.short_lived = ShortLivedPlaces(short_lived)

    @property
    def used(self) -> int:
        """Slots taken now, short-lived ones among them."""
        return self._used["total"] + self.short_lived.used

    def take_outbound(self) -> Reason | None:
        """Take a slot for a dial, or say why not. Its IP is not known yet and does not count."""
        if self._used["total"] >= self._limits["total"]:
            return Reason.LIMIT
        self._used["total"] += 1
        return None

    def take_inbound(self, ip: str, *, rival: Direction | None = None) -> Reason | None:
        """Take a slot for an inbound handshake, or say why not: see `limit`."""
        if self.limit(ip, rival=rival) is not None:
            return Reason.TOO_MANY
        self._used.update(("total", "inbound", counted_ip(ip), subnet(ip_address(ip))))
        return None

    def limit(self, ip: str, *, rival: Direction | None = None) -> str | None:
        """The setting that leaves no slot to an inbound handshake now; None if there is one.

        rival: of the peer's link, or of our dial to it, when there is one; only one of the two will stay, so where the
        other has its place there is one for this.
        """
        used, net, ip = self._used, subnet(ip_address(ip)), counted_ip(ip)
        if rival is None and used["total"] >= self._limits["total"]:
            return "max_connections"
        if rival is Direction.IN:
            return None
        if used["inbound"] >= self._limits["inbound"]:
            return "reserved_outbound"
        if used[ip] >= self._per_ip:
            return "max_per_ip"
        if used[net] >= self._per_subnet:
            return "max_per_subnet"
        of_ip = used[ip] >= self._per_ip_when_scarce and self._more_is_taken_than(1, 2)
        of_subnet = used[net] >= self._per_subnet_when_scarce and self._more_is_taken_than(3, 4)
        return "max_inbound_share_per_ip" if of_ip or (of_subnet and is_global(net.network_address)) else None

    def _more_is_taken_than(self, part: int, of: int) -> bool:
        """Of the inbound slots, with one more."""
        return of * (self._used["inbound"] + 1) > part * self._limits["inbound"]

    def give_back(self, direction: Direction, ip: str) -> None:
        """A dial, handshake or link is over."""
        keys = ["total"] if direction is Direction.OUT else ["total", "inbound", counted_ip(ip), subnet(ip_address(ip))]
        for key in keys:
            self._used[key] -= 1
            if not self._used[key]:
                del self._used[key]
