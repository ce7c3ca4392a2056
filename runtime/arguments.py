"""What a caller gives: how an error quotes it."""

from __future__ import annotations

import reprlib

SHOWN = 80
"""Characters of an input that an error repeats."""
MESSAGE_SHOWN = 500
"""Characters of an actor's message that an error or a log line repeats."""


class _Shortened(reprlib.Repr):
    """A text, bytes or a number by its beginning, containers by their first few elements, a few levels deep."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxother = self.limit = limit

    def repr_str(self, text: str, _level: int) -> str:
        return repr(text) if len(text) <= self.limit else f"{text[: self.limit]!r}... ({len(text)} characters)"

    def repr_bytes(self, data: bytes, _level: int) -> str:
        return repr(data) if len(data) <= self.limit else f"{data[: self.limit]!r}... ({len(data)} bytes)"

    def repr_int(self, number: int, _level: int) -> str:
        """Python refuses to write very long numbers, and takes long over those it does."""
        bits = number.bit_length()
        return repr(number) if bits <= 3 * self.limit else f"(a number of {bits} bits)"


def shortened(given: object, limit: int = SHOWN) -> str:
    """An input as an error quotes it: like `repr`, but a short text whatever its size and kind.

    limit: characters of a text or of anything else, three times as many of a container.
    """
    shown = _Shortened(limit).repr(given)
    most = 12 * limit  # a text may be quoted by 10 characters for each
    return shown if len(shown) <= most else f"{shown[: 3 * limit]}..."
