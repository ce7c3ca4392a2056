"""Where peers are: endpoints to dial, the IP a peer's own connections come from, and the rules for IPs.

An address is written `tcp://HOST:PORT`, or `tcp://HOST:PORT?egress=IP` for a peer whose outgoing connections come from
another IP than `HOST` (or whose `HOST` is a name). A peer with its address is written `PEERID@tcp://HOST:PORT`.

* `HOST` is an IPv4 address, an IPv6 address in brackets or a DNS name. A name has 1 to 253 characters; its labels have
  1 to 63 ASCII letters, digits and hyphens, with no hyphen at either end; no label is empty (RFC 1123 section 2.1).
* A name whose last label is a number is a mistyped IPv4 address, and refused as one.
* `PORT` is 1 to 65535; 0 (any free port) and an unspecified IP (every interface) are for listening only.
* An IPv6 zone (`%eth0`) means something on one machine only; a multicast IP, the broadcast IP and `0.0.0.0/8` are no
  host: all are refused.
* Equal things are written alike: names in lower case, IPv6 in its short form, IPv4-mapped IPv6 as IPv4, no egress that
  says what a numeric host says already. What `str` gives, `parse` takes, and it is the form on the wire.
* An IPv4-mapped IPv6 address is judged as the IPv4 address it stands for, everywhere.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Self

from ..runtime.arguments import shortened
from .identity import PeerId

IP = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network

# The longest: a name of 253 characters, a port of 5 digits and an IPv6 egress of 39.
MAX_ADDRESS_TEXT = len("tcp://") + 253 + len(":65535") + len("?egress=") + 39
_EGRESS = "?egress="
_ENDPOINT = re.compile(r"tcp://(?:\[(?P<ipv6>[^\[\]]*:[^\[\]]*)\]|(?P<host>[^\[\]:/?#@]+)):(?P<port>0|[1-9][0-9]{0,4})")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")  # what resolvers read as a part of an IPv4 address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A TCP host and port to listen on or to dial; written `tcp://HOST:PORT`, the form libzmq takes."""

    host: str  # IPv4, IPv6 without brackets, or a DNS name; canonical
    port: int  # 0 to 65535; 0 for listening only
    ip: IP | None = field(init=False, compare=False, repr=False)  # of a numeric host; kept, as parsing takes its time

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port {self.port}: allowed is 0 to 65535")
        ip = _ip_of_host(self.host)
        object.__setattr__(self, "ip", ip)
        object.__setattr__(self, "host", _canonical_name(self.host) if ip is None else str(ip))

    @classmethod
    def parse(cls, text: str, *, listen: bool = False) -> Self:
        """Read `tcp://HOST:PORT`; `ValueError` for anything else, and unless `listen` for what cannot be dialled."""
        match = _ENDPOINT.fullmatch(text) if len(text) <= MAX_ADDRESS_TEXT else None
        if match is None:
            raise ValueError(
                f"{shortened(text)}: allowed is tcp://HOST:PORT, with an IPv4 address, [IPv6] or a DNS name"
            )
        endpoint = cls(match["ipv6"] or match["host"], int(match["port"]))
        return endpoint if listen else endpoint.dialable()

    @classmethod
    def parse_setting(cls, text: str) -> Self:
        """As `parse`, of where to listen."""
        return cls.parse(text, listen=True)

    @property
    def is_numeric(self) -> bool:
        """Whether the host is an IP, so that nothing need be resolved."""
        return self.ip is not None

    def dialable(self) -> Self:
        """Return this endpoint if it can be dialled; `ValueError` if it is for listening only."""
        if self.port == 0:
            raise ValueError(f"{self}: port 0 is for listening only; allowed is 1 to 65535")
        if self.ip is not None and self.ip.is_unspecified:
            raise ValueError(
                f"{self}: {self.host} is for listening only; allowed is an IP or name that peers can reach"
            )
        return self

    def __str__(self) -> str:
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a peer is dialled and, if that does not say it, the IP its own connections come from."""

    endpoint: Endpoint
    egress: IP | None = None  # None where it would repeat a numeric endpoint, and where it is not known

    def __post_init__(self) -> None:
        self.endpoint.dialable()
        if self.egress is not None:
            egress = _unicast(canonical_ip(self.egress))
            if egress.is_unspecified:
                raise ValueError(f"egress {egress}: allowed is the IP this peer's connections come from")
            object.__setattr__(self, "egress", None if egress == self.endpoint.ip else egress)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `tcp://HOST:PORT` or `tcp://HOST:PORT?egress=IP`; raises `ValueError` only, also for hostile text."""
        if len(text) > MAX_ADDRESS_TEXT:
            raise ValueError(f"{shortened(text)}: allowed are at most {MAX_ADDRESS_TEXT} characters")
        endpoint, separator, egress = text.partition(_EGRESS)
        return cls(Endpoint.parse(endpoint), _parse_ip(egress) if separator else None)

    parse_setting = parse

    @property
    def egress_ip(self) -> IP | None:
        """The IP the peer's own connections come from: `egress`, else a numeric endpoint's; None if not known."""
        return self.endpoint.ip if self.egress is None else self.egress

    def __str__(self) -> str:
        return str(self.endpoint) if self.egress is None else f"{self.endpoint}{_EGRESS}{self.egress}"


