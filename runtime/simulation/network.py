"""The simulated network between nodes: who can reach whom, how slowly, and what gets lost on the way.

Faults are set per directed pair of nodes, or for all. `carry` is a stream: it keeps the order of sending and loses
nothing; what a partition holds back stays back until it is healed or the carrier gives up. `cast` is a datagram: it may
be lost, doubled and overtaken. What was on its way when a link was cut still arrives.

A node may have an uplink and a downlink, which all its peers share. A piece waits in three queues, and each passes it
on whole: the sender's uplink, the bandwidth of the pair, and after the latency the receiver's downlink. Both lines of a
node are first in, first out, small pieces behind large ones; a piece is on its way when it has left the uplink.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
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


@dataclass(frozen=True, slots=True)
class Access:
    """What one node has to the network. uplink, downlink: bytes per second to, from all others; None for no limit."""

    uplink: float | None = None
    downlink: float | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for rates no line can have."""
        for name, rate in (("uplink", self.uplink), ("downlink", self.downlink)):
            if rate is not None and rate <= 0:
                raise ValueError(f"{name} is above 0 bytes per second: {self}")


class _Line:
    """An uplink or a downlink: pieces pass one after the other, at once while it has no rate."""

    __slots__ = ("_clock", "_left", "_rate", "_since", "_turn", "_waiting")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rate: float | None = None
        self._waiting: deque[tuple[int, Callable[[], object]]] = deque()  # the first of them is passing
        self._left = self._since = 0.0  # bytes of the first that had not passed, and when that was so
        self._turn = 0  # of the timer that counts

    def take(self, size: int, passed: Callable[[], object]) -> None:
        """Call `passed` when the last byte is through."""
        if self._rate is None and not self._waiting:
            passed()
            return
        self._waiting.append((size, passed))
        if len(self._waiting) == 1:
            self._begin(size)

    def change(self, rate: float | None) -> None:
        """From now on what waits, and the rest of what is passing, takes this rate."""
        before, self._rate = self._rate, rate
        if before is None or not self._waiting or rate == before:
            return
        left = max(0.0, self._left - (self._clock.time - self._since) * before)
        if rate is not None:
            self._begin(left)
            return
        self._turn += 1
        while self._waiting:
            self._waiting.popleft()[1]()

    def clear(self) -> None:
        """Lose what waits."""
        self._waiting.clear()
        self._turn += 1

    def _begin(self, left: float) -> None:
        assert self._rate is not None
        self._left, self._since = left, self._clock.time
        self._turn += 1
        self._clock.call_at(self._since + left / self._rate, partial(self._through, self._turn))

    def _through(self, turn: int) -> None:
        if turn != self._turn:
            return
        _, passed = self._waiting.popleft()
        if self._waiting:
            self._begin(self._waiting[0][0])
        passed()


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
        self._access: dict[str, Access] = {}
        self._uplinks: dict[str, _Line] = {}
        self._downlinks: dict[str, _Line] = {}
        self._cut: dict[tuple[str, str], deque[Callable[[], object]]] = {}  # came out of an uplink and found no link
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

    def access(self, node: str) -> Access:
        """The present uplink and downlink of a node; none of both unless it was set."""
        return self._access.get(node, Access())

    def set_node(self, node: str, **changes: float | None) -> None:
        """Change the `uplink` or `downlink` of a node; both may be changed while something passes.

        It outlasts a crash, as the line of a machine does whose process ends.
        """
        access = self._access[node] = replace(self.access(node), **changes)
        for lines, rate in ((self._uplinks, access.uplink), (self._downlinks, access.downlink)):
            if rate is not None and node not in lines:
                lines[node] = _Line(self._clock)
            if node in lines:
                lines[node].change(rate)

    def partition(self, side: Iterable[str], other: Iterable[str], *, both: bool = True) -> None:
        """Cut every link from `side` to `other`, and back if `both`."""
        others = list(other)
        self._change([(source, target) for source in side for target in others], both, {"up": False})

    def heal(self) -> None:
        """Bring every cut link up again."""
        self._links = {pair: replace(link, up=True) for pair, link in self._links.items()}
        self._default = replace(self._default, up=True)
        self._changed()

    def carry(
        self,
        source: str,
        target: str,
        size: int,
        deliver: Callable[[], object],
        left: Callable[[], object] | None = None,
    ) -> bool:
        """Call `deliver` when a piece of `size` bytes arrives, after those sent before; False if the link is cut.

        left: called when it is on its way: at once, or when it comes out of the uplink and finds a link.
        """
        pair = (source, target)
        if self._is_cut(pair):
            return False
        uplink = self._uplinks.get(source)
        if uplink is None:
            self._depart(pair, size, deliver, left)
        else:
            uplink.take(size, partial(self._left_uplink, pair, partial(self._depart, pair, size, deliver, left)))
        return True

    def cast(self, source: str, target: str, size: int, deliver: Callable[[], object]) -> bool:
        """Call `deliver` when a datagram arrives: never, once or twice, in no order; False if the link is cut."""
        pair = (source, target)
        if not self.link(*pair).up:
            return False
        uplink = self._uplinks.get(source)
        if uplink is None:
            self._throw(pair, size, deliver)
        else:
            uplink.take(size, partial(self._throw, pair, size, deliver))
        return True

    def on_crash(self, listener: Callable[[str], None]) -> None:
        """Call `listener(node)` when a node crashes."""
        self._crash_listeners.append(listener)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener()` when links changed: something held back may go on."""
        self._change_listeners.append(listener)

    def crashed(self, node: str) -> None:
        """A node of this name ended without cleanup: what waited for its uplink is lost."""
        if node in self._uplinks:
            self._uplinks[node].clear()
        for pair in [pair for pair in self._cut if pair[0] == node]:
            del self._cut[pair]
        for listener in list(self._crash_listeners):
            listener(node)

    def _change(self, pairs: list[tuple[str, str]], both: bool, changes: dict[str, float | bool | None]) -> None:
        for source, target in pairs:
            for pair in ((source, target), (target, source))[: 2 if both else 1]:
                self._links[pair] = replace(self.link(*pair), **changes)  # type: ignore[arg-type]
        self._changed()

    def _is_cut(self, pair: tuple[str, str]) -> bool:
        """Whether a stream cannot go on."""
        link = self.link(*pair)
        return not link.up or link.loss == 1

    def _left_uplink(self, pair: tuple[str, str], depart: Callable[[], object]) -> None:
        """A piece of a stream is through the uplink. The link may have been cut since it was handed in."""
        if pair in self._cut or self._is_cut(pair):
            self._cut.setdefault(pair, deque()).append(depart)
        else:
            depart()

    def _depart(
        self, pair: tuple[str, str], size: int, deliver: Callable[[], object], left: Callable[[], object] | None
    ) -> None:
        """Of a stream, beyond the uplink."""
        link = self.link(*pair)
        delay = link.delay(self._rng)
        while link.loss and self._rng.random() < link.loss:
            delay += link.resend
        arrival = self._arrival[pair] = max(self._sent(pair, link, size) + delay, self._arrival.get(pair, 0.0))
        self._clock.call_at(arrival, partial(self._arrive, pair[1], size, deliver))
        if left is not None:
            left()

    def _throw(self, pair: tuple[str, str], size: int, deliver: Callable[[], object]) -> None:
        """A datagram, beyond the uplink."""
        link = self.link(*pair)
        if not link.up:
            return
        sent = self._sent(pair, link, size)
        copies = 2 if link.duplicate and self._rng.random() < link.duplicate else 1
        for _ in range(copies):
            seconds = link.transit(self._rng)
            if seconds is not None:
                self._clock.call_at(sent + seconds, partial(self._arrive, pair[1], size, deliver))

    def _arrive(self, target: str, size: int, deliver: Callable[[], object]) -> None:
        """At the receiver's downlink."""
        downlink = self._downlinks.get(target)
        if downlink is None:
            deliver()
        else:
            downlink.take(size, deliver)

    def _sent(self, pair: tuple[str, str], link: Link, size: int) -> float:
        """When the last byte has left: a link with a bandwidth sends one piece after the other."""
        start = max(self._clock.time, self._busy_until.get(pair, 0.0))
        if link.bandwidth is not None:
            start = self._busy_until[pair] = start + size / link.bandwidth
        return start

    def _changed(self) -> None:
        for pair in [pair for pair in self._cut if not self._is_cut(pair)]:
            for depart in self._cut.pop(pair):
                depart()
        for listener in list(self._change_listeners):
            listener()
