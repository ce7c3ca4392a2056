"""A message with too many frames: refused at the first of them, thrown away in slices, with everybody else served."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from rookery.transport import Endpoint, Identity, Reason
from rookery.transport.wire import Route, Source, message_reader, unfinished_messages, zmq_wire
from rookery.transport.wire.zmq_wire import ZmqWire

MAX_FRAMES = 4
FLOOD = [b""] * 2000
LONG_FLOOD = [b""] * 50_000
SLICES = len(FLOOD) // message_reader._FRAMES_AT_ONCE - 1  # polls that this takes at least, of the shortest slices


class End:
    """A wire and what it handed up. Who sends too much is severed, as the engine does."""

    def __init__(self, name: bytes, max_frame: int = 4096) -> None:
        self.identity = Identity.from_seed(name * 32)
        self.wire = ZmqWire(
            self.identity,
            max_frame=max_frame,
            max_frames=MAX_FRAMES,
            high_water=16,
            handshake_timeout=60.0,
            max_silent=99,
        )
        self.up: list[Route] = []
        self.heard: list[tuple[Route, list[bytes]]] = []
        self.too_large: list[Route] = []
        self.down: list[Route] = []
        self.silent: list[Reason] = []

    def accept_connection(self, _ip: str, _curve_key: bytes) -> bool:
        return True

    def route_up(self, route: Route) -> None:
        self.up.append(route)

    def route_down(self, route: Route, _reason: Reason) -> None:
        self.down.append(route)

    def frames(self, route: Route, frames: Sequence[bytes], _source: Source | None) -> None:
        self.heard.append((route, list(frames)))

    def oversize(self, route: Route, _source: Source | None) -> None:
        self.too_large.append(route)
        self.wire.sever(route)

    def listening_lost(self) -> None:
        raise AssertionError("nobody closes the socket here")

    def silent_connection_ended(self, _ip: str | None, reason: Reason, _left: int) -> None:
        self.silent.append(reason)


class Ends:
    """One that listens, and who dials it; all polled on this thread."""

    def __init__(self, max_frame: int = 4096) -> None:
        self.server = End(b"s", max_frame)
        self.all = [self.server]
        self.endpoint = self.server.wire.bind(Endpoint("127.0.0.1", 0))

    def deadline(self) -> Callable[[], bool]:
        """Whether there is time left, from now on."""
        deadline = time.monotonic() + 20
        return lambda: time.monotonic() < deadline

    def until(self, condition: Callable[[], object]) -> None:
        in_time = self.deadline()
        while not condition():
            assert in_time()
            for end in self.all:
                end.wire.waiter().wait(0.001)
                end.wire.poll(end, 100)

    def poll_until(self, end: End, condition: Callable[[], object]) -> None:
        """Before all that is discarded is read."""
        while not condition():
            assert end.wire._reader.discarding
            end.wire.poll(end, 100)
        assert end.wire._reader.discarding

    def polls_of(self, end: End) -> int:
        """Until all that is discarded is read."""
        polls = 0
        while end.wire._reader.discarding:
            assert end.wire.poll(end, 100), "there is more to do"
            polls += 1
        return polls

    def dial(self, end: End) -> Route:
        if end not in self.all:
            self.all.append(end)
        route = end.wire.connect(self.endpoint, self.server.identity.curve_public)
        assert route is not None
        self.until(lambda: route in end.up)
        return route

    def joined(self, end: End) -> tuple[Route, Route]:
        """The route as the one that dials has it, and as the server has it."""
        route = self.dial(end)
        end.wire.send(route, [b"hello"])
        known = len(self.server.heard)
        self.until(lambda: len(self.server.heard) > known)
        return route, self.server.heard[-1][0]


@pytest.fixture
def ends(no_leaks: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    monkeypatch.setattr(message_reader, "_SLICE", 0.0)
    monkeypatch.setattr(unfinished_messages, "COUNTS_RECEIVED", False)  # it would not let a flood come to its end
    made = Ends()
    yield made
    for end in made.all:
        end.wire.close()


def test_message_with_one_frame_too_many_is_refused_and_one_with_as_many_as_may_be_is_not(ends: Ends) -> None:
    liar = End(b"l")
    route, at_server = ends.joined(liar)
    liar.wire.send(route, [b"x"] * MAX_FRAMES)
    ends.until(lambda: (at_server, [b"x"] * MAX_FRAMES) in ends.server.heard)
    liar.wire.send(route, [b"x"] * (MAX_FRAMES + 1))
    ends.until(lambda: ends.server.too_large == [at_server])
    ends.until(lambda: liar.down == [route])


def test_rest_of_a_message_is_thrown_away_in_slices_while_others_are_written_to_and_let_in(ends: Ends) -> None:
    liar, honest, newcomer = End(b"l"), End(b"h"), End(b"n")
    honest_route, honest_at_server = ends.joined(honest)
    liar_route, liar_at_server = ends.joined(liar)
    liar.wire.send(liar_route, FLOOD)
    ends.until(lambda: ends.server.too_large == [liar_at_server])
    assert ends.server.wire._reader.discarding, "the rest is not read in the same turn"
    ends.server.wire.send(honest_at_server, [b"written meanwhile"])
    while (honest_route, [b"written meanwhile"]) not in honest.heard:
        honest.wire.waiter().wait(0.001)
        honest.wire.poll(honest, 100)
    assert ends.server.wire._reader.discarding
    honest.wire.send(honest_route, [b"said meanwhile"])
    assert ends.polls_of(ends.server) >= SLICES
    ends.until(lambda: (honest_at_server, [b"said meanwhile"]) in ends.server.heard)
    ends.joined(newcomer)
    assert liar_at_server not in [route for route, frames in ends.server.heard if frames != [b"hello"]]


def test_stranger_with_too_many_frames_costs_its_ip_what_has_not_spoken_yet(ends: Ends) -> None:
    joined, silent, liar = End(b"j"), End(b"i"), End(b"l")
    joined_route, joined_at_server = ends.joined(joined)
    silent_route = ends.dial(silent)
    liar.wire.send(ends.dial(liar), [b"x"] * (MAX_FRAMES + 1))
    ends.until(lambda: silent.down == [silent_route])
    assert ends.server.silent == [Reason.RATE]
    joined.wire.send(joined_route, [b"still here"])
    ends.until(lambda: (joined_at_server, [b"still here"]) in ends.server.heard)


def test_dialled_peer_with_too_many_frames_is_severed_and_may_be_dialled_anew(ends: Ends) -> None:
    """A disconnect in the middle of its message would abort the process."""
    dialler = End(b"d")
    route, at_server = ends.joined(dialler)
    ends.server.wire.send(at_server, FLOOD)
    ends.until(lambda: dialler.too_large == [route])
    assert dialler.wire._reader.discarding
    assert dialler.wire.connect(ends.endpoint, ends.server.identity.curve_public) is None, "its end has to come first"
    assert ends.polls_of(dialler) >= SLICES
    ends.until(lambda: at_server in ends.server.down)
    assert dialler.down == []
    ends.joined(dialler)


def test_peer_that_is_gone_before_its_message_is_thrown_away_ends_nothing_else(ends: Ends) -> None:
    dialler = End(b"d")
    route, at_server = ends.joined(dialler)
    ends.server.wire.send(at_server, LONG_FLOOD)
    ends.until(lambda: dialler.too_large == [route])
    ends.server.wire.sever(at_server)
    ends.poll_until(dialler, lambda: dialler.wire._outbound.by_route[route].over)
    ends.polls_of(dialler)
    ends.joined(dialler)
    assert dialler.down == [], "who was severed is not handed up"


def test_ends_of_other_dials_wait_until_the_message_is_read(ends: Ends) -> None:
    """A disconnect, even of another route, changes from whom ZeroMQ reads on."""
    dialler, other = End(b"d"), Ends()
    ends.all.append(other.server)
    liar, _ = ends.joined(dialler)
    lost = dialler.wire.connect(other.endpoint, other.server.identity.curve_public)
    assert lost is not None
    ends.until(lambda: lost in dialler.up)
    dialler.wire.send(lost, [b"hello"])
    ends.until(lambda: other.server.heard)
    ends.server.wire.send(ends.server.heard[-1][0], LONG_FLOOD)
    ends.until(lambda: dialler.too_large == [liar])
    other.server.wire.sever(other.server.heard[-1][0])
    ends.poll_until(dialler, lambda: dialler.wire._ending)
    for _ in range(2 * zmq_wire._MOST_BUSY_POLLS):
        dialler.wire.poll(dialler, 100)
    assert dialler.wire._reader.discarding
    assert dialler.down == []
    ends.until(lambda: dialler.down == [lost])


def test_wire_is_closed_in_the_middle_of_a_message(ends: Ends) -> None:
    liar = End(b"l")
    liar.wire.send(ends.joined(liar)[0], FLOOD)
    ends.until(lambda: ends.server.too_large)
    assert ends.server.wire._reader.discarding
