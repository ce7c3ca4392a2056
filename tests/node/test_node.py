"""The rules at the head of `node/node.py`: nodes in this process."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import rookery.node
from rookery.actors.blobs import GetCancelled
from rookery.actors.membership import MemberDown
from rookery.actors.tracker import SourceIsStatic, SqliteStorage, TrackedPeers
from rookery.config import load
from rookery.node import CannotStart, Client, Node, new
from rookery.node.control import NotReached
from rookery.runtime import EngineFailed, EngineGone, LoopRuntime, ThreadRuntime
from rookery.runtime.hosts import workers
from rookery.transport import Address, GenerationFile, Identity, PeerRecord, format_peer
from tests.runtime.runtime_kit import wait_until

MakeFolder = Callable[..., Path]
NO_PEER = MemberDown([])  # type: ignore[arg-type]  # whoever handles it fails


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"node.key", "node.yaml", "data"}


def test_empty_file_and_a_key_make_a_node(make_folder: MakeFolder) -> None:
    with Node(load(make_folder(yaml=""))) as node:
        status = node.status()
        assert (status.source, status.admission, status.network) == ("membership", "open", "default")
        assert status.address.startswith("tcp://127.0.0.1:")


def test_node_without_listen_warns_that_only_this_machine_can_reach_it(
    make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rookery"), Node(load(make_folder(yaml=""))):
        pass
    assert "only this machine can reach the node: set transport.listen" in caplog.text


def test_node_told_where_to_listen_does_not_warn(make_folder: MakeFolder, caplog: pytest.LogCaptureFixture) -> None:
    folder = make_folder(yaml="transport: {listen: 'tcp://127.0.0.2:0'}")
    with caplog.at_level(logging.WARNING, "rookery"), Node(load(folder)):
        pass
    assert "set transport.listen" not in caplog.text


def test_static_node_that_listens_everywhere_runs_without_being_a_member(
    make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder(yaml="transport: {listen: 'tcp://0.0.0.0:0'}\ntracker: {source: static}")
    with caplog.at_level(logging.WARNING, "rookery"), Node(load(folder)) as node:
        assert node.status().members == 1
    assert "it is no member: set transport.advertise" in caplog.text


@pytest.mark.parametrize(("kind", "yaml"), [(LoopRuntime, ""), (ThreadRuntime, "runtime: threads\n")])
def test_two_nodes_find_each_other_by_a_seed_and_share_a_file(
    make_folder: MakeFolder, tmp_path: Path, kind: type[ThreadRuntime], yaml: str
) -> None:
    (tmp_path / "source").write_bytes(os.urandom(1_000_000))
    with Node(load(make_folder("alice", yaml))) as alice:
        seed = format_peer(alice.peer, alice.address)
        bob_folder = make_folder("bob", f"{yaml}tracker: {{peers: ['{seed}']}}")
        with Node(load(bob_folder)) as bob:
            assert (type(alice.runtime), type(bob.runtime)) == (kind, kind)
            bob.wait(connected=1, members=2, timeout=10)
            alice.wait(connected=1, members=2, timeout=10)
            report = bob.blobs.get(alice.blobs.put(tmp_path / "source"), tmp_path / "copy", timeout=20)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "source").read_bytes()
    assert [peer for peer, _bytes in report.served] == [alice.peer]


def test_application_tracks_peers_by_the_nodes_mailbox(make_folder: MakeFolder) -> None:
    yaml = "tracker: {source: application, admission: tracked}"
    with Node(load(make_folder("alice", yaml))) as alice, Node(load(make_folder("bob", yaml))) as bob:
        alice.tracker.track(1, TrackedPeers({bob.peer: bob.address})).get(timeout=5)
        bob.tracker.track(1, TrackedPeers({alice.peer: alice.address})).get(timeout=5)
        assert alice.wait(connected=1, timeout=10).connected == 1


def test_static_peers_cannot_be_replaced_by_the_application(make_folder: MakeFolder) -> None:
    with Node(load(make_folder())) as node, pytest.raises(SourceIsStatic):
        node.tracker.track(1, TrackedPeers({})).get(timeout=5)


def test_wait_that_is_not_fulfilled_is_a_timeout(make_folder: MakeFolder) -> None:
    with Node(load(make_folder())) as node, pytest.raises(NotReached):
        node.wait(connected=1, timeout=0.05)


def test_stopping_leaves_neither_socket_nor_file(make_folder: MakeFolder) -> None:
    folder = make_folder()
    with Node(load(folder)) as node:
        assert left_in(folder) == {"node.sock"}
    assert node.stopped.is_set()
    assert left_in(folder) == set()


def test_stopped_node_answers_that_it_is_gone(make_folder: MakeFolder) -> None:
    with Node(load(make_folder())) as node:
        pass
    with pytest.raises(EngineGone):
        node.status()
    node.stop()


def test_get_under_way_is_told_that_the_node_stops(make_folder: MakeFolder, tmp_path: Path) -> None:
    with Node(load(make_folder())) as node:
        reply = node.files.get("ab" * 32, tmp_path / "copy")
        node.files.progress("ab" * 32).get(timeout=5)
    with pytest.raises(GetCancelled, match="the node stops"):
        reply.get(timeout=5)


def test_same_folder_runs_again_after_a_stop(make_folder: MakeFolder) -> None:
    folder = make_folder()
    with Node(load(folder)) as first:
        pass
    with Node(load(folder)) as second:
        assert second.peer == first.peer


def test_engine_that_fails_ends_the_whole_node_and_is_reported(make_folder: MakeFolder) -> None:
    folder = make_folder()
    node = Node(load(folder))

    def run() -> None:
        with node:
            node.control.tell(NO_PEER)
            assert node.stopped.wait(5)

    with pytest.raises(EngineFailed, match="control failed while handling MemberDown"):
        run()
    assert isinstance(node.failure, EngineFailed)
    assert left_in(folder) == set()


def test_error_of_the_program_is_not_hidden_by_a_failed_engine(make_folder: MakeFolder) -> None:
    def run() -> None:
        with Node(load(make_folder())) as node:
            node.control.tell(NO_PEER)
            assert node.stopped.wait(5)
            raise LookupError("the program's own")

    with pytest.raises(LookupError, match="the program's own"):
        run()


def test_stop_without_waiting_is_possible_inside_an_engine(make_folder: MakeFolder) -> None:
    with Node(load(make_folder())) as node:
        node.control.status().then(lambda _reply: node.stop(wait=False))
        assert node.stopped.wait(5)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system does not list its threads")
def test_node_at_rest_has_at_most_eight_threads_with_http_and_those_of_the_command(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "IDLE", 0.01)
    others, command = set(os.listdir("/proc/self/task")), 2  # its main thread, and one for signals
    with Node(load(make_folder(yaml="discovery: {record_listen: 'http://127.0.0.1:0'}\n"))):
        wait_until(lambda: command + len(set(os.listdir("/proc/self/task")) - others) <= 8)


def test_node_that_is_stopped_while_it_starts_is_stopped(make_folder: MakeFolder) -> None:
    node = Node(load(make_folder()))
    node.stop(wait=False)
    with node:
        assert node.stopped.wait(5)


# the address book


def test_node_remembers_blocks_trust_and_peers_over_a_restart(make_folder: MakeFolder) -> None:
    folder = make_folder("alice", "")
    bob = Identity.generate()
    record = PeerRecord.sign(bob, network="default", address=Address.parse("tcp://10.9.9.9:7000"), generation=1)
    with Node(load(folder)) as alice:
        alice.tracker.block(Identity.generate().peer, 3600).get(timeout=5)
        alice.tracker.trust(bob.peer).get(timeout=5)
        alice.tracker.hint([record])  # its signature is checked on the pool
        deadline = time.monotonic() + 10
        while not any(info.address == record.address for info in alice.tracker.known().get(timeout=5)):
            assert time.monotonic() < deadline, "the hint was not taken in"
    with Node(load(folder)) as alice:
        assert alice.control.peers().get(timeout=5) != ()
        assert alice.tracker.trust(bob.peer).get(timeout=5) is False
    book = SqliteStorage(folder / "data" / "peers.db", network="default")
    assert (book.peers(), len(book.head().blocks)) == ((bob.peer,), 1)
    book.close()


VERSION_1 = Path(__file__).with_name("version_1")
"""The data folder of a node of protocol version 1, whose seed was the numbers from 0 to 31. It knew bob."""
WHERE = "tcp://127.0.0.1:42095"


def test_node_starts_with_the_data_of_version_1_and_says_what_it_cannot_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, (own, bob) = tmp_path / "alice", (Identity.from_seed(bytes(range(first, first + 32))) for first in (0, 1))
    new.make_node(folder, "transport: {network: net}\n", own)
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    for file in VERSION_1.iterdir():
        shutil.copyfile(file, folder / "data" / file.name)
    before = GenerationFile(folder / "data" / "generation", own.peer).load()
    with caplog.at_level(logging.WARNING, "rookery"), Node(load(folder)) as alice:
        deadline = time.monotonic() + 10
        while str({info.peer: info.address for info in alice.tracker.known().get(timeout=5)}.get(bob.peer)) != WHERE:
            assert time.monotonic() < deadline, "the address was not read"
        assert [str(block.target) for block in alice.tracker.blocks().get(timeout=5)] == ["203.0.113.7"]
        own_record = alice.transport.record().get(timeout=5).record
        assert isinstance(before, int)
        assert own_record.generation > before
    said = [str(record.fields) for record in caplog.records if record.message == "no members from the file"]  # type: ignore[attr-defined]
    assert len(said) == 1
    assert "set aside with .version-1 behind its name" in said[0]
    assert (folder / "data" / "members.version-1").read_bytes() == (VERSION_1 / "members").read_bytes()


def record_of(folder: Path) -> PeerRecord:
    """The node's own record in one life."""
    with Node(load(folder)) as node:
        return node.transport.record().get(timeout=5).record


