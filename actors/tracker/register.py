"""The IPs that the gate lets in where only tracked peers may come.

* An IP is registered while at least one peer behind it may connect: two peers may share one (NAT).
* A peer whose IP is not known (a DNS name, no address yet) may come from anywhere: while there is one, none is refused.
* The egress IP counts, never the endpoint's where they differ.
"""

from __future__ import annotations

from .record import Record

ANYWHERE = "anywhere"


class Register:
    """Counts the peers behind each IP. `changed` is set when the answer of `ips` may have changed."""

    def __init__(self) -> None:
        self.changed = False
        self._counts: dict[str, int] = {}

    @property
    def ips(self) -> frozenset[str] | None:
        """The registered IPs; None while anybody may come from anywhere."""
        return None if ANYWHERE in self._counts else frozenset(self._counts)

    def set(self, record: Record, ip: str | None) -> None:
        """The peer may come from `ip` now, from `ANYWHERE`, or (None) not at all."""
        if record.registered == ip:
            return
        if record.registered is not None:
            self._add(record.registered, -1)
        if ip is not None:
            self._add(ip, 1)
        record.registered = ip

    def _add(self, ip: str, by: int) -> None:
        before = self._counts.pop(ip, 0)
        if before + by:
            self._counts[ip] = before + by
        self.changed = self.changed or not before or not before + by
