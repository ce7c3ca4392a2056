"""What overtakes what on the way to one peer, and how much is out of reach already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest

from rookery import transport
from rookery.runtime import Feedback, LoopRuntime, ThreadRuntime
from rookery.transport import Received
from rookery.transport.core.codec import Ping, Pong, decode_batch, decode_control, is_control, packet_kind
from rookery.transport.core.window import BEYOND, FIRST, PER_MESSAGE
from rookery.transport.wire import Route, Sent
from tests.transport.raw import RawPeer
from tests.transport.worlds import Node, RealWorld, SimulatedWorld, World

HUNDRED_MBIT = 12.5e6  # bytes per second


@pytest.fixture(params=["simulated", "threads", "loop"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Both wires, and both runtimes over the real one."""
    made: World
    if request.param == "simulated":
        made = SimulatedWorld(request.node.nodeid)
    else:
        request.getfixturevalue("no_leaks")
        made = RealWorld(LoopRuntime if request.param == "loop" else ThreadRuntime)
    yield made
    made.close()


class Gate:
    """What leaves a node: data while it is open, the rest always. left: the messages of each batch, in order."""

    def __init__(self, node: Node) -> None:
        self.open = False
        self.left: list[list[bytes]] = []
        self.refused = 0
        wire = node.engine.wire
        self._send, wire.send = wire.send, self._watch

    def _watch(self, route: Route, frames: Sequence[bytes]) -> Sent:
        if not is_control(frames[0]):
            if not self.open:
                self.refused += 1
                return Sent.FULL
            if packet_kind(frames[0]) is None:
                self.left.append([payload for _, payload in decode_batch(frames)])
        sent: Sent = self._send(route, frames)
        return sent