def parse_peer(text: str) -> tuple[PeerId, Address]:
    """Read `PEERID@tcp://HOST:PORT`, egress optional; `ValueError` says which part is wrong and what is allowed."""
    peer, separator, address = text.partition("@")
    if not separator:
        raise ValueError(f"{shortened(text)}: allowed is PEERID@tcp://HOST:PORT, PEERID being 64 hex digits")
    return PeerId.parse(peer), Address.parse(address)


def format_peer(peer: PeerId, address: Address) -> str:
    """Write what `parse_peer` reads."""
    return f"{peer}@{address}"


def canonical_ip(ip: IP) -> IP:
    """Return the IPv4 address an IPv4-mapped IPv6 address stands for, any other unchanged."""
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def is_global(ip: IP) -> bool:
    """Tell whether an IP can be reached from anywhere, by IANA's special-purpose registries.

    The standard library's `is_global` differs between Python 3.11 and 3.13, so the registries stand here.
    """
    ip = canonical_ip(ip)
    if isinstance(ip, IPv4Address):
        return ip in _GLOBAL_IPV4 or not any(ip in network for network in _SPECIAL_IPV4)
    return any(ip in network for network in _GLOBAL_IPV6) or not any(ip in network for network in _SPECIAL_IPV6)


def subnet(ip: IP) -> Subnet:
    """Return the /24 of an IPv4 address, the /48 of an IPv6 address: what limits per subnet are counted by."""
    ip = canonical_ip(ip)
    if isinstance(ip, IPv4Address):
        return IPv4Network((int(ip) >> 8 << 8, 24))
    return IPv6Network((int(ip) >> 80 << 80, 48))


def share_of_subnet(share_of_ip: float) -> float:
    """Of what is scarce, which part one subnet may have: so many cannot be taken by who has a few IPs, or many /64."""
    return min(1.0, 2 * share_of_ip)


def counted_ip(ip: str) -> str:
    """Return what limits per IP count an IP by, both as canonical text: itself, or of IPv6 its /64.

    One host is given a whole /64 and may send from any address of it (RFC 6177, RFC 8981).
    """
    if ":" not in ip:
        return ip
    return str(IPv6Network((int(IPv6Address(ip)) >> 64 << 64, 64)))


def _ip_of_host(host: str) -> IP | None:
    if ":" in host:
        return _unicast(_parse_ip(host))
    try:
        return _unicast(IPv4Address(host))
    except ipaddress.AddressValueError:
        return None


def _canonical_name(name: str) -> str:
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(
            f"host {shortened(name)}: allowed is an IP or a name of at most 253 characters, "
            "its labels 1 to 63 ASCII letters, digits and inner hyphens"
        )
    if _NUMBER.fullmatch(labels[-1]):
        raise ValueError(
            f"host {shortened(name)}: no IPv4 address (four numbers, 0 to 255), and no name ends in a number"
        )
    return name.lower()


def _parse_ip(text: str) -> IP:
    try:
        ip = canonical_ip(ipaddress.ip_address(text))
    except ValueError:
        ip = None
    if ip is None or "%" in text:
        raise ValueError(f"{shortened(text)}: allowed is an IPv4 address or an IPv6 address without a zone")
    return ip


def _unicast(ip: IP) -> IP:
    """The IP, which may be unspecified. Raises ValueError for what is not the IP of one host."""
    kind = "a multicast IP" if ip.is_multicast else "the broadcast IP" if ip == _BROADCAST else ""
    if isinstance(ip, IPv4Address) and ip in _THIS_NETWORK and not ip.is_unspecified:
        kind = "no host's IP (0.0.0.0/8)"
    if kind:
        raise ValueError(f"{ip} is {kind}; allowed is the IP of one host")
    return ip


_BROADCAST = IPv4Address("255.255.255.255")
_THIS_NETWORK = IPv4Network("0.0.0.0/8")


_SPECIAL_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's customers
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GLOBAL_IPV4 = frozenset({IPv4Address("192.0.0.9"), IPv4Address("192.0.0.10")})  # anycast relays
_SPECIAL_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "::/128",  # unspecified
        "::1/128",  # loopback
        "64:ff9b:1::/48",  # translation inside a site
        "100::/64",  # discard
        "2001::/23",  # protocol assignments
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing identifiers
        "fc00::/7",  # unique local
        "fe80::/10",  # link-local
    )
)
_GLOBAL_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001:1::1/128",  # port control anycast
        "2001:1::2/128",  # TURN anycast
        "2001:1::3/128",  # DNS service registration anycast
        "2001:3::/32",  # AMT
        "2001:4:112::/48",  # AS112
        "2001:20::/28",  # ORCHIDv2
        "2001:30::/28",  # drone identification
    )
)
