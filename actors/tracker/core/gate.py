"""The gate: what transport refuses by itself, and what it advises peers that it turns away.

The IPs that it lets in, where only tracked peers may come:

* An IP is registered while at least one peer behind it may connect: two peers may share one (NAT).
* A peer whose IP is not known (a DNS name, no address yet) may come from anywhere: while there is one, none is refused.
* The egress IP counts, never the endpoint's where they differ.
* The gate gets a snapshot. It is made of many small parts, of which only those are made anew that have changed: with
  100,000 IPs a whole one would take longer than a handler may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import chain
from types import MappingProxyType
from typing import TypeVar

from ....transport.gatekeeper import EarlyGater, Gate
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..config import Config
from .blocks import Blocks
from .known_peer import KnownPeer
from .peer_sets import Job

T = TypeVar("T")
ANYWHERE = "anywhere"
MAX_RECENT = 32
_PARTS = 256


class IpSet(AbstractSet[str]):
    """An immutable set of IPs, canonical text."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[frozenset[str], ...]) -> None:
        """parts: of the IPs, each in the part that its hash says."""
        self._parts = parts

    @classmethod
    def _from_iterable(cls, items: Iterable[T]) -> AbstractSet[T]:
        """Make what `&`, `|` and `-` give."""
        return frozenset(items)

    def __contains__(self, ip: object) -> bool:
        return ip in self._parts[hash(ip) % _PARTS]

    def __eq__(self, other: object) -> bool:
        """Part by part: those that are the same objects cost nothing."""
        return self._parts == other._parts if isinstance(other, IpSet) else super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # as of every set of the standard library that compares by content

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(chain.from_iterable(self._parts)))

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __repr__(self) -> str:
        return f"<{len(self)} IPs>"


class RegisteredIps:
    """Counts the peers behind each IP. `changed` is set when the answer of `ips` may have changed."""

    def __init__(self) -> None:
        self.changed = False
        self._anywhere = 0
        self._counts: list[dict[str, int]] = [{} for _ in range(_PARTS)]
        self._snapshots: list[frozenset[str]] = [frozenset()] * _PARTS
        self._stale: dict[int, None] = {}

    @property
    def ips(self) -> AbstractSet[str] | None:
        """The registered IPs; None while anybody may come from anywhere."""
        for _ in self.snapshot_job():
            pass
        return None if self._anywhere else IpSet(tuple(self._snapshots))

    def snapshot_job(self) -> Job[None]:
        """Make the parts of the next snapshot, so that `ips` has little left to do."""
        for part in list(self._stale):
            self._snapshots[part] = frozenset(self._counts[part])
            del self._stale[part]
            yield 2

    def set(self, known: KnownPeer, ip: str | None) -> None:
        """The peer may come from `ip` now, from `ANYWHERE`, or (None) not at all."""
        if known.registered == ip:
            return
        if known.registered is not None:
            self._add(known.registered, -1)
        if ip is not None:
            self._add(ip, 1)
        known.registered = ip

    def _add(self, ip: str, by: int) -> None:
        if ip == ANYWHERE:
            self._anywhere += by
            self.changed = self.changed or self._anywhere in (0, by)
            return
        part = hash(ip) % _PARTS
        counts = self._counts[part]
        before = counts.pop(ip, 0)
        if before + by:
            counts[ip] = before + by
        if not before or not before + by:
            self._stale[part] = None
            self.changed = True


class Advice:
    """What peers that are turned away are advised: who has to wait, and who was connected to lately.

    Each change is a small one and none is urgent, so `changed` says only that the gate is to be pushed some time soon.
    """

    def __init__(self) -> None:
        self.changed = False
        self.recent: dict[PeerId, None] = {}
        """Those last connected to, oldest first."""
        self._cooling: dict[PeerId, float] = {}  # in the order of their ends, as every cooldown is as long

    def cool(self, peer: PeerId, until: float, now: float) -> None:
        """The peer is not to connect before `until`, monotonic seconds."""
        if until > now:
            self._cooling.pop(peer, None)
            self._cooling[peer] = until
            self.changed = True

    def connected(self, peer: PeerId) -> None:
        """A connection to the peer was opened."""
        self.recent.pop(peer, None)
        self.recent[peer] = None
        if len(self.recent) > MAX_RECENT:
            del self.recent[next(iter(self.recent))]
        self.changed = True

    def updated(self, peer: PeerId) -> None:
        """Something of the peer has changed."""
        if peer in self.recent:
            self.changed = True

    def cooling(self, now: float) -> dict[PeerId, float]:
        """Until when who has to wait."""
        while self._cooling and self._cooling[oldest := next(iter(self._cooling))] <= now:
            del self._cooling[oldest]
        return dict(self._cooling)


class GateMaker:
    """Makes the gates of one node.

    A new version is made only when something in it is another now, and then of the parts that are: the marks of change
    say where to look, and what is equal there is no change.
    """

    def __init__(
        self, config: Config, gater: EarlyGater | None, blocks: Blocks, registered: RegisteredIps, advice: Advice
    ) -> None:
        """gater: the application's own, which judges addresses inside transport."""
        self._blocks = blocks
        self._registered = registered
        self._advice = advice
        self._registers_ips = config.registers_ips
        self.newest = Gate(0, gater=gater)
        self.packets_changed = False
        """Whether the keys with which packets are exchanged may be others."""

    def make(
        self,
        now: float,
        packet_keys: Callable[[], frozenset[bytes] | None],
        alternatives: Callable[[], tuple[PeerRecord, ...]],
        *,
        with_advice: bool = False,
    ) -> Gate:
        """The newest gate; the same value as before unless its content has changed.

        with_advice: also a new one where only what peers are advised has changed: who has to wait, and whom they may
        ask instead.
        """
        blocks, gate, first = self._blocks, self.newest, self.newest.version == 0
        if blocks.changed or first:
            gate = replace(gate, blocked=blocks.curve_keys, blocked_ips=blocks.ips, blocked_subnets=blocks.subnets)
        if self._registered.changed or first:
            gate = replace(gate, registered_ips=self._registered.ips if self._registers_ips else None)
        if self.packets_changed or first:
            gate = replace(gate, packets=packet_keys())
        blocks.changed = self._registered.changed = self.packets_changed = False
        if first or self._differs(gate) or (with_advice and self._advice.changed):
            cooling = MappingProxyType(self._advice.cooling(now))
            gate = replace(gate, cooling=cooling, alternatives=alternatives())
            self._advice.changed = False
        if first or self._differs(gate):
            self.newest = replace(gate, version=gate.version + 1)
        return self.newest

    def _differs(self, gate: Gate) -> bool:
        return gate is not self.newest and gate != self.newest
