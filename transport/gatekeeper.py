"""Who may have a link, in values: what transport asks its gatekeeper, what that answers, and the link that comes of it.

The gatekeeper is the tracker. A `Ticket` is its reservation for one peer: from `Admitted` (inbound) or before `dial`
(outbound) until transport reports it `released`, exactly once, on every path.

`Gate` is the part that must be cheap: a versioned snapshot that the gatekeeper pushes and transport reads before any
handshake is paid for. Until the first push everybody is refused.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from .address import Endpoint
from .core.subnets import SubnetSet
from .identity import PeerId
from .reasons import Reason
from .record import PeerRecord


class Direction(enum.StrEnum):
    """Who dialled."""

    IN = "in"
    OUT = "out"


class Role(enum.StrEnum):
    """What a peer set says of a peer. Primaries are dialled and accepted, secondaries only accepted."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


class Link(Struct, frozen=True):
    """One connection. id: unique in this transport's life. opened_at: monotonic seconds. ip: the other end's.

    short_lived: for a fetch, in a place of its own beside the others (maintenance: short-lived places).
    """

    id: int
    peer: PeerId
    direction: Direction
    role: Role
    ip: str
    opened_at: float
    record: PeerRecord
    short_lived: bool = False


class Ticket(Struct, frozen=True):
    """The gatekeeper's reservation for a peer. id: unique per gatekeeper."""

    id: int
    peer: PeerId
    direction: Direction


class Claim(Struct, frozen=True):
    """Somebody proved to be `peer` and wants a connection.

    ip: where from (inbound) or to (outbound), canonical text. ticket: of our own dial, None for inbound.
    supersedes: the ticket that moves to this claim, of a dial or link that it replaces.
    """

    peer: PeerId
    record: PeerRecord
    ip: str
    direction: Direction
    ticket: Ticket | None = None
    supersedes: Ticket | None = None


class Admitted(Struct, frozen=True):
    """The claim is good under the gate of this version."""

    ticket: Ticket
    role: Role
    gate_version: int


class NotAdmitted(Struct, frozen=True):
    """The claim is not good. alternatives: other peers to try, told to who asked."""

    reason: Reason
    alternatives: tuple[PeerRecord, ...] = ()


Verdict = Admitted | NotAdmitted


class EarlyGater(Protocol):
    """What a gate asks of the application's gaters, before a handshake is paid for; see `gater.Gater`."""

    def intercept_accept(self, ip: str) -> bool:
        """Whether anybody may connect from this IP, canonical text."""

    def intercept_addr_dial(self, peer: PeerId, endpoint: Endpoint) -> bool:
        """Whether this peer may be dialled at this address; its host is an IP."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What must be refused before it costs a handshake, and who may exchange packets (design: gate).

    blocked: CURVE public keys (two identities that are each other's negative share one). blocked_ips: canonical text.
    blocked_subnets: whole networks. registered_ips: the only IPs let in, None for any. packets: the only CURVE keys
    with which packets are exchanged, None for anybody of the network; a gate that names them is a private node's, which
    tells nobody of other peers. cooling: whose connections are not accepted before that time, monotonic seconds.
    alternatives: whom those may ask that are turned away for now. gater: the application's own say.
    """

    version: int
    blocked: frozenset[bytes] = field(default_factory=frozenset)
    blocked_ips: frozenset[str] = field(default_factory=frozenset)
    blocked_subnets: SubnetSet = field(default_factory=SubnetSet)
    registered_ips: AbstractSet[str] | None = None
    packets: frozenset[bytes] | None = None
    cooling: Mapping[PeerId, float] = field(default_factory=lambda: MappingProxyType({}))
    alternatives: tuple[PeerRecord, ...] = ()
    gater: EarlyGater | None = field(default=None, compare=False)

    @property
    def is_private(self) -> bool:
        """Whether nothing about other peers may leave this node (design: private)."""
        return self.packets is not None

    def blocks_ip(self, ip: str) -> bool:
        """Whether an IP, canonical text, is blocked by itself or with its network."""
        return ip in self.blocked_ips or ip in self.blocked_subnets

    def blocks(self, ip: str, curve_key: bytes) -> bool:
        """Whether somebody with this key and from this IP is blocked."""
        return curve_key in self.blocked or self.blocks_ip(ip)

    def blocks_more_than(self, before: Gate) -> bool:
        """Whether who passed `before` may be blocked now."""
        return any(
            now is not then and not now <= then
            for now, then in (
                (self.blocked, before.blocked),
                (self.blocked_ips, before.blocked_ips),
                (self.blocked_subnets, before.blocked_subnets),
            )
        )

    def refuses_packets_more_than(self, before: Gate) -> bool:
        """Whether with whom `before` allowed packets none may be exchanged now."""
        now, then = self.packets, before.packets
        is_narrower = now is not None and now is not then and (then is None or not now >= then)
        return is_narrower or self.blocks_more_than(before)

    def admits_ip(self, ip: str) -> bool:
        """Whether the application's gater lets anybody connect from this IP."""
        return self.gater is None or self.gater.intercept_accept(ip)

    def admits_dial(self, peer: PeerId, endpoint: Endpoint) -> bool:
        """Whether the application's gater lets us dial a peer at this address."""
        return self.gater is None or self.gater.intercept_addr_dial(peer, endpoint)

    def check(self, ip: str, curve_key: bytes) -> Reason | None:
        """Why this source is refused, or None if it may start a handshake."""
        if self.blocks(ip, curve_key):
            return Reason.BLOCKED
        if self.registered_ips is not None and ip not in self.registered_ips:
            return Reason.UNREGISTERED_IP
        return None

    def check_packets(self, ip: str, curve_key: bytes) -> Reason | None:
        """Why no packets are exchanged with this peer, or None. A registered IP is for connections only."""
        if self.blocks(ip, curve_key):
            return Reason.BLOCKED
        if self.packets is not None and curve_key not in self.packets:
            return Reason.PRIVATE
        return None

    def check_connection(self, peer: PeerId, now: float) -> Reason | None:
        """Why a peer that says Hello gets no connection now, or None.

        Looked at before its signature, a slot and a verdict are paid for (flows: accept 3). Not before the handshake:
        that would tell no connection from packets, which have no cooldown, nor the peer to come back later.
        """
        return Reason.COOLDOWN if self.cooling.get(peer, now) > now else None
