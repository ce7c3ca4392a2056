"""Many whole nodes: the real maintenance, tracker, connections and transport over the simulated wire.

Each node knows one seed, and nobody is a member of anything: all they learn of each other comes from refusals and from
peer exchange.
"""

from __future__ import annotations

import random
from functools import cache

import pytest

from rookery.transport import Reason
from tests.maintenance.clusters import HARD, LOW, QUIET, Cluster, Den, Intruder, invented, large_world

SIZES = [(0, 100), *(pytest.param(seed, 200, marks=pytest.mark.full) for seed in range(100))]
"""Seeds of clusters, and their nodes. A large one takes several seconds of processor time."""
QUICK = [pytest.param(seed, id=f"seed {seed}") for seed in range(3)]
FULL = [pytest.param(seed, id=f"seed {seed}", marks=pytest.mark.full) for seed in range(3, 100)]


def comes_inside_and_survives_a_crash(seed: int, size: int) -> str:
    with large_world(seed) as simulation:
        cluster = Cluster(simulation, **QUIET)
        cluster.grow(size)
        cluster.until_inside(30 - simulation.time)
        assert len(cluster.parts()) == 1
        for node in random.Random(seed).sample(cluster.running, size * 3 // 10):
            node.crash()
        cluster.nodes.run(0.5)  # until it is noticed
        alive = {node.peer for node in cluster.running}
        assert all(set(cluster.watches[node.name].peers.values()) <= alive for node in cluster.running)
        cluster.until_inside(29.5)
        assert len(cluster.running) == size - size * 3 // 10
        assert len(cluster.parts()) == 1
        return simulation.digest()


@pytest.mark.parametrize(("seed", "size"), SIZES)
def test_cluster_of_hundreds_from_one_seed_is_inside_bounds_in_30_s_and_again_after_a_crash_of_30_percent(
    seed: int, size: int
) -> None:
    comes_inside_and_survives_a_crash(seed, size)


def test_cluster_of_one_seed_runs_the_same_twice() -> None:
    assert comes_inside_and_survives_a_crash(7, 24) == comes_inside_and_survives_a_crash(7, 24)


@pytest.mark.full
def test_cluster_of_200_that_starts_all_at_once_is_inside_bounds_in_30_s() -> None:
    with large_world(1) as simulation:
        cluster = Cluster(simulation, **QUIET)
        cluster.grow(200, at_once=200)
        cluster.until_inside(30)
        assert len(cluster.parts()) == 1


@pytest.mark.parametrize("seed", QUICK + FULL)
def test_partition_of_a_cluster_heals(seed: int) -> None:
    with large_world(seed) as simulation:
        cluster = Cluster(simulation)
        cluster.grow(16)
        cluster.until_inside(30)
        everybody = cluster.running
        few, many = everybody[:6], everybody[6:]
        cluster.nodes.partition(few, many)
        cluster.nodes.run(20)
        assert len(cluster.parts(few)) == len(cluster.parts(many)) == 1
        assert len(cluster.parts()) == 2
        cluster.nodes.heal()
        cluster.nodes.run_until(lambda: len(cluster.parts()) == 1 and cluster.all_inside(), timeout=150, every=0.5)


@pytest.mark.parametrize("seed", QUICK + FULL)
def test_flood_of_a_thousand_connections_exceeds_no_limit_and_closes_no_protected_one(seed: int) -> None:
    with large_world(seed) as simulation:
        cluster = Cluster(simulation)
        cluster.grow(6)
        victim, watch = cluster.running[0], cluster.watches["n0"]
        cluster.nodes.run_until(lambda: watch.open >= LOW, timeout=20, every=0.5)
        protected = set(list(watch.peers.values())[:3])
        for peer in protected:
            victim.connections.protect(peer, "friend")
        intruders = [Intruder(cluster.nodes.internet, number, victim) for number in range(1000)]
        for number, intruder in enumerate(intruders):
            intruder.connect_to()
            if number % 25 == 24:
                cluster.nodes.run(0.2)  # the watch looks at every change on the way
        cluster.nodes.run(2)
        assert any(intruder.accepted for intruder in intruders)
        assert victim.counted("transport_refused_total", Reason.TOO_MANY) > 500
        assert not protected & {peer for peer, _reason in watch.ended}
        assert watch.open <= HARD


@cache
def ten_thousand() -> list[bytes]:
    return invented(10_000)


@pytest.mark.parametrize("seed", QUICK + FULL)
def test_P13_eclipse_by_one_subnet_leaves_the_configured_share_of_connections_outside_it(seed: int) -> None:
    with large_world(seed) as simulation:
        cluster = Cluster(simulation, max_per_subnet=4)
        den = Den(cluster, 8, ten_thousand())
        cluster.grow(12, ip=lambda number: f"44.{number}.0.1")
        for node in cluster.running:
            den.dial(node)
        cluster.nodes.run(40)
        liars = {cluster.nodes.known.identity(f"liar-{number}").peer for number in range(8)}
        assert sum(engine.told for engine in den.engines) > 4_000
        assert len(cluster.parts()) == 1
        for node in cluster.running:
            peers = set(cluster.watches[node.name].peers.values())
            assert len(peers - liars) >= 0.5 * LOW, f"{node.name} is half eclipsed"
