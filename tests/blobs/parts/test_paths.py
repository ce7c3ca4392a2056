"""The rules at the head of `rookery.actors.blobs.parts.paths`."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rookery.actors.blobs import DestinationError, FileId, SourceError, absolute, check_destination, check_source
from rookery.actors.blobs.parts import paths
from rookery.actors.blobs.parts.paths import resolve

WITH_PROC = pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="no procfs here")


def test_absolute_path_is_the_callers_and_keeps_dots_and_the_last_slash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b/") == f"{tmp_path}/a/../b/"
    assert absolute(Path(os.fsdecode(b"/a\xff"))) == "/a\udcff"


def test_two_dots_behind_a_link_lead_to_the_folder_above_its_target(tmp_path: Path) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real/inner")
    found = resolve(f"{tmp_path}//./link/../file")
    assert found.path == str(tmp_path / "real" / "file")
    assert check_source(tmp_path / "real" / "file") == FileId.of((tmp_path / "real" / "file").stat())


def test_links_are_followed_to_the_end_and_the_last_name_may_be_new(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to(tmp_path / "file")
    assert resolve(f"{tmp_path}/one").path == str(tmp_path / "file")
    new = resolve(f"{tmp_path}/folder/new")
    assert (new.path, new.folder, new.status) == (str(tmp_path / "real" / "new"), str(tmp_path / "real"), None)


@pytest.fixture
def crooked(tmp_path: Path) -> Iterator[Path]:
    """A folder of what is no regular file."""
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "ring").symlink_to("gnir")
    (tmp_path / "gnir").symlink_to("ring")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "deep").symlink_to("nowhere/file")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        yield tmp_path


REFUSED = [
    ("loop", "Too many levels of symbolic links"),
    ("ring", "Too many levels of symbolic links"),
    ("dangling", "it is a symbolic link, and .*/nowhere does not exist"),
    ("deep", "it is a symbolic link, and .*/nowhere does not exist"),
    ("nowhere/", "No such file or directory|it names a folder"),
    ("nowhere/file", "No such file or directory"),
    ("file/", "Not a directory|it names a folder"),
    ("file/.", "Not a directory|it names a folder"),
    ("file/..", "Not a directory|it names a folder"),
    ("file/file", "Not a directory"),
    ("folder", "it is not a regular file|it is a folder; name a file in it"),
    ("folder/", "it is not a regular file|it names a folder; name a file in it"),
    ("folder/.", "it is not a regular file|it names a folder; name a file in it"),
    ("pipe", "it is not a regular file"),
    ("socket", "it is not a regular file"),
    (256 * "a", "File name too long"),
    ("a\0b", "a path has no null character"),
    ("/dev/null", "in /dev names stand for something else than files"),
    ("/dev/stdin", "in /dev names stand for something else than files"),
    ("/dev/fd/0", "in /dev names stand for something else than files"),
    ("/dev", "it is not a regular file|it is a folder"),
]


@pytest.mark.parametrize(("name", "why"), REFUSED, ids=[name[:12] for name, _ in REFUSED])
def test_path_that_leads_to_no_regular_file_is_refused_as_source_and_as_destination(
    crooked: Path, name: str, why: str
) -> None:
    before = sorted(os.listdir(crooked))
    path = os.path.join(crooked, name)
    for check, kind, verb in ((check_source, SourceError, "read"), (check_destination, DestinationError, "write")):
        with pytest.raises(kind, match=f"(?s)^cannot {verb} .*: ({why})") as caught:
            check(path)
        assert getattr(caught.value, "path", None) == path
    assert sorted(os.listdir(crooked)) == before


@WITH_PROC
@pytest.mark.parametrize(
    "path", ["/proc/version", "/proc/self/cwd/file", "/proc/self/fd/{}", "/proc/self/root/{}", "/sys/kernel/notes"]
)
def test_path_through_a_file_system_of_the_kernel_is_refused_also_where_it_leads_to_a_regular_file(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open(tmp_path / "file", "w") as file:
        (tmp_path / "link").symlink_to(path.format(file.fileno()))
        for way in (path.format(file.fileno()), tmp_path / "link"):
            for check, kind in ((check_source, SourceError), (check_destination, DestinationError)):
                with pytest.raises(kind, match="in /(proc|sys).* names stand for something else than files"):
                    check(way)


@WITH_PROC
def test_kernels_file_systems_are_known_by_their_type_wherever_they_are_mounted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paths, "_NO_FILES", frozenset())
    with pytest.raises(SourceError, match="in /proc/sys/kernel names stand for"):
        check_source("/proc/sys/kernel/ostype")


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no /dev/shm here")
def test_memory_below_dev_has_files_of_its_own(request: pytest.FixtureRequest) -> None:
    path = Path(f"/dev/shm/rookery-test-{os.getpid()}")
    path.touch()
    try:
        assert check_source(path) == FileId.of(path.stat())
    finally:
        path.unlink()


def test_path_where_the_kernel_lists_no_mounts_is_followed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    expected = check_source(tmp_path / "file")

    def refuse(*_arguments: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("builtins.open", refuse)
    assert check_source(tmp_path / "file") == expected
    with pytest.raises(SourceError, match="in /dev names stand for something else than files"):
        check_source("/dev/stdin")


def test_destination_that_is_a_mount_point_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my file").touch()
    line = f"1 2 8:1 / {str(tmp_path / 'my file').replace(' ', chr(92) + '040')} rw shared:1 - ext4 /dev/sda rw\n"
    (tmp_path / "mountinfo").write_text(line)
    whole = open
    monkeypatch.setattr("builtins.open", lambda _path, mode: whole(tmp_path / "mountinfo", mode))
    with pytest.raises(DestinationError, match="it is a mount point, which cannot be replaced; name another file"):
        check_destination(tmp_path / "my file")
