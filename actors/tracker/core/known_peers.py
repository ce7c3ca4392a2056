"""Everybody whom the tracker knows, and what follows from it: the dial queue, the registered IPs, what is to be saved.

* Whoever changes a `KnownPeer` calls `refresh` with it afterwards; nothing else keeps the derived state in step.
* A peer is dropped when no set lists it, no ticket is out and no address is known. Cooldown and block outlive that.
* A block or the trust of a peer that is not known is kept here all the same.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Hashable, Iterator
from ipaddress import IPv4Network, IPv6Network

from msgspec import Struct

from ....transport.address import Address
from ....transport.gatekeeper import Gate, Role
from ....transport.identity import PeerId
from ....transport.reasons import Reason
from ....transport.record import PeerRecord
from ..config import Config
from ..errors import CannotBlock
from .admission import AdmissionGater, AdmissionRules
from .blocks import FOREVER, Blocks, Target, canonical, other_id_of
from .dial_queue import DialQueue, Turn
from .gate import Advice, GateMaker, RegisteredIps
from .known_peer import NEVER, KnownPeer, Pace, Status
from .peer_sets import Job, do
from .unlisted_peers import Bound, UnlistedPeers, network_of

_AT_ONCE = {
    (trusted, vouched): Turn(NEVER, NEVER, trusted, vouched) for trusted in (True, False) for vouched in (True, False)
}  # of most peers, so kept once
Closes = tuple[tuple[PeerId, Reason], ...]


class Unsaved:
    """What has changed since it was last saved: only names, in the order in which they changed first.

    * Whoever changes what is saved of a peer, a block or the trust in somebody notes it here.
    * What is written is how it is when it is written, so many changes of one peer are written once, and the order of
      two never matters.
    * Off, as it is until somebody saves, it notes nothing.
    """

    def __init__(self) -> None:
        self.on = False
        self.peers: dict[PeerId, None] = {}
        self.trust: dict[PeerId, None] = {}
        self.blocks: dict[Target, None] = {}

    def __bool__(self) -> bool:
        return bool(self.peers or self.trust or self.blocks)

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Note nothing meanwhile: what comes from the address book need not be written to it."""
        on, self.on = self.on, False
        try:
            yield
        finally:
            self.on = on

    def peer(self, peer: PeerId) -> None:
        """Something of the peer has changed, or it was dropped."""
        if self.on:
            self.peers[peer] = None

    def trusts(self, peer: PeerId) -> None:
        """Somebody began or ended the trust in this peer."""
        if self.on:
            self.trust[peer] = None

    def block(self, target: Target) -> None:
        """A block of this target began, ended, or has another end."""
        if self.on:
            self.blocks[target] = None


class PeerInfo(Struct, frozen=True):
    """What an operator is told of one peer. role: None if no peer set lists it. address: where it would be dialled.

    Moments are unix seconds. last_seen: when a link to it last opened or ended; last_failure: when a dial of it last
    failed; None for never. quiet_until: how long it is left alone, None if it may be dialled now. backoff: seconds of
    the delay that the last failure brought. blocked_until: of the peer or of the IP it would be dialled at, infinite
    for good, None without a block.
    """

    peer: PeerId
    role: Role | None
    state: Status
    address: Address | None
    last_seen: float | None
    last_failure: float | None
    quiet_until: float | None
    backoff: float
    trusted: bool
    blocked_until: float | None


