"""Which of two lives of one node is the later one: its generations, and the file in which they outlive it.

    life = max(unix milliseconds, the newest stored + 1)
    file = SHA-256 of the rest, [1, own peer, generation] as msgpack

* It is stored and synced before the node's record is first signed, so before anybody hears of it; a later generation of
  the same life (`Renew`) before its record is. So two lives are never taken for one, and a clock that was set back, or
  once stood in the future, does no harm.
* A file that is damaged, or that nothing could follow, is set aside as `NAME.corrupt`, and the clock alone decides; it
  does so too after the file of another node. A file that cannot be read or written ends the start.
* Without a file the second is the clock's and the millisecond drawn: a node that starts twice within a second, or with
  its clock set back, may seem to be the earlier life. It is then told so by those who know better, and renews.
"""

from __future__ import annotations

import errno
import hashlib
import os
import random
from pathlib import Path
from typing import Protocol

import msgpack

from ...runtime.files import check_folder, read_file, replace_file
from .keys import KEY_BYTES, PeerId

LAST = 2**63 - 2**32
"""Generations are below 2^63 for the membership, and some must be left for renewals."""

SET_ASIDE = "the stored generation is set aside, the clock decides"
"""What is logged of a damaged file."""

_VERSION = 1
_DIGEST = hashlib.sha256().digest_size
_MAX_BYTES = 1024
_MILLI = 1000  # generations per second of the clock


class GenerationError(Exception):
    """The generation cannot be read or stored; the text names the file."""


class Unusable(Exception):
    """A file that cannot be a generation; the text says why."""


class Generations(Protocol):
    """Where a node's newest generation outlives it."""

    def load(self) -> int | Unusable | None:
        """The newest one; None if there is none of this node. Raises GenerationError."""

    def store(self, generation: int) -> None:
        """Keep it, whatever happens after this returns. Raises GenerationError."""


def first(wall: float, stored: int | None) -> int:
    """The generation to begin a life with. wall: unix seconds. stored: the newest of earlier lives."""
    now = max(0, int(wall * _MILLI))
    return now if stored is None else max(now, stored + 1)


def first_without_memory(wall: float, rng: random.Random) -> int:
    """The same where nothing is stored."""
    return max(0, int(wall)) * _MILLI + rng.randrange(_MILLI)


def encode(generation: int, own: PeerId) -> bytes:
    """The file's content."""
    packed = bytes(msgpack.packb((_VERSION, own, generation)))
    return hashlib.sha256(packed).digest() + packed


def decode(data: bytes, own: PeerId) -> int | None:
    """Read a file's content; None if it is another node's. Raises Unusable."""
    if len(data) > _MAX_BYTES:
        raise Unusable(f"it has more than {_MAX_BYTES} bytes")
    if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
        raise Unusable("its checksum is wrong")
    try:
        content: object = msgpack.unpackb(data[_DIGEST:])
    except (ValueError, msgpack.UnpackException) as error:
        raise Unusable(f"it is not msgpack ({type(error).__name__})") from None
    match content:
        case [int(version), *_] if version != _VERSION:
            raise Unusable(f"it is of version {version}, not {_VERSION}")
        case [_, bytes(peer), int(generation)] if generation >= 0:
            if generation >= LAST:
                raise Unusable(f"{generation} leaves no room for another: allowed is below {LAST}")
            return generation if peer == own else None
        case _:
            raise Unusable("it is no generation")


class MemoryGenerations:
    """For simulations and tests: what would be on the disk. stored: the newest."""

    def __init__(self, stored: int | None = None) -> None:
        self.stored = stored

    def load(self) -> int | Unusable | None:
        """See `Generations`."""
        return self.stored

    def store(self, generation: int) -> None:
        """See `Generations`."""
        self.stored = generation


class GenerationFile:
    """In a file. Its methods wait for the disk."""

    def __init__(self, path: Path, own: PeerId) -> None:
        """own: whose generations; the file of another peer counts as none."""
        self.path = path
        self._own = own

    def load(self) -> int | Unusable | None:
        """See `Generations`. What is unusable is set aside."""
        try:
            return decode(read_file(self.path, _MAX_BYTES), self._own)
        except FileNotFoundError:
            return None
        except Unusable as error:
            self._set_aside()
            return error
        except OSError as error:
            raise GenerationError(f"cannot read {self.path}: {error.strerror or error}") from error

    @staticmethod
    def check(path: Path) -> None:
        """Raise the GenerationError that `load` or `store` would. Changes nothing."""
        GenerationFile.foresee(path)

    @staticmethod
    def foresee(path: Path) -> str | None:
        """What will be logged of the file when a node begins with it; None if nothing. Otherwise as `check`."""
        try:
            check_folder(path.parent)
            decode(read_file(path, _MAX_BYTES), PeerId(bytes(KEY_BYTES)))  # whose it is comes after what it is
        except FileNotFoundError:
            pass  # to be made
        except Unusable as error:
            if (aside := _aside(path)).is_dir() and not aside.is_symlink():
                raise _not_aside(path, os.strerror(errno.EISDIR)) from error
            return f"{SET_ASIDE}: {path}: {error}"
        except OSError as error:
            raise GenerationError(f"cannot read {path}: {error.strerror or error}") from error
        return None

    def store(self, generation: int) -> None:
        """See `Generations`."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self.path, encode(generation, self._own))
        except OSError as error:
            raise GenerationError(f"cannot write {self.path}: {error.strerror or error}") from error

    def _set_aside(self) -> None:
        try:
            os.replace(self.path, _aside(self.path))
        except OSError as error:
            raise _not_aside(self.path, error.strerror or str(error)) from error


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".corrupt")


def _not_aside(path: Path, why: str) -> GenerationError:
    return GenerationError(f"cannot set {path} aside: {why}")
