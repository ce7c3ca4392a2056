"""The peers with a record, and everything that follows from a record: predicates, the dial queue, registered IPs.

* Whoever changes a record calls `settle` with it afterwards; nothing else keeps the derived state in step.
* A record goes when no set lists the peer, no ticket is out and no address is known. Cooldown and block outlive it.
* *Mode*: `open` lets anybody in, `tracked` the peers of the window's sets, `private` the trusted ones.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Hashable, Iterator
from ipaddress import IPv4Network, IPv6Network

from ....transport.address import Address, canonical_ip, is_global
from ....transport.gatekeeper import Role
from ....transport.identity import PeerId, possible_curve_key
from ....transport.reasons import Reason
from ....transport.record import PeerRecord
from ..config import Config
from ..errors import CannotBlock
from .blocks import FOREVER, Blocks, twin_of
from .dial_queue import DialQueue, Turn
from .gate import ANYWHERE, Register
from .journal import Journal
from .known_peer import Record
from .pace import NEVER, Pace
from .steps import Steps, run
from .targets import Target, canonical
from .told import Told
from .unlisted_peers import Book, Bound, network_of

_AT_ONCE = {
    (trusted, vouched): Turn(NEVER, NEVER, trusted, vouched) for trusted in (True, False) for vouched in (True, False)
}  # of most peers, so kept once
Closes = tuple[tuple[PeerId, Reason], ...]


class Table:
    """Records by peer. Times are monotonic seconds."""

    def __init__(self, config: Config, me: PeerId, rng: random.Random) -> None:
        self.trusted = {*config.trusted, *(static.peer for static in config.peers)}
        self.trust_changed = False
        self.journal = Journal()
        self.blocks = Blocks()
        self.book = Book(config)
        self.told = Told()
        self.queue = DialQueue(rng, self._network_of)
        self.register = Register()
        self._config = config
        self._mine = frozenset((me, twin_of(me)))
        self._trusted_keys: dict[PeerId, bytes | None] = {}  # as each takes 0.1 ms
        self._records: dict[PeerId, Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def get(self, peer: PeerId) -> Record | None:
        """The record, if there is one."""
        return self._records.get(peer)

    def peers(self) -> Iterator[PeerId]:
        """Everybody who has a record."""
        return iter(self._records)

    def make(self, peer: PeerId) -> Record:
        """The record, a fresh one if there is none: with the pace it had, if it was forgotten lately."""
        record = self._records.get(peer)
        if record is None:
            record = self._records[peer] = Record(peer, waits=self.book.recall(peer))
        return record

    def make_room(
        self, peer: PeerId, address: Address, source: PeerId | None, now: float, *, proven: bool = False
    ) -> Bound | None:
        """Forget who must make room for an unlisted peer there; which bound forbids it, if nobody may be forgotten."""
        if peer in self.trusted:
            return None
        while (bound := self.book.full(peer, address, source, proven=proven)) is not None:
            candidates = self.book.victims(bound, address, source, proven=proven)
            victim = next((self._records[each] for each in candidates if self._may_be_forgotten(each)), None)
            if victim is None:
                return bound
            self.book.pushed_out[bound] += 1
            victim.forget_address()
            self.settle(victim, now)
        return None

    def _may_be_forgotten(self, peer: PeerId) -> bool:
        return peer not in self.trusted and self._records[peer].hold is None

    # Predicates ------------------------------------------------------------------------------------------------------

    def is_me(self, peer: PeerId) -> bool:
        """Whether this is our own id, or the one that shares our CURVE key."""
        return peer in self._mine

    def refusal(self, peer: PeerId, now: float) -> Reason | None:
        """Why this peer may not connect, whatever its state and wherever from; None if it may."""
        if self.is_me(peer):
            return Reason.SELF
        if self.blocks.until(peer, now) is not None:
            return Reason.BLOCKED
        return self._mode_refusal(peer, self._records.get(peer))

    def ip_blocked_until(self, record: Record, now: float) -> float | None:
        """When the block ends that holds the IP where the peer would be dialled; None if none does."""
        address = record.address
        return self.blocks.ip_until(address.endpoint.ip, now) if address is not None else None

    def may_dial(self, address: Address | None) -> bool:
        """Whether the configuration lets us dial there."""
        if address is None:
            return False
        ip = address.endpoint.ip
        if ip is None:
            return self._config.allow_dns
        return self._config.allow_private_ips or is_global(ip)

    def source_refusal(self, record: Record | None, text: str, now: float) -> Reason | None:
        """Why the peer may not connect from the IP `text`: it is blocked, or not the egress that was given, if any."""
        ip = canonical_ip(ipaddress.ip_address(text))
        if self.blocks.ip_until(ip, now) is not None:
            return Reason.BLOCKED
        if not self._config.allow_private_ips and not is_global(ip):
            return Reason.EGRESS_IP
        if not self._config.checks_egress or record is None or not record.given or record.address is None:
            return None
        return None if record.address.egress_ip in (None, ip) else Reason.EGRESS_IP

    def pace(self, peer: PeerId) -> Pace:
        """The pace of a peer with or without a record, to read."""
        record = self._records.get(peer)
        return record.known_pace if record is not None else self.book.pace(peer)

    def _mode_refusal(self, peer: PeerId, record: Record | None) -> Reason | None:
        if self._config.admission == "private":
            return None if peer in self.trusted else Reason.PRIVATE
        if self._config.admission == "tracked":
            return None if record is not None and record.listing is not None else Reason.NOT_TRACKED
        return None

    # Trust and blocks ------------------------------------------------------------------------------------------------

    @property
    def packet_keys(self) -> frozenset[bytes] | None:
        """The CURVE keys with which packets are exchanged; None for any: only `private` restricts them."""
        if self._config.admission != "private":
            return None
        keys = self._trusted_keys
        keys.update((peer, possible_curve_key(peer)) for peer in self.trusted if peer not in keys)
        return frozenset(key for peer in self.trusted if (key := keys[peer]) is not None)

    def trust(self, peer: PeerId, now: float) -> bool:
        """Trust a peer: dialled first, and let in by `private`. False if it was trusted already."""
        if peer in self.trusted:
            return False
        self.trusted.add(peer)
        self._trust_changed(peer)
        self._settle_known(peer, now)
        return True

    def distrust(self, peer: PeerId, now: float) -> Closes | None:
        """End the trust; whom to disconnect, or None if it was not trusted."""
        if peer not in self.trusted:
            return None
        self.trusted.discard(peer)
        self._trust_changed(peer)
        record = self._records.get(peer)
        return self.settle_listed(record, False, now) if record is not None else ()

    def _trust_changed(self, peer: PeerId) -> None:
        self.trust_changed = True
        self.journal.trusts(peer)

    def blocking(
        self, target: Target, duration: float, now: float, *, at_least: bool = False
    ) -> Steps[tuple[Target, float, bool]]:
        """Block somebody, known or not: whom (of a peer: it or its twin), until when, and whether that is new.

        at_least: a later end that is in force stays. Raises CannotBlock.
        """
        target, until = canonical(target), now + duration
        block = self.blocks.get(target, now)
        if block is not None:
            target = block.target  # what the book calls it: its twin's block is the same one
            if block.until == until or (at_least and block.until > until):
                return target, block.until, False
        self.restore_block(target, until)
        self.journal.block(target)
        yield from self._settle_behind(target, now)
        return target, until, True

    def unblocking(self, target: Target, now: float) -> Steps[Target | None]:
        """End a block; what was blocked (of a peer: it or its twin), None if there was no such block."""
        block = self.blocks.remove(canonical(target))
        if block is None:
            return None
        self.journal.block(block.target)
        yield from self._settle_behind(block.target, now)
        return block.target

    def expiring(self, now: float) -> Steps[tuple[Target, ...]]:
        """End the blocks whose time has come; what was blocked."""
        over = self.blocks.expire(now)
        for target in over:
            self.journal.block(target)
            if isinstance(target, PeerId):  # who is behind an IP had its turn put off until now anyway
                self._settle_known(target, now)
            yield 1
        return over

    def block(
        self, target: Target, duration: float, now: float, *, at_least: bool = False
    ) -> tuple[Target, float, bool]:
        """`blocking`, all at once."""
        return run(self.blocking(target, duration, now, at_least=at_least))

    def unblock(self, target: Target, now: float) -> Target | None:
        """`unblocking`, all at once."""
        return run(self.unblocking(target, now))

    def expire(self, now: float) -> tuple[Target, ...]:
        """`expiring`, all at once."""
        return run(self.expiring(now))

    def restore_block(self, target: Target, until: float) -> None:
        """A block that was stored, before there are records. Raises CannotBlock."""
        if isinstance(target, PeerId) and self.is_me(target):
            raise CannotBlock(target, "it is this node")
        try:
            self.blocks.add(target, until)
        except ValueError as error:
            raise CannotBlock(target, str(error)) from None

    def same_key(self, peer: PeerId) -> tuple[PeerId, ...]:
        """The peer and, if it has a record, its twin: whose links a block of `peer` ends."""
        twin = twin_of(peer)
        return (peer, twin) if twin in self._records else (peer,)

    def alternatives(self, now: float) -> tuple[PeerRecord, ...]:
        """Whom to name to peers that are turned away: who was connected to lately; nobody from `private`."""
        if self._config.admission == "private":
            return ()
        records = (self._records[peer] for peer in self.told.recent if peer in self._records)
        signed = (record.signed for record in records if record.signed is not None)
        return tuple(each for each in signed if self._may_be_named(each, now))

    def _may_be_named(self, signed: PeerRecord, now: float) -> bool:
        if signed.address is None or self.refusal(signed.peer, now) is not None:
            return False
        return self.blocks.ip_until(signed.address.endpoint.ip, now) is None

    # Keeping what follows from a record ------------------------------------------------------------------------------

    def settle(self, record: Record, now: float) -> None:
        """Bring queue, book and register in step with a record that was changed; drop it if nobody needs it."""
        peer = record.peer
        self.journal.peer(peer)
        self.told.touched(peer)
        if record.address is None and record.hold is None and record.listing is None:
            self._drop(record, now)
            return
        allowed = self._mode_refusal(peer, record) is None
        blocked = self.blocks.until(peer, now)
        turn = self._turn(record, blocked, now) if allowed else None
        if turn is None:
            self.queue.discard(peer)
        else:
            self.queue.put(peer, turn)
        self.book.update(record)
        if self._config.registers_ips:
            self.register.set(record, self._source(record) if allowed and blocked is None else None)

    def settle_listed(self, record: Record, moved: bool, now: float) -> Closes:
        """Settle; whom to disconnect: who `moved` to another address, or may not connect any more."""
        why = None
        if record.hold is not None:
            why = Reason.ADDRESS_CHANGED if moved else self._mode_refusal(record.peer, record)
        self.settle(record, now)
        return ((record.peer, why),) if why is not None else ()

    def _settle_behind(self, target: Target, now: float) -> Steps[None]:
        """Settle everybody whom a block of `target` concerns."""
        if isinstance(target, PeerId):
            self._settle_known(target, now)
            return
        for record in list(self._records.values()):
            ip = record.address.endpoint.ip if record.address is not None else None
            if ip == target or (isinstance(target, IPv4Network | IPv6Network) and ip is not None and ip in target):
                self.settle(record, now)
            yield 1

    def _settle_known(self, peer: PeerId, now: float) -> None:
        """Settle the peer and its twin."""
        for each in (peer, twin_of(peer)):
            record = self._records.get(each)
            if record is not None:
                self.settle(record, now)

    def _drop(self, record: Record, now: float) -> None:
        self.queue.discard(record.peer)
        self.register.set(record, None)
        self.book.forget(record, now)
        self._records.pop(record.peer, None)

    def _turn(self, record: Record, blocked: float | None, now: float) -> Turn | None:
        """When the peer may be dialled, which is blocked till then; None for never, as things are."""
        address, listing = record.address, record.listing
        if record.hold is not None or listing is Role.SECONDARY or not self.may_dial(address):
            return None
        free = max(blocked or NEVER, self.ip_blocked_until(record, now) or NEVER)
        if free == FOREVER:
            return None
        pace, trusted = record.known_pace, record.peer in self.trusted
        vouched = listing is not None or record.seen_at is not None
        if free == NEVER and pace.is_fresh:
            return _AT_ONCE[trusted, vouched]
        return Turn(max(pace.quiet_until, free), max(pace.dial_at, free), trusted, vouched, pace.last_miss)

    def _network_of(self, peer: PeerId) -> Hashable:
        """Where the peer is: its subnet, or its name."""
        record = self._records.get(peer)
        return network_of(record.address) if record is not None and record.address is not None else None

    def _source(self, record: Record) -> str | None:
        """Where the gate expects a peer from that may connect."""
        address = record.address
        ip = address.egress_ip if address is not None and record.given else None
        if address is None or ip is None:
            return ANYWHERE
        if not self._config.allow_private_ips and not is_global(ip):
            return None
        return address.endpoint.host if address.egress is None else str(ip)
