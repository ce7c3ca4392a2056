"""The tracker's engine: messages in, decisions of the `Directory`, effects out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from ... import runtime
from ...runtime import Message, Overflow, Reply, Subscribers, Timer
from ...transport import gatekeeper
from ...transport.gatekeeper import Admitted, Direction, Gate, Ticket, Verdict
from ...transport.gater import Gater, Gaters
from ...transport.identity import PeerId
from ...transport.mailbox import Closed
from ...transport.mailbox import Mailbox as Transport
from ...transport.mailbox import Opened as LinkOpened
from ...transport.reasons import Reason
from ...transport.record import PeerRecord
from .book import network_number
from .config import Config
from .directory import Changes, Directory, Learned, Tracked
from .errors import NotInEffect, NotStored, PeerSetTooLarge, SourceIsStatic, StaleSetId
from .info import PeerInfo, knowing
from .keeper import Flush, Keeper, LookAtClock, ReadOn
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
    DialableChanged,
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
    Opened,
    Overwrite,
    Overwritten,
    PeerBlocked,
    PeerSetUpdate,
    PeerUnblocked,
    Refused,
    Released,
    Subscribe,
    Track,
    Trust,
    Unblock,
)
from .metrics import Metrics
from .record import Hold
from .sets import PeerSet, TrackedPeers
from .slicing import Slices
from .steps import Steps
from .storage import Storage
from .targets import Target, canonical

T = TypeVar("T")
_NOT_NOW = frozenset({Reason.COOLDOWN})  # refusals after which another peer would do


@dataclass(frozen=True, slots=True)
class ExpireBlocks(Message):
    """The next block's time is over; the engine's own timer."""


@dataclass(frozen=True, slots=True)
class TellPeers(Message):
    """To itself: what the gate tells peers has changed."""

    overflow: ClassVar[Overflow] = Overflow.LATEST


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
            LinkOpened: self.on_opened,
            Closed: self.on_closed,
            Released: self.on_released,
            ExpireBlocks: self.on_expire_blocks,
            Flush: lambda _message: self._keeper.flush(),
            ReadOn: lambda _message: self._keeper.read_on(),
            LookAtClock: lambda _message: self._keeper.look_at_clock(),
            TellPeers: self.on_tell_peers,
        }
        self._config = config
        self._transport = transport
        gaters = Gaters() if gater is None else Gaters(gater)
        self._directory = Directory(config, me, self.rng, gaters)
        self._table = self._directory.table
        self._metrics = Metrics(self.runtime.registry)
        self.runtime.registry.collect(lambda: self._metrics.show_gaters(gaters))
        self._subscribers = Subscribers()
        self._slices = Slices(self)
        tell, table = self._subscribers.tell, self._table
        self._keeper = Keeper(self, config, table, storage, self._slices, tell=tell, restored=self._after_change)
        self._dials: dict[PeerId, Reply[DialResult]] = {}
        self._gate_version = 0
        self._gate_reply: Reply[None] = Reply.of(None)
        self._expiry: tuple[float, Timer] | None = None

    def on_start(self) -> None:
        """The peers of the configuration, then the first gate: until it is there, transport refuses everybody."""
        named = {static.peer: static.address for static in self._config.peers}
        if self._config.source == "static":
            self._directory.track(1, TrackedPeers(named), self.now())
        else:
            self._directory.seed(named, self.now())
        self._keeper.start()
        self._take_effect((), None)

    def on_stop(self) -> None:
        """What is not in the address book yet is written now."""
        self._keeper.stop()

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
            steps = self._directory.tracking(message.id, message.peers, self.now())
        except (StaleSetId, PeerSetTooLarge) as error:
            self._metrics.sets_refused.inc(type(error).__name__)
            self.log.warning("peer set refused", id=message.id, why=str(error))
            raise
        return self._slices.run(steps, lambda tracked: self._tracked(message.id, tracked))

    def _tracked(self, id: int, tracked: Tracked) -> Reply[None]:
        self._metrics.address_changes.inc("track", by=len(tracked.moved))
        self.log.info("peer set tracked", id=id, moved=len(tracked.moved), closed=len(tracked.closes))
        reply = self._take_effect(tracked.closes, None)
        self._subscribers.tell(self._update(id))
        return reply

    def on_overwrite(self, message: Overwrite) -> Reply[Overwritten]:
        return self._slices.run(self._directory.overwriting(dict(message.peers), self.now()), self._overwritten)

    def _overwritten(self, changes: Changes) -> Reply[Overwritten]:
        self._metrics.address_changes.inc("overwrite", by=len(changes.changed))
        answer = Overwritten(changes.changed, changes.unchanged, changes.unknown)
        reply = self._take_effect(changes.closes, answer)
        if changes.changed:
            self.log.info("addresses overwritten", peers=len(changes.changed), first=changes.changed[0].short)
            self._subscribers.tell(AddressChanged(changes.changed))
        return reply

    def on_get_peer_set(self, message: GetPeerSet) -> PeerSet | None:
        return self._directory.window.get(message.id)

    def on_subscribe(self, message: Subscribe) -> None:
        self._subscribers.add(message.mailbox, message.kinds)
        newest = self._directory.window.newest
        if PeerSetUpdate in message.kinds and newest is not None:
            message.mailbox.tell(self._update(newest))
        for block in self._table.blocks:
            event = _block_event(block.target, self._unix(block.until))
            if type(event) in message.kinds:
                message.mailbox.tell(event)
        if BookFailed in message.kinds and self._keeper.broken is not None:
            message.mailbox.tell(self._keeper.broken)

    def on_block(self, message: Block) -> Reply[Blocked]:
        duration = self._config.block_duration if message.duration is None else message.duration
        steps = self._table.blocking(message.target, duration, self.now())
        target, disconnect = canonical(message.target), message.disconnect
        return self._slices.run(steps, lambda done: self._blocked(target, *done, disconnect=disconnect))

    def _blocked(self, target: Target, until: float, new: bool, *, disconnect: bool) -> Reply[Blocked]:
        unix = self._unix(until)
        if new:
            self.log.warning("blocked", target=str(target), until=unix)
        closes = self._table.same_key(target) if isinstance(target, PeerId) and disconnect else ()
        closing = [(peer, Reason.BLOCKED) for peer in closes]
        reply = self._take_effect(closing, Blocked(unix), stored=True, disconnect=disconnect)
        if new:
            self._subscribers.tell(_block_event(target, unix))
        return reply

    def on_unblock(self, message: Unblock) -> Reply[bool]:
        return self._slices.run(self._table.unblocking(message.target, self.now()), self._unblocked)

    def _unblocked(self, was: Target | None) -> Reply[bool]:
        reply = self._take_effect((), was is not None, stored=True)
        if was is not None:
            self._tell_unblocked((was,))
        return reply

    def on_get_blocks(self, _message: GetBlocks) -> tuple[BlockInForce, ...]:
        now = self.now()
        return tuple(
            BlockInForce(block.target, self._unix(block.until)) for block in self._table.blocks if block.until > now
        )

    def on_get_trusted(self, _message: GetTrusted) -> tuple[PeerId, ...]:
        return tuple(sorted(self._table.trusted))

    def on_get_known(self, _message: GetKnown) -> Reply[tuple[PeerInfo, ...]]:
        offset = self.wall() - self.now()
        return self._slices.run(knowing(self._table, self.now(), lambda at: round(at + offset, 3)), lambda found: found)

    def on_trust(self, message: Trust) -> Reply[bool]:
        return self._take_effect((), self._table.trust(message.peer, self.now()), stored=True)

    def on_distrust(self, message: Distrust) -> Reply[bool]:
        closes = self._table.distrust(message.peer, self.now())
        return self._take_effect(closes or (), closes is not None, stored=True)

    def on_hint(self, message: Hint) -> None:
        """Signatures take their time, so they are checked on the pool."""
        self.on_reply(
            self.work(_verified, message.records),
            lambda records: self._on_verified(records, message.source),
            within=self._config.effect_timeout,
        )

    def on_expire_blocks(self, _message: ExpireBlocks) -> None:
        self._expiry = None
        self._slices.run(self._table.expiring(self.now()), self._expired)

    def _expired(self, over: tuple[Target, ...]) -> None:
        self._take_effect((), None)
        self._tell_unblocked(over)

    # The dialling side -----------------------------------------------------------------------------------------------

    def on_dialable(self, message: Dialable) -> Candidates:
        avoid = frozenset(map(network_number, message.avoid))
        return Candidates(
            *self._directory.dialable(message.limit, message.exclude, self.now(), urgent=message.urgent, avoid=avoid)
        )

    def on_dial(self, message: Dial) -> Reply[DialResult] | DialResult:
        reserved = self._directory.reserve(message.peer, self.now())
        if isinstance(reserved, Reason):
            return self._refuse_dial(message.peer, reserved)
        ticket, address = reserved
        if not self._transport.dial(ticket, address).accepted:
            self._directory.release(ticket, Reason.LIMIT, self.now())
            self._after_change()
            return self._refuse_dial(message.peer, Reason.LIMIT)
        reply = self._dials[message.peer] = Reply()
        self._after_change()
        return reply

    # Transport -------------------------------------------------------------------------------------------------------

    def on_admit(self, message: Admit) -> Verdict:
        claim = message.claim
        decided = self._directory.admit(claim, self.now())
        self._after_change()
        if isinstance(decided, Ticket):
            return Admitted(decided, self._directory.role(claim.peer), self._gate_version)
        self._metrics.refusals.inc(claim.direction, decided)
        self.log.info("claim refused", peer=claim.peer.short, reason=decided, direction=claim.direction, ip=claim.ip)
        return gatekeeper.Refused(decided, self._directory.alternatives(claim.peer) if decided in _NOT_NOW else ())

    def on_opened(self, message: LinkOpened) -> None:
        peer = message.link.peer
        unwanted = self._directory.opened(peer, self.now(), message.link.record)
        unwanted = unwanted or self._directory.upgraded(message.link)
        self._metrics.connected.add(1)
        self.log.debug("peer connected", peer=peer.short, direction=message.link.direction, role=message.link.role)
        self._answer_dial(peer, Opened(peer))
        if unwanted is None:
            self._after_change()
        else:
            self._take_effect([(peer, unwanted)], None)

    def on_closed(self, message: Closed) -> None:
        """Only counted: the release of the ticket, which follows, says the rest."""
        self._metrics.connected.add(-1)
        self.log.debug("peer disconnected", peer=message.peer.short, reason=message.reason)

    def on_released(self, message: Released) -> None:
        peer = message.ticket.peer
        if not self._directory.release(message.ticket, message.reason, self.now()):
            self._metrics.void_releases.inc()
            return
        if not self._directory.is_held(peer):
            self._answer_dial(peer, Failed(message.reason))
        self._after_change()

    # Effects ---------------------------------------------------------------------------------------------------------

    def _take_effect(
        self,
        closes: Iterable[tuple[PeerId, Reason]],
        answer: T,
        *,
        stored: bool = False,
        disconnect: bool = True,
    ) -> Reply[T]:
        """Gate first, then the closes; `answer` when transport has confirmed all of it, else NotInEffect.

        stored: and when it is stored, else NotStored. disconnect: for the gate to end what it newly blocks.
        """
        self._after_change(disconnect=disconnect)
        waiting = [self._gate_reply, *(self._transport.close(peer, reason) for peer, reason in closes)]
        done: Reply[T] = Reply()
        left = len(waiting) + stored
        errors: list[runtime.Declined] = []

        def confirmed(result: object) -> None:
            nonlocal left
            left -= 1
            if isinstance(result, NotStored):
                errors.append(result)
            elif isinstance(result, Exception):
                self._metrics.not_in_effect.inc()
                self.log.error("a change was not confirmed", why=str(result))
                errors.insert(0, NotInEffect(f"the change is made, but was not confirmed: {result}"))
            if left == 0:
                done.fail(errors[0]) if errors else done.set(answer)

        def written(result: object) -> None:
            silent = isinstance(result, runtime.ReplyTimeout)
            confirmed(NotStored("in force, but the disk does not answer") if silent else result)

        for reply in waiting:
            self.on_reply(reply, confirmed, within=self._config.effect_timeout)
        if stored:
            self.on_reply(self._keeper.stored(), written, within=self._config.effect_timeout)
        return done

    def _after_change(self, *, disconnect: bool = True) -> None:
        """Push the gate if it has changed, wake the dialling side, follow the blocks' ends, show the numbers."""
        self._push(self._directory.gate(self.now()), disconnect=disconnect)
        if self._table.told.changed:
            self.mailbox.tell(TellPeers())
        queue = self._table.queue
        if queue.changed:
            queue.changed = False
            self._subscribers.tell(DialableChanged())
        self._follow_expiry()
        self._keeper.follow()
        self._metrics.show(self._directory)

    def on_tell_peers(self, _message: TellPeers) -> None:
        """Once for all changes of what peers are told, since each is a small one and none is urgent."""
        self._push(self._directory.gate(self.now(), told=True))

    def _push(self, gate: Gate, *, disconnect: bool = True) -> None:
        if gate.version != self._gate_version:
            self._gate_version = gate.version
            self._gate_reply = self._transport.set_gate(gate, disconnect=disconnect).map(lambda _version: None)

    def _follow_expiry(self) -> None:
        """One timer, for the block that ends next."""
        until = self._table.blocks.next_expiry()
        if self._expiry is not None and self._expiry[0] != until:
            self._expiry[1].cancel()
            self._expiry = None
        if self._expiry is None and until is not None:
            self._expiry = until, self.after(until - self.now(), ExpireBlocks())

    def _tell_unblocked(self, targets: tuple[Target, ...]) -> None:
        for target in targets:
            self.log.info("unblocked", target=str(target))
            self._subscribers.tell(PeerUnblocked(target) if isinstance(target, PeerId) else IpUnblocked(target))

    def _refuse_dial(self, peer: PeerId, reason: Reason) -> Refused:
        self._metrics.refusals.inc(Direction.OUT, reason)
        self.log.info("dial refused", peer=peer.short, reason=reason)
        return Refused(reason)

    def _answer_dial(self, peer: PeerId, result: Opened | Failed) -> None:
        reply = self._dials.pop(peer, None)
        if reply is None:
            return
        self._metrics.dials.inc("opened" if isinstance(result, Opened) else result.reason)
        if isinstance(result, Failed):
            self.log.info("dial failed", peer=peer.short, reason=result.reason)
        reply.set(result)

    def _on_verified(self, records: tuple[tuple[PeerRecord, bool], ...] | Exception, source: PeerId | None) -> None:
        if isinstance(records, Exception):
            self.log.warning("hint dropped", why=str(records))
            return
        self._slices.run(self._learning(records, source), lambda _none: self._after_change())

    def _learning(self, records: tuple[tuple[PeerRecord, bool], ...], source: PeerId | None) -> Steps[None]:
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


def _block_event(target: Target, until: float) -> PeerBlocked | IpBlocked:
    return PeerBlocked(target, until) if isinstance(target, PeerId) else IpBlocked(target, until)


def _verified(records: tuple[PeerRecord, ...]) -> tuple[tuple[PeerRecord, bool], ...]:
    return tuple((record, record.verify()) for record in records)
