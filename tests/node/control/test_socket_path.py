"""The rules at the head of `node/control/socket_path.py`, and the control_socket that stands on it."""

import os
import resource
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rookery.node.control import SocketTaken, socket_path
from rookery.node.control.protocol import HEAD, decode_answer
from rookery.node.control.socket import ControlSocket


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    return tmp_path


@pytest.fixture
def control_socket(short: Path) -> Iterator[ControlSocket]:
    made = ControlSocket(short / "node.sock")
    yield made
    made.close()


def long_path(folder: Path) -> Path:
    return folder / ("x" * 120) / "node.sock"


def test_socket_can_be_opened_by_its_owner_alone(control_socket: ControlSocket) -> None:
    status = control_socket.path.stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600


def test_closing_leaves_nothing(short: Path) -> None:
    ControlSocket(short / "node.sock").close()
    assert list(short.iterdir()) == []


def test_socket_is_taken_while_somebody_listens(control_socket: ControlSocket) -> None:
    with pytest.raises(SocketTaken, match=r"node\.sock: another node has this control socket"):
        ControlSocket(control_socket.wanted)
    assert socket_path.somebody_listens(control_socket.path)


def test_socket_of_a_killed_node_is_replaced(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(short / "node.sock"))
    ControlSocket(short / "node.sock").close()


def test_file_that_is_no_socket_is_left_alone(short: Path) -> None:
    (short / "node.sock").write_text("precious")
    with pytest.raises(SocketTaken, match="there is something else than a socket"):
        ControlSocket(short / "node.sock")
    assert (short / "node.sock").read_text() == "precious"


def test_folder_is_left_alone(short: Path) -> None:
    (short / "node.sock").mkdir()
    with pytest.raises(SocketTaken, match="there is something else than a socket"):
        ControlSocket(short / "node.sock")


def test_path_that_is_too_long_leads_to_a_short_one(short: Path) -> None:
    wanted = long_path(short)
    control_socket = ControlSocket(wanted)
    found = socket_path.find(wanted)
    assert found == control_socket.path
    assert len(os.fsencode(found)) <= socket_path.LONGEST
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    assert socket_path.somebody_listens(found)
    control_socket.close()
    assert not wanted.exists()
    assert not found.parent.exists()


def test_note_of_a_killed_node_is_replaced(short: Path) -> None:
    wanted = long_path(short)
    first = socket_path.take(wanted)
    second = ControlSocket(wanted)
    assert socket_path.find(wanted) == second.path != first
    assert not first.parent.exists()
    second.close()


def test_note_that_names_something_else_removes_nothing(short: Path) -> None:
    precious = short / "precious" / "node.sock"
    precious.parent.mkdir()
    precious.write_text("precious")
    wanted = long_path(short)
    wanted.parent.mkdir()
    wanted.write_text(str(precious))
    with pytest.raises(SocketTaken):
        socket_path.take(wanted)
    assert precious.read_text() == "precious"


def test_folder_that_cannot_be_written_is_named(short: Path) -> None:
    (short / "file").write_text("")
    with pytest.raises(SocketTaken, match=r"file/node\.sock: Not a directory"):
        ControlSocket(short / "file" / "node.sock")


def test_nobody_listens_where_nothing_is(short: Path) -> None:
    assert not socket_path.somebody_listens(short / "node.sock")
    assert not socket_path.somebody_listens(long_path(short))


def test_client_that_cannot_be_accepted_for_want_of_a_descriptor_is_told_so(control_socket: ControlSocket) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(control_socket.path))
        lowest = os.dup(client.fileno())
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            for _ in range(3):
                control_socket.poll(lambda _client, _frame: None, 1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        (length,) = HEAD.unpack(client.recv(HEAD.size, socket.MSG_WAITALL))
        assert "no file descriptor left" in str(decode_answer(client.recv(length)).body)
        assert client.recv(1) == b""
    assert socket_path.somebody_listens(control_socket.path)


def test_control_socket_whose_place_was_taken_by_something_else_closes_and_leaves_that_alone(
    short: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control_socket = ControlSocket(short / "node.sock")
    control_socket.path.unlink()
    control_socket.path.write_text("precious")
    control_socket.close()
    assert (short / "node.sock").read_text() == "precious"
    assert "the control socket cannot be removed" in caplog.text


def test_control_socket_does_not_listen_any_more_when_its_clients_learn_of_its_end(
    control_socket: ControlSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    listened: list[bool] = []
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(control_socket.path))
        while not control_socket.poll(lambda _client, _frame: None, 1):
            control_socket.wait(1)
        drop = control_socket._drop

        def look_and_drop(who: Any) -> None:
            listened.append(socket_path.somebody_listens(control_socket.path))
            drop(who)

        monkeypatch.setattr(control_socket, "_drop", look_and_drop)
        monkeypatch.setattr(socket_path, "leave", lambda _wanted: None)
        control_socket.close()
        monkeypatch.undo()
    assert listened == [False]
