"""Who may connect: every rule of the tracker about it, for what is known of a peer.

A peer may be connected to as this table says; the columns it shares are `refusal`:

=============  ========  ===========  ====  ===========  ==========  ==================
predicate      not self  not blocked  mode  ticket       address     time
=============  ========  ===========  ====  ===========  ==========  ==================
refusal        yes       yes          yes
dialable       yes       yes          yes   none out     endpoint    back-off and rest
reserve        yes       yes          yes   none out     endpoint    back-off
admit inbound  yes       yes          yes   none, moves  egress IP   cooldown
admit a dial   yes       yes          yes   its own
registered IP  yes       yes          yes                egress IP
=============  ========  ===========  ====  ===========  ==========  ==================

* *Mode*: `open` lets anybody in, `tracked` the peers of the window's sets, `private` the trusted ones.
* Who is listed as secondary only is accepted, never dialled. Who is in no set but let in is served as a secondary.
* The application's gater is asked last, where all else agrees.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Set as AbstractSet
from typing import Protocol

from ....transport.address import Address, canonical_ip, is_global
from ....transport.gatekeeper import Claim, Direction, EarlyGater, Link, Role, Ticket
from ....transport.identity import PeerId, possible_curve_key
from ....transport.reasons import Reason
from ....transport.record import PeerRecord
from ..config import Config
from .blocks import Blocks, other_id_of
from .gate import ANYWHERE
from .known_peer import KnownPeer, Pace


class AdmissionGater(EarlyGater, Protocol):
    """What is asked of the application's gaters; see `transport.gater.Gater`."""

    def intercept_peer_dial(self, peer: PeerId) -> bool:
        """Whether this peer may be dialled."""

    def intercept_secured(self, direction: Direction, peer: PeerId, ip: str) -> bool:
        """Whether this peer, whose key is proved, may have a connection."""

    def intercept_upgraded(self, link: Link) -> bool:
        """Whether this connection may stay."""


