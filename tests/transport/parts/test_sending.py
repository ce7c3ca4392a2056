"""In which order things leave: bulk in whole batches, control ahead of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rookery.transport import Reason
from rookery.transport.core.codec import (
    MAX_BATCH_MESSAGES,
    Bye,
    Control,
    Ping,
    decode_batch,
    decode_control,
    is_control,
)
from rookery.transport.wire import Route, Sent
from tests.transport.worlds import SimulatedWorld

Left = Control | int  # a control message, or of how many messages a batch was


class Watched:
    """alice's connection to bob, what leaves on it, and how many messages waited for transport meanwhile."""

    def __init__(self, world: SimulatedWorld) -> None:
        self.alice, self.bob = (
            world.node("alice", heartbeat_interval=1.0),
            world.node("bob", heartbeat_interval=60.0, heartbeat_timeout=99.0),
        )
        world.connected(self.alice, self.bob)
        world.pass_time(0.5)
        self.link = self.alice.link_to(self.bob).id
        self.left: list[Left] = []
        self.waiting: list[int] = []
        self.has_room = True  # for batches
        wire = self.alice.engine.wire
        self._send, wire.send = wire.send, self._watch

    def _watch(self, route: Route, frames: Sequence[bytes]) -> Sent:
        control = is_control(frames[0])
        if not control and not self.has_room:
            return Sent.FULL
        self.left.append(decode_control(frames[0]) if control else len(decode_batch(frames)))
        self.waiting.append(len(self.alice.net.inbox.data_lane))
        sent: Sent = self._send(route, frames)
        return sent

    def tell(self, messages: int, size: int = 10) -> None:
        for _ in range(messages):
            assert self.alice.net.send(self.link, 16, bytes(size)).accepted


@pytest.fixture
def watched(simulated: SimulatedWorld) -> Watched:
    return Watched(simulated)


def test_whole_batch_leaves_before_what_was_told_behind_it_is_looked_at(
    simulated: SimulatedWorld, watched: Watched
) -> None:
    watched.tell(2 * MAX_BATCH_MESSAGES + 88)
    simulated.until(lambda: len(watched.bob.payloads()) == 600)
    assert watched.left == [MAX_BATCH_MESSAGES, MAX_BATCH_MESSAGES, 88]
    assert watched.waiting[0] >= MAX_BATCH_MESSAGES + 88


def test_batch_that_is_large_enough_leaves_before_it_has_its_number_of_messages(
    simulated: SimulatedWorld, watched: Watched
) -> None:
    """As large as the window says, so that what is in it can be overtaken soon."""
    watched.tell(40, size=16 * 1024)
    simulated.until(lambda: len(watched.bob.payloads()) == 40)
    batches = [left for left in watched.left if isinstance(left, int)]
    assert set(batches[:4]) == {4}
    assert max(batches) > 4  # the window has grown
    assert sum(batches) == 40


def test_command_is_handled_before_the_bulk_that_was_told_earlier(simulated: SimulatedWorld, watched: Watched) -> None:
    watched.tell(1000)
    left_before: list[int] = []
    watched.alice.net.record().then(lambda _: left_before.append(len(watched.left)))
    simulated.until(lambda: len(watched.bob.payloads()) == 1000)
    assert left_before == [0]


def test_heartbeat_leaves_before_the_bulk_that_waits_for_room(simulated: SimulatedWorld, watched: Watched) -> None:
    watched.has_room = False
    watched.tell(1000)
    simulated.until(lambda: watched.left)
    assert isinstance(watched.left[0], Ping)
    watched.has_room = True
    simulated.until(lambda: len(watched.bob.payloads()) == 1000)


def test_last_word_leaves_before_the_bulk_that_waits_for_room(simulated: SimulatedWorld, watched: Watched) -> None:
    watched.has_room = False
    watched.tell(1000)
    simulated.pass_time(0.01)
    watched.alice.net.close(watched.bob.peer, Reason.BLOCKED)
    simulated.until(lambda: not watched.alice.links())
    assert watched.left == [Bye(Reason.BLOCKED)]


def test_wire_that_has_room_again_gets_the_bulk_once_and_in_order(simulated: SimulatedWorld, watched: Watched) -> None:
    watched.has_room = False
    for number in range(700):
        watched.alice.net.send(watched.link, 16, b"%d" % number)
    simulated.pass_time(0.01)
    watched.has_room = True
    for number in range(700, 1400):
        watched.alice.net.send(watched.link, 16, b"%d" % number)
    simulated.until(lambda: len(watched.bob.payloads()) >= 1400)
    assert watched.bob.payloads() == [b"%d" % number for number in range(1400)]
