"""File descriptors: how many there may be, and our own of sockets that belong to libzmq.

* A process may have so many (RLIMIT_NOFILE), and strangers take some: `fitted` leaves `RESERVED` to the node.
* The system always gives the lowest free number. So the number of a new connection tells how full the table is.
* Where it is full, libzmq's thread tries to accept again and again: `Listener.turn_away` ends that.
* What libzmq announces is read later: whether the table is full is asked anew before anybody is turned away.
* The system's table of open files may be full as well (ENFILE). A duplicate takes no place there and keeps none free: a
  spare descriptor is a socket of its own, and whether one is left is asked by making one.
* Where it is full, a socket cannot be duplicated: `held` then works on libzmq's own number.
* What has come for a socket, and what of it libzmq has not read yet, Linux tells by whatever descriptor it is asked.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import select
import socket as sockets
import struct
import sys
import termios
from collections.abc import Iterator
from dataclasses import replace
from typing import Self

from msgspec import Struct

from ..config import Config

RESERVED = 96
"""Descriptors for what is no link: files, pipes, the control socket's clients, the record's readers."""
KEPT_FREE = 32
"""As many of them as are never left to connections."""
FEWEST = 160
"""With fewer a node does not start."""
_FOR_A_WIRE = 24  # descriptors that libzmq needs to begin; without them it aborts the process
_TURNED_AWAY = 128  # connections at once
_HUNG_UP = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
_FULL = (errno.EMFILE, errno.ENFILE)
_RESET = struct.pack("ii", 1, 0)  # what was sent is not waited for
_TCP_INFO = sockets.TCP_INFO if sys.platform == "linux" else None
_RECEIVED = struct.Struct("128xQ")  # tcpi_bytes_received of linux/tcp.h
_UNREAD = struct.Struct("i")

COUNTS_RECEIVED = _TCP_INFO is not None
"""Whether the system says how much has come for a socket."""


class NoDescriptors(Exception):
    """There are not enough file descriptors; the text says how many there may be, and what is needed."""


def limit() -> int:
    """How many descriptors this process may have now."""
    return _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def raise_limit(wanted: int) -> int:
    """Allow this process so many descriptors, or as many as it may allow itself; how many those are now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _number(soft) < wanted:
        with contextlib.suppress(ValueError, OSError):  # some systems have a bound that they do not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, _number(hard)), hard))
    return limit()


def _number(value: int) -> int:
    return 2**31 - 1 if value == resource.RLIM_INFINITY else value


def needed(config: Config) -> int:
    """Descriptors for these limits. An inbound link needs two: libzmq's and our duplicate."""
    links = config.max_connections + config.short_lived_places + config.max_packet_links
    return RESERVED + 2 * links + config.max_pending_handshakes


def fitted(config: Config, descriptors: int) -> Config:
    """The settings with limits that so many descriptors allow: connections first. Raises NoDescriptors."""
    if descriptors < FEWEST:
        raise NoDescriptors(
            f"this process may have {descriptors} (allowed: at least {FEWEST}, and {needed(config)} for these "
            f"settings; `ulimit -n`, or LimitNOFILE= of systemd)"
        )
    if needed(config) <= descriptors:
        return config
    room = descriptors - RESERVED
    connections = min(config.max_connections, room // 4)
    room -= 2 * (connections + replace(config, max_connections=connections, reserved_outbound=None).short_lived_places)
    room -= 3  # there is one packet link and one silent connection at least; the rest shares
    packet_links, silent = config.max_packet_links - 1, config.max_pending_handshakes - 1
    share = min(1.0, room / max(1, 2 * packet_links + silent))
    outbound = config.reserved_outbound
    return replace(
        config,
        max_connections=connections,
        reserved_outbound=None if outbound is None else min(outbound, connections),
        max_packet_links=1 + int(share * packet_links),
        max_pending_handshakes=1 + int(share * silent),
    )


def check_free() -> None:
    """Raises NoDescriptors if there are too few for libzmq to begin with."""
    try:
        lowest = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest)
    except OSError as error:
        raise NoDescriptors(f"none is left: {error.strerror}") from error
    if lowest + _FOR_A_WIRE > limit():
        raise NoDescriptors(f"{lowest} of {limit()} are in use (allowed: {_FOR_A_WIRE} free ones at least)")


