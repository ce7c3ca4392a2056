"""The simulated network between nodes: who can reach whom, how slowly, and what gets lost on the way.

Faults are set per directed pair of nodes, or for all. Delivery between two nodes keeps the order of sending, as a stream
does; what a partition holds back stays back until it is healed or the carrier gives up.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .simulation import Simulation


@dataclass(frozen=True, slots=True)
class Link:
    """How one node's traffic reaches another.

    latency, jitter: seconds; each piece takes latency plus uniform [0, jitter]. loss: probability that a piece is lost;
    on a stream it costs `resend` seconds instead. bandwidth: bytes per second, None for no limit. up: False cuts it.
    """

    latency: float = 0.001
    jitter: float = 0.0
    loss: float = 0.0
    resend: float = 0.2
    bandwidth: float | None = None
    up: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError for values no link can have."""
        if min(self.latency, self.jitter, self.resend) < 0 or not 0 <= self.loss < 1:
            raise ValueError(f"latency, jitter and resend are at least 0, loss is in [0, 1): {self}")
        if self.bandwidth is not None and self.bandwidth <= 0:
            raise ValueError(f"bandwidth is above 0 bytes per second: {self}")


class Network:
    """The links of a simulated world."""

    def __init__(self, world: Simulation, rng: random.Random) -> None:
        """Made by `Simulation`."""
        self._world = world
        self._rng = rng
        self._default = Link()
        self._links: dict[tuple[str, str], Link] = {}
        self._busy_until: dict[tuple[str, str], float] = {}
        self._arrival: dict[tuple[str, str], float] = {}
        self._crash_listeners: list[Callable[[str], None]] = []
        self._change_listeners: list[Callable[[], None]] = []

    def link(self, source: str, target: str) -> Link:
        """The present link from one node to another."""
        return self._links.get((source, target), self._default)

    def set_default(self, **changes: float | bool | None) -> None:
        """Change the link between every pair that was not set by `set_link`."""
        self._default = replace(self._default, **changes)  # type: ignore[arg-type]
        self._changed()

    def set_link(self, source: str, target: str, *, both: bool = True, **changes: float | bool | None) -> None:
        """Change the link from `source` to `target`, and back if `both`."""
        pairs = [(source, target), (target, source)] if both else [(source, target)]
        for pair in pairs:
            self._links[pair] = replace(self.link(*pair), **changes)  # type: ignore[arg-type]
        self._changed()

    def partition(self, side: list[str], other: list[str], *, both: bool = True) -> None:
        """Cut every link from `side` to `other`, and back if `both`."""
        for source in side:
            for target in other:
                self.set_link(source, target, both=both, up=False)

    def heal(self) -> None:
        """Bring every cut link up again."""
        self._links = {pair: replace(link, up=True) for pair, link in self._links.items()}
        self._default = replace(self._default, up=True)
        self._changed()

    def carry(self, source: str, target: str, size: int, deliver: Callable[[], object]) -> bool:
        """Call `deliver` when a piece of `size` bytes arrives, after those sent before; False if the link is cut."""
        link = self.link(source, target)
        if not link.up:
            return False
        pair = (source, target)
        start = max(self._world.time, self._busy_until.get(pair, 0.0))
        if link.bandwidth is not None:
            start += size / link.bandwidth
            self._busy_until[pair] = start
        delay = link.latency + (self._rng.random() * link.jitter if link.jitter else 0.0)
        while link.loss and self._rng.random() < link.loss:
            delay += link.resend
        arrival = self._arrival[pair] = max(start + delay, self._arrival.get(pair, 0.0))
        self._world.call_after(arrival - self._world.time, deliver)
        return True

    def on_crash(self, listener: Callable[[str], None]) -> None:
        """Call `listener(node)` when a node crashes."""
        self._crash_listeners.append(listener)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener()` when links changed: something held back may go on."""
        self._change_listeners.append(listener)

    def crashed(self, node: str) -> None:
        """A node of this name ended without cleanup."""
        for listener in list(self._crash_listeners):
            listener(node)

    def _changed(self) -> None:
        for listener in list(self._change_listeners):
            listener()
