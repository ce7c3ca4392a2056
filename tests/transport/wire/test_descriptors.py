"""File descriptors: the limits they allow, and what becomes of connections for which there are none."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from rookery.transport import Config, Endpoint, Reason
from rookery.transport.wire.descriptors import (
    FEWEST,
    KEPT_FREE,
    Listener,
    NoDescriptors,
    fitted,
    held,
    is_full,
    limit,
    needed,
    raise_limit,
)
from rookery.transport.wire.zmq_sockets import leads_to
from rookery.transport.wire.zmq_wire import ZmqWire
from tests.transport.scene import Scene
from tests.transport.wire.few_descriptors import Listening, descriptors_left, is_over
from tests.transport.worlds import RealWorld


@pytest.fixture(autouse=True)
def same_limit() -> Iterator[None]:
    """The process has its limit again afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def listening(no_leaks: None) -> Iterator[Listening]:
    made = Listening()
    yield made
    made.wire.close()


@pytest.fixture
def clients() -> Iterator[list[socket.socket]]:
    """Made before there is no descriptor for them.

    Fewer than libzmq's backlog of 100: the kernel has those that find it full try again after up to 31 seconds.
    """
    made = [socket.socket() for _ in range(90)]
    for client in made:
        client.setblocking(False)
    yield made
    for client in made:
        client.close()


# limits

SETTINGS = st.builds(
    Config,
    max_connections=st.integers(1, 100_000),
    max_packet_links=st.integers(1, 100_000),
    max_pending_handshakes=st.integers(1, 100_000),
    reserved_outbound=st.none() | st.just(1),
)


@given(SETTINGS, st.integers(FEWEST, 300_000))
def test_limits_fit_into_the_descriptors_there_are(config: Config, descriptors: int) -> None:
    assert needed(fitted(config, descriptors)) <= descriptors


@given(SETTINGS)
def test_limits_for_which_there_are_descriptors_stay_as_they_are(config: Config) -> None:
    assert fitted(config, max(FEWEST, needed(config))) == config


@given(SETTINGS, st.integers(FEWEST, 300_000))
def test_limits_are_never_above_those_configured(config: Config, descriptors: int) -> None:
    less = fitted(config, descriptors)
    assert 1 <= less.max_connections <= config.max_connections
    assert 1 <= less.max_packet_links <= config.max_packet_links
    assert 1 <= less.max_pending_handshakes <= config.max_pending_handshakes


def test_fewer_descriptors_than_a_node_needs_are_refused_with_what_is_allowed() -> None:
    with pytest.raises(NoDescriptors, match="may have 159 .allowed: at least 160, and 1370 for these settings"):
        fitted(Config(), FEWEST - 1)


def test_limit_is_raised_as_far_as_needed_and_allowed() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    assert raise_limit(150) == 200
    assert raise_limit(300) == limit() == 300
    assert raise_limit(hard + 1) == hard


# no descriptor left


def test_wire_for_which_there_are_too_few_descriptors_is_refused_where_libzmq_would_abort() -> None:
    for left in (0, 10):
        with descriptors_left(left), pytest.raises(NoDescriptors):
            Listening()


def test_connections_for_which_there_is_no_descriptor_are_closed_and_a_later_one_is_taken(
    no_leaks: None, clients: list[socket.socket]
) -> None:
    """Faster than the wire is polled, so that libzmq comes to the limit by itself."""
    with descriptors_left(80):
        listening = Listening()
        for client in clients:
            client.connect_ex(listening.where)
        listening.until(lambda: len(listening.heard.silent_ended) + len(listening.wire._silent) == len(clients))
        assert set(listening.heard.silent_ended) == {Reason.TOO_MANY}
        silent = len(listening.wire._silent)
        assert silent <= 80 - KEPT_FREE
        listening.until(lambda: sum(map(is_over, clients)) == len(clients) - silent)
        for client in clients:
            client.close()
        listening.until(lambda: len(listening.wire._silent) == 0)
    with socket.create_connection(listening.where) as late:
        late.setblocking(False)
        listening.until(lambda: len(listening.wire._silent) == 1)
        assert not is_over(late)
    listening.wire.close()


