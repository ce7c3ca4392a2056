"""What keeps a node from running is said alike by `config check`, `run` and `Node`, before anything is changed."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from click.testing import CliRunner, Result

from rookery.actors.tracker import SqliteStorage
from rookery.config import load
from rookery.node import CannotStart, Node, new, running
from rookery.node import node as node_module
from rookery.node.command import configfiles, main
from rookery.runtime.files import check_file, check_folder
from rookery.transport import keyfile

MakeFolder = Callable[..., Path]
Spoil = Callable[[Path], object]


def rookery(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def no_key(folder: Path) -> None:
    (folder / "node.key").unlink()


def open_key(folder: Path) -> None:
    (folder / "node.key").chmod(0o640)


def folder_as(name: str) -> Spoil:
    return lambda folder: (folder / name).mkdir(parents=True)


def file_as(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")

    return spoil


def key_is_a_folder(folder: Path) -> None:
    no_key(folder)
    (folder / "node.key").mkdir()


def newer_book(folder: Path) -> None:
    SqliteStorage(folder / "data" / "peers.db", network="default").close()
    with contextlib.closing(sqlite3.connect(folder / "data" / "peers.db")) as connection:
        connection.execute("PRAGMA user_version = 99")


def beside_the_book(make: Callable[[Path], object], *suffixes: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "data").mkdir()
        for suffix in suffixes:
            make(folder / "data" / f"peers.db{suffix}")

    return spoil


def in_data(name: str, make: Callable[[Path], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "data").mkdir()
        make(folder / "data" / name)

    return spoil


def link_to_the_key(path: Path) -> None:
    path.symlink_to("../node.key")


def written(yaml: str) -> Spoil:
    return lambda folder: (folder / "node.yaml").write_text(yaml)


def in_a_file(key: str) -> Spoil:
    return lambda folder: (folder / "node.yaml").write_text(f"\n{key}".replace("IN", f"{folder}/node.key/x"))


OBSTACLES: list[tuple[Spoil, str, str]] = [
    (no_key, "1: key", "cannot be read: No such file"),
    (open_key, "1: key", "has mode 0640"),
    (written("\nkey_passphrase_file: node.none"), "2: key_passphrase_file", "node.none: cannot be read: No such file"),
    (written("\ntransport: {listen: 'tcp://192.0.2.1:7000'}"), "2: transport.listen", "Cannot assign requested addr"),
    (
        written("\ndiscovery: {record_listen: 'http://192.0.2.1:7080'}"),
        "2: discovery.record_listen",
        "Cannot assign requested addr",
    ),
    (key_is_a_folder, "1: key", "is not a regular file"),
    (in_a_file("key: IN"), "2: key", "cannot be read: Not a directory"),
    (file_as("data"), "1: data", "Not a directory"),
    (in_a_file("data: IN"), "2: data", "Not a directory"),
    (written(f"data: {'x' * 300}"), "1: data", "File name too long"),
    (file_as("data/blobs"), "1: data", "Not a directory"),
    (folder_as("data/blobs/lock"), "1: data", "Is a directory"),
    (file_as("data/blobs/lock"), "1: data", "blobs/lock is no lock file: move it away (allowed: nothing, or"),
    (file_as("data/blobs/00"), "1: data", "cannot use the folder of blocks"),
    (folder_as("data/generation"), "1: data", "Is a directory"),
    (folder_as("data/members"), "1: data", "cannot read"),
    (in_data("members", link_to_the_key), "1: data", "data/members: it is a symbolic link"),
    (in_data("members", os.mkfifo), "1: data", "data/members: it is a pipe, not a regular file"),
    (lambda folder: (folder / "data").symlink_to("nowhere"), "1: data", "it is a symbolic link to nothing"),
    (folder_as("data/peers.db"), "1: tracker.book", "cannot be written: Is a directory"),
    (newer_book, "1: tracker.book", "is of a newer Rookery"),
    (beside_the_book(link_to_the_key, "-wal"), "1: tracker.book", "peers.db-wal cannot be written: it is a symbolic"),
    (beside_the_book(link_to_the_key, "-shm"), "1: tracker.book", "peers.db-shm cannot be written: it is a symbolic"),
    (beside_the_book(link_to_the_key, "-journal"), "1: tracker.book", "peers.db-journal cannot be written: it is a sy"),
    (beside_the_book(Path.mkdir, "-wal"), "1: tracker.book", "peers.db-wal cannot be written: Is a directory"),
    (beside_the_book(Path.mkdir, "-journal"), "1: tracker.book", "peers.db-journal cannot be written: Is a directory"),
    (beside_the_book(os.mkfifo, "-wal"), "1: tracker.book", "peers.db-wal cannot be written: it is a pipe, not a"),
    (beside_the_book(os.mkfifo, "-shm"), "1: tracker.book", "peers.db-shm cannot be written: it is a pipe, not a"),
    (beside_the_book(os.mkfifo, ""), "1: tracker.book", "peers.db cannot be written: it is a pipe, not a"),
    (written(f"tracker: {{book: {'x' * 300}}}"), "1: tracker.book", "cannot be written: File name too long"),
    (file_as("node.sock"), "1: control.socket", "there is something else than a socket"),
    (folder_as("node.sock"), "1: control.socket", "there is something else than a socket"),
    (in_a_file("control: {socket: IN}"), "2: control.socket", "Not a directory"),
    (written("\ndiscovery: {lan: true}"), "2: discovery.lan", "needs the package zeroconf: pip install"),
]


@pytest.fixture(autouse=True)
def _without_zeroconf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)


def content(folder: Path) -> dict[str, object]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(("spoil", "place", "words"), OBSTACLES)
def test_check_says_what_run_refuses_and_changes_nothing(
    make_folder: MakeFolder, spoil: Spoil, place: str, words: str
) -> None:
    folder = make_folder(yaml="")
    spoil(folder)
    before = content(folder)
    checked, ran = rookery("config", "check", folder), rookery("run", folder)
    assert (checked.exit_code, ran.exit_code) == (2, 2)
    (line,) = checked.stderr.splitlines()
    assert line.startswith(f"{folder}/node.yaml:{place}: ")
    assert words in line
    assert ran.stderr == checked.stderr
    assert content(folder) == before


@pytest.mark.parametrize(("spoil", "place", "words"), OBSTACLES)
def test_start_by_itself_refuses_what_check_says(
    make_folder: MakeFolder, spoil: Spoil, place: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So `check` is no stricter than a start: here the start does not ask it."""
    folder = make_folder(yaml="")
    spoil(folder)
    monkeypatch.setattr(node_module, "obstacles", lambda _config: ())
    with pytest.raises(CannotStart, match=f"^{place.partition(' ')[2]}: "):
        Node(load(folder)).start()


