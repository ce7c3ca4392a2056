"""The tracker's engine: messages in, decisions of the `Directory`, effects out."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TypeVar

from ... import runtime
from ...runtime import Reply, Slices, Subscribe, Subscribers
from ...transport.address import IP, canonical_ip
from ...transport.gatekeeper import Admitted, Direction, NotAdmitted, Ticket, Verdict
from ...transport.gater import Gater, Gaters
from ...transport.identity import PeerId
from ...transport.mailbox import Closed, Opened
from ...transport.mailbox import Mailbox as Transport
from ...transport.parts.limited_log import LimitedLog, SayLeftOut
from ...transport.reasons import Reason
from ...transport.record import PeerRecord
from .address_book.book import AddressBook, CheckClock, Flush, ReadOn
from .address_book.storage import Storage
from .config import Config
from .core.blocks import Target
from .core.directory import Changes, Directory, Learned, Tracked
from .core.known_peer import Hold
from .core.known_peers import PeerInfo
from .core.peer_sets import Job, PeerSet, TrackedPeers
from .core.unlisted_peers import network_number
from .errors import CannotBlock, CannotTrust, PeerSetTooLarge, SourceIsStatic, StaleSetId
from .mailbox import (
    AddressChanged,
    Admit,
    Block,
    Blocked,
    BlockInForce,
    BookFailed,
    Candidates,
    Dial,
    Dialable,
    Dialled,
    DialResult,
    Distrust,
    Failed,
    GetBlocks,
    GetKnown,
    GetPeerSet,
    GetTrusted,
    Hint,
    IpBlocked,
    IpUnblocked,
    Mailbox,
    Overwrite,
    Overwritten,
    PeerBlocked,
    PeerSetUpdate,
    PeerUnblocked,
    Refused,
    Released,
    Track,
    Trust,
    Unblock,
)
from .metrics import Metrics
from .parts.enforcement import Enforcement, ExpireBlocks, PushAdvice

T = TypeVar("T")
PEERS_PER_SLICE = 128  # of about 10 us each
_NOT_NOW = frozenset({Reason.COOLDOWN})  # refusals after which another peer would do


class Engine(runtime.Engine[Mailbox]):
    """Who may connect, and where they are."""

    def __init__(
        self,
        config: Config,
        *,
        transport: Transport,
        me: PeerId,
        storage: Storage | None = None,
        gater: Gater | None = None,
    ) -> None:
        """me: this node's own id. storage: of the address book, closed at the end; None keeps nothing.

        gater: the application's own say in who may connect.
        """
        super().__init__()
        self._metrics = Metrics(self.runtime.registry)
        self._limited_log = LimitedLog(self, self._metrics.log_lines_left_out)
        self.handlers = {
            Track: self.on_track,
            Overwrite: self.on_overwrite,
            GetPeerSet: self.on_get_peer_set,
            Subscribe: self.on_subscribe,
            Block: self.on_block,
            Unblock: self.on_unblock,
            GetBlocks: self.on_get_blocks,
            GetTrusted: self.on_get_trusted,
            GetKnown: self.on_get_known,
            Trust: self.on_trust,
            Distrust: self.on_distrust,
            Hint: self.on_hint,
            Dialable: self.on_dialable,
            Dial: self.on_dial,
            Admit: self.on_admit,
            Opened: self.on_opened,
            Closed: self.on_closed,
            Released: self.on_released,
            ExpireBlocks: self.on_expire_blocks,
            Flush: lambda _message: self._book.flush(),
            ReadOn: lambda _message: self._book.read_on(),
            CheckClock: lambda _message: self._book.check_clock(),
            SayLeftOut: self._limited_log.say_left_out,
            PushAdvice: lambda _message: self._enforcement.push_advice(),
        }
        self._config = config
        self._transport = transport
        gaters = Gaters() if gater is None else Gaters(gater)
        self._directory = Directory(config, me, self.rng, gaters or None)
        self._peers = self._directory.peers
        self.runtime.registry.collect(lambda: self._metrics.show(self._directory, gaters))
        self._subscribers = Subscribers()
        self._slices = Slices(self, PEERS_PER_SLICE)
        tell, peers = self._subscribers.tell, self._peers
        self._book = AddressBook(self, config, peers, storage, self._slices, tell=tell, restored=self._restored)
        self._dials: dict[PeerId, Reply[DialResult]] = {}
        self._links: dict[int, tuple[PeerId, IP]] = {}
        self._enforcement = Enforcement(
            self, transport, peers, self._metrics, self._book, tell, timeout=config.effect_timeout
        )

    def on_start(self) -> None:
        """The peers of the configuration, then the first gate: until it is there, transport refuses everybody."""
        named = {static.peer: static.address for static in self._config.peers}
        if self._config.source == "static":
            self._directory.track(1, TrackedPeers(named), self.now())
        else:
            self._directory.seed(named, self.now())
        self._book.start()
        self._enforcement.enforce((), None)

    def _restored(self) -> None:
        """Something came back from the address book."""
        self._enforcement.update()

    def on_stop(self) -> None:
        """What is not in the address book yet is written now."""
        self._book.stop()

    @property
    def held(self) -> tuple[Hold, ...]:
        """Every ticket that is out, superseded ones too. For tests and simulations, between two messages."""
        return tuple(self._directory.holds())

    # The application -------------------------------------------------------------------------------------------------

    def on_track(self, message: Track) -> Reply[None]:
        if self._config.source == "static":
            self._metrics.sets_refused.inc(SourceIsStatic.__name__)
            raise SourceIsStatic("the configuration lists the peers (source: static)")
        try:
            job = self._directory.track_job(message.id, message.peers, self.now())
        except (StaleSetId, PeerSetTooLarge) as error:
            self._metrics.sets_refused.inc(type(error).__name__)
            self.log.warning("peer set refused", id=message.id, why=str(error))
            raise
        return self._slices.run(job, lambda tracked: self._tracked(message.id, tracked))

    def _tracked(self, id: int, tracked: Tracked) -> Reply[None]:
        self._metrics.address_changes.inc("track", by=len(tracked.moved))
        self.log.info("peer set tracked", id=id, moved=len(tracked.moved), closed=len(tracked.closes))
        reply = self._enforcement.enforce(tracked.closes, None)
        self._subscribers.tell(self._update(id))
        return reply

    def on_overwrite(self, message: Overwrite) -> Reply[Overwritten]:
        return self._slices.run(self._directory.overwrite_job(dict(message.peers), self.now()), self._overwritten)

    def _overwritten(self, changes: Changes) -> Reply[Overwritten]:
        self._metrics.address_changes.inc("overwrite", by=len(changes.changed))
        answer = Overwritten(changes.changed, changes.unchanged, changes.unknown)
        reply = self._enforcement.enforce(changes.closes, answer)
        if changes.changed:
            self.log.info("addresses overwritten", peers=len(changes.changed), first=changes.changed[0].short)
            self._subscribers.tell(AddressChanged(changes.changed))
        return reply

    def on_get_peer_set(self, message: GetPeerSet) -> PeerSet | None:
        return self._directory.window.get(message.id)

    def on_subscribe(self, message: Subscribe) -> None:
        self._subscribers.add(message)
        newest = self._directory.window.newest
        if PeerSetUpdate in message.kinds and newest is not None:
            message.subscriber.tell(self._update(newest))
        for block in self._peers.blocks:
            event = _block_event(block.target, self._unix(block.until))
            if type(event) in message.kinds:
                message.subscriber.tell(event)
        if BookFailed in message.kinds and self._book.broken is not None:
            message.subscriber.tell(self._book.broken)

    def on_block(self, message: Block) -> Reply[Blocked]:
        duration = self._config.block_duration if message.duration is None else message.duration
        at_least = message.at_least or message.duration is None
        job = self._peers.block_job(message.target, duration, self.now(), at_least=at_least)
        disconnect = message.disconnect
        return self._slices.run(job, lambda done: self._blocked(*done, disconnect=disconnect))

    def _blocked(self, target: Target, until: float, new: bool, *, disconnect: bool) -> Reply[Blocked]:
        unix = self._unix(until)
        if new:
            self._limited_log.warn(_cause(target), "blocked", target=str(target), until=unix)
        closing = [(peer, Reason.BLOCKED) for peer in (self._concerned(target) if disconnect else ())]
        reply = self._enforcement.enforce(closing, Blocked(unix), stored=True, disconnect=disconnect)
        if new:
            self._subscribers.tell(_block_event(target, unix))
        return reply

    def _concerned(self, target: Target) -> Iterable[PeerId]:
        """Whose connections a block ends, those too that a block without `disconnect` has left open."""
        match target:
            case PeerId():
                return self._peers.sharing_key(target)
            case IPv4Network() | IPv6Network():
                return sorted({peer for peer, ip in self._links.values() if ip in target})
            case _:
                return sorted({peer for peer, ip in self._links.values() if ip == target})

    def on_unblock(self, message: Unblock) -> Reply[bool]:
        if isinstance(message.target, PeerId) and self._directory.rules.is_me(message.target):
            raise CannotBlock(message.target, "it is this node", "unblocked")
        return self._slices.run(self._peers.unblock_job(message.target, self.now()), self._unblocked)

    def _unblocked(self, was: Target | None) -> Reply[bool]:
        reply = self._enforcement.enforce((), was is not None, stored=True)
        if was is not None:
            self._tell_unblocked((was,))
        return reply

    def on_get_blocks(self, _message: GetBlocks) -> tuple[BlockInForce, ...]:
        now = self.now()
        return tuple(
            BlockInForce(block.target, self._unix(block.until)) for block in self._peers.blocks if block.until > now
        )

    def on_get_trusted(self, _message: GetTrusted) -> tuple[PeerId, ...]:
        return tuple(sorted(self._peers.trusted))

    def on_get_known(self, _message: GetKnown) -> Reply[tuple[PeerInfo, ...]]:
        offset = self.wall() - self.now()
        job = self._peers.report_job(self.now(), lambda at: round(at + offset, 3))
        return self._slices.run(job, lambda found: found)

    def on_trust(self, message: Trust) -> Reply[bool]:
        if self._directory.rules.is_me(message.peer):
            raise CannotTrust(message.peer, "it is this node")
        return self._enforcement.enforce((), self._peers.trust(message.peer, self.now()), stored=True)

    def on_distrust(self, message: Distrust) -> Reply[bool]:
        if self._directory.rules.is_me(message.peer):
            raise CannotTrust(message.peer, "it is this node", "distrusted")
        closes = self._peers.distrust(message.peer, self.now())
        return self._enforcement.enforce(closes or (), closes is not None, stored=True)

    def on_hint(self, message: Hint) -> None:
        """Signatures take their time, so they are checked on the pool."""
        self.on_reply(
            self.work(_verified, message.records, message.source),
            lambda records: self._on_verified(records, message.source),
            timeout=self._config.effect_timeout,
        )

    def on_expire_blocks(self, _message: ExpireBlocks) -> None:
        self._enforcement.expiry_fired()
        self._slices.run(self._peers.expire_job(self.now()), self._expired)

    def _expired(self, over: tuple[Target, ...]) -> None:
        self._enforcement.enforce((), None)
        self._tell_unblocked(over)

    # The dialling side -----------------------------------------------------------------------------------------------

    def on_dialable(self, message: Dialable) -> Candidates:
        avoid = frozenset(map(network_number, message.avoid))
        return Candidates(
            *self._directory.dialable(
                message.limit, message.exclude, self.now(), urgent=message.urgent, avoid=avoid, among=message.among
            )
        )

    def on_dial(self, message: Dial) -> Reply[DialResult] | DialResult:
        reserved = self._directory.reserve(message.peer, self.now(), short_lived=message.short_lived)
        if isinstance(reserved, Reason):
            return self._refuse_dial(message.peer, reserved)
        ticket, address = reserved
        if not self._transport.dial(ticket, address, short_lived=message.short_lived).accepted:
            self._directory.release(ticket, Reason.LIMIT, self.now())
            self._enforcement.update()
            return self._refuse_dial(message.peer, Reason.LIMIT)
        reply = self._dials[message.peer] = Reply()
        self._enforcement.update()
        return reply

    # Transport -------------------------------------------------------------------------------------------------------

    def on_admit(self, message: Admit) -> Verdict:
        claim = message.claim
        decided = self._directory.admit(claim, self.now())
        self._enforcement.update()
        if isinstance(decided, Ticket):
            return Admitted(decided, self._directory.role(claim.peer), self._enforcement.gate_version)
        self._metrics.refusals.inc(claim.direction, decided)
        facts = {"peer": claim.peer.short, "reason": decided, "direction": claim.direction, "ip": claim.ip}
        self._limited_log.note(claim.ip, "claim refused", **facts)
        return NotAdmitted(decided, self._peers.alternatives(claim.peer) if decided in _NOT_NOW else ())

    def on_opened(self, message: Opened) -> None:
        peer = message.link.peer
        self._links[message.link.id] = peer, canonical_ip(ip_address(message.link.ip))
        link = message.link
        unwanted = self._directory.opened(peer, self.now(), link.record, short_lived=link.short_lived)
        unwanted = unwanted or self._directory.rules.upgraded_refusal(message.link)
        self._metrics.connected.add(1)
        self.log.debug("peer connected", peer=peer.short, direction=message.link.direction, role=message.link.role)
        self._answer_dial(peer, Dialled(peer))
        if unwanted is None:
            self._enforcement.update()
        else:
            self._enforcement.enforce([(peer, unwanted)], None)

    def on_closed(self, message: Closed) -> None:
        """Only counted: the release of the ticket, which follows, says the rest."""
        self._links.pop(message.link_id, None)
        self._metrics.connected.add(-1)
        self.log.debug("peer disconnected", peer=message.peer.short, reason=message.reason)

    def on_released(self, message: Released) -> None:
        peer = message.ticket.peer
        if not self._directory.release(message.ticket, message.reason, self.now()):
            self._metrics.void_releases.inc()
            return
        if not self._directory.is_held(peer):
            self._answer_dial(peer, Failed(message.reason))
        self._enforcement.update()

    # Enforcement -----------------------------------------------------------------------------------------------------

    def _tell_unblocked(self, targets: tuple[Target, ...]) -> None:
        for target in targets:
            self._limited_log.note(_cause(target), "unblocked", target=str(target))
            self._subscribers.tell(PeerUnblocked(target) if isinstance(target, PeerId) else IpUnblocked(target))

    def _refuse_dial(self, peer: PeerId, reason: Reason) -> Refused:
        self._metrics.refusals.inc(Direction.OUT, reason)
        self.log.info("dial refused", peer=peer.short, reason=reason)
        return Refused(reason)

    def _answer_dial(self, peer: PeerId, result: Dialled | Failed) -> None:
        reply = self._dials.pop(peer, None)
        if reply is None:
            return
        self._metrics.dials.inc("opened" if isinstance(result, Dialled) else result.reason)
        if isinstance(result, Failed):
            self.log.info("dial failed", peer=peer.short, reason=result.reason)
        reply.set(result)

    def _on_verified(self, records: tuple[tuple[PeerRecord, bool], ...] | Exception, source: PeerId | None) -> None:
        if isinstance(records, Exception):
            self._metrics.hints.inc("unchecked")
            self.log.warning("hint dropped", why=str(records))
            return
        self._slices.run(self._learn_job(records, source), lambda _none: self._enforcement.update())

    def _learn_job(self, records: tuple[tuple[PeerRecord, bool], ...], source: PeerId | None) -> Job[None]:
        for record, genuine in records:
            learned = self._directory.learn(record, self.now(), source) if genuine else Learned.FORGED
            self._metrics.hints.inc(learned)
            yield 1

    def _update(self, id: int) -> PeerSetUpdate:
        latest = self._directory.window.get(id)
        assert latest is not None  # the newest set is in the window
        return PeerSetUpdate(id, latest, self._directory.window.all)

    def _unix(self, at: float) -> float:
        """A moment of the monotonic clock as unix seconds, to the millisecond."""
        return round(self.wall() + at - self.now(), 3)


def _cause(target: Target) -> str:
    """By what its log lines are counted."""
    return target.short if isinstance(target, PeerId) else str(target).partition("/")[0]


def _block_event(target: Target, until: float) -> PeerBlocked | IpBlocked:
    return PeerBlocked(target, until) if isinstance(target, PeerId) else IpBlocked(target, until)


def _verified(records: tuple[PeerRecord, ...], source: PeerId | None) -> tuple[tuple[PeerRecord, bool], ...]:
    return tuple((record, record.verify(source=source)) for record in records)
