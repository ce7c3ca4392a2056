"""The name of a file: the SHA-256 of its root manifest.

Rules, each with a test in `tests/blobs/test_keys.py`:

* A key is 32 bytes. People and scripts write it as 64 hex digits, in either case, and that is how it prints.
* Anything else is a ValueError that says what was given and what is allowed.
"""

import hashlib
import re
from typing import Self

KEY_SIZE = 32
"""Bytes in a key: one SHA-256 digest."""

_DIGITS = 2 * KEY_SIZE
_HEX = re.compile(rf"[0-9a-fA-F]{{{_DIGITS}}}")


class BlobKey(bytes):
    """A key: bytes for the program, 64 hex digits in text."""

    @classmethod
    def parse(cls, given: bytes | str) -> Self:
        """The key in 32 bytes or in 64 hex digits. Raises ValueError."""
        if isinstance(given, bytes) and len(given) == KEY_SIZE:
            return cls(given)
        if isinstance(given, str) and _HEX.fullmatch(given):
            return cls.fromhex(given)
        shown = f"{len(given)} bytes" if isinstance(given, bytes) else f"{given!r:.100}"
        raise ValueError(f"a key is {KEY_SIZE} bytes or {_DIGITS} hex digits, not {shown}")

    def __str__(self) -> str:
        return self.hex()


def check_key(key: bytes) -> None:
    """Raises ValueError unless `key` has the length of a SHA-256 digest."""
    if len(key) != KEY_SIZE:
        raise ValueError(f"a key is {KEY_SIZE} bytes (a SHA-256 digest), not {len(key)}")


def check_block(key: bytes, value: bytes) -> None:
    """Raises ValueError unless `key` is the SHA-256 of `value`."""
    check_key(key)
    if hashlib.sha256(value).digest() != key:
        raise ValueError(f"a block of {len(value)} bytes does not hash to its key {key.hex()}")
