"""The control socket of a running node: every command, and what a hostile client can do."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest

from rookery.actors.blobs import Progress
from rookery.config import load
from rookery.node import CallTimeout, Client, CommandFailed, ControlError, Node, NoNode
from rookery.node.control import engine, socket_path
from rookery.node.control.protocol import HEAD, MAX_CALL, Answer, Call, Kind, Plain, decode_answer, encode_call, framed
from rookery.node.control.socket import SPARE_CLIENTS

MakeFolder = Callable[..., Path]
PEER = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
NOWHERE = "ab" * 32
MAX_CALLS = 3  # of the shared node


class Raw:
    """A client that says whatever it likes."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        self.socket.connect(str(path))

    def say(self, frame: bytes) -> None:
        self.socket.sendall(framed(frame))

    def hear(self) -> Answer:
        (length,) = HEAD.unpack(self.socket.recv(HEAD.size, socket.MSG_WAITALL))
        return decode_answer(self.socket.recv(length, socket.MSG_WAITALL))

    def ended(self) -> bool:
        """Whether the node has closed the connection."""
        with contextlib.suppress(ConnectionError):
            return self.socket.recv(1) == b""
        return True

    def error(self) -> dict[str, str]:
        answer = self.hear()
        assert answer.kind is Kind.ERROR
        assert isinstance(answer.body, dict)
        return answer.body


def served_again(client: Client) -> bool:
    """Whether the node takes clients again, within some seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(CommandFailed):
            return bool(client.record())
    return False


@pytest.fixture
def raw(node: Node) -> Iterator[Raw]:
    made = Raw(node.config.control.socket)
    yield made
    made.socket.close()


# commands


def test_status_says_who_the_node_is(node: Node, client: Client) -> None:
    status = client.status()
    assert (status.peer, status.address) == (str(node.peer), str(node.address))
    assert (status.pid, status.source, status.admission) == (os.getpid(), "static", "open")
    assert (status.connected, status.members) == (0, 1)
    assert status.uptime > 0


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


# hostile clients


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"x" * 1000, b"\x91" * 5000, msgpack.packb([1, 2, 3, 4])])
def test_nonsense_is_answered_with_an_error(raw: Raw, client: Client, frame: bytes) -> None:
    raw.say(frame)
    assert raw.error()["kind"] == "ProtocolError"
    assert client.status().pid == os.getpid()


def test_call_in_pieces_and_two_calls_in_one_piece_are_answered(raw: Raw) -> None:
    calls = b"".join(framed(encode_call(Call(number, "status", {}))) for number in (1, 2))
    for piece in (calls[:2], calls[2:9], calls[9:]):
        raw.socket.sendall(piece)
    assert sorted(raw.hear().number for _ in range(2)) == [1, 2]


def test_another_version_is_answered_under_its_number(raw: Raw) -> None:
    raw.say(msgpack.packb([9, 42, "status", {}]))
    answer = raw.hear()
    assert answer.number == 42
    assert "version 9: this node speaks version 1" in str(answer.body)


def test_frame_that_is_too_large_ends_only_its_own_connection(raw: Raw, client: Client) -> None:
    raw.socket.sendall(HEAD.pack(MAX_CALL + 1))
    assert raw.ended()
    assert client.status().pid == os.getpid()


def test_more_clients_than_may_be_connected_are_told_so(node: Node, client: Client) -> None:
    crowd = [Raw(node.config.control.socket) for _ in range(MAX_CALLS + SPARE_CLIENTS + 1)]
    assert crowd[-1].error()["kind"] == "Refused"
    assert crowd[-1].ended()
    with pytest.raises(CommandFailed, match="67 clients are connected, which is the limit"):
        client.status()
    for each in crowd:
        each.socket.close()
    assert served_again(client)


def test_client_that_does_not_read_loses_its_answers_and_harms_nobody(raw: Raw, client: Client) -> None:
    raw.socket.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        for _ in range(100_000):
            raw.say(encode_call(Call(1, "metrics", {})))
    assert client.status().pid == os.getpid()


def test_client_with_as_many_commands_under_way_as_it_may_leaves_a_place_to_others(
    node: Node, raw: Raw, client: Client, tmp_path: Path
) -> None:
    get = {"key": NOWHERE, "destination": str(tmp_path / "copy")}
    with contextlib.closing(Raw(node.config.control.socket).socket) as socket, contextlib.ExitStack() as later:
        later.callback(node.files.cancel, NOWHERE)
        for number in range(3):
            raw.say(encode_call(Call(number, "get", get)))
        refused = raw.error()
        assert refused["kind"] == "TooManyCalls"
        assert refused["message"] == (
            "2 commands of this client are under way (allowed: half of the 3 that others leave it)"
        )
        assert client.status().pid == os.getpid()
        for number in range(2):
            socket.sendall(framed(encode_call(Call(number, "get", get))))
        with pytest.raises(CommandFailed, match="3 commands are under way, which is the limit"):
            client.record()
    assert [raw.error()["kind"] for _ in range(2)] == ["GetCancelled"] * 2
    assert served_again(client)


def test_commands_that_are_over_leave_their_places_to_the_same_client(raw: Raw) -> None:
    for _ in range(3):
        for number in range(2):
            raw.say(encode_call(Call(number, "wait", {"connected": 1, "timeout": 0.05})))
        assert [raw.error()["kind"] for _ in range(2)] == ["NotReached"] * 2


def leave(node: Node, client: Client, command: str, arguments: dict[str, Plain]) -> None:
    """As a client that asks for something and is gone before the answer."""
    gone = Raw(node.config.control.socket)
    gone.say(encode_call(Call(1, command, arguments)))
    gone.socket.close()
    for _ in range(2):
        client.status()  # whatever is under way


def test_wait_ends_with_its_client_and_leaves_its_place(node: Node, client: Client) -> None:
    for _ in range(10 * MAX_CALLS):
        leave(node, client, "wait", {"members": 1001})
    assert served_again(client)
    assert forgotten(1001)


def test_wait_that_is_cancelled_in_code_is_forgotten(node: Node) -> None:
    waits = [node.control.wait(members=1002, timeout=timeout) for timeout in (None, 3600.0)]
    node.control.status().get(timeout=5)  # answered behind them
    assert held(1002) == 2
    for each in waits:
        each.cancel()
    assert forgotten(1002)


def held(members: int) -> int:
    """How many waits for so many members are kept, of whichever node of this process."""
    return sum(type(each) is engine._Waiter and each.wanted.members == members for each in gc.get_objects())


def forgotten(members: int) -> bool:
    """Whether no wait for so many members is kept, within some seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not held(members):
            return True
    return False