def test_each_life_of_a_node_has_a_later_generation_than_any_before_whatever_its_clock_says(
    make_folder: MakeFolder,
) -> None:
    folder = make_folder()
    first = record_of(folder)
    file = GenerationFile(folder / "data" / "generation", first.peer)
    assert file.load() == first.generation
    ahead = first.generation + 10**12  # the clock was 31 years ahead for one life
    file.store(ahead)
    assert record_of(folder).generation == ahead + 1
    assert record_of(folder).generation == ahead + 2


def test_node_whose_generation_is_damaged_starts_and_says_so(
    make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder()
    first = record_of(folder)
    (folder / "data" / "generation").write_bytes(b"no generation")
    with caplog.at_level(logging.WARNING, "rookery"):
        assert record_of(folder).generation > first.generation
    assert "the stored generation is set aside" in caplog.text
    assert (folder / "data" / "generation.corrupt").read_bytes() == b"no generation"


def test_node_that_cannot_store_its_generation_does_not_start_and_names_the_file(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "data" / "generation").mkdir(parents=True)
    with pytest.raises(CannotStart, match=r"data: cannot read .*/data/generation: Is a directory"):
        Node(load(folder)).start()


def test_node_without_a_book_writes_none(make_folder: MakeFolder) -> None:
    folder = make_folder("alice", "tracker: {source: static, book: null}")
    with Node(load(folder)) as node:
        node.tracker.block(Identity.generate().peer).get(timeout=5)
    assert {path.name for path in (folder / "data").iterdir()} == {"blobs", "generation"}


def test_node_whose_book_is_damaged_starts_and_says_so(
    make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder()
    (folder / "data").mkdir()
    (folder / "data" / "peers.db").write_bytes(b"no book")
    with Node(load(folder)) as node:
        assert node.status().blocked == 0
    assert "the address book is damaged: it is quarantined" in caplog.text
    assert (folder / "data" / "peers.db.damaged").read_bytes() == b"no book"


def newer_book(path: Path) -> None:
    SqliteStorage(path, network="default").close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(newer_book, "is of a newer Rookery"), (Path.mkdir, "cannot be written: Is a directory")],
)
def test_node_whose_book_cannot_be_used_does_not_start_and_leaves_nothing(
    make_folder: MakeFolder, spoil: Callable[[Path], object], words: str, no_leaks: None
) -> None:
    folder = make_folder()
    (folder / "data").mkdir()
    spoil(folder / "data" / "peers.db")
    with pytest.raises(CannotStart, match=f"tracker.book: .*peers.db {words}"):
        Node(load(folder)).start()
    assert left_in(folder) == set()