def test_connections_are_closed_when_the_table_is_full_of_something_else(
    listening: Listening, clients: list[socket.socket]
) -> None:
    with descriptors_left(0):
        for client in clients:
            client.connect_ex(listening.where)
        listening.until(lambda: all(map(is_over, clients)))
        listening.until(lambda: listening.heard.silent_ended == [Reason.TOO_MANY] * len(clients))
    with socket.create_connection(listening.where):
        listening.until(lambda: len(listening.wire._silent) == 1)


def test_connection_close_to_the_limit_is_closed_at_once_though_there_are_descriptors(
    listening: Listening, clients: list[socket.socket]
) -> None:
    listening.wire._full_at = 0
    clients[0].connect_ex(listening.where)
    listening.until(lambda: is_over(clients[0]))
    assert listening.heard.silent_ended == [Reason.TOO_MANY]


def test_dial_for_which_there_is_no_descriptor_harms_nobody(listening: Listening) -> None:
    with descriptors_left(0):
        route = listening.wire.connect(Endpoint("127.0.0.1", 1), listening.identity.curve_public)
        assert route is None
        for _ in range(5):
            listening.wire.waiter().wait(0.01)
            listening.poll()
    assert listening.wire.connect(Endpoint("127.0.0.1", 1), listening.identity.curve_public) is not None
    with socket.create_connection(listening.where):
        listening.until(lambda: len(listening.wire._silent) == 1)


