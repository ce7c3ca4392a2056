"""The hard limits of connections."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address

from ..address import Subnet, counted_ip, is_global, share_of_subnet, subnet
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
        """Take a slot for an inbound handshake.

        rival: of the peer's link, or of our dial to it, when there is one; only one of the two will stay, so where the
        other has its place there is one for this.
        """
        net, ip = subnet(ip_address(ip)), counted_ip(ip)
        full = rival is None and self._used["total"] >= self._limits["total"]
        full_inbound = rival is not Direction.IN and (
            self._used["inbound"] >= self._limits["inbound"]
            or self._used[ip] >= self._most_of_an_ip()
            or self._used[net] >= self._most_of_a_subnet(net)
        )
        if full or full_inbound:
            return Reason.TOO_MANY
        self._used.update(("total", "inbound", ip, net))
        return None

    def _most_of_an_ip(self) -> int:
        scarce = 2 * (self._used["inbound"] + 1) > self._limits["inbound"]
        return self._per_ip_when_scarce if scarce else self._per_ip

    def _most_of_a_subnet(self, net: Subnet) -> int:
        scarce = 4 * (self._used["inbound"] + 1) > 3 * self._limits["inbound"]
        return self._per_subnet_when_scarce if scarce and is_global(net.network_address) else self._per_subnet

    def give_back(self, direction: Direction, ip: str) -> None:
        """A dial, handshake or link is over."""
        keys = ["total"] if direction is Direction.OUT else ["total", "inbound", counted_ip(ip), subnet(ip_address(ip))]
        for key in keys:
            self._used[key] -= 1
            if not self._used[key]:
                del self._used[key]
