"""Chaos: real engines over real transport in one simulated world, and whatever can happen to them.

Each run draws from its seed what happens, a few things in each of six rounds: crashes, restarts (at the same or another
address, under a generation of the same second, an older or a newer one), partitions, lost packets up to 30 %, stalls,
wrong clocks, blocks, leaving and joining again. Then everything heals, and what must be true is looked at:

* a MemberUp has at most one MemberDown and a MemberDown a MemberUp, in every view, from beginning to end;
* everybody sees everybody who runs and nobody else, and has told the tracker so: also who is blocked by one of them;
* the backlogs drain.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from rookery.actors import membership, tracker
from rookery.runtime.simulation import WALL_AT_START
from rookery.transport import Gate
from rookery.transport.identity import curve_key

from ..nodes import Cluster, Node

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")
ROUNDS, ROUND = 6, 6.0
FEWEST = 3
HEALING_TIMEOUT = 150.0


class Chaos:
    """One run."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(f"chaos/{seed}")
        self.cluster = Cluster(f"chaos/{seed}", membership.Config())
        self.network = self.cluster.simulation.network
        self.left: set[str] = set()
        self.gone: dict[str, Node] = {}
        self.blocks: set[tuple[str, str]] = set()
        self.done: list[str] = []

    def run(self) -> None:
        with self.cluster.simulation:
            self.cluster.start_joined(NAMES)
            for _ in range(ROUNDS):
                for act in self.rng.sample(self.acts(), self.rng.randint(1, 3)):
                    act()
                self.cluster.run(ROUND)
                self.network.heal()
                self.resume()
            self.heal()
            self.check()

    def acts(self) -> list[Callable[[], object]]:
        return [self.crash, self.restart, self.partition, self.lose, self.stall, self.skew, self.block, self.leave]

    def pick(self) -> Node:
        return self.cluster.nodes[self.rng.choice(sorted(self.cluster.nodes))]

    def note(self, what: str, *about: object) -> None:
        self.done.append(f"{self.cluster.now:.1f} {what} {' '.join(map(str, about))}")

    # What happens ----------------------------------------------------------------------------------------------------

    def crash(self) -> None:
        if len(self.cluster.nodes) > FEWEST:
            node = self.pick()
            self.note("crash", node.name)
            self.end(node)
            self.gone[node.name] = node

    def end(self, node: Node) -> None:
        if node.host.paused:
            node.host.resume()
        node.generation = node.record.generation
        node.sees()  # no event of this life was one too many
        self.cluster.crash(node)
        self.left.discard(node.name)
        self.blocks = {(by, name) for by, name in self.blocks if by != node.name}  # they were in its memory

    def restart(self) -> None:
        """At once: the others have not noticed."""
        node = self.pick()
        self.end(node)
        self.start(node)

    def start(self, last: Node) -> None:
        second = last.generation // 1000 + self.rng.choice((-3600, -2, 0, 0, 1, 5))  # and random within it
        skew = second - (WALL_AT_START + self.cluster.now)
        moved = self.rng.random() < 0.5
        node = self.cluster.start(last.name, skew=skew + 0.5, ip=None if moved else last.ip)
        others = sorted(name for name in set(self.cluster.nodes) - {node.name} if (name, node.name) not in self.blocks)
        seeds = self.rng.sample(others, min(len(others), 2))  # whoever blocks it is no help
        self.note("start", node.name, "in the second", second, "moved" if moved else "", "seeds", *seeds)
        node.join(*(self.cluster.nodes[seed] for seed in seeds))

    def partition(self) -> None:
        names = sorted(self.cluster.nodes)
        side = self.rng.sample(names, self.rng.randint(1, len(names) - 1))
        both = self.rng.random() < 0.7
        self.note("partition", *side, "both" if both else "one way")
        self.network.partition(side, [name for name in NAMES if name not in side], both=both)

    def lose(self) -> None:
        loss = self.rng.uniform(0.0, 0.3)
        self.note("loss", f"{loss:.2f}")
        self.network.set_default(loss=loss, resend=self.rng.uniform(0.1, 0.6), latency=self.rng.uniform(0.001, 0.05))

    def stall(self) -> None:
        node = self.pick()
        self.note("stall", node.name)
        node.host.pause()

    def resume(self) -> None:
        for node in self.cluster.nodes.values():
            if node.host.paused:
                node.host.resume()

    def skew(self) -> None:
        node = self.pick()
        node.host.skew += self.rng.uniform(-3600.0, 3600.0)
        self.note("skew", node.name, node.host.skew)

    def block(self) -> None:
        """As the tracker does: the gate, and the event. Nobody is blocked by more than one."""
        blocker, blocked = (self.cluster.nodes[name] for name in self.rng.sample(sorted(self.cluster.nodes), 2))
        if blocked.name in {name for _, name in self.blocks}:
            return
        self.note("block", blocker.name, blocked.name)
        self.blocks.add((blocker.name, blocked.name))
        blocker.gate += 1
        keys = {curve_key(self.cluster.known.identity(name).peer) for by, name in self.blocks if by == blocker.name}
        blocker.net.set_gate(Gate(blocker.gate, blocked=frozenset(keys)))
        blocker.mailbox.tell(tracker.PeerBlocked(blocked.peer, float("inf")))

    def leave(self) -> None:
        node = self.pick()
        if node.name not in self.left and not node.host.paused:
            self.note("leave", node.name)
            node.mailbox.leave()
            self.left.add(node.name)

    # What must be true then ------------------------------------------------------------------------------------------

    def heal(self) -> None:
        self.note("heal")
        self.network.set_default(loss=0.0, latency=0.001)
        for node in self.gone.values():
            if node.name not in self.cluster.nodes:
                self.start(node)
        for name in sorted(self.left):
            self.cluster.nodes[name].mailbox.join()

    def check(self) -> None:
        nodes = self.cluster.nodes
        assert set(nodes) == set(NAMES)
        self.cluster.until_seldom(self.cluster.is_full, timeout=HEALING_TIMEOUT)
        self.cluster.until_seldom(lambda: not any(node.counted("backlog") for node in nodes.values()), timeout=30)
        self.cluster.run(10)
        assert self.cluster.is_full()
        named = [event for node in nodes.values() for event in node.heard(membership.MemberCheats)]
        assert named == []  # all of them were honest


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.full) for seed in range(5, 200))])
def test_cluster_through_chaos_comes_to_one_right_view(seed: int) -> None:
    chaos = Chaos(seed)
    try:
        chaos.run()
    except BaseException as error:
        error.add_note("\n".join(chaos.done))
        raise


@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(4, 14))])
def test_chaos_with_equal_seeds_has_equal_digests(seed: int) -> None:
    def digest() -> str:
        chaos = Chaos(seed)
        chaos.run()
        return chaos.cluster.simulation.digest()

    assert digest() == digest()
