"""Lets decaying tags decay: their timer, the sweeps in slices, the application's failures."""

from __future__ import annotations

from msgspec import Struct

from .... import runtime
from ....runtime import Lane, Message, Timer
from ....transport.identity import PeerId
from ..config import Config
from ..core.decaying_tags import DecayingTags
from ..core.peer import Peer
from ..core.peer_table import PeerTable
from ..mailbox import BumpTag, CloseTag, DecayingTag, Mailbox, RegisterDecayingTag, RemoveTag
from ..metrics import Metrics

SWEPT_PER_SLICE = 500


class DecayTick(Message, Struct, frozen=True):
    """To itself: a tick of the resolution."""


class TagDecay:
    """The decaying tags of the engine, and what brings them up to date."""

    def __init__(
        self,
        engine: runtime.Engine[Mailbox],
        config: Config,
        table: PeerTable,
        metrics: Metrics,
        *,
        me: PeerId | None,
    ) -> None:
        """table: where the weights count. me: this node, which no tag values."""
        self._me = me
        self._engine = engine
        self._resolution = config.decay_resolution
        self._metrics = metrics
        self._tags = DecayingTags(table, resolution=config.decay_resolution, now=engine.now(), max_tags=config.max_tags)
        self._timer: Timer | None = None
        self._sweeping = False

    def tags_of(self, peer: Peer) -> dict[str, int]:
        """All tags of a peer, decaying ones too, where both have one name their sum. Its value is their sum then."""
        tags = dict(peer.tags)
        for name, weight in self._tags.weights(peer.id, self._engine.now()).items():
            tags[name] = tags.get(name, 0) + weight
        self._report_failures()
        return tags

    def register(self, message: RegisterDecayingTag) -> DecayingTag:
        """Open a tag. Raises TagTaken or TooMany."""
        now = self._engine.now()
        id, interval = self._tags.register(message.name, message.interval, message.decay, message.bump, now)
        if interval > message.interval:
            self._engine.log.warning(
                "interval of a decaying tag raised to the resolution",
                tag=message.name,
                interval=message.interval,
                resolution=self._resolution,
            )
        self._follow_ticks()
        return DecayingTag(self._engine.mailbox, id, message.name, interval, self._me)

    def bump(self, message: BumpTag) -> None:
        """Change a peer's weight under a tag. Raises TagClosed."""
        self._tags.bump(message.tag_id, message.peer, message.delta, self._engine.now())
        self._report_failures()

    def remove(self, message: RemoveTag) -> None:
        """Take a tag from a peer. Raises TagClosed."""
        self._tags.remove(message.tag_id, message.peer)

    def close(self, message: CloseTag) -> None:
        """Close a tag; its weights go in slices. Raises TagClosed."""
        self._tags.close(message.tag_id)
        self._sweep()
        self._follow_ticks()

    def forget(self, peer: PeerId) -> None:
        """The peer's entry in the table has ended."""
        self._tags.forget(peer)

    def stop(self) -> None:
        """No weight changes any more."""
        self._tags.stop()
        self._follow_ticks()

    def tick(self) -> None:
        """Count the intervals that are over, and begin to sweep."""
        self._timer = None
        self._tags.tick(self._engine.now())
        self._sweep()
        self._follow_ticks()

    # Parts -----------------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Sweep a slice, unless one is on its way."""
        if not self._sweeping and self._tags.sweep(SWEPT_PER_SLICE):
            self._sweeping = True
            self._engine.next_slice(self._sweep_on, lane=Lane.CONTROL)
        self._report_failures()

    def _sweep_on(self) -> None:
        self._sweeping = False
        self._sweep()

    def _follow_ticks(self) -> None:
        """One timer, while there is a tag."""
        at = self._tags.next_tick
        if at is None and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif at is not None and self._timer is None:
            self._timer = self._engine.after(at - self._engine.now(), DecayTick())

    def _report_failures(self) -> None:
        for failure in self._tags.failures:
            self._metrics.failures.inc("decaying_tag")
            self._engine.log.error(
                "function of a decaying tag failed", tag=failure.tag, peer=failure.peer.short, error=failure.error
            )
        self._tags.failures.clear()
