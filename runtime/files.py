"""A node's own files: written whole or not at all, for their owner alone, never through a link.

Also whether they could be, and reading what users name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterable
from pathlib import Path

_LINK = "it is a symbolic link"
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def replace_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put `content` into the file at `path`: written beside it, synced, renamed, and the folder synced.

    After a crash the file has its old content or the new one. Raises OSError; then the old content stays.
    """
    # A part of the name, so that the longest name that may be is not too long for the file beside it.
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with contextlib.suppress(FileNotFoundError):  # of a process with this number, that crashed here
            os.unlink(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError):
            error.filename = error.filename or os.fspath(path)  # a full disk names none
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def check_folder(folder: Path) -> None:
    """Raise the OSError that making files in `folder` would meet, and making the folder itself. Changes nothing."""
    for place in (folder, *folder.parents):
        try:
            status = place.stat()
        except (FileNotFoundError, NotADirectoryError):
            if place.is_symlink():
                raise FileNotFoundError(errno.ENOENT, "it is a symbolic link to nothing", str(place)) from None
            continue  # what it is in says why, or it can be made there
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        _check_names(folder.relative_to(place).parts, place)
        return


def check_file(path: Path) -> None:
    """The same of a file to be read and written, which need not be there yet, and may not be a symbolic link."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, _LINK, os.fspath(path))
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        check_folder(path)  # which looks at what is there of the way to it
        return
    _check_regular(path, status)
    if not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _check_names(names: Iterable[str], place: Path) -> None:
    """What is not there yet can have names as long as those of the place where it will be."""
    longest = os.pathconf(place, "PC_NAME_MAX")
    for name in names:
        if len(os.fsencode(name)) > longest:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(place / name))


def read_file(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """What is in a regular file; of one that is too long the first `limit` + 1 bytes. Raises OSError.

    A pipe is not waited for, and nothing is opened that is no file. follow: links too, as in what users name.
    """
    if not follow and path.is_symlink():
        raise OSError(errno.ELOOP, _LINK, os.fspath(path))
    _check_regular(path, path.stat())  # of a device, opening it may already do something
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    with open(os.open(path, flags), "rb") as file:
        _check_regular(path, os.fstat(file.fileno()))
        try:
            return file.read(limit + 1)
        except OSError as error:
            error.filename = error.filename or os.fspath(path)
            raise


def check_regular(path: Path) -> None:
    """Raise an OSError if there is something at `path`, links followed, that is no regular file."""
    with contextlib.suppress(FileNotFoundError):
        _check_regular(path, path.stat())


def _check_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(status.st_mode):
        kind = next((words for is_it, words in _KINDS if is_it(status.st_mode)), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", os.fspath(path))


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make what was created or renamed in `folder` survive a loss of power. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
