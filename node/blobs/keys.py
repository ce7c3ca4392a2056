"""The name of a file: the SHA-256 of its root manifest.

Rules, each with a test in `tests/blobs/test_keys.py`:

* A key is 32 bytes. People and scripts write it as 64 hex digits, in either case, and that is how it prints.
* Anything else is a ValueError that says what was given and what is allowed.
"""

import re
from typing import Self

from ..stores import KEY_SIZE

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
