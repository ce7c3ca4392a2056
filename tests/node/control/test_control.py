"""The control socket of a running node: every command, and a node that is not there."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rookery.actors.blobs import Progress
from rookery.config import load
from rookery.node import CallTimeout, Client, CommandFailed, ControlError, Node, NoNode
from rookery.node.control import socket_path
from rookery.node.control.protocol import Plain, framed
from rookery.testing import Peers
from rookery.transport import Closed, Direction, Link, Opened, Reason, Role

MakeFolder = Callable[..., Path]
PEER = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
NOWHERE = "ab" * 32


# commands


def test_status_says_who_the_node_is(node: Node, client: Client) -> None:
    status = client.status()
    assert (status.peer, status.address) == (str(node.peer), str(node.address))
    assert (status.pid, status.source, status.admission) == (os.getpid(), "static", "open")
    assert (status.connected, status.members) == (0, 1)
    assert status.uptime > 0


def test_status_counts_connections_for_fetches_and_their_places(node: Node, client: Client) -> None:
    """Transport says so to connections, connections to control."""
    record = Peers().record("bob")
    link = Link(2**40, record.peer, Direction.IN, Role.PRIMARY, "10.0.0.1", 0.0, record, short_lived=True)
    node.connections.tell(Opened(link))
    node.connections.get_info().get(timeout=5)
    assert (client.status().short_lived, client.status().short_lived_places) == (1, 25)
    assert client.status().connected == 0
    node.connections.tell(Closed(link.id, link.peer, Reason.IDLE))
    node.connections.get_info().get(timeout=5)
    assert client.status().short_lived == 0


def test_node_and_client_say_the_same(node: Node, client: Client) -> None:
    assert node.status().peer == client.status().peer


def test_put_and_get_give_the_file_back(client: Client, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(os.urandom(100_000))
    key = client.blobs.put(tmp_path / "source")
    report = client.blobs.get(str(key), tmp_path / "copy", timeout=5)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "source").read_bytes()
    assert (report.key, report.size, report.fetched, report.served) == (key, 100_000, 0, ())


def test_get_ends_its_progress_with_the_whole(client: Client, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 1000)
    seen: list[Progress] = []
    client.blobs.get(client.blobs.put(tmp_path / "source"), tmp_path / "copy", progress=seen.append)
    assert seen[-1] == Progress(1000, 1000)


def test_relative_paths_are_the_callers(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("source").write_bytes(b"data")
    client.blobs.get(client.blobs.put("source"), "copy")
    assert (tmp_path / "copy").read_bytes() == b"data"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/dev/stdin", "in /dev names stand for something else than files; give a regular file by its own name"),
        ("/proc/self/fd/1", "in /proc names stand for something else than files; give a regular file by its own name"),
        ("/dev/null", "in /dev names stand for something else than files; give a regular file by its own name"),
        ("pipe", "it is not a regular file"),
    ],
)
def test_path_that_would_be_another_file_in_the_node_is_refused_alike_by_the_client_and_by_the_node(
    client: Client, tmp_path: Path, path: str, words: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = str(tmp_path / path)
    (tmp_path / "source").write_bytes(b"data")
    key = str(client.blobs.put(tmp_path / "source"))
    said = []
    for action in (
        lambda: client.blobs.put(path),
        lambda: client.call("put", {"path": path}),
        lambda: client.blobs.get(key, path),
        lambda: client.call("get", {"key": key, "destination": path}),
    ):
        with pytest.raises(CommandFailed) as caught:
            action()
        said.append((caught.value.kind, str(caught.value), caught.value.details))
    assert said[0] == said[1] == ("SourceError", f"cannot read {path}: {words}", {"path": path})
    assert said[2] == said[3] == ("DestinationError", f"cannot write {path}: {words}", {"path": path})


def test_file_and_folder_that_the_client_sees_otherwise_are_refused_by_the_node(client: Client, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"data")
    key = str(client.blobs.put(tmp_path / "source"))
    with pytest.raises(CommandFailed, match="the node finds another file there than its caller") as put:
        client.call("put", {"path": str(tmp_path / "source"), "seen": [1, 2]})
    with pytest.raises(CommandFailed, match=f"the node finds another folder {tmp_path} than its caller") as get:
        client.call("get", {"key": key, "destination": str(tmp_path / "copy"), "seen": [1, 2]})
    assert (put.value.kind, get.value.kind) == ("SourceError", "DestinationError")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (lambda client, folder: client.blobs.put(folder / "missing"), "SourceError"),
        (lambda client, folder: client.blobs.get(NOWHERE, folder / "copy", timeout=0.05), "GetTimedOut"),
        (lambda client, folder: client.blobs.get(NOWHERE, folder, timeout=5), "DestinationError"),
        (lambda client, _folder: client.wait(connected=1, timeout=0.05), "NotReached"),
        (lambda client, _folder: client.tracker.block("abc"), "BadArguments"),
        (lambda client, _folder: client.tracker.block(PEER, duration=-1.0), "BadArguments"),
        (lambda client, _folder: client.tracker.block(client.status().peer), "CannotBlock"),
        (lambda client, _folder: client.call("dance"), "BadArguments"),
        (lambda client, _folder: client.call("status", {"of": "all"}), "BadArguments"),
        (lambda client, _folder: client.call("put", {"path": "relative"}), "BadArguments"),
        (lambda client, _folder: client.call("cancel", {"key": "short"}), "BadArguments"),
    ],
)
def test_command_that_fails_says_why_and_of_what_kind(
    client: Client, tmp_path: Path, action: Callable[[Client, Path], object], kind: str
) -> None:
    with pytest.raises(CommandFailed) as raised:
        action(client, tmp_path)
    assert raised.value.kind == kind
    assert str(raised.value)


def test_wait_that_is_not_fulfilled_says_how_far_it_came(client: Client) -> None:
    with pytest.raises(CommandFailed, match=r"not within 0\.05 s: 0 of 3 connections and 1 of 2 members"):
        client.wait(connected=3, members=2, timeout=0.05)


def test_wait_for_what_is_there_is_answered_at_once(client: Client) -> None:
    assert client.wait(members=1, timeout=30).members == 1


def test_block_is_seen_among_the_peers_until_it_ends(client: Client) -> None:
    until = client.tracker.block(PEER, duration=3600.0)
    (row,) = [row for row in client.peers() if row.peer == PEER]
    assert row.blocked_until == until
    assert client.status().blocked == 1
    assert client.tracker.unblock(PEER) is True
    assert client.tracker.unblock(PEER) is False
    assert PEER not in [row.peer for row in client.peers()]


def test_block_for_good_has_no_end(client: Client) -> None:
    assert client.tracker.block(PEER, duration=float("inf")) == float("inf")
    client.tracker.unblock(PEER)


def test_node_without_peers_has_no_connections_and_no_members(client: Client) -> None:
    assert (client.connections(), client.members()) == ((), ())


def test_metrics_are_summed_over_their_labels(client: Client, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    before = client.metric("blobs_puts_total")
    client.blobs.put(tmp_path / "source")
    assert client.metric("blobs_puts_total") == before + 1
    with pytest.raises(CommandFailed, match="there is no metric 'no_such_metric'") as refused:
        client.metric("no_such_metric")
    assert refused.value.kind == "NoSuchMetric"
    assert client.metric("control_internal_errors_total") == 0  # it is there, and was never touched


def test_get_that_its_caller_gives_up_is_cancelled(node: Node, client: Client, tmp_path: Path) -> None:
    """As Ctrl-C does it: an exception between two answers."""
    given_up = threading.Event()

    class GivenUp(BaseException):
        pass

    def call(*_args: object, **_kwargs: object) -> Plain:
        started = node.files.get(NOWHERE, tmp_path / "copy")
        started.then(lambda _reply: given_up.set())
        raise GivenUp

    original, client.call = client.call, call  # type: ignore[method-assign]

    def cancel(key: bytes | str) -> int:
        client.call = original  # type: ignore[method-assign]
        return type(client.blobs).cancel(client.blobs, key)

    client.blobs.cancel = cancel  # type: ignore[method-assign]
    with pytest.raises(GivenUp):
        client.blobs.get(NOWHERE, tmp_path / "copy")
    assert given_up.wait(5)


# a node that is not there


def test_call_without_a_node_says_so_at_once(tmp_path: Path) -> None:
    with Client(tmp_path / "node.sock") as client, pytest.raises(NoNode, match=r"no node listens at .*node\.sock"):
        client.status()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[socket.socket]:
    """Listens where a node would, and does not accept."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "node.sock"))
        made.listen(1)
        yield made


