"""Messages that never end: whose route is severed, and that the largest messages and the slowest readers are let be."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest

from rookery.transport.wire import Route, Sent, unfinished_messages
from rookery.transport.wire.descriptors import received, received_by, unread
from rookery.transport.wire.unfinished_messages import Intake, UnfinishedMessages
from tests.transport.wire.test_too_many_frames import End, Ends

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system does not say how much has come")

LARGEST = 256 * 1024
MAX_BYTES, MAX_FRAMES = 1000, 4
MOST = MAX_BYTES + MAX_FRAMES * unfinished_messages._PER_FRAME + unfinished_messages._SLACK
LOOK = unfinished_messages.LOOK_EVERY


Pair = tuple[socket.socket, socket.socket]
"""Theirs, and ours that is watched."""


class Routes:
    """Real sockets that are watched, each looked at every `LOOK` seconds."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.unfinished = UnfinishedMessages(max_bytes=MAX_BYTES, max_frames=MAX_FRAMES)
        self.sockets: list[socket.socket] = [self.listener]
        self.now = 0.0

    def begin(self, name: Route) -> tuple[Intake, Pair]:
        theirs = socket.create_connection(self.listener.getsockname())
        ours, _ = self.listener.accept()
        self.sockets += [theirs, ours]
        intake = Intake(name, lambda: nullcontext(ours), lambda: received(ours))
        self.unfinished.watch(intake)
        return intake, (theirs, ours)

    def suspects(self) -> bool:
        return bool(self.unfinished.suspects)

    def look(self, messages: int = 0) -> None:
        self.now += LOOK
        self.unfinished.look(self.now, messages)


@pytest.fixture
def routes() -> Iterator[Routes]:
    made = Routes()
    yield made
    for each in made.sockets:
        each.close()


def carry(pair: Pair, count: int) -> None:
    """So many bytes are sent, and taken from the system."""
    theirs, ours = pair
    theirs.sendall(bytes(count))
    while count:
        count -= len(ours.recv(count))


def test_route_that_brings_more_than_a_message_and_none_is_endless_once_nothing_is_left_to_read(routes: Routes) -> None:
    liar, liars = routes.begin(b"liar")
    _, honest = routes.begin(b"honest")
    routes.look()
    carry(liars, MOST + 1)
    carry(honest, MOST)
    assert routes.unfinished.endless(None) == [], "nobody looked"
    routes.look()
    assert routes.suspects()
    assert routes.unfinished.endless(None) == [liar.route]
    assert not routes.suspects()
    carry(liars, MOST)
    routes.look()
    assert not routes.suspects(), "it is watched no more"


def test_route_that_gave_a_message_begins_anew_also_as_a_suspect(routes: Routes) -> None:
    intake, pair = routes.begin(b"honest")
    routes.look()
    for _ in range(3):
        carry(pair, MOST + 1)
        routes.look()
        assert routes.suspects()
        intake.heard = True
        routes.look()
        assert routes.unfinished.endless(None) == []
        routes.look()
        carry(pair, MOST)
        routes.look()
        assert not routes.suspects()
        intake.heard = True
        routes.look()


def test_what_waits_in_the_system_does_not_count_whenever_it_came(routes: Routes) -> None:
    intake, (theirs, ours) = routes.begin(b"honest")
    routes.look()
    theirs.sendall(bytes(2 * MOST))
    routes.look()
    assert not routes.suspects(), "ZeroMQ takes no more, as its messages wait to be read"
    intake.heard = True
    routes.look()
    carry((theirs, ours), 1)
    routes.look()
    assert not routes.suspects()
    intake.heard = False
    while unread(ours):
        ours.recv(4096)
    routes.look()
    assert routes.unfinished.endless(None) == [intake.route], "it has been taken, and was no message"


def test_while_there_is_always_more_to_read_a_suspect_is_endless_when_all_had_their_turn(routes: Routes) -> None:
    liar, pair = routes.begin(b"liar")
    routes.look()
    carry(pair, MOST + 1)
    routes.look(messages=500)
    assert routes.unfinished.endless(500) == []
    assert routes.unfinished.endless(501) == [liar.route]


def test_routes_are_looked_at_in_turn_some_at_a_time(routes: Routes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished_messages, "AT_ONCE", 2)
    pairs = [routes.begin(b"%d" % number)[1] for number in range(5)]
    for _ in range(3):
        routes.look()
    for pair in pairs:
        carry(pair, MOST + 1)
    found = []
    for _ in range(3):
        routes.look()
        found.append(len(routes.unfinished.endless(None)))
    assert sorted(found) == [1, 2, 2]
    assert routes.unfinished.next_look(routes.now) is None


