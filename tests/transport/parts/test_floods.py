"""What a peer may say for nothing: every kind of message has a quota, and who keeps on over it is closed."""

from __future__ import annotations

import pytest

from rookery.transport import Reason
from rookery.transport.core.codec import PACKET_HEADS, Ping, Pong, encode_control
from tests.transport.worlds import Node, SimulatedWorld

QUESTION = [b""]  # as the side that listens asks its ZeroMQ whether there is a route


@pytest.fixture
def alice(simulated: SimulatedWorld) -> Node:
    return simulated.node("alice", heartbeat_burst=20, packet_burst=20, flood_drops=10)


@pytest.fixture
def bob(simulated: SimulatedWorld, alice: Node) -> Node:
    """He listened and alice dialled; he is the one who floods."""
    bob = simulated.node("bob")
    simulated.connected(alice, bob)
    return bob


def flood(bob: Node, alice: Node, frames: list[bytes], times: int) -> None:
    route = bob.engine.links.live[alice.peer].route
    for _ in range(times):
        bob.engine.wire.send(route, frames)


HEARTBEATS = {
    "Ping": [encode_control(Ping(0))],
    "Pong that nobody asked for": [encode_control(Pong(0))],
    "question": QUESTION,
}


@pytest.mark.parametrize("frames", HEARTBEATS.values(), ids=HEARTBEATS.keys())
def test_heartbeats_over_their_quota_are_dropped_and_who_keeps_on_is_closed(
    simulated: SimulatedWorld, alice: Node, bob: Node, frames: list[bytes]
) -> None:
    flood(bob, alice, frames, 29)
    simulated.pass_time(0.01)
    assert alice.closed() == []
    dropped = alice.counted("dropped", "heartbeat")
    assert 0 < dropped <= 9
    flood(bob, alice, frames, 50)
    simulated.until(lambda: alice.closed() == [Reason.FLOODING])
    assert alice.counted("dropped", "heartbeat") == 10


def test_ping_over_the_quota_is_not_answered(simulated: SimulatedWorld, alice: Node, bob: Node) -> None:
    live = bob.engine.links.live[alice.peer]
    for _ in range(25):
        bob.engine.ping(live)
    simulated.pass_time(0.01)
    assert live.asked == 25
    assert live.answered == 25 - alice.counted("dropped", "heartbeat") < 25


def test_answers_to_our_own_pings_have_no_quota(simulated: SimulatedWorld, alice: Node, bob: Node) -> None:
    live = alice.engine.links.live[bob.peer]
    for _ in range(100):
        alice.engine.ping(live)
    simulated.until(lambda: live.answered == 100)
    assert alice.counted("dropped", "heartbeat") == 0
    assert bob.counted("dropped", "heartbeat") == 0


def test_quota_is_the_peers_and_not_the_links(simulated: SimulatedWorld, alice: Node, bob: Node) -> None:
    flood(bob, alice, QUESTION, 20)
    simulated.pass_time(0.001)
    simulated.get(alice.net.close(bob.peer, Reason.REQUESTED))
    simulated.connected(alice, bob)
    flood(bob, alice, QUESTION, 1000)
    simulated.until(lambda: alice.closed() == [Reason.REQUESTED, Reason.FLOODING])


def test_questions_on_a_packet_link_count_as_packets_and_too_many_end_it(simulated: SimulatedWorld) -> None:
    alice, bob = simulated.node("alice", packet_burst=20, flood_drops=10), simulated.node("bob")
    alice.net.send_packet(bob.peer, bob.address, b"packet")
    simulated.until(lambda: bob.counted("packets", "received") == 1)
    (route,) = bob.engine.links.packet_routes
    for _ in range(25):
        bob.engine.wire.send(route, QUESTION)
    simulated.pass_time(0.01)
    assert bob.peer in alice.engine.links.packets
    for _ in range(50):
        bob.engine.wire.send(route, QUESTION)
    simulated.until(lambda: bob.peer not in alice.engine.links.packets)
    assert alice.counted("packets", "quota") == 10


@pytest.mark.parametrize("frames", [[PACKET_HEADS[0], b"packet"], QUESTION], ids=["packets", "questions"])
def test_dial_whose_far_end_floods_it_before_its_answer_is_over(simulated: SimulatedWorld, frames: list[bytes]) -> None:
    alice, bob = simulated.node("alice", packet_burst=20, flood_drops=10), simulated.node("bob")
    alice.net.send_packet(bob.peer, bob.address, b"packet")
    simulated.until(lambda: bob.counted("packets", "received") == 1)
    bob.gatekeeper.held = []
    alice.dial(bob)
    simulated.until(lambda: bob.gatekeeper.held)
    ((joining,),) = bob.engine.links.joining.values()
    for _ in range(100):
        bob.engine.wire.send(joining.route, frames)
    simulated.until(lambda: alice.gatekeeper.releases)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.FLOODING]
    assert alice.counted("packets", "quota") == 10
