"""What can be blocked: a peer, an IP, or a whole network of IPs.

Written as they are: 64 hex digits, `10.0.0.1`, `10.0.0.0/24` (`str` of each). No two kinds share a text.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ....runtime.arguments import SHOWN, shortened
from ....transport.address import IP, Subnet, canonical_ip
from ....transport.identity import PeerId

Target = PeerId | IP | Subnet
_HEX_DIGITS = 64


def parse_target(text: str) -> Target:
    """Read a peer id, an IP or a network; `ValueError` says what is allowed."""
    try:
        if "/" in text:
            return canonical(ip_network(text))
        if len(text) == _HEX_DIGITS:
            return PeerId.parse(text)
        return canonical(ip_address(text))
    except ValueError as error:
        raise ValueError(
            f"{shortened(text)} cannot be blocked: allowed is a peer id of {_HEX_DIGITS} hex digits, an IP such as "
            f"10.0.0.1, or a network such as 10.0.0.0/24{'' if len(text) > SHOWN else f' ({error})'}"
        ) from None


def canonical(target: Target) -> Target:
    """The one form of a target: IPv4-mapped IPv6 as the IPv4 it stands for, a network of one IP as that IP.

    Raises ValueError for what is none, and for an IP with a scope (`fe80::1%eth0`).
    """
    match target:
        case IPv6Address(scope_id=str()):
            raise ValueError(f"{target}: the scope of an IP means something on one machine only")
        case IPv4Address() | IPv6Address():
            return canonical_ip(target)
        case IPv6Network() if (mapped := target.network_address.ipv4_mapped) is not None and target.prefixlen >= 96:
            return canonical(IPv4Network((mapped, target.prefixlen - 96)))
        case IPv4Network() | IPv6Network() if target.num_addresses == 1:
            return target.network_address
        case PeerId() | IPv4Network() | IPv6Network():
            return target
        case _:
            raise ValueError(f"{shortened(target)} cannot be blocked: allowed is a PeerId, an IP or a network of IPs")
