"""The connections engine: hears of links, keeps what is known of peers, tells subscribers, trims."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from msgspec import Struct

from ... import runtime
from ...runtime import Lane, Message, Reply, Slices, Subscribe, Subscribers, Timer
from ...transport import mailbox as transport
from ...transport.gatekeeper import Direction, Link
from ...transport.identity import PeerId
from ...transport.mailbox import Closed, Opened
from ...transport.parts.limited_log import LimitedLog, SayLeftOut
from ..tracker import mailbox as tracker
from .config import Config
from .core.crowds import Crowds
from .core.peer import State, weight_of
from .core.peer_table import PeerTable
from .core.reports import Connection, Info, TagInfo, TrimReport, list_connections
from .core.trim import Aim, Mode, Trigger
from .errors import IsThisNode, LimitTooLow, NoLowWater, NoTracker, TooMany, check_other
from .mailbox import (
    Block,
    BumpTag,
    Busy,
    CheckLimit,
    Close,
    CloseTag,
    Connected,
    Counts,
    Disconnected,
    ForceTrim,
    GetBlocks,
    GetConnections,
    GetInfo,
    GetTagInfo,
    IsProtected,
    Mailbox,
    Notify,
    PeerConnected,
    PeerDisconnected,
    Protect,
    RegisterDecayingTag,
    RemoveTag,
    StopNotify,
    TagPeer,
    Trim,
    Unblock,
    Unprotect,
    UntagPeer,
    UpsertTag,
)
from .metrics import Metrics
from .parts.listeners import EventsHandled, Listeners
from .parts.memory_watch import CheckMemory, MemoryWatch
from .parts.tag_decay import DecayTick, TagDecay
from .parts.trims import EXPIRED_PER_SLICE, CloseTimeout, Trims

BY_CONFIG = "config"
"""The name under which the configuration protects peers."""


LISTED_PER_SLICE = 500


class CheckHighWater(Message, Struct, frozen=True):
    """To itself: time to check whether there are too many connections."""


class Engine(runtime.Engine[Mailbox]):
    """Handlers only. What counts is decided in `core/peer_table`, who goes in `core/trim`; `parts/` make it happen."""

    def __init__(
        self,
        config: Config,
        *,
        transport: transport.Mailbox,
        tracker: tracker.Mailbox | None = None,
        max_connections: int | None = None,
        max_inbound: int | None = None,
        share_per_ip: float = 1.0,
        me: PeerId | None = None,
    ) -> None:
        """transport: where links are closed. It must have this engine's mailbox among its observers.

        tracker: where blocks live; without it they are declined. max_connections: transport's hard limit; raises
        LimitTooLow if trimming could never begin under it. max_inbound: of these, for inbound connections; without it
        no IP has too many. share_per_ip: of those, for one IP while they are scarce. me: this node, which has no
        connections to itself.
        """
        super().__init__()
        self._config = config
        self._me = me
        self._tracker = tracker
        self._metrics = Metrics(self.runtime.registry)
        self._table = PeerTable(
            secret=self.rng.randbytes(16),
            grace=config.grace_period,
            temporary_age=config.temporary_age,
            max_temporary=config.max_temporary,
            max_tags=config.max_tags,
            max_protected=config.max_protected,
            ended=self._entry_ended,
        )
        self._background: Timer | None = None
        self._last_counts = Counts(open=0, closing=0)
        self._subscribers = Subscribers()
        self._lists = Slices(self, LISTED_PER_SLICE, lane=Lane.CONTROL)
        self._tag_decay = TagDecay(self, config, self._table, self._metrics, me=me)
        self._trims = Trims(self, config, self._table, self._metrics, transport=transport, changed=self._counts_changed)
        self._crowds = None if max_inbound is None else Crowds(max_inbound, share_per_ip)
        self._limited_log = LimitedLog(self, self._metrics.log_lines_left_out)
        self._listeners = Listeners(self, self._metrics, max_backlog=config.max_listener_backlog)
        self._memory_watch = MemoryWatch(self, config, self._table, self._metrics, trims=self._trims)
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
            RegisterDecayingTag: self._tag_decay.register,
            BumpTag: self._tag_decay.bump,
            RemoveTag: self._tag_decay.remove,
            CloseTag: self._tag_decay.close,
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
            # questions and listeners
            Subscribe: self.on_subscribe,
            Notify: lambda message: self._listeners.add(message.listener),
            StopNotify: lambda message: self._listeners.remove(message.listener),
            GetInfo: self.on_get_info,
            GetConnections: self.on_get_connections,
            # from itself
            CheckHighWater: self.on_check_high_water,
            CloseTimeout: lambda _message: self._trims.time_out(),
            DecayTick: lambda _message: self._tag_decay.tick(),
            EventsHandled: self._listeners.on_handled,
            SayLeftOut: self._limited_log.say_left_out,
            CheckMemory: lambda _message: self._memory_watch.check(),
        }
        if max_connections is not None:
            self._check_limit(max_connections)

    @property
    def link_ids(self) -> frozenset[int]:
        """The links that are there, closing ones too. For tests and simulations, between two messages."""
        return frozenset(self._table.link_ids())

    def on_start(self) -> None:
        """Protect whom the configuration names, and begin the checks."""
        for peer in self._config.protected:
            self._table.protect(peer, BY_CONFIG)
        self._background = self.every(self._config.silence_period, CheckHighWater())
        self._memory_watch.start()

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
        self._thin_out_a_crowd(link)
        self._counts_changed()
        if first:
            self._subscribers.tell(PeerConnected(link.peer, link.short_lived))
        self._tell(Connected(link))

    def on_closed(self, message: Closed) -> None:
        """Forget a link; perhaps a trim is done with it."""
        link = self._table.closed(message.link_id)
        if link is None:
            self._metrics.unexpected.inc("closed")
            self.log.error("unknown link closed", link=message.link_id, peer=message.peer.short)
            return
        if self._crowds is not None:
            self._crowds.closed(link.id)
        self._metrics.closed.inc(message.reason)
        self._counts_changed()
        self._tell(Disconnected(link, message.reason))
        if not self._table.has_peer(link.peer):
            self._subscribers.tell(PeerDisconnected(link.peer, message.reason, link.short_lived))
        self._trims.closed(link.id)

    # Tags and protections --------------------------------------------------------------------------------------------

    def on_tag_peer(self, message: TagPeer) -> None:
        """Set a tag. A stranger gets a temporary entry."""
        with self._declining(message.peer, message.tag):
            self._table.tag(message.peer, message.tag, message.weight, self.now())

    def on_untag_peer(self, message: UntagPeer) -> bool:
        """Take a tag away. Where there is none, it is counted: somebody takes for tagged who is not."""
        with self._declining(message.peer, message.tag):
            was_there = self._table.untag(message.peer, message.tag)
        if not was_there:
            self._metrics.unexpected.inc("untagged")
            self.log.debug("no such tag to take away", peer=message.peer.short, tag=message.tag)
        return was_there

    def on_upsert_tag(self, message: UpsertTag) -> int | Reply[int]:
        """Call the function first, so that what it raises changes nothing."""
        with self._declining(message.peer, message.tag):
            pass  # before the function runs
        try:
            weight = weight_of(message.function(self._table.weight(message.peer, message.tag)))
        except Exception as error:
            self._metrics.failures.inc("upsert")
            self.log.warning("upsert failed", peer=message.peer.short, tag=message.tag, error=error)
            return Reply.failed(error)
        with self._declining(message.peer, message.tag):
            self._table.tag(message.peer, message.tag, weight, self.now())
        return weight

    def on_get_tag_info(self, message: GetTagInfo) -> TagInfo | None:
        """Copy what is known of a peer, with decaying tags brought up to date."""
        peer = self._table.peers.get(message.peer)
        if peer is None:
            return None
        tags = self._tag_decay.tags_of(peer)
        return TagInfo(peer.first_seen, peer.value, tags, {link.id: link for link in peer.links})

    def on_protect(self, message: Protect) -> None:
        """Protect a peer, whether it is known yet or not."""
        with self._declining(message.peer, message.tag):
            self._table.protect(message.peer, message.tag)

    def on_unprotect(self, message: Unprotect) -> bool:
        """End one protection; answer whether the peer has another."""
        with self._declining(message.peer, message.tag):
            return self._table.unprotect(message.peer, message.tag)

    def on_is_protected(self, message: IsProtected) -> bool:
        """Answer for one name, or (None) for any."""
        names = self._table.protections.get(message.peer, ())
        return bool(names) if message.tag is None else message.tag in names

    def on_busy(self, message: Busy) -> None:
        """Count the work that owners of channels report."""
        if not self._table.add_busy(message.peer, message.delta):
            self._metrics.unexpected.inc("busy")
            self.log.warning("more work done than begun", peer=message.peer.short)

    # Trims -----------------------------------------------------------------------------------------------------------

    def on_trim(self, message: Trim) -> Reply[TrimReport]:
        """Trim: with a target all connections count, without one the eligible."""
        mode = Mode(spare=message.spare)
        if message.target is None:
            return self._trims.request(Aim(self._low_water(), Trigger.EXPLICIT, eligible=True, mode=mode))
        return self._trims.request(Aim(message.target, Trigger.EXPLICIT, mode=mode))

    def on_force_trim(self, message: ForceTrim) -> Reply[TrimReport]:
        """Trim without regard to grace, nor, in the end, to protection."""
        target = self._low_water() if message.target is None else message.target
        mode = Mode(emergency=True, protected=message.include_protected)
        return self._trims.request(Aim(target, Trigger.FORCED, mode=mode))

    def on_check_high_water(self, message: CheckHighWater) -> None:
        """End grace and temporary entries whose time is over, and trim if too many connections are open."""
        if self._table.expire(self.now(), EXPIRED_PER_SLICE):
            self.next_slice(lambda: self.on_check_high_water(message), lane=Lane.CONTROL)
            return
        if self._background is None:
            return
        high, low = self._config.high_water, self._config.low_water
        if high is not None and low is not None and self._table.open > high and not self._trims.is_running:
            self._trims.request(Aim(low, Trigger.BACKGROUND, eligible=True))
        self._metrics.show(self._table)

    def on_close(self, _message: Close) -> None:
        """End what it does by itself: background trims, decay, checks of the memory."""
        if self._background is not None:
            self._background.cancel()
            self._background = None
        self._tag_decay.stop()
        self._memory_watch.stop()

    def on_check_limit(self, message: CheckLimit) -> None:
        """Check a limit as the one given at the start."""
        self._check_limit(message.limit)

    # Questions and listeners -----------------------------------------------------------------------------------------

    def on_subscribe(self, message: Subscribe) -> None:
        """Add a subscriber, and tell it the present counts if it wants them."""
        self._subscribers.add(message)
        if Counts in message.kinds:
            message.subscriber.tell(self._last_counts)

    def on_get_info(self, _message: GetInfo) -> Info:
        """Answer with the present numbers."""
        self._table.expire(self.now(), EXPIRED_PER_SLICE)
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
        """List the connections in slices, because there may be many."""
        return self._lists.run(list_connections(self._table, self._tag_decay.tags_of, self.now), lambda rows: rows)

    # Parts of the handlers -------------------------------------------------------------------------------------------

    def _thin_out_a_crowd(self, link: Link) -> None:
        """This one came: where one IP or subnet has too many connections, one of them goes."""
        if self._crowds is None or link.direction is not Direction.IN or link.short_lived:
            return
        self._crowds.opened(link)
        surplus = self._crowds.surplus(self._table)
        if surplus is None:
            return
        self._crowds.closed(surplus.id)
        self._trims.give_up(surplus, Trigger.CROWD)
        said = "one IP or subnet has too many connections, one is closed"
        self._limited_log.note(surplus.ip, said, ip=surplus.ip, peer=surplus.peer.short)

    @contextlib.contextmanager
    def _declining(self, peer: PeerId, tag: str) -> Iterator[None]:
        """Note for which peer and why a change is declined: who asked need not read the answer."""
        try:
            check_other(peer, self._me)
            yield
        except (IsThisNode, TooMany) as error:
            self._metrics.declined.inc(type(error).__name__)
            self.log.warning("a tag or protection was declined", peer=peer.short, tag=tag, why=str(error))
            raise

    def _entry_ended(self, peer: PeerId) -> None:
        """Called by the table; the decaying tags are made after it, and of it."""
        self._tag_decay.forget(peer)

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
        if counts != self._last_counts:
            self._last_counts = counts
            self._subscribers.tell(counts)
