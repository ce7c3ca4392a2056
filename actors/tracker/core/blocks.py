"""Who is blocked, and until when: peers, IPs and networks, each in a list of its own.

* Targets are written as they are: 64 hex digits, `10.0.0.1`, `10.0.0.0/24` (`str` of each). No two kinds share a text.
* A block of a peer is of its CURVE key: two ids that are each other's negative share one, and are blocked together.
* Blocking again while a block lasts gives it another end; who is blocked is then the same as before.
* A block whose time has come is over, also before anybody took it away.
* Ending one block ends no other: a peer stays blocked when its IP is not any more, and the other way round.
* It is apart from what is known of peers, so a block outlives that.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct

from ....runtime.arguments import SHOWN, shortened
from ....transport.address import IP, Subnet, canonical_ip
from ....transport.core.subnets import SubnetSet, network_at
from ....transport.identity import PeerId, curve_key

Target = PeerId | IP | Subnet
_HEX_DIGITS = 64
FOREVER = float("inf")
_SMALLEST_SWEEP = 128


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
            f"{shortened(text)} is neither a peer, an IP nor a network: allowed is a peer id of {_HEX_DIGITS} hex "
            f"digits, an IP such as 10.0.0.1, or a network such as 10.0.0.0/24"
            f"{'' if len(text) > SHOWN else f' ({error})'}"
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


def key_of(peer: PeerId) -> bytes:
    """Equal for two ids exactly if their CURVE keys are: the id without its sign bit (see `transport.edwards`)."""
    return peer[:-1] + bytes((peer[-1] & 0x7F,))


def other_id_of(peer: PeerId) -> PeerId:
    """The other id with the same CURVE key."""
    return PeerId(peer[:-1] + bytes((peer[-1] ^ 0x80,)))


class Block(Struct, frozen=True):
    """One block. until: monotonic seconds, infinite for one that only `unblock` ends."""

    target: Target
    until: float


class Blocks:
    """Blocks by target, canonical. `changed` is set by each change of who is blocked, for whoever pushes the gate."""

    def __init__(self) -> None:
        self.changed = False
        self._peers: dict[bytes, Block] = {}
        self._ips: dict[IP, Block] = {}
        self._subnets: dict[Subnet, Block] = {}
        self._curve_keys: dict[bytes, bytes] = {}  # of the blocked peers, by `key_of`
        self._prefixes: dict[tuple[int, int], int] = {}  # how many networks there are of a version and length
        self._expiries: list[tuple[float, int, Target]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._peers) + len(self._ips) + len(self._subnets)

    def __iter__(self) -> Iterator[Block]:
        """Every block, peers first."""
        yield from self._peers.values()
        yield from self._ips.values()
        yield from self._subnets.values()

    def counts(self) -> dict[str, int]:
        """How many blocks there are of each kind."""
        return {"peer": len(self._peers), "ip": len(self._ips), "subnet": len(self._subnets)}

    # What the gate refuses -------------------------------------------------------------------------------------------

    @property
    def curve_keys(self) -> frozenset[bytes]:
        """The CURVE keys of the blocked peers."""
        return frozenset(self._curve_keys.values())

    @property
    def ips(self) -> frozenset[str]:
        """Blocked IPs, canonical text."""
        return frozenset(map(str, self._ips))

    @property
    def subnets(self) -> SubnetSet:
        """The blocked networks, which tell whether an IP is in one of them."""
        return SubnetSet(self._subnets)

    # Questions -------------------------------------------------------------------------------------------------------

    def get(self, target: Target, now: float) -> Block | None:
        """This very block, which of a peer may be of the other id with its key; None if there is none or it is over."""
        block = self._get(target) if self else None
        return block if block is not None and block.until > now else None

    def until(self, target: Target, now: float) -> float | None:
        """When this very block ends, monotonic seconds; None if there is none."""
        block = self.get(target, now)
        return None if block is None else block.until

    def ip_until(self, ip: IP | None, now: float) -> float | None:
        """When the last block ends that holds this IP, by itself or with its network; None if none does."""
        if ip is None or not (self._ips or self._subnets):
            return None
        found = [self._ips.get(ip), *(self._subnets.get(network) for network in self._networks_of(ip))]
        return max((block.until for block in found if block is not None and block.until > now), default=None)

    # Changes ---------------------------------------------------------------------------------------------------------

    def add(self, target: Target, until: float) -> None:
        """Block until then, also who is blocked already. Raises ValueError for an id that is no valid public key."""
        block, before = Block(target, until), self._get(target)
        if isinstance(target, PeerId):
            self._curve_keys[key_of(target)] = curve_key(target)
            self._peers[key_of(target)] = block
        elif isinstance(target, IPv4Network | IPv6Network):
            self._count(target, target not in self._subnets)
            self._subnets[target] = block
        else:
            self._ips[target] = block
        self.changed = self.changed or before is None
        if len(self._expiries) > 2 * len(self) + _SMALLEST_SWEEP:  # of blocks that have another end by now
            self._expiries = [item for item in self._expiries if self._is_current(item)]
            heapq.heapify(self._expiries)
        self._serial += 1
        heapq.heappush(self._expiries, (until, self._serial, target))

    def remove(self, target: Target) -> Block | None:
        """End a block; None if there was none."""
        if isinstance(target, PeerId):
            block = self._peers.pop(key_of(target), None)
            self._curve_keys.pop(key_of(target), None)
        elif isinstance(target, IPv4Network | IPv6Network):
            block = self._subnets.pop(target, None)
            self._count(target, -(block is not None))
        else:
            block = self._ips.pop(target, None)
        self.changed = self.changed or block is not None
        return block

    def next_expiry(self) -> float | None:
        """When the next block ends, monotonic seconds; None while no block has an end."""
        while self._expiries and not self._is_current(self._expiries[0]):
            heapq.heappop(self._expiries)
        until = self._expiries[0][0] if self._expiries else None
        return until if until != FOREVER else None

    def expire(self, now: float) -> tuple[Target, ...]:
        """Take away what is over; what was blocked, in the order of the blocks' ends."""
        over: list[Target] = []
        while (until := self.next_expiry()) is not None and until <= now:
            block = self._get(heapq.heappop(self._expiries)[2])
            assert block is not None  # it is current
            self.remove(block.target)
            over.append(block.target)
        return tuple(over)

    def _get(self, target: Target) -> Block | None:
        if isinstance(target, PeerId):
            return self._peers.get(key_of(target))
        if isinstance(target, IPv4Network | IPv6Network):
            return self._subnets.get(target)
        return self._ips.get(target)

    def _is_current(self, item: tuple[float, int, Target]) -> bool:
        block = self._get(item[2])
        return block is not None and block.until == item[0]

    def _count(self, network: Subnet, by: int) -> None:
        prefix = network.version, network.prefixlen
        left = self._prefixes.pop(prefix, 0) + by
        if left:
            self._prefixes[prefix] = left

    def _networks_of(self, ip: IP) -> Iterator[Subnet]:
        return (network_at(ip, prefix) for version, prefix in self._prefixes if version == ip.version)
