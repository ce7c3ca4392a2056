"""Over random orders of events: one connection per peer, every ticket and every event exactly once.

Each run is a simulation of its own seed, so its messages interleave differently and its network delays differently.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from rookery import transport
from rookery.transport import Reason
from tests.transport.worlds import Node, SimulatedWorld

QUICK, FULL = range(10), range(10, 1000)


def check_events(node: Node, other: Node) -> None:
    """Opened and Closed alternate, and close what was opened; nothing is received outside."""
    open_link: int | None = None
    for event in node.observer.control.received():
        if isinstance(event, transport.Opened):
            assert open_link is None, f"{node.name}: opened twice"
            assert event.link.peer == other.peer
            open_link = event.link.id
        elif isinstance(event, transport.Closed):
            assert event.link_id == open_link, f"{node.name}: closed what was not open"
            open_link = None


def check_tickets(node: Node) -> None:
    """Each ticket is released once, or is the one of a live connection."""
    released = Counter(ticket.id for ticket, _ in node.gatekeeper.releases)
    assert all(times == 1 for times in released.values()), f"{node.name}: {released}"
    assert node.counted_slots() == len(node.links())


def run_schedule(seed: int) -> str:
    world = SimulatedWorld(seed)
    rng = random.Random(seed)
    world.simulation.network.set_default(latency=0.005, jitter=rng.choice([0.0, 0.001, 0.05]))
    nodes = alice, bob = world.node("alice"), world.node("bob")
    for _ in range(rng.randrange(1, 8)):
        node, other = rng.choice([(alice, bob), (bob, alice)])
        match rng.choice(["dial", "dial", "dial", "packet", "packet", "close", "close_link", "wait"]):
            case "dial":
                node.dial(other)
            case "packet":
                node.net.send_packet(other.peer, other.address, b"packet")
            case "close":
                node.net.close(other.peer, Reason.REQUESTED)
            case "close_link" if node.links():
                node.net.close_link(node.links()[-1].id, Reason.TRIMMED)
            case _:
                pass
        if rng.random() < 0.5:
            world.pass_time(rng.choice([0.0, 0.001, 0.006, 0.02, 0.3]))
    world.pass_time(30)
    for node, other in ((alice, bob), (bob, alice)):
        check_events(node, other)
        check_tickets(node)
    assert len(alice.links()) == len(bob.links()) <= 1
    if alice.links():  # the one connection works, both ways
        for node in nodes:
            node.net.send(node.links()[0].id, 16, b"works")
        world.until(lambda: alice.payloads() and bob.payloads())
    digest = world.simulation.digest()
    world.close()
    return digest


@pytest.mark.parametrize("seed", QUICK)
def test_any_order_of_dials_and_closes_leaves_at_most_one_working_connection(seed: int) -> None:
    run_schedule(seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", FULL)
def test_any_order_of_dials_and_closes_leaves_at_most_one_working_connection_many(seed: int) -> None:
    run_schedule(seed)


def test_schedule_run_twice_with_one_seed_has_one_digest() -> None:
    assert run_schedule(3) == run_schedule(3)
    assert run_schedule(3) != run_schedule(4)


@pytest.mark.parametrize("seed", range(30))
def test_simultaneous_dials_at_any_distance_leave_exactly_one_connection(seed: int) -> None:
    world = SimulatedWorld(seed)
    rng = random.Random(seed)
    world.simulation.network.set_default(latency=0.01, jitter=rng.choice([0.0, 0.02]))
    alice, bob = world.node("alice"), world.node("bob")
    for node, other in rng.choice([(), ((alice, bob),), ((bob, alice),), ((alice, bob), (bob, alice))]):
        node.net.send_packet(other.peer, other.address, b"packet")
        world.pass_time(rng.choice([0.0, rng.random() * 0.06]))
    alice.dial(bob)
    world.pass_time(rng.random() * 0.06)
    bob.dial(alice)
    world.pass_time(20)
    assert len(alice.links()) == len(bob.links()) == 1
    check_tickets(alice)
    check_tickets(bob)
    world.close()


def run_recovery(seed: int) -> None:
    """An old link that one side may hold to be alive, then dials of both, of which one may go to a wrong address."""
    world, rng = SimulatedWorld(f"recovery {seed}"), random.Random(seed)
    network = world.simulation.network
    network.set_default(latency=0.005, jitter=rng.choice([0.0, 0.02]))
    nodes = {name: world.node(name, heartbeat_timeout=60.0) for name in ("alice", "bob")}
    void = world.node("void").address
    network.partition(["void"], ["alice", "bob"])
    wrong = rng.choice([None, "alice", "bob"])
    if rng.random() < 0.7:  # the end of the old link is heard of by one side only
        world.connected(*rng.choice([tuple(nodes.values()), tuple(nodes.values())[::-1]]))
        loser, holder = rng.choice([("alice", "bob"), ("bob", "alice")])
        network.partition(["alice"], ["bob"])
        if rng.random() < 0.5:
            world.simulation.node(loser).crash()
            world.pass_time(2)
            nodes[loser] = world.node(loser, heartbeat_timeout=60.0)
        else:
            world.get(nodes[loser].net.close(nodes[holder].peer, Reason.REQUESTED))
        wrong = rng.choice([None, holder])  # who still has the old link need not find the other
        network.heal()
        network.partition(["void"], ["alice", "bob"])
    alice, bob = nodes["alice"], nodes["bob"]
    for node, other in ((alice, bob), (bob, alice)):
        if rng.random() < 0.3:
            node.net.send_packet(other.peer, other.address, b"packet")
            world.pass_time(rng.choice([0.0, rng.random() * 0.06]))
    for node, other in rng.choice([((alice, bob), (bob, alice)), ((bob, alice), (alice, bob))]):
        node.dial(other, address=void if node.name == wrong else None)
        world.pass_time(rng.choice([0.0, 0.005, rng.random() * 0.06]))
    world.pass_time(20)
    assert len(alice.links()) == len(bob.links()) == 1
    assert alice.link_to(bob).direction is not bob.link_to(alice).direction
    for node in (alice, bob):
        node.net.send(node.links()[0].id, 16, b"works")
        check_tickets(node)
    world.until(lambda: alice.payloads() and bob.payloads())
    world.close()


@pytest.mark.parametrize("seed", QUICK)
def test_dials_of_which_one_can_succeed_leave_one_connection_whatever_was_before(seed: int) -> None:
    run_recovery(seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", FULL)
def test_dials_of_which_one_can_succeed_leave_one_connection_whatever_was_before_many(seed: int) -> None:
    run_recovery(seed)


@pytest.mark.parametrize("restarted", ["alice", "bob"])
def test_restarted_peer_gets_its_connection_although_the_old_one_seems_alive(restarted: str) -> None:
    world = SimulatedWorld(restarted)
    alice, bob = world.node("alice", heartbeat_timeout=60.0), world.node("bob", heartbeat_timeout=60.0)
    world.connected(alice, bob)
    survivor = bob if restarted == "alice" else alice
    world.simulation.network.partition(["alice"], ["bob"])  # the end of the old stream is not heard of
    world.simulation.node(restarted).crash()
    world.pass_time(2)
    world.simulation.network.heal()
    again = world.node(restarted)
    again.dial(survivor)
    world.until(lambda: again.links())
    world.until(lambda: Reason.REPLACED in survivor.closed() or Reason.LOST in survivor.closed())
    world.until(lambda: len(survivor.links()) == 1)
    check_tickets(survivor)
    world.close()


def test_partitioned_peer_is_dead_after_the_heartbeat_timeout() -> None:
    world = SimulatedWorld("partition")
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    world.simulation.network.partition(["alice"], ["bob"])
    world.until(lambda: alice.closed() and bob.closed(), timeout=10)
    assert alice.closed() == bob.closed() == [Reason.DEAD]
    world.simulation.network.heal()
    world.connected(alice, bob)
    world.close()


def test_peer_whose_heartbeats_wait_unread_in_a_process_that_stalled_is_not_dead() -> None:
    world = SimulatedWorld("stall")
    alice, bob = world.node("alice", heartbeat_timeout=4.0), world.node("bob")
    world.connected(alice, bob)
    world.pass_time(1.5)
    alice.runtime.pause()
    world.pass_time(5)
    alice.runtime.resume()
    world.pass_time(10)
    assert alice.closed() == bob.closed() == []
    world.close()


def test_one_way_partition_ends_the_connection_on_both_sides() -> None:
    world = SimulatedWorld("one way")
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    world.simulation.network.partition(["alice"], ["bob"], both=False)
    world.until(lambda: alice.closed() and bob.closed(), timeout=10)
    assert bob.closed() == [Reason.DEAD]
    world.close()


def test_crashed_peer_is_lost_at_once() -> None:
    world = SimulatedWorld("crash")
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    world.simulation.node("bob").crash()
    world.until(lambda: alice.closed(), timeout=0.1)
    assert alice.closed() == [Reason.LOST]
    world.close()


def test_dial_into_a_partition_times_out_and_gives_everything_back() -> None:
    world = SimulatedWorld("dial")
    alice, bob = world.node("alice"), world.node("bob")
    world.simulation.network.partition(["alice"], ["bob"])
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases, timeout=20)
    assert alice.gatekeeper.releases == [(ticket, Reason.TIMEOUT)]
    check_tickets(alice)
    world.close()


@pytest.mark.parametrize("when", [0.0, 0.001, 0.003, 0.005, 0.007, 0.009, 0.02])
def test_block_at_any_moment_of_a_handshake_leaves_nothing_of_the_peer(when: float) -> None:
    world = SimulatedWorld(f"block {when}")
    alice, bob = world.node("alice"), world.node("bob")
    alice.dial(bob)
    world.pass_time(when)
    world.get(bob.net.set_gate(transport.Gate(2, blocked=frozenset({alice.identity.curve_public}))))
    world.get(bob.net.close(alice.peer, Reason.BLOCKED))
    world.pass_time(20)
    assert alice.links() == bob.links() == []
    check_tickets(alice)
    check_tickets(bob)
    world.close()