def test_node_that_cannot_start_gives_its_book_back(make_folder: MakeFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        folder = make_folder(yaml=f"transport: {{listen: 'tcp://127.0.0.1:{port}'}}")
        with pytest.raises(CannotStart, match=r"transport\.listen"):
            Node(load(folder)).start()
    SqliteStorage(folder / "data" / "peers.db", network="default").close()


# what is wrong with a configuration


def test_port_in_use_names_port_and_key(make_folder: MakeFolder) -> None:
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        folder = make_folder(yaml=f"transport: {{listen: 'tcp://127.0.0.1:{port}'}}")
        with pytest.raises(CannotStart, match=rf"^transport\.listen: cannot listen on tcp://127\.0\.0\.1:{port}: "):
            Node(load(folder)).start()
    assert threading.active_count() == before
    assert left_in(folder) == set()


def test_key_file_that_others_can_read_names_file_and_mode(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "node.key").chmod(0o644)
    with pytest.raises(CannotStart, match=r"^key: /.*/node\.key: has mode 0644.* chmod 600"):
        Node(load(folder))


def test_key_file_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("")
    with pytest.raises(CannotStart, match=r"^key: /.*/node\.key: cannot be read: No such file"):
        Node(load(tmp_path))


def test_data_folder_in_use_names_its_user(make_folder: MakeFolder, tmp_path: Path) -> None:
    with Node(load(make_folder("alice"))):
        other = make_folder("bob", f"data: {tmp_path}/alice/data\n")
        with pytest.raises(CannotStart, match=r"^data: .*alice/data/blobs is in use by this process"):
            Node(load(other)).start()


def test_control_socket_in_use_names_its_path(make_folder: MakeFolder, tmp_path: Path) -> None:
    with Node(load(make_folder("alice"))) as alice:
        other = make_folder("bob", f"control: {{socket: {tmp_path}/alice/node.sock}}\n")
        with pytest.raises(CannotStart, match=r"^control\.socket: .*another node has this control socket"):
            Node(load(other)).start()
        assert alice.status().pid == os.getpid()


def modules_after(program: str) -> set[str]:
    program += "; import sys, json; print(json.dumps(sorted(sys.modules)))"
    return set(json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout))


