"""The simulated network between nodes: who can reach whom, how slowly, and what gets lost on the way.

Faults are set per directed pair of nodes, or for all. `carry` is a stream: it keeps the order of sending and loses
nothing; what a partition holds back stays back until it is healed or the carrier gives up. `cast` is a datagram: it may
be lost, doubled and overtaken. What was on its way when a link was cut still arrives.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol


class Clock(Protocol):
    """The time of a simulated world."""

    time: float

    def call_at(self, deadline: float, function: Callable[[], object]) -> object:
        """Call `function` when it is `deadline`."""


@dataclass(frozen=True, slots=True)
class Link:
    """How one node's traffic reaches another.

    latency, jitter: seconds; each piece takes latency plus uniform [0, jitter]. loss: probability that a piece is lost;
    on a stream it costs `resend` seconds instead, and 1 cuts it. duplicate: probability that a datagram arrives twice.
    bandwidth: bytes per second, None for no limit. up: False cuts it.
    """

    latency: float = 0.001
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    resend: float = 0.2
    bandwidth: float | None = None
    up: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError for values no link can have."""
        if min(self.latency, self.jitter, self.resend) < 0:
            raise ValueError(f"latency, jitter and resend are at least 0: {self}")
        if not (0 <= self.loss <= 1 and 0 <= self.duplicate <= 1):
            raise ValueError(f"loss and duplicate are from 0 to 1: {self}")
        if self.bandwidth is not None and self.bandwidth <= 0:
            raise ValueError(f"bandwidth is above 0 bytes per second: {self}")

    def transit(self, rng: random.Random) -> float | None:
        """Seconds until a piece arrives, None if it is lost."""
        if self.loss and rng.random() < self.loss:
            return None
        return self.delay(rng)

    def delay(self, rng: random.Random) -> float:
        """Seconds on the way of a piece that arrives."""
        return self.latency + (rng.random() * self.jitter if self.jitter else 0.0)


class Network:
    """The links of a simulated world."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        """Made by `Simulation`."""
        self._clock = clock
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
        self._change([(source, target)], both, changes)

    def partition(self, side: Iterable[str], other: Iterable[str], *, both: bool = True) -> None:
        """Cut every link from `side` to `other`, and back if `both`."""
        others = list(other)
        self._change([(source, target) for source in side for target in others], both, {"up": False})

    def heal(self) -> None:
        """Bring every cut link up again."""
        self._links = {pair: replace(link, up=True) for pair, link in self._links.items()}
        self._default = replace(self._default, up=True)
        self._changed()

    def carry(self, source: str, target: str, size: int, deliver: Callable[[], object]) -> bool:
        """Call `deliver` when a piece of `size` bytes arrives, after those sent before; False if the link is cut."""
        link = self.link(source, target)
        if not link.up or link.loss == 1:
            return False
        pair = (source, target)
        delay = link.delay(self._rng)
        while link.loss and self._rng.random() < link.loss:
            delay += link.resend
        arrival = self._arrival[pair] = max(self._sent(pair, link, size) + delay, self._arrival.get(pair, 0.0))
        self._clock.call_at(arrival, deliver)
        return True

    def cast(self, source: str, target: str, size: int, deliver: Callable[[], object]) -> bool:
        """Call `deliver` when a datagram arrives: never, once or twice, in no order; False if the link is cut."""
        link = self.link(source, target)
        if not link.up:
            return False
        sent = self._sent((source, target), link, size)
        copies = 2 if link.duplicate and self._rng.random() < link.duplicate else 1
        for _ in range(copies):
            seconds = link.transit(self._rng)
            if seconds is not None:
                self._clock.call_at(sent + seconds, deliver)
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

    def _change(self, pairs: list[tuple[str, str]], both: bool, changes: dict[str, float | bool | None]) -> None:
        for source, target in pairs:
            for pair in ((source, target), (target, source))[: 2 if both else 1]:
                self._links[pair] = replace(self.link(*pair), **changes)  # type: ignore[arg-type]
        self._changed()

    def _sent(self, pair: tuple[str, str], link: Link, size: int) -> float:
        """When the last byte has left: a link with a bandwidth sends one piece after the other."""
        start = max(self._clock.time, self._busy_until.get(pair, 0.0))
        if link.bandwidth is not None:
            start = self._busy_until[pair] = start + size / link.bandwidth
        return start

    def _changed(self) -> None:
        for listener in list(self._change_listeners):
            listener()