class AdmissionRules:
    """The rules of one node. `known` is what is known of a peer, None if nothing is. Times are monotonic seconds."""

    def __init__(
        self,
        config: Config,
        me: PeerId,
        blocks: Blocks,
        trusted: AbstractSet[PeerId],
        gater: AdmissionGater | None = None,
    ) -> None:
        """blocks, trusted: those in force, which change meanwhile. gater: None allows everything."""
        self._config = config
        self._mine = frozenset((me, other_id_of(me)))
        self._blocks = blocks
        self._trusted = trusted
        self._trusted_keys: dict[PeerId, bytes | None] = {}  # as each takes 0.1 ms
        self.gater = gater

    # The peer --------------------------------------------------------------------------------------------------------

    def is_me(self, peer: PeerId) -> bool:
        """Whether this is our own id, or the one that shares our CURVE key."""
        return peer in self._mine

    def refusal(self, peer: PeerId, known: KnownPeer | None, now: float) -> Reason | None:
        """Why this peer may not connect, whatever its state and wherever from; None if it may."""
        if self.is_me(peer):
            return Reason.SELF
        if self._blocks.until(peer, now) is not None:
            return Reason.BLOCKED
        return self.mode_refusal(peer, known)

    def mode_refusal(self, peer: PeerId, known: KnownPeer | None) -> Reason | None:
        """Why the mode lets this peer not connect; None if it does."""
        if self._config.admission == "private":
            return None if peer in self._trusted else Reason.PRIVATE
        if self._config.admission == "tracked":
            return None if known is not None and known.role is not None else Reason.NOT_TRACKED
        return None

    # Where it is -----------------------------------------------------------------------------------------------------

    def may_dial(self, address: Address | None) -> bool:
        """Whether the configuration lets us dial there."""
        if address is None:
            return False
        ip = address.endpoint.ip
        if ip is None:
            return self._config.allow_dns
        return self._config.allow_private_ips or is_global(ip)

    def ip_blocked_until(self, known: KnownPeer, now: float) -> float | None:
        """When the block ends that holds the IP where the peer would be dialled; None if none does."""
        address = known.address
        return self._blocks.ip_until(address.endpoint.ip, now) if address is not None else None

    def source_refusal(self, known: KnownPeer | None, text: str, now: float) -> Reason | None:
        """Why the peer may not connect from the IP `text`: it is blocked, or not the egress that was given, if any."""
        ip = canonical_ip(ipaddress.ip_address(text))
        if self._blocks.ip_until(ip, now) is not None:
            return Reason.BLOCKED
        if not self._config.allow_private_ips and not is_global(ip):
            return Reason.EGRESS_IP
        if not self._config.checks_egress or known is None or not known.given or known.address is None:
            return None
        return None if known.address.egress_ip in (None, ip) else Reason.EGRESS_IP

    def registered_ip(self, known: KnownPeer) -> str | None:
        """From where the gate lets a peer in that may connect: an IP, `ANYWHERE`, or (None) nowhere."""
        address = known.address
        ip = address.egress_ip if address is not None and known.given else None
        if address is None or ip is None:
            return ANYWHERE
        if not self._config.allow_private_ips and not is_global(ip):
            return None
        return address.endpoint.host if address.egress is None else str(ip)

    # Dials, claims and links -----------------------------------------------------------------------------------------

    def dial_refusal(
        self, peer: PeerId, known: KnownPeer | None, now: float, *, short_lived: bool = False
    ) -> Reason | None:
        """Why no ticket is handed out for a dial; None if one is."""
        refused = self.refusal(peer, known, now)
        if refused is not None:
            return refused
        if known is None or known.role is Role.SECONDARY:
            return Reason.NOT_TRACKED
        if known.hold is not None:
            return Reason.DUPLICATE
        if self.gater is not None and not self.gater.intercept_peer_dial(peer):
            return Reason.GATED
        if not self.may_dial(known.address):
            return Reason.UNRESOLVED
        if self.ip_blocked_until(known, now) is not None:
            return Reason.BLOCKED
        if now < known.known_pace.short_lived_at:
            return Reason.COOLDOWN
        return Reason.TOO_MANY if not short_lived and now < known.known_pace.crowded_until else None

    def admit(self, claim: Claim, known: KnownPeer | None, pace: Pace, now: float) -> Ticket | Reason | None:
        """Judge a claim: the ticket of our own dial, why it is refused, or (None) that it is to have a new ticket.

        pace: the peer's, which is remembered longer than the peer.
        """
        refused = self.refusal(claim.peer, known, now)
        if refused is not None:
            return refused
        if claim.direction is Direction.OUT:
            if known is None or known.hold is None or known.stale or known.hold.ticket != claim.ticket:
                return Reason.STALE
            return self._gated(claim) or known.hold.ticket
        return self._inbound_refusal(claim, known, pace, now) or self._gated(claim)

    def link_refusal(self, known: KnownPeer, now: float) -> Reason | None:
        """Why the link of a peer that has just opened must be closed at once; None if it may stay."""
        return Reason.ADDRESS_CHANGED if known.stale else self.refusal(known.peer, known, now)

    def upgraded_refusal(self, link: Link) -> Reason | None:
        """The same, as the application says."""
        return None if self.gater is None or self.gater.intercept_upgraded(link) else Reason.GATED

    def _inbound_refusal(self, claim: Claim, known: KnownPeer | None, pace: Pace, now: float) -> Reason | None:
        refused = self.source_refusal(known, claim.ip, now)
        if refused is not None:
            return refused
        if known is not None and known.hold is not None:
            if known.stale:
                return Reason.STALE
            if claim.supersedes != known.hold.ticket:
                return Reason.DUPLICATE
        return Reason.COOLDOWN if now < pace.reservable_at else None

    def _gated(self, claim: Claim) -> Reason | None:
        allowed = self.gater is None or self.gater.intercept_secured(claim.direction, claim.peer, claim.ip)
        return None if allowed else Reason.GATED

    # What else leaves the node ---------------------------------------------------------------------------------------

    def packet_keys(self) -> frozenset[bytes] | None:
        """The CURVE keys with which packets are exchanged; None for any: only `private` restricts them."""
        if self._config.admission != "private":
            return None
        keys = self._trusted_keys
        keys.update((peer, possible_curve_key(peer)) for peer in self._trusted if peer not in keys)
        return frozenset(key for peer in self._trusted if (key := keys[peer]) is not None)

    def alternative(self, known: KnownPeer, now: float) -> PeerRecord | None:
        """The record of this peer that others get which are turned away; None if it is not to be named."""
        signed = known.signed
        if self._config.admission == "private" or signed is None or signed.address is None:
            return None
        if self.refusal(known.peer, known, now) is not None:
            return None
        return signed if self._blocks.ip_until(signed.address.endpoint.ip, now) is None else None