def test_importing_a_node_loads_nothing_of_the_command_line() -> None:
    loaded = modules_after("from rookery.node import *")
    assert "rookery.node.node" in loaded
    assert not {"click", "rich"} & loaded


def test_package_of_nodes_loads_what_is_asked_of_it() -> None:
    assert not any(
        name.startswith(("rookery.actors", "rookery.node.")) for name in modules_after("import rookery.node")
    )
    assert "rookery.node.node" not in modules_after("from rookery.node import Status")
    with pytest.raises(AttributeError, match=r"module 'rookery\.node' has no attribute 'Noode'"):
        rookery.node.Noode  # type: ignore[attr-defined]  # noqa: B018


def test_every_public_name_of_the_package_is_there() -> None:
    assert [name for name in rookery.node.__all__ if getattr(rookery.node, name).__name__ != name] == []


def test_node_starts_again_in_its_process_though_one_that_it_forked_lives(make_folder: MakeFolder) -> None:
    """On the same ports, in the same folder, with the same control socket."""
    port, record_port = new.free_ports(2)
    folder = make_folder(
        yaml=f"transport: {{listen: 'tcp://127.0.0.1:{port}'}}\ntracker: {{source: static}}\n"
        f"discovery: {{record_listen: 'http://127.0.0.1:{record_port}'}}\n"
    )
    node = Node(load(folder)).start()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    try:
        node.stop()
        with Node(load(folder)) as again, Client(again.config.control.socket) as client:
            assert client.status().address == f"tcp://127.0.0.1:{port}"
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(pid, 0)
