"""The control socket of a running node: what a client can do that is hostile, or gone."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest

from rookery.config import load
from rookery.node import Client, CommandFailed, Node
from rookery.node.control import engine
from rookery.node.control.protocol import HEAD, MAX_CALL, Answer, Call, Kind, Plain, decode_answer, encode_call, framed
from rookery.node.control.socket import SPARE_CLIENTS, ControlSocket

MakeFolder = Callable[..., Path]
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


# Clients take turns --------------------------------------------------------------------------------------------------


@pytest.fixture
def control_socket(tmp_path: Path) -> Iterator[ControlSocket]:
    control_socket = ControlSocket(tmp_path / "node.sock")
    yield control_socket
    control_socket.close()


@pytest.fixture
def connect(control_socket: ControlSocket) -> Iterator[Callable[[], socket.socket]]:
    """Makes clients that the control_socket has accepted; they do not block."""
    made: list[socket.socket] = []

    def connect() -> socket.socket:
        made.append(socket.socket(socket.AF_UNIX))
        made[-1].connect(str(control_socket.path))
        made[-1].setblocking(False)
        while len(control_socket._clients) < len(made):
            control_socket.poll(lambda _client, _frame: None, 1)
        return made[-1]

    yield connect
    for each in made:
        each.close()


def flood(client: socket.socket, piece: bytes) -> None:
    """Send until the socket is full."""
    with contextlib.suppress(BlockingIOError):
        while True:
            client.send(piece)


def polled(control_socket: ControlSocket, budget: int = 64) -> list[tuple[bytes, bytes]]:
    taken: list[tuple[bytes, bytes]] = []
    control_socket.poll(lambda client, frame: taken.append((client, frame)), budget)
    return taken


def test_client_that_floods_takes_no_more_than_its_share_while_others_call(
    control_socket: ControlSocket, connect: Callable[[], socket.socket]
) -> None:
    flooding, other = connect(), connect()
    for call in range(20):
        flood(flooding, bytes(65_536))  # empty frames
        other.sendall(framed(b"call %d" % call) * 32)
        taken = polled(control_socket)
        assert len(taken) == 64
        assert [frame for _, frame in taken if frame] == [b"call %d" % call] * 32


def test_clients_that_flood_are_heard_in_turn_where_there_are_more_of_them_than_frames_in_a_poll(
    control_socket: ControlSocket, connect: Callable[[], socket.socket]
) -> None:
    clients = [connect() for _ in range(10)]
    for client in clients:
        flood(client, bytes(65_536))
    heard = [{client for client, _ in polled(control_socket, budget=4)} for _ in range(5)]
    assert all(len(each) == 4 for each in heard)
    assert len(set().union(*heard[:3])) == len(clients)


def test_frames_beyond_the_budget_are_handed_up_at_the_next_polls_without_waiting(
    control_socket: ControlSocket, connect: Callable[[], socket.socket]
) -> None:
    connect().sendall(b"".join(framed(b"%d" % number) for number in range(200)))
    taken: list[bytes] = []
    while len(taken) < 200:
        before = len(taken)
        assert control_socket.poll(lambda _client, frame: taken.append(frame), 64)
        assert 0 < len(taken) - before <= 64
        if len(taken) < 200:
            control_socket.wait(None)  # nothing else will come: it would never end
    assert taken == [b"%d" % number for number in range(200)]
    assert not control_socket.poll(lambda _client, _frame: None, 64)


def test_what_a_client_has_sent_before_it_left_is_handed_up(
    control_socket: ControlSocket, connect: Callable[[], socket.socket]
) -> None:
    client = connect()
    client.sendall(framed(b"a") * 3)
    client.close()
    assert [frame for _ in range(4) for _, frame in polled(control_socket, budget=1)] == [b"a"] * 3
    assert not control_socket._clients


@pytest.mark.parametrize("piece", [bytes(65_536), HEAD.pack(MAX_CALL) + bytes(MAX_CALL)], ids=["empty", "largest"])
def test_bytes_kept_of_a_client_that_floods_are_bounded(
    control_socket: ControlSocket, connect: Callable[[], socket.socket], piece: bytes
) -> None:
    client, rest, most, frames = connect(), memoryview(piece), 0, 0
    for _ in range(300):
        with contextlib.suppress(BlockingIOError):
            while True:
                rest = rest[client.send(rest) :] or memoryview(piece)
        frames += len(polled(control_socket, budget=1))
        (kept,) = control_socket._clients.values()
        most = max(most, len(kept.read))
    assert frames > 1
    assert most < HEAD.size + MAX_CALL + 256 * 1024
    if not piece.strip(b"\0"):
        assert most <= 256 * 1024
