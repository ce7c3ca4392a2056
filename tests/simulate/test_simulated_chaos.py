"""Chaos among the pure cores, where packets are really lost: up to 30 % of them, and twice as many members.

The same invariants as in `tests/membership/clusters/test_chaos.py`, which has the engines, records and transport.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from rookery.actors.membership.swim import Config, MemberDown, MemberId, MemberUp, Notification
from rookery.runtime import Link
from rookery.simulate import LAN, Cluster

MEMBERS, ROUNDS, ROUND, FEWEST = 12, 8, 6.0, 7


class Chaos:
    """One run. Member 0 is a seed of all, and nobody special otherwise."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(f"chaos/{seed}")
        self.cluster = Cluster(Config.new_lan(), seed=seed, heed=self.heed)
        self.up: dict[object, set[MemberId]] = {}
        self.absent: set[int] = set()
        self.blocked: set[int] = set()
        self.done: list[str] = []

    def heed(self, _time: float, observer: int, note: Notification) -> None:
        """A Down only of whom there was an Up, and no second Up in between; of one life of the observer."""
        active = self.up.setdefault(self.cluster.processes[observer], set())
        match note:
            case MemberUp(member):
                assert not any(member.key == other.key for other in active)
                active.add(member)
            case MemberDown(member):
                (before,) = [other for other in active if other.key == member.key]
                active.discard(before)
            case _:
                pass

    def run(self) -> None:
        cluster = self.cluster
        cluster.start(MEMBERS, every=0.05)
        cluster.run(10)
        for _ in range(ROUNDS):
            for act in self.rng.sample(self.acts(), self.rng.randint(1, 3)):
                act()
            cluster.run(ROUND)
            cluster.heal()
        cluster.network.link = LAN
        cluster.run(8.0)  # the longest stall
        for number in sorted(self.absent):
            cluster.restart(number, seeds=self.seeds(number))
        cluster.run_until(lambda: cluster.views.is_exact, timeout=150)
        cluster.run_until(lambda: not any(each.swim.updates_backlog() for each in cluster.processes), timeout=30)
        cluster.run(20)
        assert cluster.views.is_exact

    def acts(self) -> list[Callable[[], object]]:
        return [self.crash, self.leave, self.restart, self.stall, self.partition, self.lose, self.block]

    def pick(self) -> int:
        return self.rng.choice([number for number in range(MEMBERS) if number not in self.absent])

    def seeds(self, number: int) -> list[int]:
        """Two who run, of whom none is blocked or blocks."""
        there = [each for each in range(MEMBERS) if each not in self.absent | self.blocked | {number}]
        return self.rng.sample(there, min(len(there), 2))

    def note(self, what: str, *about: object) -> None:
        self.done.append(f"{self.cluster.now:.1f} {what} {' '.join(map(str, about))}")

    def crash(self) -> None:
        self.end(self.cluster.crash)

    def leave(self) -> None:
        self.end(self.cluster.leave)

    def end(self, how: Callable[[int], object]) -> None:
        number = self.pick()
        if MEMBERS - len(self.absent) > FEWEST and not self.cluster.processes[number].is_stalled:
            self.note(how.__name__, number)
            how(number)
            self.absent.add(number)

    def restart(self) -> None:
        number = self.pick()
        same = self.rng.random() < 0.5
        self.note("restart", number, "same generation" if same else "")
        self.cluster.restart(number, seeds=self.seeds(number), same_generation=same)

    def stall(self) -> None:
        number = self.pick()
        self.note("stall", number)
        self.cluster.stall(number, self.rng.uniform(1.0, 8.0))

    def partition(self) -> None:
        side = self.rng.sample(range(MEMBERS), self.rng.randint(1, MEMBERS - 1))
        self.note("partition", *side)
        self.cluster.partition(side)

    def lose(self) -> None:
        loss = self.rng.uniform(0.0, 0.3)
        self.note("loss", f"{loss:.2f}")
        self.cluster.network.link = Link(latency=0.001, jitter=self.rng.uniform(0.005, 0.2) - 0.001, loss=loss)

    def block(self) -> None:
        pair = self.rng.sample([number for number in range(MEMBERS) if number not in self.absent], 2)
        if len(self.blocked) < 4 and not self.blocked & set(pair):
            self.note("block", *pair)
            self.cluster.block(*pair)
            self.blocked |= set(pair)


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.full) for seed in range(5, 200))])
def test_cores_through_chaos_come_to_one_right_view(seed: int) -> None:
    chaos = Chaos(seed)
    try:
        chaos.run()
    except BaseException as error:
        error.add_note("\n".join(chaos.done))
        raise
