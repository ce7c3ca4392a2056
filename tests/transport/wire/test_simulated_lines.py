"""Transport on the simulated network where a node has one uplink and one downlink."""

from __future__ import annotations

import pytest

from rookery.transport.core.codec import encode_batch
from rookery.transport.core.window import FIRST
from rookery.transport.wire import Sent
from tests.transport.worlds import Node, SimulatedWorld

LINE = 1_250_000  # bytes per second
SIZE = 64 * 1024


class Star:
    """alice in the middle, with the lines of her own; bob and carol."""

    def __init__(self, world: SimulatedWorld) -> None:
        self.world, self.network = world, world.simulation.network
        self.alice, self.bob, self.carol = (world.node(name) for name in ("alice", "bob", "carol"))
        for other in (self.bob, self.carol):
            world.connected(self.alice, other)

    def bulk(self, sender: Node, receiver: Node, messages: int) -> None:
        for _ in range(messages):
            sender.net.send(sender.link_to(receiver).id, 16, bytes(SIZE))


@pytest.fixture
def star(simulated: SimulatedWorld) -> Star:
    return Star(simulated)


def test_peers_share_the_uplink_about_fairly_and_it_is_used_up(star: Star) -> None:
    star.network.set_node("alice", uplink=LINE)
    star.bulk(star.alice, star.bob, 100)
    star.bulk(star.alice, star.carol, 100)
    star.world.pass_time(5.0)
    received = [len(node.payloads()) * SIZE for node in (star.bob, star.carol)]
    assert 0.9 * 5 * LINE < sum(received) <= 5 * LINE
    assert 0.8 < received[0] / received[1] < 1.25
    assert star.alice.closed() == []


def test_senders_share_the_downlink_about_fairly_and_it_is_used_up(star: Star) -> None:
    star.network.set_node("alice", downlink=LINE)
    star.bulk(star.bob, star.alice, 100)
    star.bulk(star.carol, star.alice, 100)
    star.world.pass_time(5.0)
    senders = [message.peer for message in star.alice.receiver.control.received() if hasattr(message, "payload")]
    received = [senders.count(node.peer) * SIZE for node in (star.bob, star.carol)]
    assert 0.9 * 5 * LINE < sum(received) <= 5 * LINE
    assert 0.8 < received[0] / received[1] < 1.25


def test_what_waits_for_the_uplink_stays_in_the_window_and_the_rest_with_transport(star: Star) -> None:
    star.network.set_node("alice", uplink=LINE / 100)
    star.bulk(star.alice, star.bob, 64)
    star.world.pass_time(1.0)
    live = next(live for live in star.alice.engine.links.by_id.values() if live.link.peer == star.bob.peer)
    assert live.blocked
    assert live.window.under_way <= FIRST + SIZE
    assert live.outbox.bytes >= 64 * SIZE - FIRST - SIZE


def test_message_with_priority_and_heartbeats_pass_bulk_to_everybody_else(star: Star) -> None:
    star.network.set_node("alice", uplink=LINE)
    star.bulk(star.alice, star.bob, 200)
    star.bulk(star.alice, star.carol, 200)
    star.world.pass_time(3.0)
    started = star.world.simulation.time
    star.alice.net.send(star.alice.link_to(star.bob).id, 16, b"first", priority=True)
    star.world.until(lambda: b"first" in star.bob.payloads())
    # Before it is what both links have under way; all of the bulk would take ten times as long.
    assert 0.0 < star.world.simulation.time - started < 1.0
    assert len(star.bob.payloads()) < 200


def test_route_is_full_with_as_many_messages_as_wait_for_the_uplink_and_free_again_later(star: Star) -> None:
    frames = encode_batch([(16, bytes(100))])
    star.network.set_node("alice", uplink=100 * sum(map(len, frames)))  # a hundred messages per second
    wire = star.alice.engine.wire
    live = next(live for live in star.alice.engine.links.by_id.values() if live.link.peer == star.bob.peer)
    high_water = 1000  # of a wire that is told nothing else
    assert [wire.send(live.route, frames) for _ in range(high_water + 5)] == [Sent.OK] * high_water + [Sent.FULL] * 5
    star.world.pass_time(0.055)
    assert [wire.send(live.route, frames) for _ in range(7)] == [Sent.OK] * 5 + [Sent.FULL] * 2


def test_connection_of_another_peer_waits_behind_bulk(star: Star) -> None:
    star.network.set_node("alice", uplink=LINE / 10)
    star.bulk(star.alice, star.bob, 10)
    star.world.pass_time(0.01)
    dave = star.world.node("dave")
    started = star.world.simulation.time
    star.world.connected(star.alice, dave)
    assert star.world.simulation.time - started > 0.5


def digest(seed: int, uplink: float) -> str:
    world = SimulatedWorld(seed)
    try:
        star = Star(world)
        star.network.set_default(latency=0.01, jitter=0.01, loss=0.05)
        star.network.set_node("alice", uplink=uplink, downlink=LINE)
        for other in (star.bob, star.carol):
            star.bulk(star.alice, other, 10)
            star.bulk(other, star.alice, 10)
        world.pass_time(2.0)
        return world.simulation.digest()
    finally:
        world.close()


def test_equal_seeds_and_lines_give_equal_runs() -> None:
    assert digest(1, LINE) == digest(1, LINE)
    assert len({digest(1, LINE), digest(1, LINE / 2), digest(2, LINE)}) == 3
