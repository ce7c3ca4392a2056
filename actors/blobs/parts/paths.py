"""Which paths a file can be put from and written to.

Rules, each with a test in `tests/blobs/test_paths.py`:

* A relative path counts from the folder of whoever gives it, and is made absolute there. `..` is left to the file
  system, since behind a symbolic link the text would say another folder; so is a `/` at the end.
* Symbolic links are followed. One that goes in circles, or leads to no file, is refused.
* A path may not lead through /dev, procfs, sysfs or their like, where names stand for something else than files, and
  for other things in each process: `/dev/stdin` of a node is not its caller's.
* What two processes call by the same path is the same file if its `FileId` is: with other mounts (a container,
  systemd's PrivateTmp) it is not.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import NamedTuple, Self

from msgspec import Struct, field

_MOST_LINKS = 40  # as Linux has it
_NO_FILES = frozenset({"/dev", "/dev/fd", "/proc", "/sys"})
_NO_FILES_TYPES = re.compile(
    "binfmt_misc|bpf|cgroup2?|configfs|debugfs|dev(pts|tmpfs)|efivarfs|fusectl|mqueue|nsfs|proc|pstore|rpc_pipefs|"
    "securityfs|selinuxfs|sysfs|tracefs"
)
ELSEWHERE = "it was replaced meanwhile, or the node has other mounts (a container, systemd's PrivateTmp)"
"""Why the same path can lead two processes to different files."""
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class FileId(NamedTuple):
    """Which file or folder it is, whatever it is called: equal for all processes of a machine."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Of a file that was looked at."""
        return cls(status.st_dev, status.st_ino)


def absolute(path: str | os.PathLike[str]) -> str:
    """A path that means in every working folder what `path` means in this one."""
    return os.path.join(os.getcwd(), os.fsdecode(path))


class Found(Struct, frozen=True):
    """Where a path leads: the path without links, and what is there, None if nothing is."""

    path: str
    status: os.stat_result | None
    is_mounted: bool = False
    """It is a mount point, which nobody can replace."""

    @property
    def folder(self) -> str:
        return os.path.dirname(self.path)


def resolve(path: str) -> Found:
    """Follow an absolute path. Only its last name may be missing, unless that is a link's.

    Raises OSError, whose `strerror` says what is wrong.
    """
    if "\0" in path:
        raise OSError(errno.EINVAL, "a path has no null character")
    return _Walk(path.split("/")[::-1]).to_the_end()


class _Mounts(Struct):
    """What is mounted, as the kernel tells this process; nothing where it does not (macOS)."""

    types: dict[int, str] = field(default_factory=dict)
    points: set[str] = field(default_factory=set)

    @classmethod
    def read(cls) -> Self:
        mounts = cls()
        try:
            with open("/proc/self/mountinfo", "rb") as file:  # its format: proc(5)
                lines = file.read().splitlines()
        except OSError:
            return mounts
        for line in lines:
            fields = line.split(b" ")
            major, minor = fields[2].split(b":")
            kind = fields[fields.index(b"-") + 1]
            mounts.types[os.makedev(int(major), int(minor))] = kind.decode("ascii", "replace")
            mounts.points.add(os.fsdecode(_ESCAPED.sub(lambda code: bytes([int(code[1], 8)]), fields[4])))
        return mounts

    def holds_no_files(self, device: int) -> bool:
        """Whether this is a file system of the kernel's own."""
        return _NO_FILES_TYPES.fullmatch(self.types.get(device, "")) is not None


class _Walk:
    """From the root along the names of a path, and of the links on the way."""

    def __init__(self, names: list[str]) -> None:
        """names: the next one last."""
        self._names = names
        self._here = "/"
        self._status: os.stat_result = os.stat("/")
        self._links = 0
        self._is_link = False  # the last name of the path is one
        self._mounts = _Mounts.read()

    def to_the_end(self) -> Found:
        while self._names:
            if not stat.S_ISDIR(self._status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            name = self._names.pop()
            if name == "..":
                self._here = os.path.dirname(self._here)
                self._status = os.stat(self._here)
            elif name not in ("", "."):
                there = os.path.join(self._here, name)
                try:
                    self._enter(there, os.lstat(there))
                except FileNotFoundError:
                    return self._missing(there)
        return Found(self._here, self._status, self._here in self._mounts.points)

    def _enter(self, there: str, status: os.stat_result) -> None:
        if not stat.S_ISDIR(status.st_mode):
            self._refuse_no_files(self._here, self._status.st_dev, status.st_dev)
        if not stat.S_ISLNK(status.st_mode):
            self._here, self._status = there, status
            return
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        self._is_link = self._is_link or not self._names
        target = os.readlink(there)
        if target.startswith("/"):
            self._here, self._status = "/", os.stat("/")
        self._names += target.split("/")[::-1]

    def _missing(self, there: str) -> Found:
        if self._is_link:
            raise FileNotFoundError(errno.ENOENT, f"it is a symbolic link, and {there} does not exist")
        if self._names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._refuse_no_files(self._here, self._status.st_dev)
        return Found(there, None)

    def _refuse_no_files(self, folder: str, *devices: int) -> None:
        if folder in _NO_FILES or any(map(self._mounts.holds_no_files, devices)):
            why = f"in {folder} names stand for something else than files; give a regular file by its own name"
            raise OSError(errno.EINVAL, why)
