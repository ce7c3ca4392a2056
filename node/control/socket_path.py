"""Where the control socket is. Its owner alone can connect: the socket has mode 0600.

* An operating system has a limit for the path of a socket, about 100 bytes. Where the wanted path is longer, the socket
  is in a new folder of mode 0700 under the folder for temporary files, and a small file at the wanted path says where.
* `take` finds out whether another node listens there; what a killed node left behind is cleared away.
* `leave` removes all of it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from pathlib import Path

import zmq

from ...runtime.files import check_folder, replace_file

LONGEST: int = zmq.IPC_PATH_MAX_LEN
_MAX_NOTE = 4096
PREFIX = "."
HIDDEN = "s"
"""The socket is made as `s` in a folder beside its place, named by `tempfile` with 8 characters after the prefix."""
_FOLDER = "rookery-"
_SOCKET = "node.sock"


class SocketTaken(Exception):
    """The control socket cannot be made; the text names the path and the reason."""


def take(wanted: Path) -> Path:
    """The path to bind, with nothing there. Raises SocketTaken."""
    wanted = wanted.absolute()
    try:
        if _connects(find(wanted)):
            raise SocketTaken(f"{wanted}: another node has this control socket")
        leave(wanted)
        wanted.parent.mkdir(parents=True, exist_ok=True)
        if _fits(wanted):
            return wanted
        place = Path(tempfile.mkdtemp(prefix=_FOLDER)) / _SOCKET
        try:
            _refuse_long(wanted, place)
        except SocketTaken:
            os.rmdir(place.parent)
            raise
        replace_file(wanted, os.fsencode(f"{place}\n"))
    except OSError as error:
        raise SocketTaken(f"{wanted}: {error.strerror or error}") from error
    return place


def find(wanted: Path) -> Path:
    """Where the socket is that belongs to this path; the path itself if nothing else is known."""
    wanted = wanted.absolute()
    with contextlib.suppress(OSError, ValueError):
        if wanted.is_file() and wanted.stat().st_uid == os.geteuid():
            return Path(os.fsdecode(wanted.read_bytes()[:_MAX_NOTE]).strip())
    return wanted


def leave(wanted: Path) -> None:
    """Remove the socket that belongs to this path. Raises SocketTaken where something else is in its place."""
    wanted = wanted.absolute()
    if (place := _removable(wanted)) != wanted:
        with contextlib.suppress(OSError):  # what somebody else has put there stays
            place.unlink(missing_ok=True)
            place.parent.rmdir()
    wanted.unlink(missing_ok=True)


def check(wanted: Path) -> None:
    """Raise the SocketTaken that `take` would, except that another node listens there. Changes nothing."""
    wanted = wanted.absolute()
    try:
        _removable(wanted)
        check_folder(wanted.parent)
        if not _fits(wanted):
            _refuse_long(wanted, Path(tempfile.gettempdir()) / (_FOLDER + 8 * "x") / _SOCKET)
    except OSError as error:
        raise SocketTaken(f"{wanted}: {error.strerror or error}") from error


def _removable(wanted: Path) -> Path:
    """Where the socket of this path is, if what is there may be removed, or nothing is. Raises SocketTaken."""
    place = find(wanted)
    ours = (place.name, place.parent.name[: len(_FOLDER)]) == (_SOCKET, _FOLDER)
    if (place != wanted and not ours) or (place == wanted and wanted.exists() and not wanted.is_socket()):
        raise SocketTaken(f"{wanted}: there is something else than a socket")
    return place


def _refuse_long(wanted: Path, place: Path) -> None:
    if not _fits(place):
        raise SocketTaken(f"{wanted}: too long for a socket, and so is {place} (allowed: {LONGEST} bytes)")


def _fits(place: Path) -> bool:
    hidden = place.parent / (PREFIX + 8 * "x") / HIDDEN
    return max(len(os.fsencode(place)), len(os.fsencode(hidden))) <= LONGEST


def somebody_listens(place: Path) -> bool:
    """Whether a connection to the socket is taken."""
    try:
        return _connects(place)
    except PermissionError:
        return False


def _connects(place: Path) -> bool:
    """The same. Raises PermissionError for a socket of somebody else, of which nobody can say that it is left over."""
    if len(os.fsencode(place)) > LONGEST:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(place))
        except PermissionError:
            raise
        except OSError:
            return False
    return True
