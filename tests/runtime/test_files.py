"""What `rookery.runtime.files` promises."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rookery.runtime.files import replace_file


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
