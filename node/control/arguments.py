"""The arguments of a call, read one by one with the type each must have.

* What is missing, of another type, or not known to the command is a BadArguments that names it.
* What a value of the right type may be is checked where it goes: by the mailbox's method, as for code.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import cast

from ... import runtime
from ...actors.blobs import FileId
from ...actors.tracker import Target, parse_target
from ...runtime.arguments import shortened
from ...transport.identity import PeerId
from .protocol import Plain


class BadArguments(runtime.Declined):
    """The command cannot be given these arguments."""


class Arguments:
    """What a caller gave. Every method raises BadArguments."""

    def __init__(self, given: Mapping[str, Plain], known: Iterable[str]) -> None:
        """known: the names the command has."""
        self._given = given
        known = sorted(known)
        for name in given:
            if name not in known:
                raise BadArguments(f"unknown argument {shortened(name)} (allowed: {', '.join(known) or 'none'})")

    def text(self, name: str) -> str:
        """A text."""
        value = self._given.get(name)
        if not isinstance(value, str):
            raise BadArguments(f"{name} must be a text")
        return value

    def path(self, name: str) -> str:
        """An absolute path: the node's own folder is not the caller's. It need not be UTF-8."""
        path = self.text(name)
        if not PurePath(path).is_absolute() or "\0" in path or not _is_path(path):
            raise BadArguments(f"{name} must be an absolute path, not {shortened(path)}")
        return path

    def file_id(self, name: str) -> FileId | None:
        """Which file or folder the caller has seen; None if it is not given."""
        value = self._given.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or [type(part) for part in value] != [int, int]:
            raise BadArguments(f"{name} must be the numbers of a device and an inode")
        return FileId(*cast("list[int]", value))

    def peer(self, name: str) -> PeerId:
        """64 hex digits."""
        try:
            return PeerId.parse(self.text(name))
        except ValueError as error:
            raise BadArguments(f"{name}: {error}") from None

    def target(self, name: str) -> Target:
        """Whom to block: a peer, an IP, or a network of IPs."""
        try:
            return parse_target(self.text(name))
        except ValueError as error:
            raise BadArguments(f"{name}: {error}") from None

    def seconds(self, name: str) -> float | None:
        """A time above 0; None if it is not given."""
        value = self._given.get(name)
        if value is None:
            return None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or math.isnan(value) or value <= 0:
            raise BadArguments(f"{name} must be a number of seconds above 0")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Yes or no; the default if it is not given."""
        value = self._given.get(name, default)
        if not isinstance(value, bool):
            raise BadArguments(f"{name} must be true or false")
        return value

    def number(self, name: str) -> int:
        """The number of something, which must be given."""
        if name not in self._given:
            raise BadArguments(f"{name} must be a whole number, at least 0")
        return self.count(name)

    def integer(self, name: str) -> int:
        """A whole number of either sign, which must be given."""
        value = self._given.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadArguments(f"{name} must be a whole number")
        return value

    def count(self, name: str) -> int:
        """A number of things; 0 if it is not given."""
        value = self._given.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise BadArguments(f"{name} must be a whole number, at least 0")
        return value


def _is_path(text: str) -> bool:
    """Whether the operating system has a name for it."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True
