"""Decaying tags: weights that grow by bumps and shrink with time. Pure; the time is given.

::

    register ──▶ open ──close──▶ draining ──swept──▶ gone
                  │ bump, remove    │ its weights leave their peers, a slice at a time
                  │ each interval: decay

Rules:

* Ticks come each `resolution` seconds, counted from the beginning. A tag is due at the first tick at or after the end
  of its interval; intervals are counted from the tick before it was registered. An interval below the resolution is
  raised to it.
* Each weight knows how many intervals of its tag were counted for it. Whoever touches it (a bump, a query, the sweep
  after a tick) first counts those that it lacks, all at once. So neither a stall nor a sweep in slices can lose one or
  count one twice, and a sweep visits only peers that have a tag that was due.
* A bump of a stranger makes a temporary entry, as a plain tag does. `remove` makes none.
* A closed tag counts for nothing at once: its name is free, and whoever asks about a peer finds its weight gone.
* What an application's function raises, or returns that is no whole number of 32 bits, leaves the weight as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count, islice

from msgspec import Struct, field

from ....transport.identity import PeerId
from ..errors import TagClosed, TagTaken, TooMany
from .bump import Bump
from .decay import Decay, DecayingValue
from .peer import weight_of
from .peer_table import PeerTable

_TOLERANCE = 1e-6  # of a resolution: what rounding may take from a time


class _Weight(Struct):
    value: int
    added: float
    bumped: float
    counted: int  # intervals of its tag
    decayed: float


class _Tag(Struct, eq=False):
    """base: when its intervals began. passed: how many are over, as of the last tick."""

    id: int
    name: str
    interval: float
    decay: Decay
    bump: Bump
    base: float
    passed: int = 0
    weights: dict[PeerId, _Weight] = field(default_factory=dict)

    @property
    def last_due(self) -> float:
        return self.base + self.passed * self.interval


class Failure(Struct, frozen=True):
    """An application's function did not do what it should."""

    tag: str
    peer: PeerId
    error: Exception


