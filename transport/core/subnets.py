"""A set of IP networks that answers quickly whether it holds an IP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from ipaddress import IPv4Network, IPv6Network, ip_address

from ..address import IP, Subnet, canonical_ip


def network_at(ip: IP, prefix: int) -> Subnet:
    """The network of this length that holds an IP."""
    kind = IPv4Network if ip.version == 4 else IPv6Network  # by its number alone `::1` would be taken for IPv4
    return kind((int(ip), prefix), strict=False)


class SubnetSet(AbstractSet[Subnet]):
    """Immutable. `in` takes a network, which must be a member itself, or the canonical text of an IP.

    An IP costs one look-up per different length of prefix, however many networks there are.
    """

    __slots__ = ("_members", "_prefixes")

    def __init__(self, networks: Iterable[Subnet] = ()) -> None:
        """networks: may overlap."""
        self._members = frozenset(networks)
        self._prefixes = sorted({(network.version, network.prefixlen) for network in self._members})

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, str):
            return item in self._members
        if not self._prefixes or not item:
            return False
        ip = canonical_ip(ip_address(item))
        return any(
            network_at(ip, prefix) in self._members for version, prefix in self._prefixes if version == ip.version
        )

    def __iter__(self) -> Iterator[Subnet]:
        return iter(sorted(self._members, key=lambda network: (network.version, network)))

    def __len__(self) -> int:
        return len(self._members)

    def __hash__(self) -> int:
        return hash(self._members)

    def __repr__(self) -> str:
        return f"SubnetSet([{', '.join(map(str, self))}])"
