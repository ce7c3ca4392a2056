"""The rules at the head of `rookery.actors.blobs.parts.writing`."""

import errno
import hashlib
import os
import resource
import stat
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.blobs import (
    DestinationError,
    FileId,
    FileWriter,
    Manifest,
    ManifestError,
    MissingBlock,
    assemble,
    check_destination,
    put_file,
)
from rookery.actors.blobs.stores.memory import MemoryStore

DATA = hashlib.shake_256(b"data").digest(3000)


@pytest.fixture
def key(store: MemoryStore, tmp_path: Path) -> bytes:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    return put_file(source, store, chunk_size=128)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder of its own, so that leftovers show."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_assemble_writes_the_file_and_answers_its_size(key: bytes, store: MemoryStore, out: Path) -> None:
    assert assemble(key, store, out / "copy") == len(DATA)
    assert (out / "copy").read_bytes() == DATA
    assert os.listdir(out) == ["copy"]


def test_assemble_of_an_empty_file_writes_an_empty_file(store: MemoryStore, tmp_path: Path, out: Path) -> None:
    (tmp_path / "empty").touch()
    assert assemble(put_file(tmp_path / "empty", store), store, out / "copy") == 0
    assert (out / "copy").read_bytes() == b""


@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=2000), chunk_size=st.integers(128, 400))
def test_assemble_after_put_file_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, chunk_size: int
) -> None:
    folder = tmp_path_factory.mktemp("round")
    (folder / "source").write_bytes(data)
    store = MemoryStore()
    assemble(put_file(folder / "source", store, chunk_size=chunk_size), store, folder / "copy")
    assert (folder / "copy").read_bytes() == data


def test_assemble_replaces_an_existing_file(key: bytes, store: MemoryStore, out: Path) -> None:
    (out / "copy").write_bytes(b"old")
    assemble(key, store, out / "copy")
    assert (out / "copy").read_bytes() == DATA


def test_assemble_onto_a_symbolic_link_replaces_what_it_points_to(
    key: bytes, store: MemoryStore, out: Path, tmp_path: Path
) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (out / "link").symlink_to(tmp_path / "real")
    assemble(key, store, out / "link")
    assert (out / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == DATA


def test_assemble_gives_the_file_the_mode_the_user_asks_for(key: bytes, store: MemoryStore, out: Path) -> None:
    before = os.umask(0o027)
    try:
        assemble(key, store, out / "copy")
    finally:
        os.umask(before)
    assert stat.S_IMODE((out / "copy").stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o444, 0o755, 0o4755])
def test_assemble_keeps_the_permissions_of_what_it_replaces(
    key: bytes, store: MemoryStore, out: Path, mode: int
) -> None:
    (out / "copy").write_bytes(b"old")
    (out / "copy").chmod(mode)
    assemble(key, store, out / "copy")
    assert stat.S_IMODE((out / "copy").stat().st_mode) == mode & 0o777
    assert (out / "copy").read_bytes() == DATA


def test_assemble_onto_a_file_lets_nobody_else_read_before_its_end(out: Path) -> None:
    (out / "copy").write_bytes(b"old")
    (out / "copy").chmod(0o640)
    with FileWriter(out / "copy", 4) as writer:
        writer.write(b"data")
        (part,) = out.glob(".rookery-*.part")
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert stat.S_IMODE((out / "copy").stat().st_mode) == 0o640


@pytest.mark.parametrize(("refused", "mode"), [(False, 0o664), (True, 0o604)])
def test_assemble_gives_the_groups_rights_to_the_same_group_only(
    key: bytes, store: MemoryStore, out: Path, monkeypatch: pytest.MonkeyPatch, refused: bool, mode: int
) -> None:
    (out / "copy").write_bytes(b"old")
    (out / "copy").chmod(0o664)
    asked: list[tuple[int, int]] = []
    before = (out / "copy").stat()

    def change(_fd: int, owner: int, group: int) -> None:
        asked.append((owner, group))
        if refused:
            raise PermissionError(errno.EPERM, "Operation not permitted")

    def other_group(fd: int) -> os.stat_result:
        found = whole(fd)
        return os.stat_result((*found[:5], before.st_gid + refused, *found[6:]))

    whole = os.fstat
    monkeypatch.setattr(os, "fchown", change)
    monkeypatch.setattr(os, "fstat", other_group)
    assemble(key, store, out / "copy")
    assert stat.S_IMODE((out / "copy").stat().st_mode) == mode
    assert asked == [(-1, before.st_gid), (before.st_uid, -1)]


