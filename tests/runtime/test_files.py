"""What `rookery.runtime.files` promises."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rookery.runtime.files import check_file, check_regular, read_file, replace_file


def test_file_with_the_longest_name_that_may_be_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / (os.statvfs(tmp_path).f_namemax * "a")
    for content in (b"old", b"new"):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]


def symbolic_link(path: Path) -> None:
    path.symlink_to("other")


def hard_link(path: Path) -> None:
    path.hardlink_to(path.with_name("other"))


@pytest.mark.parametrize("leave", [Path.touch, symbolic_link, hard_link])
def test_what_a_crash_or_a_stranger_left_at_the_temporary_name_gets_nothing_of_the_content(
    tmp_path: Path, leave: Callable[[Path], object]
) -> None:
    (tmp_path / "other").write_bytes(b"other")
    leave(tmp_path / f".key.{os.getpid()}-{threading.get_ident()}.tmp")
    replace_file(tmp_path / "key", b"secret")
    assert (tmp_path / "other").read_bytes() == b"other"
    assert (tmp_path / "key").read_bytes() == b"secret"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["key", "other"]


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


KINDS: list[tuple[Callable[[Path], object], str]] = [
    (os.mkfifo, "it is a pipe, not a regular file"),
    (make_socket, "it is a socket, not a regular file"),
    (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file"),
    (Path.mkdir, "Is a directory"),
]


@pytest.mark.parametrize(("make", "words"), KINDS)
def test_what_is_no_regular_file_is_refused_by_its_kind_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], words: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    make(Path("odd"))
    for look in (lambda path: read_file(path, 10, follow=True), check_regular):
        with pytest.raises(OSError, match=words) as raised:
            look(Path("odd"))
        assert raised.value.filename == "odd"


def test_nothing_but_a_regular_file_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a device may do something, as rewinding a tape; of a pipe it lets a writer go on that waits."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(os, "open", lambda *_args: pytest.fail("it was opened"))
    with pytest.raises(OSError, match="a pipe"):
        read_file(tmp_path / "pipe", 10)


def test_pipe_that_takes_the_place_of_a_file_after_it_was_looked_at_is_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.touch()
    real = os.open

    def swapped(*args: object) -> int:
        path.unlink()
        os.mkfifo(path)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(OSError, match="a pipe"):
        read_file(path, 10)


def test_link_to_a_file_is_read_only_where_it_may_be_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link", 3, follow=True) == b"cont"
    for look in (lambda path: read_file(path, 3), check_file):
        with pytest.raises(OSError, match="symbolic link"):
            look(tmp_path / "link")


def test_path_with_nothing_there_is_no_irregular_file(tmp_path: Path) -> None:
    check_regular(tmp_path / "missing")


def test_full_disk_is_told_with_the_name_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as raised:
        replace_file(tmp_path / "key", b"secret")
    assert raised.value.filename == str(tmp_path / "key")
    assert os.listdir(tmp_path) == []
