"""A node with few file descriptors, as strangers, its own files or the system's limit leave it."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rookery.actors.blobs.errors import BlobError
from rookery.config import load
from rookery.node import CannotStart, Client, Node
from rookery.transport import Address, Identity, descriptors
from tests.transport.wire.few_descriptors import descriptors_left

MakeFolder = Callable[..., Path]
FEW = 256
STRANGERS = 300


@pytest.fixture(autouse=True)
def same_limit() -> Iterator[None]:
    """The process has its limit again afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def until(condition: Callable[[], object], timeout: float = 30.0) -> None:
    deadline, pause = time.monotonic() + timeout, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        pause.wait(0.02)


@contextmanager
def running(folder: Path, soft: int, hard: int) -> Iterator[tuple[subprocess.Popen[bytes], Client]]:
    """`rookery run` in a process that may have so many descriptors, and a client of it."""
    command = f'ulimit -S -n {soft}; ulimit -H -n {hard}; exec "$0" -m rookery.node run "$1"'
    with (folder / "log").open("wb") as log, Client(load(folder).control.socket) as client:
        process = subprocess.Popen(["sh", "-c", command, sys.executable, str(folder)], stderr=log)
        try:
            until(lambda: process.poll() is not None or client.socket.exists())
            yield process, client
        finally:
            process.terminate()
            process.wait(20)


def cpu_seconds(pid: int) -> float:
    """Used so far by a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_node_with_few_descriptors_outlives_a_crowd_of_strangers_and_serves_others(make_folder: MakeFolder) -> None:
    """In bursts, faster than the node is scheduled; none of them says a word, and none leaves by itself."""
    peer = make_folder("peer", "transport: {handshake_timeout: 60}\ntracker: {source: static}\n")
    with running(peer, FEW, FEW) as (process, client), ExitStack() as strangers:
        status = client.status()
        assert status.limits.startswith("40 connections, 15 packet links and 29 silent connections, in 256 file")
        where = Address.parse(status.address).endpoint
        for _ in range(STRANGERS):
            strangers.enter_context(socket.create_connection((where.host, where.port)))
        assert client.status().peer == status.peer
        until(lambda: client.metric("transport_silent_connections_total") >= STRANGERS - 40)
        used, since = cpu_seconds(process.pid), time.monotonic()
        until(lambda: time.monotonic() > since + 2)
        burnt = (cpu_seconds(process.pid) - used) / (time.monotonic() - since)
        assert burnt < 0.5, f"{burnt:.0%} of a core without anything to do"
        good = make_folder("good", f"tracker: {{source: static, peers: ['{status.peer}@{status.address}']}}\n")
        with Node(load(good)) as node:
            node.wait(connected=1, timeout=20)
        strangers.close()
        with Node(load(good)) as node:
            node.wait(connected=1, timeout=20)
        assert process.poll() is None


@pytest.mark.processes
def test_node_raises_its_limit_as_far_as_it_needs_and_may(make_folder: MakeFolder) -> None:
    with running(make_folder(), FEW, 4096) as (_process, client):
        limits = client.status().limits
    needed = descriptors.needed(load(make_folder("other")).transport)
    assert limits == f"100 connections, 256 packet links and 512 silent connections, in {needed} file descriptors"


def test_node_with_too_few_descriptors_does_not_start_and_says_how_many_it_needs(make_folder: MakeFolder) -> None:
    folder = make_folder()
    config = load(folder)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with pytest.raises(CannotStart, match=r"file descriptors: this process may have 100 \(allowed: at least 160"):
        Node(config)


def test_node_whose_process_has_hardly_a_descriptor_left_does_not_start_and_nothing_aborts(
    make_folder: MakeFolder, no_leaks: None
) -> None:
    node = Node(load(make_folder()))
    with descriptors_left(8), pytest.raises(CannotStart, match="file descriptors: "):
        node.start()


def test_settings_that_contradict_the_descriptors_are_refused_with_both_numbers(make_folder: MakeFolder) -> None:
    ids = [Identity.generate().peer for _ in range(50)]
    peers = ", ".join(f"'{peer}@tcp://127.0.0.1:1'" for peer in ids)
    config = load(make_folder("node", f"tracker: {{source: static, peers: [{peers}]}}\n"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with pytest.raises(CannotStart, match="file descriptors: 200 allow 26 connections: .*50 peers"):
        Node(config)


@pytest.mark.parametrize("runtime", ["loop", "threads"])
def test_node_without_a_descriptor_left_fails_only_what_needs_one(make_folder: MakeFolder, runtime: str) -> None:
    folder = make_folder("node", f"runtime: {runtime}\ntracker: {{source: static}}\n")
    (folder / "file").write_bytes(b"x" * 100_000)
    peer = Identity.generate().peer
    with Node(load(folder)) as node:
        key = node.blobs.put(folder / "file")
        with descriptors_left(0):
            with pytest.raises(BlobError):
                node.blobs.put(folder / "file")
            with pytest.raises(Exception, match="Too many open files"):
                node.blobs.get(key, folder / "copy", timeout=2)
            node.tracker.block(peer).get(timeout=5)
            assert node.status().peer == str(node.peer)
        assert node.blobs.put(folder / "file") == key
        node.blobs.get(key, folder / "copy", timeout=5)
        assert node.failure is None


def test_node_stops_without_a_descriptor_left(make_folder: MakeFolder, no_leaks: None) -> None:
    node = Node(load(make_folder())).start()
    with descriptors_left(0):
        node.stop()
    assert node.failure is None
    assert not node.config.control.socket.exists()
