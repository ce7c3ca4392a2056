"""The file store: damage, crashes, owners and errors of the system."""

import errno
import hashlib
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from rookery.actors.blobs.stores import StoreError, StoreFull, StoreLocked
from rookery.actors.blobs.stores.files import FileStore

VALUE = b"a block"
KEY = hashlib.sha256(VALUE).digest()
NAME = KEY.hex()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def files(folder: Path) -> Iterator[FileStore]:
    with closing(FileStore(folder)) as store:
        yield store


STORE_ALONE = """
import sys
from importlib.util import find_spec, module_from_spec
sys.modules["rookery.node"] = module_from_spec(find_spec("rookery.node"))  # not run: the rest of a node loads slowly
from rookery.actors.blobs.stores.files import FileStore
"""
"""How a child process begins."""


def block_path(folder: Path) -> Path:
    return folder / NAME[:2] / NAME


def test_file_store_names_a_block_by_its_key_in_its_shard(files: FileStore, folder: Path) -> None:
    files.put(KEY, VALUE)
    assert block_path(folder).read_bytes() == VALUE


def test_file_store_reopened_has_its_blocks(folder: Path) -> None:
    with closing(FileStore(folder)) as store:
        store.put(KEY, VALUE)
    with closing(FileStore(folder)) as store:
        assert store.get(KEY) == VALUE
        assert store.count() == 1


def test_file_store_is_private_to_its_user(files: FileStore, folder: Path) -> None:
    files.put(KEY, VALUE)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(block_path(folder).stat().st_mode) == 0o600