def test_node_made_in_code_is_told_of_every_obstacle_at_once(make_folder: MakeFolder) -> None:
    folder = make_folder(yaml="discovery: {lan: true}")
    for spoil in (open_key, file_as("data"), file_as("node.sock")):
        spoil(folder)
    with pytest.raises(CannotStart) as raised:
        Node(load(folder))
    keys = [line.partition(":")[0] for line in str(raised.value).splitlines()]
    assert keys == ["data", "key", "discovery.lan", "control.socket"]


class Brief(Node):
    """Ends as soon as it has begun."""

    def start(self) -> Self:
        super().start()
        self.stop(wait=False)
        return self


def open_file(folder: Path) -> None:
    (folder / "node.yaml").chmod(0o644)


def open_data(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data").chmod(0o777)


HERE = "transport: {listen: 'tcp://127.0.0.1:PORT'}\n"


@pytest.mark.parametrize(
    ("yaml", "spoil", "told"),
    [
        ("", [open_file, open_data], ["data folder is open to others (mode 0777): chmod 700 ", "set transport.listen"]),
        ("key_passphrase: hidden", [open_file], ["key_passphrase and is open to others", "set transport.listen"]),
        (f"transport: {{network_key: '{'ab' * 32}'}}", [open_file], ["transport.network_key and is", "set transport"]),
        (HERE, [], []),
    ],
)
def test_check_warns_of_what_run_warns_of(
    make_folder: MakeFolder, yaml: str, spoil: list[Spoil], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(yaml=f"tracker: {{source: static}}\n{yaml}".replace("PORT", str(new.free_ports(1)[0])))
    if "key_passphrase" in yaml:
        keyfile.save(keyfile.load(folder / "node.key"), folder / "node.key", "hidden")
    for each in spoil:
        each(folder)
    checked = rookery("config", "check", folder)
    warned = [line.removeprefix("warning: ") for line in checked.stderr.splitlines()]
    running.run(load(folder), while_stdin=False, make=Brief, warnings=configfiles.exposed(folder))
    lines = capsys.readouterr().err.splitlines()
    logged = [" ".join(line.split()[4:]) for line in lines if " WARNING " in line]
    assert checked.exit_code == 0
    assert logged == warned
    assert len(warned) == len(told)
    for words, line in zip(told, warned, strict=True):
        assert words in line


def test_node_that_runs_is_no_obstacle_to_itself(make_folder: MakeFolder) -> None:
    folder = make_folder()
    with Node(load(folder)):
        assert rookery("config", "check", folder).exit_code == 0


@pytest.mark.parametrize("book", ["blobs", "./members", "generation", ".", "a/.."])
def test_book_in_the_place_of_something_else_in_the_data_folder_is_a_mistake(
    make_folder: MakeFolder, book: str
) -> None:
    checked = rookery("config", "check", make_folder(yaml=f"tracker: {{book: {book}}}"))
    assert f"1: tracker.book: {book} is something else in the data folder (allowed: another name)" in checked.stderr


@pytest.mark.parametrize("book", ['""', '"a\\0b"'])
def test_book_without_a_name_is_a_mistake(make_folder: MakeFolder, book: str) -> None:
    checked = rookery("config", "check", make_folder(yaml=f"tracker: {{book: {book}}}"))
    assert "1: tracker.book: " in checked.stderr
    assert "is no name of a file (allowed: a name such as peers.db, or null)" in checked.stderr


def test_folder_and_file_that_may_not_be_written_are_told_without_trying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The permissions are the system's answer: whoever runs the tests may be allowed everything."""
    (tmp_path / "file").touch()
    check_file(tmp_path / "file")
    check_folder(tmp_path / "a" / "b")
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    looks: list[Callable[[], None]] = [
        lambda: check_file(tmp_path / "file"),
        lambda: check_folder(tmp_path / "a" / "b"),
    ]
    for look in looks:
        with pytest.raises(OSError, match="Permission denied") as raised:
            look()
        assert raised.value.errno == errno.EACCES
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file"]
