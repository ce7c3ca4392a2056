"""Our own duplicates of sockets that belong to libzmq: what one is, whether it hung up, and how to end it."""

from __future__ import annotations

import os
import select
import socket as sockets
from dataclasses import dataclass
from typing import Self

_HUNG_UP = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells one socket from all others that exist or existed shortly before."""

    inode: int
    here: tuple[str, int]
    there: tuple[str, int]

    @classmethod
    def of(cls, socket: sockets.socket) -> Self:
        """The mark of a connected TCP socket; OSError if it is none, or is connected no more."""
        here, there = socket.getsockname(), socket.getpeername()
        return cls(os.fstat(socket.fileno()).st_ino, here[:2], there[:2])


def duplicate_of(number: int) -> sockets.socket:
    """Our own descriptor of the socket that has this number now; OSError if that is no socket."""
    duplicate = os.dup(number)
    try:
        return sockets.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        raise


def hung_up(duplicate: sockets.socket) -> bool:
    """Whether the far end, or libzmq, has ended it."""
    poller = select.poll()
    poller.register(duplicate, _HUNG_UP)
    return bool(poller.poll(0))


def shut(duplicate: sockets.socket) -> None:
    """End the socket for both holders of it, libzmq and us."""
    try:
        duplicate.shutdown(sockets.SHUT_RDWR)
    except OSError:
        pass  # the other side was quicker
    duplicate.close()
