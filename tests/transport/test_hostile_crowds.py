"""Many who connect and never say Hello: bounded, ended in time, counted, and no harm to others."""

from __future__ import annotations

import gc
import os
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import zmq

from rookery.transport import Reason
from rookery.transport.core.codec import encode_batch
from tests.transport.scene import Scene, resident
from tests.transport.worlds import RealWorld

PENDING = 64
WAVE = 300
MANY = 10_000
DESCRIPTORS = Path("/proc/self/fd")


def door_open_to_crowds(real: RealWorld, handshake_timeout: float) -> Scene:
    """No limit of rates, and few silent connections at once."""
    return Scene(
        real,
        handshake_timeout=handshake_timeout,
        max_pending_handshakes=PENDING,
        handshakes_per_ip=1e6,
        handshakes_per_subnet=1e6,
        handshake_burst=1_000_000,
    )


@pytest.fixture
def scene(real: RealWorld) -> Scene:
    return door_open_to_crowds(real, handshake_timeout=0.5)


def turned_away(scene: Scene) -> int:
    """Silent connections that were ended, for whatever reason."""
    reasons = (Reason.TIMEOUT, Reason.PENDING, Reason.LOST)
    return int(sum(scene.bob.counted("silent_connections", reason) for reason in reasons))


def silent_tcp(scene: Scene, number: int, first: bytes = b"") -> None:
    """Connect so many times, say `first` that is no ZeroMQ, and wait until each connection was ended."""
    endpoint, before = scene.bob.address.endpoint, turned_away(scene)
    with ExitStack() as stack:
        for _ in range(number):
            connection = stack.enter_context(socket.create_connection((endpoint.host, endpoint.port)))
            connection.sendall(first)
        scene.assert_others_are_served()
        scene.real.until(lambda: turned_away(scene) == before + number)


def silent_encrypted(scene: Scene, number: int) -> None:
    """Complete so many encrypted handshakes and never say Hello; wait until each connection was ended."""
    before = turned_away(scene)
    with crowd(scene, number) as sockets:
        poller = zmq.Poller()
        for monitor in sockets:
            poller.register(monitor, zmq.POLLIN)
        scene.assert_link_carries()
        scene.real.until(lambda: turned_away(scene) >= before + number, timeout=30)
        scene.real.until(lambda: len(poller.poll(0)) == number, timeout=30)
    scene.real.until(lambda: turned_away(scene) == before + number)
    scene.real.pass_time(0.5)  # a handshake that is answered when its connection has gone already counts for so long


@contextmanager
def crowd(scene: Scene, number: int) -> Iterator[list[zmq.Socket[bytes]]]:
    """So many clients with random keys; gives their monitors, which stir when a connection ends."""
    public, secret = zmq.curve_keypair()
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, 3 * number + 10)
    clients: list[zmq.Socket[bytes]] = []
    monitors: list[zmq.Socket[bytes]] = []
    for _ in range(number):
        client = context.socket(zmq.DEALER)
        clients.append(client)
        client.linger = 0
        client.reconnect_ivl = -1
        client.curve_publickey, client.curve_secretkey = public, secret
        client.curve_serverkey = scene.bob.identity.curve_public
        monitors.append(client.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH))
        client.connect(str(scene.bob.address.endpoint))
    try:
        yield monitors
    finally:
        for client, monitor in zip(clients, monitors, strict=True):
            client.disable_monitor()
            monitor.close(linger=0)
            client.close(linger=0)
        context.term()


def test_tcp_connections_that_say_nothing_are_ended_in_time_and_counted(scene: Scene) -> None:
    silent_tcp(scene, WAVE)
    scene.assert_unharmed()


def test_tcp_connections_that_say_nothing_are_few_at_any_time(real: RealWorld) -> None:
    scene = door_open_to_crowds(real, handshake_timeout=60.0)
    endpoint = scene.bob.address.endpoint
    with ExitStack() as stack:
        for _ in range(WAVE):
            stack.enter_context(socket.create_connection((endpoint.host, endpoint.port)))
        real.until(lambda: scene.bob.counted("silent_connections", Reason.PENDING) == WAVE - PENDING)
        scene.assert_others_are_served()
        assert turned_away(scene) <= WAVE - PENDING + 1


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", random.Random(1).randbytes(300)], ids=["http", "garbage"])
def test_connections_that_speak_something_else_are_ended_and_counted(scene: Scene, first: bytes) -> None:
    silent_tcp(scene, 20, first)
    assert scene.bob.counted("silent_connections", Reason.LOST) == 20
    scene.assert_unharmed()


def test_encrypted_connections_that_never_say_hello_are_bounded_and_ended_in_time(scene: Scene) -> None:
    silent_encrypted(scene, WAVE)
    scene.assert_unharmed()


def test_encrypted_connections_that_leave_without_a_hello_are_pending_no_more(real: RealWorld) -> None:
    scene = door_open_to_crowds(real, handshake_timeout=60.0)
    with crowd(scene, PENDING):
        real.until(lambda: scene.bob.engine.handshake_limits.pending == PENDING)
    real.until(lambda: scene.bob.engine.handshake_limits.pending == 0)
    scene.assert_unharmed()


def test_one_encrypted_connection_that_never_says_hello_is_ended_after_its_time(scene: Scene) -> None:
    with scene.raw() as raw:
        raw.encrypted()
        scene.real.until(lambda: scene.bob.counted("silent_connections", Reason.TIMEOUT) == 1)
        raw._wait_for(zmq.EVENT_DISCONNECTED)
    scene.assert_unharmed()


def test_connection_that_said_hello_in_time_outlives_the_time_for_it(scene: Scene) -> None:
    with scene.joined() as raw:
        scene.real.pass_time(0.8)
        raw.send(*encode_batch([(16, b"hi")]))
        scene.real.until(lambda: scene.bob.payloads() == [b"hi"])
    assert turned_away(scene) == 0


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="needs /proc")
@pytest.mark.parametrize("attack", [silent_tcp, silent_encrypted])
def test_10000_connections_without_a_hello_leave_memory_and_descriptors_flat(scene: Scene, attack: object) -> None:
    assert callable(attack)
    attack(scene, WAVE)
    gc.collect()
    memory, descriptors = resident(), len(os.listdir(DESCRIPTORS))
    for _ in range(MANY // WAVE):
        attack(scene, WAVE)
    scene.assert_unharmed()
    gc.collect()
    assert resident() - memory < 32 * 2**20
    assert len(os.listdir(DESCRIPTORS)) - descriptors <= 8