def test_file_store_syncs_file_then_renames_then_syncs_its_shard(
    files: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def recorded_sync(fd: int) -> None:
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync file")
        sync(fd)

    def recorded_replace(source: str, target: str) -> None:
        steps.append("rename")
        assert os.path.dirname(source) == os.path.dirname(target) == str(block_path(folder).parent)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    files.put(KEY, VALUE)
    assert steps == ["sync folder", "sync file", "rename", "sync folder"]  # the first for its new shard


def test_file_store_put_again_writes_nothing(files: FileStore, folder: Path) -> None:
    files.put(KEY, VALUE)
    before = block_path(folder).stat()
    files.put(KEY, VALUE)
    assert block_path(folder).stat().st_ino == before.st_ino


# Damage


@pytest.mark.parametrize("damage", [b"", b"a bl", b"A block", b"a block and more"])
def test_file_store_answers_a_damaged_block_as_missing_and_sets_it_aside(
    files: FileStore, folder: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    files.put(KEY, VALUE)
    block_path(folder).write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert files.get(KEY) is None
    assert f"damaged block set aside as {block_path(folder)}.corrupt" in caplog.text
    assert block_path(folder).with_name(NAME + ".corrupt").read_bytes() == damage
    assert files.corrupt == 1
    assert files.count() == 0
    assert not files.has(KEY)
    assert list(files.keys()) == []


def test_file_store_when_a_damaged_block_is_put_again_has_it_whole(files: FileStore, folder: Path) -> None:
    files.put(KEY, VALUE)
    block_path(folder).write_bytes(b"A block")
    files.put(KEY, VALUE)
    assert files.get(KEY) == VALUE
    assert files.count() == 1
    assert files.corrupt == 0


def test_file_store_repaired_while_a_damaged_read_is_under_way_keeps_the_repaired_block(
    files: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.put(KEY, VALUE)
    reads = iter([b"A block", VALUE])
    monkeypatch.setattr("rookery.actors.blobs.stores.files._read", lambda path: next(reads))
    assert files.get(KEY) == VALUE
    assert files.corrupt == 0
    assert block_path(folder).exists()


def test_file_store_without_verify_trusts_the_disk(folder: Path) -> None:
    with closing(FileStore(folder, verify=False)) as store:
        store.put(KEY, VALUE)
        block_path(folder).write_bytes(b"A block")
        assert store.get(KEY) == b"A block"
        assert store.corrupt == 0


# Crashes

CRASHING = """
import os, signal
store = FileStore(sys.argv[1])
os.{call} = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
store.put(bytes.fromhex(sys.argv[2]), b"a block")
"""


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_file_store_after_a_crash_in_put_lacks_the_block_and_the_leftovers(folder: Path, call: str) -> None:
    block_path(folder).parent.mkdir(parents=True)
    crashed = subprocess.run(
        [sys.executable, "-c", STORE_ALONE + CRASHING.format(call=call), folder, NAME], check=False
    )
    assert crashed.returncode == -signal.SIGKILL
    shard = block_path(folder).parent
    assert [name[:66] for name in os.listdir(shard)] == [f".{NAME}."]
    with closing(FileStore(folder)) as store:
        assert os.listdir(shard) == []
        assert store.get(KEY) is None
        assert store.count() == 0
        store.put(KEY, VALUE)
        assert store.get(KEY) == VALUE


def test_file_store_at_open_leaves_files_alone_that_are_not_its_own(folder: Path) -> None:
    with closing(FileStore(folder)):
        pass
    (folder / "ab").mkdir()
    strangers = [folder / "README", folder / "ab" / "note.tmp", folder / "ab" / NAME, folder / "ab" / ".x.0.tmp"]
    assert not NAME.startswith("ab")
    for path in strangers:
        path.write_bytes(b"mine")
    with closing(FileStore(folder)) as store:
        assert list(store.keys()) == []
        assert store.count() == 0
    assert all(path.read_bytes() == b"mine" for path in strangers)


def test_file_store_when_a_put_fails_leaves_no_temporary_file(
    files: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreFull, match=f"cannot write {block_path(folder)}: No space left") as caught:
            files.put(KEY, VALUE)
    assert caught.value.path == block_path(folder)
    assert os.listdir(block_path(folder).parent) == []
    assert files.count() == 0


# Owners

OWNER = """
store = FileStore(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_file_store_owned_by_another_process_is_refused_until_that_is_killed(folder: Path) -> None:
    command = [sys.executable, "-c", STORE_ALONE + OWNER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"open\n"
        with pytest.raises(StoreLocked, match=f"store folder {folder} is in use by process {owner.pid}") as caught:
            FileStore(folder)
        owner.kill()
    assert caught.value.pid == owner.pid
    assert caught.value.path == folder
    with closing(FileStore(folder)) as store:
        store.put(KEY, VALUE)
        assert store.get(KEY) == VALUE


def test_file_store_opened_twice_in_one_process_is_refused(files: FileStore, folder: Path) -> None:
    with pytest.raises(StoreLocked, match="is in use by this process"):
        FileStore(folder)
    files.close()
    with closing(FileStore(folder)) as store:
        assert store.count() == 0


def test_file_store_whose_owner_has_not_written_its_id_yet_is_refused(files: FileStore, folder: Path) -> None:
    (folder / "lock").write_bytes(b"")
    with pytest.raises(StoreLocked, match="is in use by another process") as caught:
        FileStore(folder)
    assert caught.value.pid is None


def test_file_store_owner_with_a_shorter_id_than_the_last_one_is_named_right(folder: Path) -> None:
    folder.mkdir()
    (folder / "lock").write_bytes(b"1234567890123456\n")
    with closing(FileStore(folder)), pytest.raises(StoreLocked) as caught:
        FileStore(folder)
    assert caught.value.pid == os.getpid()


@contextmanager
def forked(work: Callable[[], object]) -> Iterator[None]:
    """A process that this one forks, that does `work` and then lives until the block ends."""
    done, finish = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        work()
        os.write(done[1], b"x")
        os.close(finish[1])
        os.read(finish[0], 1)
        os._exit(0)
    try:
        assert os.read(done[0], 1) == b"x"
        yield
    finally:
        for end in (*done, *finish):
            os.close(end)
        os.waitpid(pid, 0)


def test_file_store_is_free_when_its_owner_has_closed_it_though_a_forked_worker_lives(folder: Path) -> None:
    store = FileStore(folder)
    with forked(lambda: None):
        store.close()
        with closing(FileStore(folder)) as again:
            assert again.count() == 0


def test_file_store_is_free_when_its_owner_was_killed_though_a_forked_worker_lives(folder: Path) -> None:
    worker = "import os\nif os.fork() == 0:\n    print('open', flush=True)\n    os.read(0, 1)\n    os._exit(0)\n"
    command = [sys.executable, "-c", f"{STORE_ALONE}store = FileStore(sys.argv[1])\n{worker}os.kill(os.getpid(), 9)"]
    with subprocess.Popen([*command, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"open\n"
        owner.wait()
        with closing(FileStore(folder)) as store:
            assert store.count() == 0


def test_file_store_stays_its_owners_when_a_forked_process_closes_it_and_ends(folder: Path) -> None:
    with closing(FileStore(folder)) as store:
        with forked(store.close):
            pass
        with pytest.raises(StoreLocked, match="is in use by this process"):
            FileStore(folder)


@pytest.mark.parametrize("precious", [b"precious", b"1" * 22, b"12 x\n"])
def test_lock_that_is_a_link_or_another_file_is_refused_and_left_alone(folder: Path, precious: bytes) -> None:
    folder.mkdir()
    (folder / "precious").write_bytes(precious)
    (folder / "lock").symlink_to(folder / "precious")
    with pytest.raises(StoreError, match=r"cannot open the lock file .*/lock: it is a symbolic link"):
        FileStore(folder)
    (folder / "lock").unlink()
    (folder / "lock").hardlink_to(folder / "precious")
    with pytest.raises(StoreError, match=r"lock is no lock file: move it away"):
        FileStore(folder)
    assert (folder / "precious").read_bytes() == precious


def test_file_store_that_cannot_be_prepared_lets_go_of_the_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / "00").write_bytes(b"in the way")
    with pytest.raises(StoreError, match=r"cannot use the folder of blocks .*: Not a directory"):
        FileStore(folder)
    (folder / "00").unlink()
    with closing(FileStore(folder)) as store:
        assert store.count() == 0


# Errors of the system


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """The test runs as a user to whom permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder any user may write (`tmp_path` lies in one that only its owner may enter)."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def test_file_store_in_a_folder_it_may_not_write_is_refused_with_the_path(open_path: Path, unprivileged: None) -> None:
    folder = open_path / "store"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(StoreError, match=f"cannot open the lock file {folder}/lock: Permission denied") as caught:
        FileStore(folder)
    assert caught.value.path == folder / "lock"


def test_file_store_whose_block_it_may_not_read_says_which(open_path: Path, unprivileged: None) -> None:
    folder = open_path / "store"
    with closing(FileStore(folder)) as store:
        store.put(KEY, VALUE)
        block_path(folder).chmod(0)
        with pytest.raises(StoreError, match=f"cannot read {block_path(folder)}: Permission denied"):
            store.get(KEY)


def test_file_store_whose_shard_it_may_not_write_says_which_block(open_path: Path, unprivileged: None) -> None:
    folder = open_path / "store"
    with closing(FileStore(folder)) as store:
        block_path(folder).parent.mkdir(0o500)
        with pytest.raises(StoreError, match=f"cannot write {block_path(folder)}: Permission denied") as caught:
            store.put(KEY, VALUE)
        assert not isinstance(caught.value, StoreFull)
        block_path(folder).parent.chmod(0o700)


def test_file_store_at_the_path_of_a_file_is_refused(folder: Path) -> None:
    folder.write_bytes(b"")
    with pytest.raises(StoreError, match=f"cannot open the store folder {folder}: Not a directory"):
        FileStore(folder)


def test_file_store_whose_folder_is_gone_says_so_on_put(files: FileStore, folder: Path) -> None:
    shutil.rmtree(folder)
    with pytest.raises(StoreError, match=f"cannot write {block_path(folder)}: No such file"):
        files.put(KEY, VALUE)


def test_file_store_that_cannot_list_a_shard_says_which(files: FileStore, folder: Path) -> None:
    (folder / "00").write_bytes(b"in the way")
    with pytest.raises(StoreError, match=f"cannot list {folder}/00: Not a directory"):
        list(files.keys())


def test_file_store_with_a_folder_in_the_place_of_a_block_says_so(files: FileStore, folder: Path) -> None:
    block_path(folder).mkdir(parents=True)
    with pytest.raises(StoreError, match=f"cannot read {block_path(folder)}: Is a directory"):
        files.get(KEY)


def test_root_is_still_marked_when_the_store_is_opened_again(tmp_path: Path) -> None:
    key = hashlib.sha256(b"one").digest()
    with closing(FileStore(tmp_path)) as store:
        store.put(key, b"one")
        store.mark(key)
    with closing(FileStore(tmp_path)) as store:
        assert list(store.marked()) == [key]
        assert store.count() == 1