class KnownPeers:
    """What is known, by peer. Times are monotonic seconds."""

    def __init__(self, config: Config, me: PeerId, rng: random.Random, gater: AdmissionGater | None = None) -> None:
        """me: this node, which is never dialled, accepted or blocked. rng: for ties. gater: see `AdmissionRules`."""
        self.trusted = {*config.trusted, *(static.peer for static in config.peers)}
        self.unsaved = Unsaved()
        self.blocks = Blocks()
        self.unlisted = UnlistedPeers(config)
        self.advice = Advice()
        self.rules = AdmissionRules(config, me, self.blocks, self.trusted, gater)
        self.queue = DialQueue(rng, self._network_of)
        self.registered = RegisteredIps()
        self._config = config
        self._gates = GateMaker(config, gater, self.blocks, self.registered, self.advice)
        self._peers: dict[PeerId, KnownPeer] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def get(self, peer: PeerId) -> KnownPeer | None:
        """What is known of the peer; None if nothing is."""
        return self._peers.get(peer)

    def peers(self) -> Iterator[PeerId]:
        """Everybody of whom something is known; nobody may be added or dropped meanwhile."""
        return iter(self._peers)

    def make(self, peer: PeerId) -> KnownPeer:
        """What is known of the peer, which is known from now on: with the pace it had, if it was forgotten lately."""
        known = self._peers.get(peer)
        if known is None:
            known = self._peers[peer] = KnownPeer(peer, waits=self.unlisted.recall(peer))
        return known

    def make_room(
        self, peer: PeerId, address: Address, source: PeerId | None, now: float, *, proven: bool = False
    ) -> Bound | None:
        """Forget who must make room for an unlisted peer there; which bound forbids it, if nobody may be forgotten."""
        if peer in self.trusted:
            return None
        while (bound := self.unlisted.full(peer, address, source, proven=proven)) is not None:
            candidates = self.unlisted.victims(bound, address, source, proven=proven)
            victim = next((self._peers[each] for each in candidates if self._may_be_forgotten(each)), None)
            if victim is None:
                return bound
            self.unlisted.pushed_out[bound] += 1
            victim.forget_address()
            self.refresh(victim, now)
        return None

    def _may_be_forgotten(self, peer: PeerId) -> bool:
        return peer not in self.trusted and self._peers[peer].hold is None

    # Trust and blocks ------------------------------------------------------------------------------------------------

    def trust(self, peer: PeerId, now: float) -> bool:
        """Trust a peer: dialled first, and let in by `private`. False if it was trusted already."""
        if peer in self.trusted:
            return False
        self.trusted.add(peer)
        self._trust_changed(peer)
        self._refresh_sharers(peer, now)
        return True

    def distrust(self, peer: PeerId, now: float) -> Closes | None:
        """End the trust; whom to disconnect, or None if it was not trusted."""
        if peer not in self.trusted:
            return None
        self.trusted.discard(peer)
        self._trust_changed(peer)
        known = self._peers.get(peer)
        return self.refresh_listed(known, False, now) if known is not None else ()

    def _trust_changed(self, peer: PeerId) -> None:
        self._gates.packets_changed = True
        self.unsaved.trusts(peer)

    def block_job(
        self, target: Target, duration: float, now: float, *, at_least: bool = False
    ) -> Job[tuple[Target, float, bool]]:
        """Block somebody, known or not: whom, until when, and whether that is new.

        Of a peer, whom may be the other id with its key, if that is blocked already.
        at_least: a later end that is in force stays. Raises CannotBlock.
        """
        target, until = canonical(target), now + duration
        block = self.blocks.get(target, now)
        if block is not None:
            target = block.target  # as it was named: a block of the other id with its key is the same one
            if block.until == until or (at_least and block.until > until):
                return target, block.until, False
        self.restore_block(target, until)
        self.unsaved.block(target)
        yield from self._refresh_behind(target, now)
        return target, until, True

    def unblock_job(self, target: Target, now: float) -> Job[Target | None]:
        """End a block; what was blocked (a peer, or the other id with its key), None if there was no such block."""
        block = self.blocks.remove(canonical(target))
        if block is None:
            return None
        self.unsaved.block(block.target)
        yield from self._refresh_behind(block.target, now)
        return block.target

    def expire_job(self, now: float) -> Job[tuple[Target, ...]]:
        """End the blocks whose time has come; what was blocked."""
        over = self.blocks.expire(now)
        for target in over:
            self.unsaved.block(target)
            if isinstance(target, PeerId):  # who is behind an IP had its turn put off until now anyway
                self._refresh_sharers(target, now)
            yield 1
        return over

    def block(
        self, target: Target, duration: float, now: float, *, at_least: bool = False
    ) -> tuple[Target, float, bool]:
        """`block_job`, all at once."""
        return do(self.block_job(target, duration, now, at_least=at_least))

    def unblock(self, target: Target, now: float) -> Target | None:
        """`unblock_job`, all at once."""
        return do(self.unblock_job(target, now))

    def expire(self, now: float) -> tuple[Target, ...]:
        """`expire_job`, all at once."""
        return do(self.expire_job(now))

    def restore_block(self, target: Target, until: float) -> None:
        """Block, and leave out what follows from it, as for a block that was stored. Raises CannotBlock."""
        if isinstance(target, PeerId) and self.rules.is_me(target):
            raise CannotBlock(target, "it is this node")
        try:
            self.blocks.add(target, until)
        except ValueError as error:
            raise CannotBlock(target, str(error)) from None

    def sharing_key(self, peer: PeerId) -> tuple[PeerId, ...]:
        """The peer and, if that is known, the other id with its key: whose links a block of `peer` ends."""
        other = other_id_of(peer)
        return (peer, other) if other in self._peers else (peer,)

    def pace(self, peer: PeerId) -> Pace:
        """The pace of a peer, known or not, to read."""
        known = self._peers.get(peer)
        return known.known_pace if known is not None else self.unlisted.pace(peer)

    def gate(self, now: float, *, with_advice: bool = False) -> Gate:
        """What transport refuses by itself; see `GateMaker.make`."""
        return self._gates.make(now, self.rules.packet_keys, lambda: self._alternatives(now), with_advice=with_advice)

    def alternatives(self, peer: PeerId) -> tuple[PeerRecord, ...]:
        """Whom a peer may ask that is turned away for now; the gate names the same."""
        return tuple(each for each in self._gates.newest.alternatives if each.peer != peer)

    def _alternatives(self, now: float) -> tuple[PeerRecord, ...]:
        """Whom to name to peers that are turned away: who was connected to lately; nobody from `private`."""
        lately = (self._peers[peer] for peer in self.advice.recent if peer in self._peers)
        signed = (self.rules.alternative(known, now) for known in lately)
        return tuple(each for each in signed if each is not None)

    # Keeping what follows in step ------------------------------------------------------------------------------------

    def refresh(self, known: KnownPeer, now: float) -> None:
        """Bring everything in step with a peer of which something was changed; drop it if nobody needs it."""
        peer = known.peer
        self.unsaved.peer(peer)
        self.advice.updated(peer)
        if known.address is None and known.hold is None and known.role is None:
            self._drop(known, now)
            return
        allowed = self.rules.mode_refusal(peer, known) is None
        blocked = self.blocks.until(peer, now)
        turn = self._turn(known, blocked, now) if allowed else None
        if turn is None:
            self.queue.discard(peer)
        else:
            self.queue.put(peer, turn)
        self.unlisted.update(known)
        if self._config.registers_ips:
            self.registered.set(known, self.rules.registered_ip(known) if allowed and blocked is None else None)

    def refresh_listed(self, known: KnownPeer, moved: bool, now: float) -> Closes:
        """Refresh; whom to disconnect: who `moved` to another address, or may not connect any more."""
        why = None
        if known.hold is not None:
            why = Reason.ADDRESS_CHANGED if moved else self.rules.mode_refusal(known.peer, known)
        self.refresh(known, now)
        return ((known.peer, why),) if why is not None else ()

    def _refresh_behind(self, target: Target, now: float) -> Job[None]:
        """Refresh everybody whom a block of `target` concerns."""
        if isinstance(target, PeerId):
            self._refresh_sharers(target, now)
            return
        for known in list(self._peers.values()):
            ip = known.address.endpoint.ip if known.address is not None else None
            if ip == target or (isinstance(target, IPv4Network | IPv6Network) and ip is not None and ip in target):
                self.refresh(known, now)
            yield 1

    def _refresh_sharers(self, peer: PeerId, now: float) -> None:
        """Refresh the peer and the other id with its key."""
        for each in (peer, other_id_of(peer)):
            known = self._peers.get(each)
            if known is not None:
                self.refresh(known, now)

    def _drop(self, known: KnownPeer, now: float) -> None:
        self.queue.discard(known.peer)
        self.registered.set(known, None)
        self.unlisted.forget(known, now)
        self._peers.pop(known.peer, None)

    def _turn(self, known: KnownPeer, blocked: float | None, now: float) -> Turn | None:
        """When the peer may be dialled, which is blocked till then; None for never, as things are."""
        address, role = known.address, known.role
        if known.hold is not None or role is Role.SECONDARY or not self.rules.may_dial(address):
            return None
        free = max(blocked or NEVER, self.rules.ip_blocked_until(known, now) or NEVER)
        if free == FOREVER:
            return None
        pace, trusted = known.known_pace, known.peer in self.trusted
        vouched = role is not None or known.seen_at is not None
        if free == NEVER and pace.is_fresh:
            return _AT_ONCE[trusted, vouched]
        return Turn(max(pace.quiet_until, free), max(pace.dial_at, free), trusted, vouched, pace.last_miss)

    def _network_of(self, peer: PeerId) -> Hashable:
        """Where the peer is: its subnet, or its name."""
        known = self._peers.get(peer)
        return network_of(known.address) if known is not None and known.address is not None else None

    # What an operator is told ----------------------------------------------------------------------------------------

    def report_job(self, now: float, unix: Callable[[float], float]) -> Job[tuple[PeerInfo, ...]]:
        """Everybody who is known, trusted or blocked. unix: of a monotonic moment."""
        found: list[PeerInfo] = []
        for peer in self._everybody():
            found.append(self._info(self._peers.get(peer) or KnownPeer(peer), now, unix))
            yield 1
        return tuple(found)

    def _everybody(self) -> Iterator[PeerId]:
        others = dict.fromkeys(block.target for block in self.blocks if isinstance(block.target, PeerId))
        others.update(dict.fromkeys(sorted(self.trusted)))
        yield from list(self._peers)
        for peer in others:
            if peer not in self._peers:
                yield peer

    def _info(self, known: KnownPeer, now: float, unix: Callable[[float], float]) -> PeerInfo:
        ends = (self.blocks.until(known.peer, now), self.rules.ip_blocked_until(known, now))
        pace = known.known_pace
        return PeerInfo(
            peer=known.peer,
            role=known.role,
            state=known.status,
            address=known.address,
            last_seen=None if known.seen_at is None else unix(known.seen_at),
            last_failure=None if known.failed_at is None else unix(known.failed_at),
            quiet_until=unix(pace.quiet_until) if pace.quiet_until > now else None,
            backoff=pace.delay,
            trusted=known.peer in self.trusted,
            blocked_until=max((unix(until) for until in ends if until is not None), default=None),
        )
