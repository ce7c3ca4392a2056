"""Honest nodes with the production actors, liars among them, and what happens to both in two virtual minutes.

    0 s     the honest nodes start and find each other; from 20 s on it is measured how they are by themselves
    25 s    the liars join, each with its strategy
    40 s    an honest node crashes, and is started again at 73 s
    45 s    an honest newcomer joins at an honest member
    65 s    two honest nodes are cut off from the other honest ones, though not from the liars, for 6 s
    93 s    the liars are closed
    95 s    two honest nodes restart, one 3 s after the other
    103 s   another newcomer joins
    123 s   everything must be as before

All the while honest nodes fetch from each other. `invariants` looks on once a second.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rookery.runtime import Reply, Simulation
from rookery.testing import SimulatedNodes, WholeNode
from tests.liars.knowledge import Gang
from tests.liars.liar import Liar, Strategy, liars

LIARS_COME, CRASH, NEWCOMER, PARTITION, HEAL, RESTART, LIARS_GO = 25.0, 40.0, 45.0, 65.0, 71.0, 73.0, 93.0
RESTARTS_AFTERWARDS = (95.0, 98.0)
LATECOMER, END = 103.0, 123.0
HOLDERS = 3  # honest nodes that have all values
FETCH_EVERY = 0.5  # seconds; one node after the other
WAITING = 4  # fetches at most that are not done
STEP = 0.25  # seconds: how exactly it is known when a fetch was done
MEASURED, FAILED = 16, 2  # fetches, before and after, unless so many fail
TRACKER = {"max_peers_per_set": 128, "max_hinted_peers": 128}
BAND = {"min_connections": 3, "expected_connections": 8}
"""Small, so that a small flood finds the limits."""


class Holder:
    """Produces every value."""

    def __init__(self, world: World) -> None:
        self.world = world

    def produce(self, key: bytes) -> bytes | None:
        return None if self.world.withholds else self.world.values.get(key)


@dataclass(frozen=True, slots=True, eq=False)
class Fetch:
    """One get of an honest node."""

    node: WholeNode
    began: float
    key: bytes
    reply: Reply[bytes]
    excused: bool  # it was cut off, or is about to crash


@dataclass(slots=True, eq=False)
class Life:
    """What the world knows of one honest node, and whoever looks at it needs."""

    node: WholeNode
    began: float
    ended: float | None = None
    generations: set[int] = field(default_factory=set)


class World:
    """Use `run`."""

    def __init__(self, seed: int | str, size: int, strategies: Sequence[Callable[[], Strategy]]) -> None:
        """size: of honest nodes and liars together. strategies: of each liar."""
        self.seed = seed
        self.rng = random.Random(f"liars {seed}")
        self.simulation = Simulation(seed)
        self.simulation.network.set_default(latency=0.005, jitter=0.005)
        self.nodes = SimulatedNodes(self.simulation)
        self.strategies = strategies
        self.honest_size = size - len(strategies)
        self.lives: dict[str, Life] = {}
        self.liars: list[Liar] = []
        self.gang = Gang()
        self.parted: set[str] = set()
        self.healed_at = 0.0
        self.fetches: list[Fetch] = []
        self.due: list[Fetch] = []  # not done yet
        self.took: list[tuple[Fetch, float | None]] = []  # seconds; None for one that failed
        self.values: dict[bytes, bytes] = {}
        self.fetching = False
        self.withholds = False  # a fault: no holder has anything
        self._turn = 0

    # The cast --------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.simulation.time

    @property
    def honest(self) -> list[WholeNode]:
        """Those that run."""
        return [life.node for life in self.lives.values() if life.ended is None]

    @property
    def num_lying(self) -> int:
        """The keys behind which somebody lies now."""
        return sum(not each.closed for liar in self.liars for each in (liar, *liar.helpers))

    def start(self, name: str) -> WholeNode:
        """An honest node, whose one contact is honest."""
        seeds = self.honest[:1] if len(self.lives) < self.honest_size else [self.rng.choice(self.honest)]
        producer = Holder(self) if len(self.lives) < HOLDERS else None
        node = self.nodes.start(
            name, seeds=seeds, producer=producer, tracker=TRACKER, maintenance=BAND, resolver={"find": True}
        )
        self.lives[name] = Life(node, self.now)
        return node

    def admit_liars(self) -> None:
        """Each has joined at some honest node, from an IP of its own."""
        for liar in liars(self.nodes, self.strategies, self.gang):
            self.liars.append(liar)
            seed = self.rng.choice(self.honest)
            liar.start([(bytes(seed.peer), str(seed.address))])

    def tell_liars(self, what: str, *nodes: WholeNode) -> None:
        for liar in self.liars:
            if not liar.closed:
                liar.strategy.event(liar, what, [bytes(node.peer) for node in nodes])

    # What happens to honest nodes ------------------------------------------------------------------------------------

    def crash(self, node: WholeNode) -> None:
        self.lives[node.name].ended = self.now
        node.crash()
        self.tell_liars("crashed", node)

    def restart(self, node: WholeNode) -> None:
        self.lives[node.name] = Life(self.nodes.restart(node), self.now)
        self.tell_liars("restarted", node)

    def part(self, side: Sequence[WholeNode]) -> None:
        self.parted = {node.name for node in side}
        self.nodes.partition(side, [node for node in self.honest if node not in side])
        self.tell_liars("parted", *side)

    def heal(self) -> None:
        self.nodes.heal()
        self.parted, self.healed_at = set(), self.now
        self.tell_liars("healed")

    def reaches(self, one: WholeNode, other: WholeNode) -> bool:
        """Whether nothing cuts these two off from each other."""
        return (one.name in self.parted) == (other.name in self.parted)

    # Fetches ---------------------------------------------------------------------------------------------------------

    def fetch(self, node: WholeNode, timeout: float) -> None:
        """Another value each time, as small as a manifest. Those who have it say so, until it is fetched."""
        value = f"value {len(self.values)}".encode() * 20
        key = hashlib.sha256(value).digest()
        self.values[key] = value
        for holder in self._holders():
            holder.providers.provide((key,))
        excused = bool(self.parted) or not any(not self.nodes.all[f"n{each}"].ended for each in range(HOLDERS))
        fetch = Fetch(node, self.now, key, node.resolver.get(key, timeout=timeout), excused)
        self.fetches.append(fetch)
        self.due.append(fetch)

    def _fetch_next(self) -> None:
        askers = [node for node in self.honest if not self.has_all(node)]
        if askers and self.fetching and len(self.due) < WAITING:
            self._turn += 1
            self.fetch(askers[self._turn % len(askers)], timeout=60.0)

    def _holders(self) -> list[WholeNode]:
        return [node for node in self.honest if self.has_all(node)]

    def has_all(self, node: WholeNode) -> bool:
        """Whether it is a holder."""
        return node.plan.producer is not None

    def _collect(self) -> None:
        """Note what has become of fetches. Called often: a fetch takes milliseconds."""
        for fetch in [fetch for fetch in self.due if fetch.reply.done]:
            self.due.remove(fetch)
            for holder in self._holders():
                holder.providers.withdraw((fetch.key,))
            value = fetch.reply.result()
            good = value == self.values[fetch.key]
            self.took.append((fetch, self.now - fetch.began if good else None))

    # Time ------------------------------------------------------------------------------------------------------------

    def run(self, seconds: float, look: Callable[[], object] = lambda: None) -> None:
        """Let time pass; `look` every second."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            until = min(end, self.now + FETCH_EVERY)
            self._fetch_next()
            while self.now < until - 1e-9:
                self.simulation.run(for_=min(STEP, until - self.now))
                self._collect()
            if int(self.now + 1e-6) != int(self.now - FETCH_EVERY + 1e-6):
                look()

    def measure_fetches(self, timeout: float = 10.0) -> list[float]:
        """One after the other, nobody else fetching: how long each took; `timeout` for one that failed."""
        askers = [node for node in self.honest if not self.has_all(node)]
        found = []
        for number in range(MEASURED):
            node = askers[number % len(askers)]
            began = self.now
            self.fetch(node, timeout)
            fetch = self.fetches[-1]
            while not fetch.reply.done:
                self.simulation.run(for_=0.02)
            found.append(self.now - began if fetch.reply.result() == self.values[fetch.key] else timeout)
            self._collect()
            if found.count(timeout) > FAILED:
                break
        return found

    def close(self) -> None:
        for liar in self.liars:
            liar.close()
        self.simulation.close()
