"""The rules at the head of `transport/wire/silent_connections.py`, with real sockets: who is shut, and who never is."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from rookery.transport import Reason
from rookery.transport.wire.descriptors import Mark
from rookery.transport.wire.silent_connections import LOOK_EVERY, MAX_FIRST_BYTES, Ended, SilentConnections


class Port:
    """A listening socket whose accepted connections are announced as libzmq would."""

    def __init__(self, limit: int = 10) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.silent = SilentConnections(timeout=5.0, limit=limit)
        self.silent.watch(self.listener.getsockname()[1])
        self.sockets: list[socket.socket] = [self.listener]

    def connect(self) -> tuple[socket.socket, socket.socket]:
        theirs = socket.create_connection(self.listener.getsockname())
        ours, _ = self.listener.accept()
        self.sockets += [theirs, ours]
        return theirs, ours

    def accept(self, now: float = 0.0) -> tuple[socket.socket, socket.socket]:
        theirs, ours = self.connect()
        self.silent.accepted(ours.fileno(), now)
        return theirs, ours

    def end(self, now: float, *speakers: socket.socket) -> list[Ended]:
        return self.silent.end(lambda: {Mark.of(speaker) for speaker in speakers}, now)


@pytest.fixture
def ports() -> Iterator[list[Port]]:
    made: list[Port] = []
    yield made
    for port in made:
        for each in port.sockets:
            each.close()


@pytest.fixture
def port(ports: list[Port]) -> Port:
    ports.append(Port())
    return ports[0]


def is_open(socket: socket.socket) -> bool:
    socket.setblocking(False)
    try:
        return socket.recv(1) != b""
    except BlockingIOError:
        return True


def ended(reason: Reason, left: int = 0) -> Ended:
    return Ended("127.0.0.1", reason, left)


def test_silent_connection_is_shut_when_its_time_is_over_and_not_before(port: Port) -> None:
    theirs, _ = port.accept(now=0.0)
    assert port.end(4.9) == []
    assert is_open(theirs)
    assert port.end(4.97) == []
    assert port.silent.next_check(4.97) == pytest.approx(0.03)
    assert port.end(5.0) == [ended(Reason.TIMEOUT)]
    assert not is_open(theirs)
    assert (len(port.silent), port.silent.next_check(5.0)) == (0, None)


def test_connection_that_has_spoken_is_never_shut(port: Port) -> None:
    theirs, ours = port.accept()
    assert port.end(5.0, ours) == []
    assert is_open(theirs)
    assert len(port.silent) == 0


def carry(pair: tuple[socket.socket, socket.socket], count: int) -> None:
    """So many bytes are sent and read."""
    theirs, ours = pair
    theirs.sendall(bytes(count))
    while count:
        count -= len(ours.recv(count))


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not say how much has come")
def test_silent_connection_that_sent_more_than_a_first_message_is_shut_and_one_that_spoke_is_not(port: Port) -> None:
    liar, speaker, quiet = (port.accept(now=0.0) for _ in range(3))
    for pair, count in ((liar, MAX_FIRST_BYTES), (speaker, MAX_FIRST_BYTES + 1), (quiet, 20_000)):
        carry(pair, count)
    assert port.end(1.0, speaker[1]) == []
    carry(liar, 1)
    assert port.end(1.0 + LOOK_EVERY / 2, speaker[1]) == []
    assert port.end(1.0 + LOOK_EVERY, speaker[1]) == [ended(Reason.FLOODING, left=1)]
    assert [is_open(pair[0]) for pair in (liar, speaker, quiet)] == [False, True, True]
    assert port.end(5.0, speaker[1]) == [ended(Reason.TIMEOUT)]


def test_too_many_silent_connections_lose_the_oldest(ports: list[Port]) -> None:
    ports.append(Port(limit=2))
    ends = [ports[0].accept(now=number)[0] for number in range(4)]
    assert ports[0].end(4.0) == [ended(Reason.PENDING, left) for left in (3, 2)]
    assert [is_open(end) for end in ends] == [False, False, True, True]


def test_connections_that_have_spoken_are_not_counted_as_silent(ports: list[Port]) -> None:
    ports.append(Port(limit=2))
    pairs = [ports[0].accept() for _ in range(4)]
    assert ports[0].end(1.0, pairs[0][1], pairs[2][1]) == []
    assert all(is_open(theirs) for theirs, _ in pairs)


def test_number_that_went_to_another_connection_leaves_it_alone(port: Port) -> None:
    _, ours = port.accept(now=0.0)
    number = ours.fileno()
    theirs, other = port.connect()
    os.dup2(other.fileno(), number)
    assert port.end(5.0) == [ended(Reason.LOST)]
    assert is_open(theirs)


def test_number_that_went_to_another_connection_of_the_door_gives_it_its_own_time(port: Port) -> None:
    _, ours = port.accept(now=0.0)
    theirs, other = port.connect()
    os.dup2(other.fileno(), ours.fileno())
    port.silent.accepted(ours.fileno(), 3.0)
    assert port.end(5.0) == []
    assert is_open(theirs)
    assert port.end(8.0) == [ended(Reason.TIMEOUT)]


def test_number_that_is_no_inbound_connection_when_announced_is_never_shut(ports: list[Port]) -> None:
    ports += [Port(), Port()]
    _, of_another_listener = ports[1].connect()
    outbound, _ = ports[1].connect()
    read, write = os.pipe()
    for number in (of_another_listener.fileno(), outbound.fileno(), read, ports[0].listener.fileno(), 1_000_000):
        ports[0].silent.accepted(number, 0.0)
    os.close(read)
    os.close(write)
    assert ports[0].end(5.0) == []
    assert is_open(outbound)
    assert len(ports[0].silent) == 0


def test_end_of_a_silent_connection_says_how_many_of_its_ip_are_left(port: Port) -> None:
    _, first = port.accept()
    for _ in range(2):
        port.accept()
    _, speaker = port.accept()
    assert port.silent.ended(first.fileno(), lambda: {Mark.of(speaker)}) == ended(Reason.LOST, left=2)
    assert port.end(5.0, speaker) == [ended(Reason.TIMEOUT, left=1), ended(Reason.TIMEOUT)]


def test_connection_that_ended_is_forgotten(port: Port) -> None:
    theirs, ours = port.accept()
    assert port.silent.ended(ours.fileno(), set) == ended(Reason.LOST)
    assert port.silent.ended(ours.fileno(), set) is None
    assert port.end(9.0) == []
    assert is_open(theirs)


def test_end_of_a_speaker_does_not_forget_who_has_its_number_now(port: Port) -> None:
    _, ours = port.accept()
    mark = Mark.of(ours)
    _, other = port.connect()
    os.dup2(other.fileno(), ours.fileno())
    port.silent.accepted(ours.fileno(), 1.0)
    port.silent.spoke(ours.fileno(), mark)
    assert len(port.silent) == 1
    port.silent.spoke(ours.fileno(), Mark.of(other))
    assert len(port.silent) == 0


def test_number_that_is_no_socket_any_more_leaves_no_descriptor_behind(port: Port) -> None:
    theirs, ours = port.accept()
    read, write = os.pipe()
    os.dup2(read, ours.fileno())
    before = os.dup(read)
    os.close(before)
    assert port.end(5.0) == [ended(Reason.LOST)]
    after = os.dup(read)
    for number in (after, read, write):
        os.close(number)
    assert after == before
    assert not is_open(theirs)
