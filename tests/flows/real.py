"""Whole nodes over real sockets on loopback, with the face that `chaos` needs of simulated ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from rookery.actors import resolver
from rookery.actors.blobs.stores.memory import MemoryStore
from rookery.actors.tracker import StaticPeer
from rookery.actors.tracker.address_book.storage import MemoryStorage
from rookery.node.composition import Actors
from rookery.runtime import ThreadRuntime
from rookery.testing import Peers, Plan, settings
from rookery.testing.invariants import disagreements
from rookery.transport import Identity, MemoryGenerations, PeerId

CROWD: dict[str, Any] = {
    "max_per_ip": 1000,
    "max_inbound_share_per_ip": 1.0,
    "max_per_subnet": 1000,
    "handshakes_per_ip": 1e6,
    "handshakes_per_subnet": 1e6,
    "handshake_burst": 1_000_000,
    "heartbeat_interval": 0.5,
    "heartbeat_timeout": 2.0,
}
"""All of them come from one IP."""
PACE: dict[str, Any] = {"rest_after_loss": 1.0, "backoff_cap": 1.0}
"""So that what was lost comes back while a test waits."""


@dataclass(frozen=True, slots=True)
class Disk:
    """What outlives a node, as in its data folder."""

    book: MemoryStorage = field(default_factory=MemoryStorage)
    generations: MemoryGenerations = field(default_factory=MemoryGenerations)


class RealNode(Actors):
    """One node in this process."""

    runtime: ThreadRuntime

    def __init__(self, plan: Plan, identity: Identity, kind: type[ThreadRuntime], disk: Disk) -> None:
        super().__init__(kind(plan.name), plan.config, identity)
        self.name = plan.name
        self.plan = plan
        self.ended = False
        self.start_engines(store=MemoryStore(), book=disk.book, generations=disk.generations)
        if plan.member:
            self.take_part()
        else:
            self.maintenance.activate()

    def producer(self) -> resolver.Producer:
        return self.plan.producer or super().producer()

    def stop(self) -> None:
        """Say goodbye, then stop."""
        self.membership.leave().get(timeout=5)
        self.crash()

    def crash(self) -> None:
        """Stop without a goodbye to the members."""
        self.ended = True
        self.runtime.stop(5)

    def connected(self) -> frozenset[PeerId]:
        return frozenset(each.link.peer for each in self.connections.connections().get(timeout=5))

    def is_connected_to(self, *others: RealNode) -> bool:
        return self.connected() >= {other.peer for other in others}


class RealNodes:
    """Use it as a context manager: leaving stops every node."""

    def __init__(self, kind: type[ThreadRuntime]) -> None:
        """kind: of every node's runtime."""
        self.known = Peers()
        self.all: dict[str, RealNode] = {}
        self._disks: dict[str, Disk] = {}
        self._kind = kind

    def start(
        self,
        name: str,
        *,
        seeds: Iterable[RealNode] = (),
        producer: resolver.Producer | None = None,
        member: bool = True,
        **sections: Mapping[str, Any],
    ) -> RealNode:
        """See `SimulatedNodes.start`."""
        config = settings(
            seeds=[StaticPeer(seed.peer, seed.address) for seed in seeds],
            transport=CROWD,
            **{**sections, "tracker": {**PACE, **sections.get("tracker", {})}},
        )
        return self._start(Plan(name, "127.0.0.1", config, producer, member))

    def restart(self, node: RealNode, *, elsewhere: bool = True) -> RealNode:
        """See `SimulatedNodes.restart`. It always listens on another port."""
        del elsewhere
        if not node.ended:
            node.crash()
        return self._start(node.plan)

    def _start(self, plan: Plan) -> RealNode:
        disk = self._disks.setdefault(plan.name, Disk())
        node = self.all[plan.name] = RealNode(plan, self.known.identity(plan.name), self._kind, disk)
        return node

    @property
    def running(self) -> list[RealNode]:
        return [node for node in self.all.values() if not node.ended]

    def heal(self) -> None:
        """Nothing is cut here."""

    def run_until(self, condition: Callable[[], object], *, timeout: float, every: float = 0.05) -> None:
        """Wait for a condition; AssertionError after `timeout` seconds. every: for simulated nodes, not heeded here."""
        del every
        deadline, pause = time.monotonic() + timeout, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, f"not true within {timeout} s"
            pause.wait(0.05)

    def agree(self) -> bool:
        """Whether every node agrees with itself, at a moment when no message waits in it."""
        return all(node.runtime.drain(5) and not list(disagreements(node.runtime)) for node in self.running)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for node in self.running:
            node.crash()
