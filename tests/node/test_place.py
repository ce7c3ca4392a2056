"""The rules at the head of `node/control/place.py`, and the door that stands on it."""

import os
import resource
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rookery.node.control import SocketTaken, place
from rookery.node.control.door import Door
from rookery.node.control.protocol import HEAD, decode_answer


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    return tmp_path


@pytest.fixture
def door(short: Path) -> Iterator[Door]:
    made = Door(short / "node.sock")
    yield made
    made.close()


def long_path(folder: Path) -> Path:
    return folder / ("x" * 120) / "node.sock"


def test_socket_can_be_opened_by_its_owner_alone(door: Door) -> None:
    status = door.path.stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600


def test_closing_leaves_nothing(short: Path) -> None:
    Door(short / "node.sock").close()
    assert list(short.iterdir()) == []


def test_socket_is_taken_while_somebody_listens(door: Door) -> None:
    with pytest.raises(SocketTaken, match=r"node\.sock: another node has this control socket"):
        Door(door.wanted)
    assert place.somebody_listens(door.path)


def test_socket_of_a_killed_node_is_replaced(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(short / "node.sock"))
    Door(short / "node.sock").close()


def test_file_that_is_no_socket_is_left_alone(short: Path) -> None:
    (short / "node.sock").write_text("precious")
    with pytest.raises(SocketTaken, match="there is something else than a socket"):
        Door(short / "node.sock")
    assert (short / "node.sock").read_text() == "precious"


def test_folder_is_left_alone(short: Path) -> None:
    (short / "node.sock").mkdir()
    with pytest.raises(SocketTaken, match="there is something else than a socket"):
        Door(short / "node.sock")


def test_path_that_is_too_long_leads_to_a_short_one(short: Path) -> None:
    wanted = long_path(short)
    door = Door(wanted)
    found = place.find(wanted)
    assert found == door.path
    assert len(os.fsencode(found)) <= place.LONGEST
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    assert place.somebody_listens(found)
    door.close()
    assert not wanted.exists()
    assert not found.parent.exists()


def test_note_of_a_killed_node_is_replaced(short: Path) -> None:
    wanted = long_path(short)
    first = place.take(wanted)
    second = Door(wanted)
    assert place.find(wanted) == second.path != first
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
        place.take(wanted)
    assert precious.read_text() == "precious"


def test_folder_that_cannot_be_written_is_named(short: Path) -> None:
    (short / "file").write_text("")
    with pytest.raises(SocketTaken, match=r"file/node\.sock: Not a directory"):
        Door(short / "file" / "node.sock")


def test_nobody_listens_where_nothing_is(short: Path) -> None:
    assert not place.somebody_listens(short / "node.sock")
    assert not place.somebody_listens(long_path(short))


def test_client_that_cannot_be_accepted_for_want_of_a_descriptor_is_told_so(door: Door) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(door.path))
        lowest = os.dup(client.fileno())
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            for _ in range(3):
                door.poll(lambda _client, _frame: None, 1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        (length,) = HEAD.unpack(client.recv(HEAD.size, socket.MSG_WAITALL))
        assert "no file descriptor left" in str(decode_answer(client.recv(length)).body)
        assert client.recv(1) == b""
    assert place.somebody_listens(door.path)


def test_door_whose_place_was_taken_by_something_else_closes_and_leaves_that_alone(
    short: Path, caplog: pytest.LogCaptureFixture
) -> None:
    door = Door(short / "node.sock")
    door.path.unlink()
    door.path.write_text("precious")
    door.close()
    assert (short / "node.sock").read_text() == "precious"
    assert "the control socket cannot be removed" in caplog.text


def test_door_does_not_listen_any_more_when_its_clients_learn_of_its_end(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    listened: list[bool] = []
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(door.path))
        while not door.poll(lambda _client, _frame: None, 1):
            door.wait(1)
        drop = door._drop

        def look_and_drop(who: Any) -> None:
            listened.append(place.somebody_listens(door.path))
            drop(who)

        monkeypatch.setattr(door, "_drop", look_and_drop)
        monkeypatch.setattr(place, "leave", lambda _wanted: None)
        door.close()
        monkeypatch.undo()
    assert listened == [False]