def test_call_that_nobody_answers_times_out(tmp_path: Path, silent: socket.socket) -> None:
    with Client(tmp_path / "node.sock", timeout=0.1) as client:
        for _ in range(5):  # until its queue of connections is full, and then
            with pytest.raises(CallTimeout, match=r"within 0\.1 s"):
                client.status()


@pytest.mark.parametrize("nonsense", [framed(b"nonsense"), b"\xff\xff\xff\xff"])
def test_node_that_answers_nonsense_is_named(tmp_path: Path, silent: socket.socket, nonsense: bytes) -> None:
    def answer() -> None:
        with silent.accept()[0] as connection:
            connection.sendall(nonsense)
            connection.recv(1000)

    thread = threading.Thread(target=answer)
    thread.start()
    with Client(tmp_path / "node.sock") as client, pytest.raises(ControlError, match="answered nonsense"):
        client.status()
    thread.join()


def test_node_that_closes_without_an_answer_is_not_said_to_be_missing(tmp_path: Path, silent: socket.socket) -> None:
    thread = threading.Thread(target=lambda: silent.accept()[0].close())
    thread.start()
    with Client(tmp_path / "node.sock") as client, pytest.raises(ControlError, match="closed the connection"):
        client.status()
    thread.join()


def test_call_under_way_ends_when_the_node_does(make_folder: MakeFolder) -> None:
    node = Node(load(make_folder())).start()
    with Client(node.config.control.socket) as client:
        timer = threading.Timer(0.1, node.stop)
        timer.start()
        with pytest.raises(NoNode):
            client.wait(connected=1)
        timer.join()


def test_stop_ends_the_node_and_removes_its_socket(make_folder: MakeFolder) -> None:
    node = Node(load(make_folder())).start()
    with Client(node.config.control.socket) as client:
        client.stop()
    assert node.stopped.wait(5)
    assert not socket_path.find(node.config.control.socket).exists()
    node.stop()