class Pair:
    """alice, whose data does not leave until the gate is opened, and bob."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.alice, self.bob = world.node("alice", heartbeat_timeout=60.0), world.node("bob", heartbeat_timeout=60.0)
        world.connected(self.alice, self.bob)
        self.link = self.alice.link_to(self.bob).id
        self.gate = Gate(self.alice)

    def send(self, *payloads: bytes, priority: bool = False) -> None:
        for payload in payloads:
            assert self.alice.net.send(self.link, 16, payload, priority=priority).accepted

    def open(self) -> None:
        """Once all that was told has been looked at."""
        self.world.until(lambda: self.gate.refused and not self.alice.net.inbox)
        self.gate.open = True

    def arrived(self, number: int) -> list[bytes]:
        self.world.until(lambda: len(self.bob.payloads()) >= number, timeout=30.0)
        return self.bob.payloads()


@pytest.fixture
def pair(world: World) -> Pair:
    return Pair(world)


def numbered(kind: str, number: int, size: int = 20) -> list[bytes]:
    return [f"{kind} {n} ".encode().ljust(size, b".") for n in range(number)]


def test_message_with_priority_overtakes_what_is_queued_and_both_keep_their_order(pair: Pair) -> None:
    bulk, small = numbered("bulk", 400, 5000), numbered("small", 300)
    pair.send(*bulk[:300])
    for n, payload in enumerate(small):
        pair.send(payload, priority=True)
        pair.send(*bulk[300 + n : 301 + n])
    pair.open()
    assert pair.arrived(700) == small + bulk


def test_message_with_priority_is_looked_at_before_the_bulk_that_was_told_earlier(simulated: SimulatedWorld) -> None:
    pair = Pair(simulated)
    pair.gate.open = True
    bulk = numbered("bulk", 1000)
    pair.send(*bulk)
    pair.send(b"one", b"two", priority=True)
    assert pair.arrived(1002) == [b"one", b"two", *bulk]
    assert pair.gate.left[0] == [b"one", b"two"]


def test_packet_is_looked_at_before_the_bulk_that_was_told_earlier(simulated: SimulatedWorld) -> None:
    pair = Pair(simulated)
    pair.gate.open = True
    pair.send(*numbered("bulk", 1000))
    pair.alice.net.send_packet(pair.bob.peer, pair.bob.address, b"ping")
    pair.arrived(1000)
    came = pair.bob.receiver.control.received()
    assert came.index(transport.Packet(pair.alice.peer, b"ping")) < came.index(
        pair.bob.receiver.control.received(Received)[0]
    )


def test_message_with_priority_never_goes_inside_another(pair: Pair) -> None:
    bulk = [payload for n in range(6) for payload in (bytes([n]) * 1_000_000, bytes([n]) * 70_000, bytes([n]) * 50)]
    pair.gate.open = True
    small = numbered("small", 18)
    for large, first in zip(bulk, small, strict=True):
        pair.send(large)
        pair.send(first, priority=True)
    arrived = pair.arrived(36)
    assert [payload for payload in arrived if payload in small] == small
    assert [payload for payload in arrived if payload not in small] == bulk


def test_ordinary_messages_are_not_starved_by_those_with_priority(pair: Pair) -> None:
    """After each 256 KiB with priority, and what one batch is beyond it, an ordinary batch leaves."""
    first, ordinary = numbered("first", 1000, 4000), numbered("ordinary", 3, 1_000_000)
    pair.send(*ordinary)
    pair.send(*first, priority=True)
    pair.open()
    arrived = pair.arrived(1003)
    places = [arrived.index(payload) for payload in ordinary]
    overtook = [later - earlier - 1 for earlier, later in pairwise([-1, *places])]
    assert all(0 < number * 4000 <= (256 + 64) * 1024 for number in overtook)


def test_priority_queue_has_a_limit_of_its_own(world: World) -> None:
    alice, bob = world.node("alice", backlog_messages=5, heartbeat_timeout=60.0), world.node("bob")
    world.connected(alice, bob)
    gate, link = Gate(alice), alice.link_to(bob).id
    for number in range(8):
        alice.net.send(link, 16, b"ordinary %d" % number)
    for number in range(8):
        alice.net.send(link, 16, b"first %d" % number, priority=True)
    world.until(lambda: alice.counted("lost", "backlog") == 6)
    gate.open = True
    world.until(lambda: len(bob.payloads()) == 10)
    assert bob.payloads()[:5] == [b"first %d" % number for number in range(5)]


def test_peer_that_confirms_nothing_gets_a_window_and_no_more(pair: Pair) -> None:
    """Neither bulk nor messages with priority, however much of either waits."""
    wire = pair.bob.engine.wire
    send, said = wire.send, list[object]()

    def say_nothing(route: Route, frames: list[bytes]) -> Sent:
        if is_control(frames[0]) and isinstance(message := decode_control(frames[0]), Ping | Pong):
            said.append(message)
            return Sent.OK
        sent: Sent = send(route, frames)
        return sent

    wire.send = say_nothing
    pair.gate.open = True
    pair.send(*numbered("bulk", 100, 10_000))

    def left() -> int:
        return sum(len(payload) for batch in pair.gate.left for payload in batch)

    pair.world.until(lambda: said and not pair.alice.net.inbox and left() >= FIRST - 64 * 1024)
    assert left() <= FIRST
    pair.send(*numbered("first", 100, 10_000), priority=True)
    pair.world.until(lambda: not pair.alice.net.inbox and left() >= FIRST)
    assert left() <= FIRST + BEYOND
    assert b"first" in pair.gate.left[-1][0]
    wire.send = send
    assert len(pair.arrived(200)) == 200  # the next beats ask again


def test_close_lets_all_leave_that_was_sent_before_whatever_the_window(world: World) -> None:
    pair = Pair(world)
    pair.send(*numbered("bulk", 64, 10_000))
    pair.open()
    pair.world.until(lambda: not pair.alice.net.inbox)
    pair.alice.net.close_link(pair.link, transport.Reason.REQUESTED)
    assert len(pair.arrived(64)) == 64


def test_quota_of_a_channel_counts_messages_with_priority() -> None:
    told: list[bool] = []

    class Net(transport.Mailbox):
        def send(self, _link: int, _channel: int, _payload: bytes, *, priority: bool = False) -> Feedback:
            told.append(priority)
            return Feedback.OK

    channel = transport.Channel(Net("net"), 16, transport.Quota(1.0, 2))
    peer = transport.Identity.from_seed(b"p" * 32).peer
    sent = [channel.send(1, peer, b"", 0.0, priority=priority).accepted for priority in (True, False, True)]
    assert (sent, told) == ([True, True, False], [True, False])


def test_raw_peer_that_never_answers_holds_one_window_of_what_is_sent_to_it() -> None:
    real = RealWorld()
    try:
        bob = real.node("bob")
        with RawPeer(bob, real.known.identity("mallory")) as raw:
            raw.join()
            real.until(lambda: bob.links())
            for _ in range(300):
                bob.net.send(bob.links()[0].id, 16, bytes(10_000))
            real.until(lambda: bob.engine.links.by_id and not bob.net.inbox)
            (live,) = bob.engine.links.by_id.values()
            real.until(lambda: live.blocked)
            assert live.window.under_way <= FIRST
            assert live.outbox.bytes >= 3_000_000 - FIRST
    finally:
        real.close()


def test_raw_peer_that_never_answers_holds_one_window_of_empty_messages() -> None:
    real = RealWorld()
    try:
        bob = real.node("bob")
        with RawPeer(bob, real.known.identity("mallory")) as raw:
            raw.join()
            real.until(lambda: bob.links())
            for _ in range(2 * FIRST // PER_MESSAGE):
                bob.net.send(bob.links()[0].id, 16, b"")
            real.until(lambda: bob.engine.links.by_id and not bob.net.inbox)
            (live,) = bob.engine.links.by_id.values()
            real.until(lambda: live.blocked)
            assert 0 < live.sent <= FIRST // PER_MESSAGE
            assert live.outbox.messages
    finally:
        real.close()


class Line:
    """alice and bob with a line of 100 Mbit/s between them, on which 10 MB are on their way from alice to bob."""

    def __init__(self, world: SimulatedWorld) -> None:
        self.world = world
        self.alice, self.bob = world.node("alice", heartbeat_timeout=2.5), world.node("bob", heartbeat_timeout=2.5)
        world.connected(self.alice, self.bob)
        world.simulation.network.set_default(bandwidth=HUNDRED_MBIT)
        for _ in range(160):
            self.alice.net.send(self.alice.link_to(self.bob).id, 16, bytes(64 * 1024))
        world.pass_time(0.2)

    def seconds_until(self, payload: bytes) -> float:
        started = self.world.simulation.time
        self.world.until(
            lambda: any(
                message.payload == payload
                for message in self.bob.receiver.control.received()
                if isinstance(message, Received | transport.Packet)
            )
        )
        return self.world.simulation.time - started


@pytest.fixture
def line(simulated: SimulatedWorld) -> Line:
    return Line(simulated)


def test_message_with_priority_waits_less_than_50_ms_beside_bulk_on_100_mbit(line: Line) -> None:
    line.alice.net.send(line.alice.link_to(line.bob).id, 16, b"first", priority=True)
    assert line.seconds_until(b"first") < 0.05
    line.alice.net.send(line.alice.link_to(line.bob).id, 16, b"last")
    assert line.seconds_until(b"last") > 0.4
    assert len(line.bob.payloads()) == 162


def test_packet_waits_less_than_50_ms_beside_bulk_on_100_mbit(line: Line) -> None:
    line.alice.net.send_packet(line.bob.peer, line.bob.address, b"ping")
    assert line.seconds_until(b"ping") < 0.05


def test_heartbeat_is_answered_within_50_ms_beside_bulk_both_ways_on_100_mbit(line: Line) -> None:
    for _ in range(160):
        line.bob.net.send(line.bob.link_to(line.alice).id, 16, bytes(64 * 1024))
    line.world.pass_time(0.1)
    (live,) = line.alice.engine.links.by_id.values()
    asked = live.asked
    line.alice.engine.ping(live)
    started = line.world.simulation.time
    line.world.until(lambda: live.answered > asked)
    assert line.world.simulation.time - started < 0.1  # there and back
    line.world.until(lambda: len(line.alice.payloads()) == len(line.bob.payloads()) == 160)
    assert line.alice.closed() == line.bob.closed() == []


def test_link_lives_under_bulk_that_takes_far_longer_than_the_heartbeats_timeout(simulated: SimulatedWorld) -> None:
    alice, bob = simulated.node("alice", heartbeat_timeout=2.5), simulated.node("bob", heartbeat_timeout=2.5)
    simulated.connected(alice, bob)
    simulated.simulation.network.set_default(bandwidth=HUNDRED_MBIT / 100)
    for _ in range(32):
        alice.net.send(alice.link_to(bob).id, 16, bytes(64 * 1024))
    simulated.until(lambda: len(bob.payloads()) == 32, timeout=60)
    assert alice.closed() == bob.closed() == []