def test_route_at_which_nothing_comes_has_its_socket_held_no_more(routes: Routes) -> None:
    intake, pair = routes.begin(b"route")
    held: list[float] = []
    of = intake.socket

    def hold() -> AbstractContextManager[socket.socket]:
        held.append(routes.now)
        return of()

    intake.socket = hold
    routes.look()
    assert len(held) == 1, "what came before is not counted"
    for _ in range(3):
        routes.look()
    assert len(held) == 1
    carry(pair, MOST)
    for _ in range(3):
        routes.look()
    assert len(held) == 2
    intake.heard = True
    for _ in range(3):
        routes.look()
    assert len(held) == 3
    carry(pair, MOST + 1)
    routes.look()
    assert routes.unfinished.endless(None) == [intake.route]


def test_count_of_whatever_has_a_number_leaves_it_open_and_is_none_if_nothing_has(routes: Routes) -> None:
    _, (theirs, ours) = routes.begin(b"route")
    theirs.sendall(bytes(5))
    ours.recv(5, socket.MSG_WAITALL)
    number = ours.fileno()
    assert received_by(number) == received_by(number) == 5
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        received_by(number)


def test_route_that_is_over_or_whose_socket_is_gone_is_no_suspect(routes: Routes) -> None:
    ended, pair = routes.begin(b"ended")
    gone, other = routes.begin(b"gone")
    routes.look()
    for each in (pair, other):
        carry(each, MOST + 1)
    routes.unfinished.forget(ended.route)
    other[1].close()
    routes.look()
    assert not routes.suspects()
    assert routes.unfinished.next_look(routes.now) == pytest.approx(LOOK)
    routes.unfinished.forget(gone.route)
    routes.unfinished.forget(gone.route)
    assert routes.unfinished.next_look(routes.now) is None


# The wire ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ends(no_leaks: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    """Every poll looks, so whatever may be taken for endless is."""
    monkeypatch.setattr(unfinished_messages, "LOOK_EVERY", 0.0)
    made = Ends(max_frame=LARGEST)
    yield made
    for end in made.all:
        end.wire.close()


def largest(number: int) -> list[bytes]:
    """A message of as many frames and bytes as there may be."""
    return [bytes([number]) * (LARGEST // 4 - 16)] * 4


def test_messages_as_large_as_may_be_are_heard_however_often_they_come(ends: Ends) -> None:
    honest, number = End(b"h", max_frame=LARGEST), 24
    route, at_server = ends.joined(honest)
    for each in range(number):
        ends.until(lambda each=each: honest.wire.send(route, largest(each)) is Sent.OK)  # type: ignore[misc]
    ends.until(lambda: len(ends.server.heard) == 1 + number)
    assert ends.server.heard[1:] == [(at_server, largest(each)) for each in range(number)]
    assert ends.server.too_large == ends.server.down == []


def test_reader_that_is_slow_hears_all_that_has_waited_meanwhile(ends: Ends) -> None:
    """Peers who have always filled all that ZeroMQ keeps for them; one message is read a turn."""
    honest = [End(name, max_frame=LARGEST) for name in (b"g", b"h")]
    unsent = {ends.joined(each)[0]: 50 for each in honest}
    routes = list(zip(honest, unsent, strict=True))
    ends.server.heard.clear()
    in_time = ends.deadline()
    while len(ends.server.heard) < 100:
        assert in_time()
        for each, route in routes:
            while unsent[route] and each.wire.send(route, largest(unsent[route])) is Sent.OK:
                unsent[route] -= 1
        ends.server.wire.waiter().wait(0.001)
        ends.server.wire.poll(ends.server, 1)
    assert ends.server.too_large == ends.server.down == []


@pytest.mark.parametrize("dialled", [False, True], ids=["inbound", "dialled"])
def test_message_that_does_not_end_costs_its_sender_the_route_whoever_dialled(ends: Ends, dialled: bool) -> None:
    honest, liar = End(b"h", max_frame=LARGEST), End(b"l", max_frame=LARGEST)
    honest_route, at_server = ends.joined(honest)
    liar_route, liar_at_server = ends.joined(liar)
    sender, route, hearer, heard_as = (
        (ends.server, liar_at_server, liar, liar_route) if dialled else (liar, liar_route, ends.server, liar_at_server)
    )
    sender.wire.send(route, [bytes(16 * 1024)] * 1000)
    ends.until(lambda: hearer.too_large == [heard_as])
    assert not hearer.wire._reader.discarding, "before it has come whole"
    ends.until(lambda: route in sender.down)
    honest.wire.send(honest_route, largest(1))
    ends.until(lambda: (at_server, largest(1)) in ends.server.heard)
