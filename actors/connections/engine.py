"""The connections engine: hears of links, keeps what is known of peers, tells subscribers, trims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ... import runtime
from ...runtime import Lane, Message, Reply, Slices, Subscribe, Subscribers, Timer
from ...transport import mailbox as transport
from ...transport.identity import PeerId
from ...transport.mailbox import Closed, Opened
from ..tracker import mailbox as tracker
from .config import Config
from .decaying import Decaying, DecayTick
from .errors import IsThisNode, LimitTooLow, NoLowWater, NoTracker
from .listeners import Listeners, Told
from .listing import listing
from .mailbox import Connected, Counts, Disconnected, Mailbox, PeerConnected, PeerDisconnected
from .memory import LookAtMemory, Watchdog, resident
from .messages import (
    Block,
    BumpTag,
    Busy,
    CheckLimit,
    Close,
    CloseTag,
    Connection,
    ForceTrim,
    GetBlocks,
    GetConnections,
    GetInfo,
    GetTagInfo,
    Info,
    IsProtected,
    Notify,
    Protect,
    RegisterDecayingTag,
    RemoveTag,
    StopNotify,
    TagInfo,
    TagPeer,
    Trim,
    TrimReport,
    Unblock,
    Unprotect,
    UntagPeer,
    UpsertTag,
    weight_of,
)
from .metrics import Metrics
from .selection import Mode
from .table import State, Table
from .trim import Aim, Trigger
from .trimming import SETTLED_PER_SLICE, CloseTimeout, Trims

BY_CONFIG = "config"
"""The name under which the configuration protects peers."""


LISTED_PER_SLICE = 500


@dataclass(frozen=True, slots=True)
class Look(Message):
    """To itself: time to see whether there are too many connections."""


class Engine(runtime.Engine[Mailbox]):
    """Handlers only. What counts is in `table`, who goes first in `selection`, how far in `trim`."""

    def __init__(
        self,
        config: Config,
        *,
        transport: transport.Mailbox,
        tracker: tracker.Mailbox | None = None,
        hard_limit: int | None = None,
        me: PeerId | None = None,
        memory: Callable[[], int] = resident,
    ) -> None:
        """transport: where links are closed. It must have this engine's mailbox among its observers.

        tracker: where blocks live; without it they are declined.
        hard_limit: transport's `max_connections`. Raises LimitTooLow if trimming could never begin under it. me: this
        node, which has no connections to itself. memory: bytes in use, read on the pool where `memory_limit` is set.
        """
        super().__init__()
        self._config = config
        self._me = me
        self._tracker = tracker
        self._metrics = Metrics(self.runtime.registry)
        self._table = Table(
            secret=self.rng.randbytes(16),
            grace=config.grace_period,
            temporary_age=config.temporary_age,
            max_temporary=config.max_temporary,
        )
        self._looking: Timer | None = None
        self._told = Counts(open=0, closing=0)
        self._subscribers = Subscribers()
        self._listings = Slices(self, LISTED_PER_SLICE, lane=Lane.CONTROL)
        self._decaying = Decaying(self, config, self._table, self._metrics)
        self._trims = Trims(self, config, self._table, self._metrics, transport=transport, changed=self._counts_changed)
        self._listeners = Listeners(self, self._metrics, max_backlog=config.max_listener_backlog)
        self._watchdog = Watchdog(self, config, self._table, self._metrics, trims=self._trims, read=memory)
        self.handlers = {
            # from transport
            Opened: self.on_opened,
            Closed: self.on_closed,
            # tags and protections
            TagPeer: self.on_tag_peer,
            UntagPeer: self.on_untag_peer,
            UpsertTag: self.on_upsert_tag,
            GetTagInfo: self.on_get_tag_info,
            Protect: self.on_protect,
            Unprotect: self.on_unprotect,
            IsProtected: self.on_is_protected,
            Busy: self.on_busy,
            # decaying tags
            RegisterDecayingTag: self._decaying.register,
            BumpTag: self.on_bump_tag,
            RemoveTag: self._decaying.remove,
            CloseTag: self._decaying.close,
            # blocks
            Block: lambda message: self._blocks().block(
                message.target, message.duration, disconnect=message.disconnect
            ),
            Unblock: lambda message: self._blocks().unblock(message.target),
            GetBlocks: lambda _message: self._blocks().blocks(),
            # trims
            Trim: self.on_trim,
            ForceTrim: self.on_force_trim,
            CheckLimit: self.on_check_limit,
            Close: self.on_close,
            # looking
            Subscribe: self.on_subscribe,
            Notify: lambda message: self._listeners.add(message.listener),
            StopNotify: lambda message: self._listeners.remove(message.listener),
            GetInfo: self.on_get_info,
            GetConnections: self.on_get_connections,
            # from itself
            Look: self.on_look,
            CloseTimeout: lambda _message: self._trims.time_out(),
            DecayTick: lambda _message: self._decaying.tick(),
            Told: self._listeners.told,
            LookAtMemory: lambda _message: self._watchdog.look(),
        }
        if hard_limit is not None:
            self._check_limit(hard_limit)

    @property
    def link_ids(self) -> frozenset[int]:
        """The links that are there, closing ones too. For tests and simulations, between two messages."""
        return frozenset(self._table.link_ids())

    def on_start(self) -> None:
        """Protect whom the configuration names, and begin to look."""
        for peer in self._config.protected:
            self._table.protect(peer, BY_CONFIG)
        self._looking = self.every(self._config.silence_period, Look())
        self._watchdog.start()

    # Transport -------------------------------------------------------------------------------------------------------

    def on_opened(self, message: Opened) -> None:
        """Count a link."""
        link = message.link
        first = not self._table.has_peer(link.peer)
        if not self._table.opened(link, self.now()):
            self._metrics.unexpected.inc("opened")
            self.log.error("link opened twice", link=link.id, peer=link.peer.short)
            return
        self._metrics.opened.inc(link.direction)
        self._counts_changed()
        if first:
            self._subscribers.tell(PeerConnected(link.peer))
        self._tell(Connected(link))

    def on_closed(self, message: Closed) -> None:
        """Forget a link; perhaps a trim is done with it."""
        link = self._table.closed(message.link_id)
        if link is None:
            self._metrics.unexpected.inc("closed")
            self.log.error("unknown link closed", link=message.link_id, peer=message.peer.short)
            return
        self._metrics.closed.inc(message.reason)
        self._counts_changed()
        self._tell(Disconnected(link, message.reason))
        if not self._table.has_peer(link.peer):
            self._subscribers.tell(PeerDisconnected(link.peer, message.reason))
        self._trims.closed(link.id)

    # Tags and protections --------------------------------------------------------------------------------------------

    def on_tag_peer(self, message: TagPeer) -> None:
        """Of a stranger too."""
        self._check_other(message.peer)
        self._table.tag(message.peer, message.tag, message.weight, self.now())

    def on_untag_peer(self, message: UntagPeer) -> None:
        """Of a stranger it is nothing to speak of."""
        if not self._table.untag(message.peer, message.tag):
            self._metrics.unexpected.inc("untagged")
            self.log.debug("no such tag to take away", peer=message.peer.short, tag=message.tag)

    def on_upsert_tag(self, message: UpsertTag) -> int | Reply[int]:
        """The function first: what it raises changes nothing."""
        self._check_other(message.peer)
        try:
            weight = weight_of(message.function(self._table.weight(message.peer, message.tag)))
        except Exception as error:
            self._metrics.failures.inc("upsert")
            self.log.warning("upsert failed", peer=message.peer.short, tag=message.tag, error=error)
            return Reply.failed(error)
        self._table.tag(message.peer, message.tag, weight, self.now())
        return weight

    def on_bump_tag(self, message: BumpTag) -> None:
        """Of a stranger too."""
        self._check_other(message.peer)
        self._decaying.bump(message)

    def on_get_tag_info(self, message: GetTagInfo) -> TagInfo | None:
        """A copy."""
        peer = self._table.peers.get(message.peer)
        if peer is None:
            return None
        tags = self._decaying.tags_of(peer)
        return TagInfo(peer.first_seen, peer.value, tags, {link.id: link for link in peer.links})

    def on_protect(self, message: Protect) -> None:
        """Known or not."""
        self._check_other(message.peer)
        self._table.protect(message.peer, message.tag)

    def on_unprotect(self, message: Unprotect) -> bool:
        """Whether something else protects it."""
        return self._table.unprotect(message.peer, message.tag)

    def on_is_protected(self, message: IsProtected) -> bool:
        """In that name, or in any."""
        names = self._table.protections.get(message.peer, ())
        return bool(names) if message.tag is None else message.tag in names

    def on_busy(self, message: Busy) -> None:
        """Reported by owners of channels."""
        if not self._table.work(message.peer, message.delta):
            self._metrics.unexpected.inc("busy")
            self.log.warning("more work done than begun", peer=message.peer.short)

    # Trims -----------------------------------------------------------------------------------------------------------

    def on_trim(self, message: Trim) -> Reply[TrimReport]:
        """With a target all connections count, without one the eligible."""
        mode = Mode(spare=message.spare)
        if message.target is None:
            return self._trims.request(Aim(self._low_water(), Trigger.EXPLICIT, eligible=True, mode=mode))
        return self._trims.request(Aim(message.target, Trigger.EXPLICIT, mode=mode))

    def on_force_trim(self, message: ForceTrim) -> Reply[TrimReport]:
        """An emergency."""
        target = self._low_water() if message.target is None else message.target
        mode = Mode(emergency=True, protected=message.include_protected)
        return self._trims.request(Aim(target, Trigger.FORCED, mode=mode))

    def on_look(self, message: Look) -> None:
        """The background trim; and what ages, ages."""
        if self._table.settle(self.now(), SETTLED_PER_SLICE):
            self.next_slice(lambda: self.on_look(message), lane=Lane.CONTROL)
            return
        if self._looking is None:
            return
        high, low = self._config.high_water, self._config.low_water
        if high is not None and low is not None and self._table.open > high and not self._trims.is_running:
            self._trims.request(Aim(low, Trigger.BACKGROUND, eligible=True))
        self._metrics.show(self._table)

    def on_close(self, _message: Close) -> None:
        """Only what it does by itself ends."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._decaying.stop()
        self._watchdog.stop()

    def on_check_limit(self, message: CheckLimit) -> None:
        """The same that is checked at the start."""
        self._check_limit(message.limit)

    # Looking ---------------------------------------------------------------------------------------------------------

    def on_subscribe(self, message: Subscribe) -> None:
        """A second subscription to the same kind changes nothing."""
        self._subscribers.add(message)
        if Counts in message.kinds:
            message.subscriber.tell(self._told)

    def on_get_info(self, _message: GetInfo) -> Info:
        """What there is now."""
        self._table.settle(self.now(), SETTLED_PER_SLICE)
        table, config = self._table, self._config
        return Info(
            open=table.open,
            closing=table.closing,
            eligible=table.count(State.ELIGIBLE),
            in_grace=table.count(State.IN_GRACE),
            protected=table.count(State.PROTECTED),
            temporary=table.temporary,
            low_water=config.low_water,
            high_water=config.high_water,
            grace_period=config.grace_period,
            last_trim=self._trims.last_at,
        )

    def on_get_connections(self, _message: GetConnections) -> Reply[tuple[Connection, ...]]:
        """In slices."""
        return self._listings.run(listing(self._table, self._decaying.tags_of, self.now), lambda rows: rows)

    # Parts of the handlers -------------------------------------------------------------------------------------------

    def _check_other(self, peer: PeerId) -> None:
        if peer == self._me:
            raise IsThisNode(f"{peer} is this node: it has no connections to itself")

    def _blocks(self) -> tracker.Mailbox:
        if self._tracker is None:
            raise NoTracker("blocks live in the tracker, and connections was started without one")
        return self._tracker

    def _low_water(self) -> int:
        if self._config.low_water is None:
            raise NoLowWater("there is no low water mark to trim to: give a target, or set connections.low_water")
        return self._config.low_water

    def _check_limit(self, limit: int) -> None:
        high = self._config.high_water
        if high is not None and high > limit:
            raise LimitTooLow(high, limit)

    def _tell(self, event: Connected | Disconnected) -> None:
        self._subscribers.tell(event)
        self._listeners.tell(event)

    def _counts_changed(self) -> None:
        """Tell the numbers if one of them changed."""
        counts = Counts(self._table.open, self._table.closing)
        self._metrics.show(self._table)
        if counts != self._told:
            self._told = counts
            self._subscribers.tell(counts)
