"""A node whose connections are of no use to it: with peers that its own set does not list, or that lack the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rookery.runtime import Reply, Simulation
from rookery.testing import SimulatedNodes, WholeNode
from tests.flows.flows import KEY, VALUE, Larder

NARROW: dict[str, Any] = {"policy": "band", "min_connections": 1, "expected_connections": 1, "max_connections": 8}
FULL: dict[str, Any] = {**NARROW, "max_connections": 1}
CONTENT: dict[str, Any] = {**NARROW, "min_connections": 0}  # nobody is ever dialled for the sake of the number


class World:
    """Alice tracks bob and others; strangers track alice and are connected with her first."""

    def __init__(self, simulation: Simulation, *, latency: float = 0.001) -> None:
        self.nodes = SimulatedNodes(simulation)
        simulation.network.set_default(latency=latency)

    def start(self, name: str, maintenance: dict[str, Any] = NARROW, **options: Any) -> WholeNode:
        transport = {"reserved_outbound": 0, "max_connections": maintenance["max_connections"]}
        return self.nodes.start(
            name,
            member=False,
            tracker={"source": "application"},
            transport=transport,
            maintenance=maintenance,
            connections={"grace_period": 1.0},
            **options,
        )

    def track(self, who: WholeNode, *whom: WholeNode, number: int = 1) -> None:
        who.tracker.track(number, {other.peer: other.address for other in whom}).get(timeout=20)

    def strangers(self, number: int, alice: WholeNode) -> list[WholeNode]:
        """So many are connected with alice, and nobody else is."""
        found = [self.start(f"stranger-{each}") for each in range(number)]
        for stranger in found:
            self.track(stranger, alice)
        self.nodes.run_until(lambda: alice.is_connected_to(*found), timeout=20)
        return found


def dials(node: WholeNode) -> float:
    return sum(node.counted("maintenance_dials_total", end) for end in ("opened", "failed", "refused"))


@pytest.mark.parametrize("latency", [0.001, 0.1])
def test_node_in_its_band_with_strangers_alone_dials_a_peer_of_its_set(simulation: Any, latency: float) -> None:
    world = World(simulation, latency=latency)
    alice, bob = world.start("alice"), world.start("bob", producer=Larder())
    world.strangers(3, alice)
    world.track(alice, bob)
    world.nodes.run_until(lambda: alice.is_connected_to(bob), timeout=10)
    assert alice.resolver.get(KEY, timeout=5).get(timeout=10) == VALUE


@pytest.mark.parametrize("latency", [0.001, 0.1])
def test_node_full_of_strangers_closes_one_for_a_peer_of_its_set_and_keeps_that(
    simulation: Any, latency: float
) -> None:
    world = World(simulation, latency=latency)
    alice, bob = world.start("alice", FULL), world.start("bob", producer=Larder())
    world.strangers(1, alice)
    world.track(alice, bob)
    world.nodes.run_until(lambda: alice.is_connected_to(bob), timeout=20)
    opened = alice.counted("maintenance_dials_total", "opened")
    world.nodes.run(300)  # the stranger connects all the time
    assert alice.connected() == {bob.peer}
    assert alice.counted("maintenance_dials_total", "opened") == opened


def test_node_at_its_upper_threshold_trims_strangers_for_peers_of_its_set_and_comes_to_rest(simulation: Any) -> None:
    world = World(simulation)
    alice, bob = world.start("alice"), world.start("bob")
    world.strangers(6, alice)  # 6 is the upper threshold of 1, 1, 8
    world.nodes.run(2)
    world.track(alice, bob)
    world.nodes.run_until(lambda: alice.is_connected_to(bob), timeout=20)
    world.nodes.run(60)
    before = dials(alice)
    for _ in range(60):
        world.nodes.run(5)
        assert alice.is_connected_to(bob)
    assert dials(alice) == before


def test_node_whose_set_cannot_be_dialled_is_content_with_strangers_and_stops_dialling(simulation: Any) -> None:
    world = World(simulation)
    alice, bob = world.start("alice"), world.start("bob")
    friends = world.strangers(3, alice)
    bob.crash()
    world.track(alice, bob)
    world.nodes.run(1200)
    before = dials(alice)
    assert 0 < before < 20
    world.nodes.run(3600)
    assert dials(alice) == before
    assert alice.is_connected_to(*friends)
    assert alice.maintenance.standing().get(timeout=5).level == "in_band"


def test_key_that_waits_brings_a_connection_with_a_peer_of_the_set_whatever_the_band_says(simulation: Any) -> None:
    world = World(simulation)
    alice, bob = world.start("alice", CONTENT), world.start("bob", producer=Larder())
    world.strangers(6, alice)
    world.track(alice, bob)
    world.nodes.run(30)
    assert not alice.is_connected_to(bob)
    assert alice.resolver.get(KEY, timeout=10).get(timeout=20) == VALUE


def test_key_that_no_neighbour_has_is_found_with_the_only_peer_of_the_set_that_has_it(simulation: Any) -> None:
    world = World(simulation)
    alice = world.start("alice")
    others = [world.start(f"n{number}") for number in range(3)]
    world.track(alice, *others)
    world.nodes.run_until(alice.connected, timeout=10)
    holder = world.start("holder", producer=Larder())
    world.track(alice, *others, holder, number=2)
    world.nodes.run(30)
    assert not alice.is_connected_to(holder)
    reply = alice.resolver.get(KEY, timeout=100)
    world.nodes.run_until(lambda: reply.done, timeout=60)
    assert reply.result() == VALUE


class Lacks(Larder):
    """Says at once that it has nothing."""

    def produce(self, key: bytes) -> None:
        return None


class Silent(Larder):
    """Never says anything."""

    def produce(self, key: bytes) -> Any:
        return Reply()


def among(world: World, others: type[Larder]) -> tuple[WholeNode, WholeNode]:
    """A node that is content with some of eleven peers, and the only one of these that has the data."""
    band = {**NARROW, "min_connections": 3, "expected_connections": 3, "max_connections": 20}
    alice = world.start("alice", band)
    neighbours = [world.start(f"n{number}", producer=others()) for number in range(3)]
    world.track(alice, *neighbours)
    world.nodes.run_until(lambda: alice.is_connected_to(*neighbours), timeout=10)
    holder = world.start("holder", producer=Larder())
    rest = [world.start(f"far{number}", producer=others()) for number in range(7)]
    world.track(alice, *neighbours, holder, *rest, number=2)
    return alice, holder


def seconds_of_a_get(world: World, node: WholeNode) -> float:
    began = world.nodes.simulation.time
    reply = node.resolver.get(KEY, timeout=200)
    world.nodes.run_until(lambda: reply.done, timeout=220)
    assert reply.result() == VALUE
    return world.nodes.simulation.time - began


@pytest.mark.parametrize("latency", [0.001, 0.1])
@pytest.mark.parametrize("others", [Lacks, Silent])
def test_first_fetch_finds_the_only_holder_among_eleven_at_the_pace_of_dials(
    simulation: Any, others: type[Larder], latency: float
) -> None:
    world = World(simulation, latency=latency)
    alice, holder = among(world, others)
    assert not alice.is_connected_to(holder)
    assert seconds_of_a_get(world, alice) < 15


def test_first_fetch_after_a_restart_finds_the_only_holder_among_eleven_at_the_pace_of_dials() -> None:
    with Simulation(0) as simulation:
        world = World(simulation)
        alice, _ = among(world, Lacks)
        alice = world.nodes.restart(alice)
        world.track(alice, *(node for node in world.nodes.running if node is not alice))
        assert seconds_of_a_get(world, alice) < 15


@pytest.mark.parametrize("seed", range(5))
def test_key_comes_to_every_node_of_a_line_of_sets_with_strangers_in_between(seed: int) -> None:
    """Each node lists the next two, the last lists the first; only one of them has the data."""
    with Simulation(seed) as simulation:
        world = World(simulation, latency=0.1)
        nodes = [world.start(f"n{number}", producer=None if number % 4 else Larder()) for number in range(12)]
        strangers = [world.start(f"stranger-{number}") for number in range(12)]
        for stranger, node in zip(strangers, nodes, strict=True):
            world.track(stranger, node)
        world.nodes.run(5)
        for number, node in enumerate(nodes):
            world.track(node, *(nodes[(number + step) % len(nodes)] for step in (1, 2, 3, 4)))
        get_all(world.nodes, nodes)


def get_all(nodes: SimulatedNodes, whose: Sequence[WholeNode]) -> None:
    replies = [node.resolver.get(KEY, timeout=120) for node in whose]
    nodes.run_until(lambda: all(reply.done for reply in replies), timeout=130, every=1.0)
    assert [reply.result() for reply in replies] == [VALUE] * len(replies)
