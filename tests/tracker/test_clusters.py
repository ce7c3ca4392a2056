"""Whole nodes whose applications track peer sets, each at its own time: what a set says is what connections come to.

Each scenario runs over many seeds, twice with each: both runs are the same run.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from rookery.actors import tracker
from rookery.runtime import Reply, Simulation
from rookery.testing import SimulatedNodes, WholeNode
from rookery.transport import Address, PeerId, Reason

QUICK, FULL = range(3), range(3, 100)
TRACKER = {"source": "application", "admission": "tracked", "tracked_peer_sets": 2, "cooldown": 0.2}
Scenario = Callable[[Simulation, random.Random], None]


class Shelf:
    """Serves the same values on every node, so that there is something to fetch all the time."""

    def __init__(self, count: int) -> None:
        values = [f"value {number}".encode() * 20 for number in range(count)]
        self.values = {hashlib.sha256(value).digest(): value for value in values}
        self.asked = 0

    def produce(self, key: bytes) -> bytes | None:
        self.asked += 1
        return self.values.get(key)


def cluster(
    simulation: Simulation, rng: random.Random, count: int, ips: Mapping[int, str] = MappingProxyType({})
) -> tuple[SimulatedNodes, list[WholeNode], Shelf]:
    """Nodes that know nobody yet, on a network with some delay."""
    simulation.network.set_default(latency=rng.choice([0.001, 0.02]), jitter=rng.choice([0.0, 0.01]))
    nodes, shelf = SimulatedNodes(simulation), Shelf(40)
    started = [
        nodes.start(f"n{number}", ip=ips.get(number), producer=shelf, member=False, tracker=TRACKER)
        for number in range(count)
    ]
    return nodes, started, shelf


def book(nodes: list[WholeNode]) -> dict[PeerId, Address]:
    return {node.peer: node.address for node in nodes}


def settled(node: WholeNode, others: list[WholeNode]) -> bool:
    """Connected to these, and to nobody else."""
    return node.connected() == {other.peer for other in others} - {node.peer}


# The scenarios -------------------------------------------------------------------------------------------------------


def sets_move_at_different_times(simulation: Simulation, rng: random.Random) -> None:
    """Five nodes, of which each epoch has three or four; each node hears of an epoch up to 3 s after another."""
    nodes, all_of_them, _ = cluster(simulation, rng, 5)
    epochs = [sorted(rng.sample(range(5), rng.choice([3, 4]))) for _ in range(4)]
    due = sorted((4.0 * number + rng.uniform(0, 3), number, node) for number in range(4) for node in range(5))
    tracked: dict[int, list[set[PeerId]]] = {number: [] for number in range(5)}
    for at, number, who in due:
        nodes.run(at - simulation.time)
        members = [all_of_them[each] for each in epochs[number]]
        all_of_them[who].tracker.track(number, book(members)).get(timeout=5)
        tracked[who] = [*tracked[who], set(book(members))][-2:]
        for each, node in enumerate(all_of_them):  # at no time is anybody connected whom no set of the window lists
            assert node.connected() <= set().union(*tracked[each])
    last = {all_of_them[number].peer for epoch in epochs[-2:] for number in epoch}
    for node in all_of_them:
        wanted = [other for other in all_of_them if node.peer in last and other.peer in last]
        nodes.run_until(lambda node=node, wanted=wanted: settled(node, wanted), timeout=30)  # type: ignore[misc]


def addresses_move_under_load(simulation: Simulation, rng: random.Random) -> None:
    """Two of four nodes move to another IP while everybody fetches; the others hear of it one after the other."""
    nodes, all_of_them, shelf = cluster(simulation, rng, 4)
    for node in all_of_them:
        node.tracker.track(1, book(all_of_them)).get(timeout=5)
    nodes.run_until(lambda: all(settled(node, all_of_them) for node in all_of_them), timeout=30)
    fetches: list[Reply[bytes]] = []
    for round in range(2):
        fetches += [all_of_them[number].resolver.get(key, timeout=60) for number in (2, 3) for key in some(shelf, rng)]
        mover = all_of_them[round]
        mover.crash()
        mover.plan = replace(mover.plan, ip=f"10.200.{round}.{rng.randrange(1, 200)}")
        all_of_them[round] = moved = nodes.restart(mover)
        moved.tracker.track(1, book(all_of_them)).get(timeout=5)
        for other in rng.sample([node for node in all_of_them if node is not moved], 3):
            nodes.run(rng.uniform(0, 1))
            if rng.random() < 0.5:
                other.tracker.overwrite({moved.peer: moved.address}).get(timeout=5)
            else:
                other.tracker.track(round + 2, book(all_of_them)).get(timeout=5)
        nodes.run_until(lambda: all(settled(node, all_of_them) for node in all_of_them), timeout=60)
    for fetch in fetches:
        assert hashlib.sha256(fetch.get(timeout=60)).digest() in shelf.values


def a_peer_is_blocked_while_sending(simulation: Simulation, rng: random.Random) -> None:
    """n0 blocks n1 in the middle of n1's questions to it; n2 goes on answering n1."""
    nodes, (blocker, sender, other), shelf = cluster(simulation, rng, 3)
    for node in (blocker, sender, other):
        node.tracker.track(1, book([blocker, sender] if node is blocker else [blocker, sender, other])).get(timeout=5)
    nodes.run_until(lambda: settled(sender, [blocker, other]), timeout=30)
    fetches = [sender.resolver.get(key, timeout=60) for key in shelf.values]
    nodes.run_until(lambda: blocker.counted("transport_received_total") > 0, timeout=5, every=0.002)
    assert not all(fetch.done for fetch in fetches)
    by_ip = rng.random() < 0.5
    target: tracker.Target = sender.address.endpoint.ip if by_ip and sender.address.endpoint.ip else sender.peer
    blocker.tracker.block(target, 5.0).get(timeout=5)
    assert not blocker.connected()
    heard = blocker.counted("transport_received_total")
    nodes.run(4.0)
    assert blocker.counted("transport_received_total") == heard  # nobody but the sender is connected to it
    assert sender.connected() == {other.peer}
    assert [hashlib.sha256(fetch.get(timeout=60)).digest() for fetch in fetches] == list(shelf.values)
    nodes.run_until(lambda: settled(sender, [blocker, other]), timeout=90)  # the block is over


