"""Nodes as processes over real sockets: the rules at the head of `node/cluster.py`, and the end of a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rookery.config import load
from rookery.node import Client, Cluster, ClusterError, CommandFailed, ControlError, new
from rookery.node.control import socket_path

pytestmark = pytest.mark.processes
WITHIN = 30.0  # seconds; a bound for a busy machine, not a measure


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, looking often."""
    deadline = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {WITHIN} s"
        threading.Event().wait(0.02)


def is_listening(folder: Path) -> bool:
    return socket_path.somebody_listens(socket_path.find(load(folder).control.socket))


def started(folder: Path, *more: str, program: Sequence[str] = ("-m", "rookery.node")) -> subprocess.Popen[bytes]:
    """A node as a process of its own, as soon as it answers."""
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *program, "run", str(folder), *more], stdin=subprocess.PIPE, stderr=log
        )
    until(lambda: is_listening(folder) or process.poll() is not None, "the node answers")
    return process


def ended(process: subprocess.Popen[bytes], timeout: float) -> int:
    """The exit code, in time; a process that does not end is killed, and the test fails."""
    try:
        return process.wait(timeout)
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def test_five_nodes_share_a_file_and_notice_a_killed_one(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(os.urandom(3_000_000))
    files = Cluster.make(tmp_path / "cluster", 5, {"membership": {"probe_period": "1s", "probe_rtt": "300ms"}})
    with Cluster.launch(str(tmp_path / "cluster" / "*" / "node.yaml"), timeout=WITHIN) as cluster:
        assert list(cluster) == ["a", "b", "c", "d", "e"]
        found = cluster.wait(connected=4, members=5, timeout=WITHIN)
        assert len({status.peer for status in found.values()}) == 5
        key = cluster["a"].blobs.put(tmp_path / "source")
        cluster["b"].blobs.get(key, tmp_path / "copy-b", timeout=WITHIN)
        cluster.kill("a")
        report = cluster["e"].blobs.get(key, tmp_path / "copy-e", timeout=WITHIN)
        assert [str(peer) for peer, _bytes in report.served] == [found["b"].peer]
        until(
            lambda: any(row.peer == found["a"].peer and row.state == "down" for row in cluster["c"].members()),
            "c notices that a is dead",
        )
        until(lambda: cluster["c"].status().connected == 3, "c has lost its connection to a")
    assert (tmp_path / "copy-e").read_bytes() == (tmp_path / "source").read_bytes()
    assert cluster.stop() == {"a": -signal.SIGKILL, "b": 0, "c": 0, "d": 0, "e": 0}
    assert not any(is_listening(file.parent) for file in files)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_a_node_in_order_with_exit_code_0(tmp_path: Path, number: signal.Signals) -> None:
    new.make_node(tmp_path / "node")
    process = started(tmp_path / "node")
    process.send_signal(number)
    assert ended(process, timeout=30.0) == 0
    assert {path.name for path in (tmp_path / "node").iterdir()} == {"node.key", "node.yaml", "node.log", "data"}
    assert "Traceback" not in (tmp_path / "node" / "node.log").read_text()


def test_node_with_an_engine_that_fails_stops_in_order_with_exit_code_1(tmp_path: Path) -> None:
    new.make_node(tmp_path / "node")
    broken = tmp_path / "broken.py"
    broken.write_text(
        "from rookery.node.command import main\n"
        "from rookery.node.control import Engine\n"
        "Engine.on_get_status = lambda self, message: 1 / 0\n"
        "main()\n"
    )
    process = started(tmp_path / "node", program=[str(broken)])
    with Client.of(tmp_path / "node") as client, pytest.raises(ControlError):
        client.status()
    assert ended(process, timeout=30.0) == 1
    log = (tmp_path / "node" / "node.log").read_text()
    assert "the node failed and has stopped" in log.splitlines()[-1]
    assert not (tmp_path / "node" / "node.sock").exists()


def test_node_of_a_launcher_that_dies_stops_by_itself(tmp_path: Path) -> None:
    (file,) = Cluster.make(tmp_path, 1)
    program = (
        "import sys; from rookery.node import Cluster\n"
        "with Cluster.launch([sys.argv[1]]): print('up', flush=True); sys.stdin.read()"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", program, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert launcher.stdout is not None
    assert launcher.stdout.readline() == b"up\n"
    launcher.kill()
    assert ended(launcher, timeout=30.0) == -signal.SIGKILL
    launcher.stdout.close()
    until(lambda: "stopped" in (file.parent / "node.log").read_text(), "the node stops")
    assert not is_listening(file.parent)


def test_node_goes_on_while_its_standard_input_is_open(tmp_path: Path) -> None:
    new.make_node(tmp_path / "node")
    process = started(tmp_path / "node", "--while-stdin")
    assert process.stdin is not None
    process.stdin.write(b"anything")
    process.stdin.flush()
    assert is_listening(tmp_path / "node")
    process.stdin.close()
    assert ended(process, timeout=30.0) == 0


def test_node_that_cannot_start_is_an_error_with_its_log(tmp_path: Path) -> None:
    files = Cluster.make(tmp_path, 2)
    (tmp_path / "b" / "node.key").chmod(0o644)
    with pytest.raises(ClusterError, match=r"(?s)node b ended with 2; its log:.*has mode 0644"):
        Cluster.launch(files, timeout=WITHIN)
    assert not is_listening(tmp_path / "a")


def test_node_that_takes_too_long_to_answer_is_an_error_that_says_it_is_running(tmp_path: Path) -> None:
    (file,) = Cluster.make(tmp_path, 1)
    with pytest.raises(ClusterError, match="node a does not answer after 0 s\nnode a is running"):
        Cluster.launch([file], timeout=0.0)


def test_node_that_ends_by_itself_is_an_error_when_the_cluster_ends(tmp_path: Path) -> None:
    files = Cluster.make(tmp_path, 2)

    def run() -> None:
        with Cluster.launch(files, timeout=WITHIN) as cluster:
            os.kill(cluster.pid("b"), signal.SIGKILL)
            until(lambda: not is_listening(tmp_path / "b"), "b is dead")

    with pytest.raises(ClusterError, match="node b ended with -9"):
        run()
    assert not is_listening(tmp_path / "a")


def test_error_in_the_program_stops_the_cluster_and_is_the_error(tmp_path: Path) -> None:
    files = Cluster.make(tmp_path, 2)
    with pytest.raises(CommandFailed, match="of 5 connections"), Cluster.launch(files, timeout=WITHIN) as cluster:
        cluster.wait(connected=5, timeout=0.1)
    assert not any(is_listening(file.parent) for file in files)


def test_program_of_ones_own_can_be_a_node(tmp_path: Path) -> None:
    files = Cluster.make(tmp_path, 1)
    own = tmp_path / "own.py"
    own.write_text("import sys\nfrom rookery.node.command import main\nprint('own', file=sys.stderr)\nmain()\n")
    with Cluster.launch(files, timeout=WITHIN, programs={"a": [str(own)]}) as cluster:
        assert cluster["a"].status().pid == cluster.pid("a")
    assert (tmp_path / "a" / "node.log").read_text().startswith("own\n")


def test_cluster_without_nodes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="names no file"):
        Cluster.launch(f"{tmp_path}/*/node.yaml")


def test_two_nodes_of_one_name_are_an_error(tmp_path: Path) -> None:
    first, second = Cluster.make(tmp_path / "one", 1), Cluster.make(tmp_path / "two", 1)
    with pytest.raises(ClusterError, match="two nodes are called a"):
        Cluster.launch(first + second)
    assert not is_listening(first[0].parent)
