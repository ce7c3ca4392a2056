"""`config check` foretells of every file that a node opens in its data folder what a start says of it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rookery.actors.membership.parts.snapshot import Snapshot, save
from rookery.actors.tracker import SqliteStorage
from rookery.actors.tracker.address_book.storage import Batch, PeerEntry
from rookery.config import load
from rookery.node import CannotStart, Node, new
from rookery.node import node as node_module
from rookery.node.command import main
from rookery.transport import Address, Identity

Way = Callable[[Path], object]

KEPT = ("", "blobs", "blobs/00", "blobs/lock", "generation", "members", "peers.db")
BESIDE = ("peers.db-wal", "peers.db-shm", "peers.db-journal")
SET_ASIDE = {"generation": "generation.corrupt", "members": "members.corrupt", "peers.db": "peers.db.damaged"}


def empty(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def with_garbage(path: Path) -> None:
    empty(path)
    path.write_bytes(b"garbage " * 2000)


def cut_short(path: Path) -> None:
    if path.is_file():
        path.write_bytes(path.read_bytes()[:-1])


def with_a_hole(path: Path) -> None:
    if path.is_file():
        path.write_bytes(path.read_bytes()[:40].ljust(path.stat().st_size, b"\0"))


def nothing_in_it(path: Path) -> None:
    empty(path)
    path.touch()


def a_link_to_it(path: Path) -> None:
    elsewhere = path.parent / "elsewhere"
    if path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.touch()
    path.symlink_to(elsewhere)


def a_link_to_nothing(path: Path) -> None:
    empty(path)
    path.symlink_to("nowhere")


def a_folder(path: Path) -> None:
    empty(path)
    path.mkdir()


def a_pipe(path: Path) -> None:
    empty(path)
    os.mkfifo(path)


def mode_000(path: Path) -> None:
    path.touch()
    path.chmod(0o000)


def mode_400(path: Path) -> None:
    path.touch()
    path.chmod(0o400)


def mode_666(path: Path) -> None:
    path.touch()
    path.chmod(0o666)


def named(way: Way) -> str:
    return getattr(way, "__name__", "")


WAYS: tuple[Way, ...] = (
    with_garbage,
    cut_short,
    with_a_hole,
    nothing_in_it,
    a_link_to_it,
    a_link_to_nothing,
    a_folder,
    a_pipe,
    mode_000,
    mode_400,
    mode_666,
)


@pytest.fixture(scope="module", name="used")
def _used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a node that has run and knew somebody, to be copied."""
    folder = tmp_path_factory.mktemp("used") / "node"
    own = new.make_node(folder, "tracker: {source: static}\n")
    with Node(load(folder)) as node:
        node.blobs.put(folder / "node.yaml")
    with closing(SqliteStorage(folder / "data" / "peers.db", network="default")) as book:
        book.write(Batch(peers=(PeerEntry(Identity.generate().peer, Address.parse("tcp://127.0.0.1:1")),)))
    (folder / "data" / "blobs" / "00").mkdir(exist_ok=True)
    save(folder / "data" / "members", Snapshot("default", own, 1e9))
    return folder


@pytest.fixture(name="folder")
def _folder(used: Path, tmp_path: Path) -> Iterator[Path]:
    yield shutil.copytree(used, tmp_path / "node")
    for path in tmp_path.rglob("*"):  # or nobody can clear up
        if not path.is_symlink():
            path.chmod(0o700)


def check(folder: Path) -> Result:
    return CliRunner().invoke(main, ["config", "check", str(folder)])


def content(folder: Path) -> dict[str, object]:
    """All that is there, with the times at which it was changed."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        is_file = path.is_file() and os.access(path, os.R_OK)
        found[str(path)] = (status.st_mode, status.st_mtime_ns, path.read_bytes() if is_file else None)
    return found


def said_by_check(folder: Path) -> tuple[str, list[str]]:
    """Why a node cannot run, else the warnings."""
    before = content(folder)
    checked = check(folder)
    assert content(folder) == before
    lines = checked.stderr.splitlines()
    if checked.exit_code:
        assert checked.exit_code == 2
        (line,) = lines
        return line.partition(":1: ")[2], []
    return "", [line.removeprefix("warning: ") for line in lines]


def said_by_start(folder: Path, caplog: pytest.LogCaptureFixture) -> tuple[str, list[str]]:
    """The same, by a start that does not look ahead; not that this machine is busy."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, "rookery"):
        try:
            with Node(load(folder)):
                pass
        except CannotStart as error:
            return str(error), []
    said = [record.getMessage() for record in caplog.records]
    return "", [line for line in said if line != "engine stalled"]