def test_poll_that_leaves_events_of_connections_unread_says_that_there_are_more(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers cause thousands of them; a wait would not end for what libzmq has signalled before."""
    events = [(int(zmq.EVENT_DISCONNECTED), 900 + number, "") for number in range(5)]
    monkeypatch.setattr(listening.wire._monitor, "next", lambda: events.pop(0) if events else None)
    monkeypatch.setattr(sys.modules[ZmqWire.__module__], "_MOST_EVENTS", 2)
    listening.wire.waiter().stirred = True
    left = []
    while listening.wire.poll(listening.heard, 100):
        left.append(len(events))
    assert left == [3, 1]
    assert not events


def test_connection_that_waits_is_kept_once_there_are_descriptors_though_failures_before_are_still_unread(
    listening: Listening, clients: list[socket.socket]
) -> None:
    """libzmq's thread announces failures until its queue is full, and tries again only when somebody reads them."""
    with descriptors_left(0):
        clients[0].connect_ex(listening.where)
        used = -1.0
        while time.process_time() - used > 0.005:  # it still does
            used = time.process_time()
            threading.Event().wait(0.05)
    listening.until(lambda: len(listening.wire._silent) or listening.heard.silent_ended)
    assert listening.heard.silent_ended == []
    assert not is_over(clients[0])


def test_peer_connects_after_strangers_have_taken_every_descriptor(
    real: RealWorld, clients: list[socket.socket]
) -> None:
    scene = Scene(real, handshake_timeout=60.0)
    endpoint = scene.bob.address.endpoint
    with descriptors_left(10):
        for client in clients:
            client.connect_ex((endpoint.host, endpoint.port))
        real.until(lambda: scene.bob.counted("silent_connections", Reason.TOO_MANY) >= len(clients) - 20, timeout=30)
    scene.assert_others_are_served()


def test_number_is_used_itself_where_it_cannot_be_duplicated_and_stays_open() -> None:
    one, other = socket.socketpair()
    with one, other:
        with descriptors_left(0), held(one.fileno()) as same:
            same.send(b"x")
        assert other.recv(1) == b"x"
        one.send(b"y")
        assert other.recv(1) == b"y"


def test_listener_takes_its_spare_descriptor_again(clients: list[socket.socket]) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listener = Listener(listening.fileno())
        with descriptors_left(0):
            for client in clients[:3]:
                client.connect_ex(listening.getsockname())
                with pytest.raises(OSError, match="Too many open files") as raised:
                    listening.accept()
                assert is_full(raised.value)
                assert listener.turn_away() == ["127.0.0.1"]
                assert listener.turn_away() == []
        listener.close()


def test_listener_turns_nobody_away_while_there_is_a_descriptor(clients: list[socket.socket]) -> None:
    """Though the failure that it is told of was one for want of a descriptor: that may be long past."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listener = Listener(listening.fileno())
        clients[0].connect_ex(listening.getsockname())
        with descriptors_left(1):
            assert listener.turn_away() == []
            accepted, _ = listening.accept()
        accepted.close()
        listener.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_listener_turns_away_who_waits_while_no_socket_can_be_made_whichever_table_is_full(
    clients: list[socket.socket], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A duplicate can be made while the system's table is full, and closing one makes no place there."""

    def full() -> socket.socket:
        raise OSError(number, os.strerror(number))

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listener = Listener(listening.fileno())
        clients[0].connect_ex(listening.getsockname())
        monkeypatch.setattr(sys.modules[Listener.__module__], "_new_socket", full)
        assert listener.turn_away() == ["127.0.0.1"]
        assert listener._spare is None  # it went for who was turned away
        monkeypatch.undo()
        assert listener.regain()
        listener.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_wire_connects_nowhere_while_no_socket_can_be_made_and_does_so_afterwards(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full() -> socket.socket:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sys.modules[Listener.__module__], "_new_socket", full)
    assert listening.wire.connect(Endpoint("127.0.0.1", 1), listening.identity.curve_public) is None
    monkeypatch.undo()
    assert listening.wire.connect(Endpoint("127.0.0.1", 1), listening.identity.curve_public) is not None


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_endpoint_counts_as_the_own_while_it_cannot_be_found_out(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(*_arguments: object) -> socket.socket:
        raise OSError(number, os.strerror(number))

    here, elsewhere = Endpoint.parse("tcp://0.0.0.0:7000", listen=True), Endpoint.parse("tcp://192.0.2.1:7000")
    assert not leads_to(here, elsewhere)
    monkeypatch.setattr(socket, "socket", full)
    assert leads_to(here, elsewhere)


def test_spare_descriptor_is_an_open_file_of_its_own(clients: list[socket.socket]) -> None:
    """Which is what the system counts."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listener = Listener(listening.fileno())
        assert listener._spare is not None
        assert os.fstat(listener._spare.fileno()).st_ino != os.fstat(listening.fileno()).st_ino
        listener.close()


def test_dial_of_a_node_without_descriptors_ends_as_unreachable(listening: Listening) -> None:
    dialler = Listening()
    try:
        with descriptors_left(1):  # for the dialler's side
            route = dialler.wire.connect(Endpoint(*listening.where), listening.identity.curve_public)

            def has_ended() -> bool:
                listening.poll()
                return bool(dialler.heard.downs)

            dialler.until(has_ended)
        assert dialler.heard.downs == [(route, Reason.UNREACHABLE)]
        assert listening.heard.silent_ended == [Reason.TOO_MANY]
    finally:
        dialler.wire.close()


# closing


def test_wire_closes_though_libzmq_waits_for_somebody_to_read_its_events(no_leaks: None) -> None:
    listening = Listening()
    with contextlib.suppress(TimeoutError):  # once libzmq's thread waits, nobody is accepted
        for _ in range(1500):
            socket.create_connection(listening.where, timeout=2).close()
    closing = threading.Thread(target=listening.wire.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()


def test_port_and_connections_of_a_closed_wire_end_though_a_forked_process_has_them(no_leaks: None) -> None:
    listening = Listening()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    try:
        listening.wire.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listening.where)
        again = Listening.__new__(Listening)
        again.wire = ZmqWire(
            listening.identity, max_frame=4096, max_frames=4, high_water=16, handshake_timeout=60.0, max_silent=1
        )
        assert again.wire.bind(Endpoint(*listening.where)).port == listening.where[1]
        again.wire.close()
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(pid, 0)
