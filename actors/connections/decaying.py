"""The engine's part for decaying tags: their timer, the sweeps in slices, the application's failures."""

from __future__ import annotations

from dataclasses import dataclass

from ... import runtime
from ...runtime import Lane, Message, Timer
from .config import Config
from .decayer import Decayer
from .mailbox import Mailbox
from .messages import BumpTag, CloseTag, DecayingTag, RegisterDecayingTag, RemoveTag
from .metrics import Metrics
from .table import Peer, Table

SWEPT_PER_SLICE = 500


@dataclass(frozen=True, slots=True)
class DecayTick(Message):
    """To itself: a tick of the resolution."""


class Decaying:
    """Used on the engine's thread."""

    def __init__(self, engine: runtime.Engine[Mailbox], config: Config, table: Table, metrics: Metrics) -> None:
        """Part of one engine."""
        self._engine = engine
        self._resolution = config.decay_resolution
        self._metrics = metrics
        self._decayer = Decayer(table, resolution=config.decay_resolution, now=engine.now())
        self._timer: Timer | None = None
        self._sweeping = False
        table.forgotten = self._decayer.forget

    def tags_of(self, peer: Peer) -> dict[str, int]:
        """All tags of a peer, decaying ones too, where both have one name their sum. Its value is their sum then."""
        tags = dict(peer.tags)
        for name, weight in self._decayer.weights(peer.id, self._engine.now()).items():
            tags[name] = tags.get(name, 0) + weight
        self._tell_failures()
        return tags

    def register(self, message: RegisterDecayingTag) -> DecayingTag:
        """Open a tag."""
        now = self._engine.now()
        id, interval = self._decayer.register(message.name, message.interval, message.decay, message.bump, now)
        if interval > message.interval:
            self._engine.log.warning(
                "interval of a decaying tag raised to the resolution",
                tag=message.name,
                interval=message.interval,
                resolution=self._resolution,
            )
        self._follow_ticks()
        return DecayingTag(self._engine.mailbox, id, message.name, interval)

    def bump(self, message: BumpTag) -> None:
        """Change a weight."""
        self._decayer.bump(message.tag_id, message.peer, message.delta, self._engine.now())
        self._tell_failures()

    def remove(self, message: RemoveTag) -> None:
        """Take a weight away."""
        self._decayer.remove(message.tag_id, message.peer)

    def close(self, message: CloseTag) -> None:
        """Close a tag; its weights go in slices."""
        self._decayer.close(message.tag_id)
        self._sweep()
        self._follow_ticks()

    def stop(self) -> None:
        """No weight changes any more."""
        self._decayer.stop()
        self._follow_ticks()

    def tick(self) -> None:
        """The timer."""
        self._timer = None
        self._decayer.tick(self._engine.now())
        self._sweep()
        self._follow_ticks()

    # Parts -----------------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """A slice, unless one is on its way."""
        if not self._sweeping and self._decayer.sweep(SWEPT_PER_SLICE):
            self._sweeping = True
            self._engine.next_slice(self._sweep_on, lane=Lane.CONTROL)
        self._tell_failures()

    def _sweep_on(self) -> None:
        self._sweeping = False
        self._sweep()

    def _follow_ticks(self) -> None:
        """One timer, while there is a tag."""
        at = self._decayer.next_tick
        if at is None and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif at is not None and self._timer is None:
            self._timer = self._engine.after(at - self._engine.now(), DecayTick())

    def _tell_failures(self) -> None:
        for failure in self._decayer.failures:
            self._metrics.failures.inc("decaying_tag")
            self._engine.log.error(
                "function of a decaying tag failed", tag=failure.tag, peer=failure.peer.short, error=failure.error
            )
        self._decayer.failures.clear()