def test_get_whose_client_is_gone_goes_on_and_takes_no_place_of_the_others_up_to_the_limit(
    node: Node, client: Client, tmp_path: Path
) -> None:
    get: dict[str, Plain] = {"key": NOWHERE, "destination": str(tmp_path / "copy")}
    for _ in range(MAX_CALLS):
        leave(node, client, "get", get)
    assert served_again(client)
    for _ in range(MAX_CALLS + 1):  # the last is refused
        leave(node, client, "get", get)
    with pytest.raises(CommandFailed, match="3 commands are under way, which is the limit"):
        client.record()
    assert client.status().pid == os.getpid()
    assert client.blobs.cancel(NOWHERE) == 2 * MAX_CALLS
    assert served_again(client)


def test_place_is_kept_for_one_status_cancel_or_stop_of_each_client(make_folder: MakeFolder, tmp_path: Path) -> None:
    node = Node(load(make_folder(yaml="tracker: {source: static}\ncontrol: {max_calls: 1}\n"))).start()
    get: dict[str, Plain] = {"key": NOWHERE, "destination": str(tmp_path / "copy")}
    raw = Raw(node.config.control.socket)
    with Client(node.config.control.socket) as client, contextlib.closing(raw.socket):
        for _ in range(2):
            raw.say(encode_call(Call(1, "get", get)))
        assert raw.error()["kind"] == "TooManyCalls"
        with pytest.raises(CommandFailed, match="1 commands are under way, which is the limit"):
            client.record()
        raw.say(encode_call(Call(2, "status", {})))  # also of who has all the places
        assert raw.hear().kind is Kind.RESULT
        assert client.status().pid == os.getpid()
        assert client.blobs.cancel(NOWHERE) == 1
        assert raw.error()["kind"] == "GetCancelled"
        raw.say(encode_call(Call(1, "get", get)))
        client.stop()
    assert node.stopped.wait(5)
    node.stop()


def test_client_that_leaves_before_its_answer_harms_nobody(raw: Raw, client: Client) -> None:
    raw.say(encode_call(Call(1, "wait", {"connected": 1, "timeout": 0.1})))
    raw.socket.close()
    with pytest.raises(CommandFailed):
        client.wait(connected=1, timeout=0.2)
    assert client.status().pid == os.getpid()


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