def two_peers_share_an_egress_ip(simulation: Simulation, rng: random.Random) -> None:
    """n1 and n2 come from one IP. Each is let in, and blocked, by itself; a block of the IP is of both."""
    shared = "10.77.0.1"
    nodes, (gate, one, two), _ = cluster(simulation, rng, 3, ips={1: shared, 2: shared})
    for node in rng.sample([gate, one, two], 3):
        nodes.run(rng.uniform(0, 1))
        node.tracker.track(1, book([gate, one, two])).get(timeout=5)
    nodes.run_until(lambda: settled(gate, [one, two]), timeout=30)
    first, second = rng.sample([one, two], 2)
    gate.tracker.block(first.peer, 1000.0).get(timeout=5)
    assert gate.connected() == {second.peer}
    nodes.run(rng.uniform(0, 5))
    assert gate.connected() == {second.peer}
    gate.tracker.block(second.peer, 3.0).get(timeout=5)
    assert gate.connected() == frozenset()
    nodes.run(2.0)
    assert gate.connected() == frozenset()
    nodes.run_until(lambda: settled(gate, [second]), timeout=90)
    gate.tracker.unblock(first.peer).get(timeout=5)
    nodes.run_until(lambda: settled(gate, [one, two]), timeout=90)
    assert one.address.endpoint.ip is not None
    gate.tracker.block(one.address.endpoint.ip, 2.0).get(timeout=5)
    assert gate.connected() == frozenset()
    assert gate.counted("transport_closed_total", Reason.BLOCKED) >= 4
    nodes.run_until(lambda: settled(gate, [one, two]), timeout=90)


def two_peers_claim_one_address(simulation: Simulation, rng: random.Random) -> None:
    """n1 and n2 are both said to be where n1 is: each who asks for n1 reaches it, and nobody takes it for n2."""
    nodes, (asker, rightful, misplaced), _ = cluster(simulation, rng, 3)
    wrong = {**book([asker, rightful]), misplaced.peer: rightful.address}
    offline = rng.random() < 0.5  # the rightful one may come only after the other was looked for there
    if offline:
        nodes.partition([rightful], [asker, misplaced])
    asker.tracker.track(1, wrong).get(timeout=5)
    rightful.tracker.track(1, wrong).get(timeout=5)
    nodes.run(rng.uniform(1, 5))
    nodes.heal()
    nodes.run_until(lambda: settled(asker, [rightful]), timeout=120)
    nodes.run(rng.uniform(0, 5))
    assert settled(asker, [rightful])
    misplaced.tracker.track(1, book([asker, rightful, misplaced])).get(timeout=5)
    for node in (asker, rightful):
        node.tracker.overwrite({misplaced.peer: misplaced.address}).get(timeout=5)
    nodes.run_until(lambda: settled(asker, [rightful, misplaced]), timeout=120)


def some(shelf: Shelf, rng: random.Random) -> list[bytes]:
    return rng.sample(list(shelf.values), 10)


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        sets_move_at_different_times,
        addresses_move_under_load,
        a_peer_is_blocked_while_sending,
        two_peers_share_an_egress_ip,
        two_peers_claim_one_address,
    )
}


def digest(scenario: Scenario, seed: int) -> str:
    with Simulation(f"{scenario.__name__} {seed}") as simulation:
        scenario(simulation, random.Random(seed))
        return simulation.digest()


@pytest.mark.parametrize("seed", QUICK)
@pytest.mark.parametrize("name", SCENARIOS)
def test_cluster_comes_to_what_its_trackers_say_and_twice_to_the_same(name: str, seed: int) -> None:
    assert digest(SCENARIOS[name], seed) == digest(SCENARIOS[name], seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", FULL)
@pytest.mark.parametrize("name", SCENARIOS)
def test_cluster_comes_to_what_its_trackers_say_and_twice_to_the_same_many(name: str, seed: int) -> None:
    assert digest(SCENARIOS[name], seed) == digest(SCENARIOS[name], seed)