def test_assemble_onto_a_link_that_led_elsewhere_when_it_was_begun_is_refused(out: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"old")
    (out / "link").symlink_to(tmp_path / "one")

    def turned() -> None:
        with FileWriter(out / "link", 4) as writer:
            writer.write(b"data")
            (out / "link").unlink()
            (out / "link").symlink_to(tmp_path / "two")

    with pytest.raises(DestinationError, match=f"it led to {tmp_path}/one when that was begun, now elsewhere"):
        turned()
    assert [(tmp_path / name).read_bytes() for name in ("one", "two")] == [b"old", b"old"]


def test_assemble_onto_what_became_a_folder_meanwhile_is_refused(out: Path) -> None:
    def turned() -> None:
        with FileWriter(out / "copy", 4) as writer:
            writer.write(b"data")
            (out / "copy").mkdir()

    with pytest.raises(DestinationError, match="it is a folder; name a file in it"):
        turned()
    assert os.listdir(out) == ["copy"]


def test_assemble_in_another_folder_than_was_seen_is_refused(key: bytes, store: MemoryStore, out: Path) -> None:
    seen = check_destination(out / "copy")
    assert assemble(key, store, out / "copy", seen=seen) == len(DATA)
    with pytest.raises(DestinationError, match=f"the node finds another folder {out} than its caller: it was"):
        assemble(key, store, out / "copy", seen=FileId(seen.device, seen.inode + 1))
    with pytest.raises(DestinationError, match="No such file or directory; its caller does see the folder: it was"):
        assemble(key, store, out / "none" / "copy", seen=seen)


@pytest.mark.parametrize(("me", "allowed"), [("other", False), ("owner", True), ("root", True), ("folder's", True)])
def test_destination_that_a_sticky_folder_keeps_for_its_owner_is_refused_at_once(
    out: Path, monkeypatch: pytest.MonkeyPatch, me: str, allowed: bool
) -> None:
    (out / "copy").touch()
    out.chmod(0o1777)
    uid = out.stat().st_uid
    users = {"other": uid + 1, "owner": uid, "root": 0, "folder's": uid}
    monkeypatch.setattr(os, "geteuid", lambda: users[me])
    if allowed:
        check_destination(out / "copy")
    else:
        with pytest.raises(DestinationError, match="it is somebody else's, who alone may replace it"):
            check_destination(out / "copy")
    check_destination(out / "new")


def test_assemble_accepts_a_path_without_a_folder(
    key: bytes, store: MemoryStore, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out)
    assemble(key, store, "copy")
    assert (out / "copy").read_bytes() == DATA