def agree(folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> tuple[str, list[str]]:
    """What both say."""
    refusal, warnings = said_by_check(folder)
    with monkeypatch.context() as patch:
        patch.setattr(node_module, "obstacles", lambda _config: ())
        refused, logged = said_by_start(folder, caplog)
    assert refused == refusal
    assert len(warnings) == len(logged), (warnings, logged)
    for words, line in zip(sorted(warnings), sorted(logged), strict=True):
        assert words.startswith(line)
    return refusal, warnings


@pytest.mark.parametrize("way", WAYS, ids=named)
@pytest.mark.parametrize("name", KEPT)
def test_check_says_of_each_file_what_a_start_says(
    folder: Path, name: str, way: Way, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    way(folder / "data" / name)
    agree(folder, monkeypatch, caplog)


@pytest.mark.parametrize("way", [with_garbage, a_folder, mode_000], ids=named)
@pytest.mark.parametrize("name", BESIDE)
def test_check_says_of_what_is_beside_the_book_what_a_start_says(
    folder: Path, name: str, way: Way, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    way(folder / "data" / name)
    agree(folder, monkeypatch, caplog)


@pytest.mark.parametrize("way", [nothing_in_it, a_folder, a_link_to_nothing], ids=named)
@pytest.mark.parametrize("name", SET_ASIDE)
def test_check_says_of_a_damaged_file_that_cannot_be_set_aside_what_a_start_says(
    folder: Path, name: str, way: Way, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_garbage(folder / "data" / name)
    way(folder / "data" / SET_ASIDE[name])
    agree(folder, monkeypatch, caplog)


def test_check_names_every_damaged_file_of_a_node_that_can_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in SET_ASIDE:
        with_garbage(folder / "data" / name)
    _, warnings = agree(folder, monkeypatch, caplog)
    data = folder / "data"
    assert [each for each in warnings if str(data) in each] == [
        f"the stored generation is set aside, the clock decides: {data}/generation: it has more than 1024 bytes",
        (
            f"the address book is damaged: it is quarantined, and a new one begun; blocks and trust are forgotten: "
            f"{data}/peers.db: file is not a database"
        ),
        f"no members from the file: {data}/members: its checksum is wrong",
    ]


def test_check_says_that_the_peers_of_another_network_are_dropped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "node.yaml").write_text("tracker: {source: static}\ntransport: {network: other}\n")
    _, warnings = agree(folder, monkeypatch, caplog)
    assert f"the address book is of another network: its peers are dropped: {folder}/data/peers.db" in warnings


USE = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"


def test_check_leaves_a_running_node_its_lock_and_finds_nothing_damaged(folder: Path) -> None:
    """In the node's own process, where to close any descriptor of the book would end its lock."""
    with Node(load(folder)) as node:
        for _ in range(3):
            node.tracker.block(Identity.generate().peer).get(timeout=5)
            checked = check(folder)
            assert (checked.exit_code, "damaged" in checked.stderr) == (0, False)
        used = subprocess.run(
            [sys.executable, "-c", USE, folder / "data" / "peers.db"], capture_output=True, text=True, check=False
        )
        assert "database is locked" in used.stderr


def test_check_finds_nothing_damaged_in_the_log_that_a_killed_node_left(folder: Path, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    with Node(load(folder)) as node:
        node.tracker.block(Identity.generate().peer).get(timeout=5)
        shutil.copytree(folder, killed, ignore=shutil.ignore_patterns("node.sock"))
    assert (killed / "data" / "peers.db-wal").stat().st_size
    before = content(killed)
    checked = check(killed)
    assert (checked.exit_code, "address book" in checked.stderr) == (0, False)
    assert content(killed) == before


def test_check_says_nothing_of_a_book_that_changes_while_it_is_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copyfile(source: str, to: str) -> None:
        Path(to).write_bytes(Path(source).read_bytes()[:-1])
        Path(source).write_bytes(Path(source).read_bytes() + b"more")

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    assert "address book" not in check(folder).stderr