class Mark(Struct, frozen=True):
    """What tells one socket from all others that exist or existed shortly before."""

    inode: int
    here: tuple[str, int]
    there: tuple[str, int]

    @classmethod
    def of(cls, socket: sockets.socket) -> Self:
        """The mark of a connected TCP socket; OSError if it is none, or is connected no more."""
        here, there = socket.getsockname(), socket.getpeername()
        return cls(os.fstat(socket.fileno()).st_ino, here[:2], there[:2])


class Listener:
    """Our own descriptor of libzmq's listening socket, and a spare one."""

    def __init__(self, number: int) -> None:
        """number: of the listening socket. Raises OSError."""
        self._socket = duplicate_of(number)
        self._socket.setblocking(False)  # as libzmq has it
        self._spare: sockets.socket | None = None
        self.regain()

    def turn_away(self) -> list[str]:
        """Accept who waits, only to close; the IPs. Nobody while there is a descriptor beside the spare one.

        The failure that it follows may be long past: libzmq announces thousands of them while the table is full, and
        who comes after that is for libzmq to accept. Its thread may also be quicker and take the spare descriptor for a
        connection, which is announced: see `regain`.
        """
        if self.regain() and is_one_left():
            return []
        if self._spare is not None:
            self._spare.close()
            self._spare = None
        ips: list[str] = []
        with contextlib.suppress(OSError):
            while len(ips) < _TURNED_AWAY:
                connection, address = self._socket.accept()
                with connection:  # it ends as reset: who dials can tell that from another key
                    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, _RESET)
                ips.append(str(address[0]))
        self.regain()
        return ips

    def regain(self) -> bool:
        """Whether the spare descriptor is there, perhaps again. While it is not, no connection may be kept."""
        if self._spare is None:
            with contextlib.suppress(OSError):
                self._spare = _new_socket()
        return self._spare is not None

    def close(self) -> None:
        """End it, also for a forked process that has it. Only once libzmq has let go: it would abort."""
        if self._spare is not None:
            self._spare.close()
        shut(self._socket)


@contextlib.contextmanager
def held(number: int) -> Iterator[sockets.socket]:
    """The socket that has this number now, for the block; OSError if that is no socket.

    A duplicate stays the same socket meanwhile. Where there is no descriptor for one, the number itself has to do.
    """
    try:
        duplicate = duplicate_of(number)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        borrowed = sockets.socket(fileno=number)
        try:
            yield borrowed
        finally:
            borrowed.detach()
    else:
        with duplicate:
            yield duplicate


def is_full(error: BaseException) -> bool:
    """Whether it says that there is no descriptor left."""
    return isinstance(error, OSError) and error.errno in _FULL


def is_one_left() -> bool:
    """Whether a socket can be made now: the process may have one more, and so may the system."""
    try:
        _new_socket().close()
    except OSError as error:
        return not is_full(error)
    return True


def _new_socket() -> sockets.socket:
    return sockets.socket(sockets.AF_UNIX)


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


def received(socket: sockets.SocketType) -> int:
    """Bytes that have come for a TCP socket since it was connected, encrypted and framed; 0 if that cannot be known."""
    if _TCP_INFO is None:
        return 0
    try:
        info = socket.getsockopt(sockets.IPPROTO_TCP, _TCP_INFO, _RECEIVED.size)
    except OSError:
        return 0
    count: int = _RECEIVED.unpack(info)[0] if len(info) == _RECEIVED.size else 0
    return count


def received_by(number: int) -> int:
    """As `received`, of whatever socket has this number now; OSError if that is none. A tenth of what `held` costs."""
    borrowed = sockets.SocketType(sockets.AF_INET, sockets.SOCK_STREAM, sockets.IPPROTO_TCP, number)
    try:
        return received(borrowed)
    finally:
        borrowed.detach()


def unread(socket: sockets.socket) -> int:
    """As many of these libzmq has not taken from the system yet."""
    try:
        count: int = _UNREAD.unpack(fcntl.ioctl(socket.fileno(), termios.FIONREAD, bytes(_UNREAD.size)))[0]
    except OSError:
        return 0
    return count