def test_assemble_syncs_the_file_then_renames_then_syncs_the_folder(
    key: bytes, store: MemoryStore, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def sync(fd: int) -> None:
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync file")

    rename = os.replace

    def replace(source: str, target: str) -> None:
        steps.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    assemble(key, store, out / "copy")
    assert steps == ["sync file", "rename", "sync folder"]


def test_assemble_holds_a_small_part_of_the_file_in_memory(out: Path, tmp_path: Path) -> None:
    with open(tmp_path / "big", "wb") as file:
        file.truncate(16 * 2**20)
    store = MemoryStore()
    key = put_file(tmp_path / "big", store, chunk_size=64 * 1024)
    tracemalloc.start()
    try:
        assemble(key, store, out / "copy")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


# Failures leave the destination as it was


@pytest.fixture(params=[None, b"old"], ids=["new", "existing"])
def untouched(request: pytest.FixtureRequest, out: Path) -> Iterator[Path]:
    """A destination, there before or not, that must be after the test as it was."""
    before: bytes | None = request.param
    if before is not None:
        (out / "copy").write_bytes(before)
    yield out / "copy"
    assert os.listdir(out) == ([] if before is None else ["copy"])
    assert before is None or (out / "copy").read_bytes() == before


def test_assemble_without_the_root_names_it(store: MemoryStore, untouched: Path) -> None:
    key = hashlib.sha256(b"root").digest()
    with pytest.raises(MissingBlock, match=f"the store has no block {key.hex()}") as caught:
        assemble(key, store, untouched)
    assert caught.value.key == key


def test_assemble_without_a_later_chunk_names_it(key: bytes, store: MemoryStore, untouched: Path) -> None:
    last = hashlib.sha256(DATA[-(len(DATA) % 128) :]).digest()
    store.delete(last)
    with pytest.raises(MissingBlock) as caught:
        assemble(key, store, untouched)
    assert caught.value.key == last


def test_assemble_of_a_chunk_with_another_length_is_refused(store: MemoryStore, untouched: Path) -> None:
    chunk = hashlib.sha256(b"short").digest()
    root = Manifest(1, 100, 128, chunk).encode()
    for value in (b"short", root):
        store.put(hashlib.sha256(value).digest(), value)
    with pytest.raises(ManifestError, match="a chunk has 5 bytes where its manifest says 100"):
        assemble(hashlib.sha256(root).digest(), store, untouched)


def test_assemble_of_a_key_that_is_a_chunk_is_refused(key: bytes, store: MemoryStore, untouched: Path) -> None:
    with pytest.raises(ManifestError, match="a manifest is"):
        assemble(hashlib.sha256(DATA[:128]).digest(), store, untouched)


@pytest.mark.parametrize("written", [0, 5, 11])
def test_file_writer_with_a_length_other_than_promised_publishes_nothing(untouched: Path, written: int) -> None:
    with (
        pytest.raises(ManifestError, match=f"{written} bytes were written of a file of 10"),
        FileWriter(untouched, 10) as writer,
    ):
        writer.write(bytes(written))


def test_file_writer_whose_block_raises_publishes_nothing(untouched: Path) -> None:
    def interrupted() -> None:
        with FileWriter(untouched, 4) as writer:
            writer.write(b"data")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


@pytest.mark.parametrize(("call", "code"), [("fsync", errno.EIO), ("replace", errno.EXDEV)])
def test_assemble_when_publishing_fails_names_the_destination(
    key: bytes, store: MemoryStore, untouched: Path, call: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(DestinationError, match=f"cannot write {untouched}: {os.strerror(code)}") as caught:
        assemble(key, store, untouched)
    assert caught.value.path == str(untouched)


def test_assemble_beyond_a_limit_of_the_system_under_way_names_the_destination(
    key: bytes, store: MemoryStore, untouched: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DestinationError, match=f"cannot write {untouched}: File too large"):
            assemble(key, store, untouched)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_file_writer_on_a_system_that_takes_less_than_given_writes_the_rest(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileWriter(out / "copy", 10) as writer:
        whole = writer._file.write
        with monkeypatch.context() as patch:
            patch.setattr(writer, "_file", SimpleNamespace(write=lambda data: whole(data[:3])))
            writer.write(b"0123456789")
    assert (out / "copy").read_bytes() == b"0123456789"


def test_assemble_on_a_disk_without_room_is_refused_before_the_first_byte(
    key: bytes, store: MemoryStore, untouched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=5, f_frsize=512))
    with pytest.raises(DestinationError, match="it needs 3000 bytes and the disk has 2560 left"):
        assemble(key, store, untouched)


# Destinations that cannot be


def test_assemble_onto_a_folder_is_refused(key: bytes, store: MemoryStore, out: Path) -> None:
    with pytest.raises(DestinationError, match=f"cannot write {out}: it is a folder; name a file in it"):
        assemble(key, store, out)
    assert os.listdir(out) == []


def test_assemble_into_a_missing_folder_is_refused(key: bytes, store: MemoryStore, out: Path) -> None:
    with pytest.raises(DestinationError, match=f"cannot write {out}/none/copy: No such file or directory"):
        assemble(key, store, out / "none" / "copy")


def test_assemble_below_a_file_is_refused(key: bytes, store: MemoryStore, out: Path) -> None:
    (out / "file").touch()
    with pytest.raises(DestinationError, match=f"cannot write {out}/file/copy: Not a directory"):
        assemble(key, store, out / "file" / "copy")


def test_assemble_onto_a_pipe_is_refused_and_leaves_it(key: bytes, store: MemoryStore, out: Path) -> None:
    os.mkfifo(out / "pipe")
    with pytest.raises(DestinationError, match="it is not a regular file"):
        assemble(key, store, out / "pipe")
    assert stat.S_ISFIFO((out / "pipe").stat().st_mode)


def test_assemble_into_a_folder_it_may_not_write_is_refused(
    key: bytes, store: MemoryStore, untouched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("rookery.actors.blobs.parts.writing.os.open", refuse)
    with pytest.raises(DestinationError, match=f"cannot write {untouched}: Permission denied"):
        assemble(key, store, untouched)