class DecayingTags:
    """The decaying tags of one node, and the weights of its peers under them."""

    def __init__(self, table: PeerTable, *, resolution: float, now: float, max_tags: int = 32) -> None:
        """table: where the peers' values are kept. resolution: seconds. max_tags: that are open at a time."""
        self.failures: list[Failure] = []
        """What went wrong since it was last emptied; who reads it empties it."""
        self._table = table
        self._resolution = resolution
        self._max_tags = max_tags
        self._began = now
        self._ticks = 0
        self._stopped = False
        self._tags: dict[int, _Tag] = {}
        self._ids = count(1)
        self._draining: deque[_Tag] = deque()
        self._due: dict[_Tag, None] = {}  # in order
        self._sweeping: tuple[_Tag, Iterator[PeerId]] | None = None

    @property
    def next_tick(self) -> float | None:
        """When the next tick is; None while there is no tag."""
        if self._stopped or not self._tags:
            return None
        return self._began + (self._ticks + 1) * self._resolution

    # Tags ------------------------------------------------------------------------------------------------------------

    def register(self, name: str, interval: float, decay: Decay, bump: Bump, now: float) -> tuple[int, float]:
        """Open a tag; its id, never used again, and its interval in effect. Raises TagTaken or TooMany."""
        if self._stopped:
            raise TagClosed("connections was closed, and decaying tags with it")
        if any(tag.name == name for tag in self._tags.values()):
            raise TagTaken(f"a decaying tag {name!r} is open; names are unique (allowed: another name, or close it)")
        if len(self._tags) >= self._max_tags:
            raise TooMany(f"{len(self._tags)} decaying tags are open", self._max_tags, "max_tags")
        self.tick(now)
        interval = max(interval, self._resolution)
        base = self._began + self._ticks * self._resolution
        tag = _Tag(next(self._ids), name, interval, decay, bump, base)
        self._tags[tag.id] = tag
        return tag.id, interval

    def close(self, id: int) -> None:
        """Close a tag. Raises TagClosed if it is."""
        self._draining.append(self._open(id))
        del self._tags[id]

    def stop(self) -> None:
        """Stop: weights stay as they are, and no tag takes a bump or can be registered any more."""
        self._stopped = True
        self._due.clear()
        self._sweeping = None

    def _open(self, id: int) -> _Tag:
        tag = self._tags.get(id)
        if tag is None or self._stopped:
            raise TagClosed("this decaying tag is closed")
        return tag

    # Weights ---------------------------------------------------------------------------------------------------------

    def bump(self, id: int, peer: PeerId, delta: int, now: float) -> None:
        """Change a peer's weight by the tag's bump function. Raises TagClosed."""
        tag = self._open(id)
        self.tick(now)
        self._count(tag, peer)
        weight = tag.weights.get(peer)
        before = weight.value if weight is not None else 0
        try:
            after = weight_of(tag.bump(before, delta))
        except Exception as error:  # the application's function
            self.failures.append(Failure(tag.name, peer, error))
            return
        self._table.entry(peer, now)
        if weight is None:
            tag.weights[peer] = _Weight(after, now, now, tag.passed, tag.last_due)
        else:
            weight.value, weight.bumped = after, now
        self._table.shift(peer, after - before)

    def remove(self, id: int, peer: PeerId) -> None:
        """Take the tag from a peer, if it has it. Raises TagClosed."""
        self._drop(self._open(id), peer)

    def weights(self, peer: PeerId, now: float) -> dict[str, int]:
        """What a peer's open decaying tags are worth; its value is right afterwards."""
        self.bring_up_to_date(peer, now)
        return {tag.name: tag.weights[peer].value for tag in self._tags.values() if peer in tag.weights}

    def bring_up_to_date(self, peer: PeerId, now: float) -> None:
        """Bring a peer's value up to date."""
        self.tick(now)
        for tag in self._draining:
            self._drop(tag, peer)
        for tag in self._tags.values():
            self._count(tag, peer)

    def forget(self, peer: PeerId) -> None:
        """The peer's entry has ended, and its value with it."""
        for tag in (*self._tags.values(), *self._draining):
            tag.weights.pop(peer, None)

    # Time ------------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Find out which intervals are over. The weights follow in `sweep`, or when somebody touches them."""
        if self._stopped:
            return
        ticks = int((now - self._began) / self._resolution + _TOLERANCE)
        if ticks <= self._ticks:
            return
        self._ticks = ticks
        at = self._began + (ticks + _TOLERANCE) * self._resolution
        for tag in self._tags.values():
            passed = int((at - tag.base) / tag.interval)
            if passed > tag.passed:
                tag.passed = passed
                self._due[tag] = None

    def sweep(self, limit: int) -> bool:
        """Bring at most about `limit` weights up to date; whether there are more."""
        while limit > 0 and self._draining:
            tag = self._draining[0]
            peers = list(islice(tag.weights, limit))
            for peer in peers:
                self._drop(tag, peer)
            limit -= len(peers)
            if not tag.weights:
                self._draining.popleft()
        while limit > 0 and (self._sweeping or self._due):
            if self._sweeping is None:
                tag = next(iter(self._due))
                del self._due[tag]
                self._sweeping = tag, iter(tuple(tag.weights))
            tag, left = self._sweeping
            peers = list(islice(left, limit)) if tag.id in self._tags else []
            for peer in peers:
                self._count(tag, peer)
            if len(peers) < limit:
                self._sweeping = None
            limit -= len(peers) + 1
        return bool(self._draining or self._sweeping or self._due)

    # Parts -----------------------------------------------------------------------------------------------------------

    def _count(self, tag: _Tag, peer: PeerId) -> None:
        """Count the intervals of an open tag that are over and not counted for this peer."""
        weight = tag.weights.get(peer)
        if weight is None or weight.counted == tag.passed:
            return
        record = DecayingValue(tag.name, peer, weight.value, weight.added, weight.bumped, weight.decayed)
        missed, weight.counted, weight.decayed = tag.passed - weight.counted, tag.passed, tag.last_due
        try:
            after = tag.decay(record, missed, tag.last_due)
            if after is None:
                self._drop(tag, peer)
                return
            after = weight_of(after)
        except Exception as error:  # the application's function
            self.failures.append(Failure(tag.name, peer, error))
            return
        self._table.shift(peer, after - weight.value)
        weight.value = after

    def _drop(self, tag: _Tag, peer: PeerId) -> None:
        weight = tag.weights.pop(peer, None)
        if weight is not None:
            self._table.shift(peer, -weight.value)
