"""The rules at the head of `transport/wire/unspoken.py`, with real sockets: who is shut, and who never is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from rookery.transport import Reason
from rookery.transport.wire.descriptors import Mark
from rookery.transport.wire.unspoken import Ended, Unspoken


class Door:
    """A listening socket whose accepted connections are announced as libzmq would."""

    def __init__(self, most: int = 10) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.unspoken = Unspoken(patience=5.0, most=most)
        self.unspoken.port = self.listener.getsockname()[1]
        self.sockets: list[socket.socket] = [self.listener]

    def connect(self) -> tuple[socket.socket, socket.socket]:
        theirs = socket.create_connection(self.listener.getsockname())
        ours, _ = self.listener.accept()
        self.sockets += [theirs, ours]
        return theirs, ours

    def accept(self, now: float = 0.0) -> tuple[socket.socket, socket.socket]:
        theirs, ours = self.connect()
        self.unspoken.accepted(ours.fileno(), now)
        return theirs, ours

    def end(self, now: float, *speakers: socket.socket) -> list[Ended]:
        return self.unspoken.end(lambda: {Mark.of(speaker) for speaker in speakers}, now)


@pytest.fixture
def doors() -> Iterator[list[Door]]:
    made: list[Door] = []
    yield made
    for door in made:
        for each in door.sockets:
            each.close()


@pytest.fixture
def door(doors: list[Door]) -> Door:
    doors.append(Door())
    return doors[0]


def is_open(socket: socket.socket) -> bool:
    socket.setblocking(False)
    try:
        return socket.recv(1) != b""
    except BlockingIOError:
        return True


def ended(reason: Reason, left: int = 0) -> Ended:
    return Ended("127.0.0.1", reason, left)


def test_silent_connection_is_shut_when_its_time_is_over_and_not_before(door: Door) -> None:
    theirs, _ = door.accept(now=0.0)
    assert door.end(4.9) == []
    assert is_open(theirs)
    assert door.unspoken.next_look(4.0) == 1.0
    assert door.end(5.0) == [ended(Reason.TIMEOUT)]
    assert not is_open(theirs)
    assert (len(door.unspoken), door.unspoken.next_look(5.0)) == (0, None)


def test_connection_that_has_spoken_is_never_shut(door: Door) -> None:
    theirs, ours = door.accept()
    assert door.end(5.0, ours) == []
    assert is_open(theirs)
    assert len(door.unspoken) == 0


def test_too_many_silent_connections_lose_the_oldest(doors: list[Door]) -> None:
    doors.append(Door(most=2))
    ends = [doors[0].accept(now=number)[0] for number in range(4)]
    assert doors[0].end(4.0) == [ended(Reason.PENDING, left) for left in (3, 2)]
    assert [is_open(end) for end in ends] == [False, False, True, True]


def test_connections_that_have_spoken_are_not_counted_as_silent(doors: list[Door]) -> None:
    doors.append(Door(most=2))
    pairs = [doors[0].accept() for _ in range(4)]
    assert doors[0].end(1.0, pairs[0][1], pairs[2][1]) == []
    assert all(is_open(theirs) for theirs, _ in pairs)


def test_number_that_went_to_another_connection_leaves_it_alone(door: Door) -> None:
    _, ours = door.accept(now=0.0)
    number = ours.fileno()
    theirs, other = door.connect()
    os.dup2(other.fileno(), number)
    assert door.end(5.0) == [ended(Reason.LOST)]
    assert is_open(theirs)


def test_number_that_went_to_another_connection_of_the_door_gives_it_its_own_time(door: Door) -> None:
    _, ours = door.accept(now=0.0)
    theirs, other = door.connect()
    os.dup2(other.fileno(), ours.fileno())
    door.unspoken.accepted(ours.fileno(), 3.0)
    assert door.end(5.0) == []
    assert is_open(theirs)
    assert door.end(8.0) == [ended(Reason.TIMEOUT)]


def test_number_that_is_no_inbound_connection_when_announced_is_never_shut(doors: list[Door]) -> None:
    doors += [Door(), Door()]
    _, of_another_listener = doors[1].connect()
    outbound, _ = doors[1].connect()
    read, write = os.pipe()
    for number in (of_another_listener.fileno(), outbound.fileno(), read, doors[0].listener.fileno(), 1_000_000):
        doors[0].unspoken.accepted(number, 0.0)
    os.close(read)
    os.close(write)
    assert doors[0].end(5.0) == []
    assert is_open(outbound)
    assert len(doors[0].unspoken) == 0


def test_end_of_a_silent_connection_says_how_many_of_its_ip_are_left(door: Door) -> None:
    _, first = door.accept()
    for _ in range(2):
        door.accept()
    _, speaker = door.accept()
    assert door.unspoken.ended(first.fileno(), lambda: {Mark.of(speaker)}) == ended(Reason.LOST, left=2)
    assert door.end(5.0, speaker) == [ended(Reason.TIMEOUT, left=1), ended(Reason.TIMEOUT)]


def test_connection_that_ended_is_forgotten(door: Door) -> None:
    theirs, ours = door.accept()
    assert door.unspoken.ended(ours.fileno(), set) == ended(Reason.LOST)
    assert door.unspoken.ended(ours.fileno(), set) is None
    assert door.end(9.0) == []
    assert is_open(theirs)


def test_end_of_a_speaker_does_not_forget_who_has_its_number_now(door: Door) -> None:
    _, ours = door.accept()
    mark = Mark.of(ours)
    _, other = door.connect()
    os.dup2(other.fileno(), ours.fileno())
    door.unspoken.accepted(ours.fileno(), 1.0)
    door.unspoken.spoke(ours.fileno(), mark)
    assert len(door.unspoken) == 1
    door.unspoken.spoke(ours.fileno(), Mark.of(other))
    assert len(door.unspoken) == 0


def test_number_that_is_no_socket_any_more_leaves_no_descriptor_behind(door: Door) -> None:
    theirs, ours = door.accept()
    read, write = os.pipe()
    os.dup2(read, ours.fileno())
    before = os.dup(read)
    os.close(before)
    assert door.end(5.0) == [ended(Reason.LOST)]
    after = os.dup(read)
    for number in (after, read, write):
        os.close(number)
    assert after == before
    assert not is_open(theirs)
