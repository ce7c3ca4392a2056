"""What a caller gives: the bounds that hold for it wherever it comes in, and how an error quotes it.

The methods of mailboxes check their arguments with these, in the caller's thread. What comes through the control socket
or from the command line ends in the same methods, so that it has the same bounds.
"""

from __future__ import annotations

import math
import reprlib
from operator import index

SHOWN = 80
"""Characters of an input that an error repeats."""
MESSAGE_SHOWN = 500
"""Characters of an actor's message that an error or a log line repeats."""
MAX_NAME = 256
"""Characters of a name that somebody gives to something, such as a tag."""
MAX_COUNT = 2**31 - 1
"""The largest number of things that can be asked for, as of settings (`int`): it can be compared, sent and shown."""


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
    longest = 12 * limit  # a text may be quoted by 10 characters for each
    return shown if len(shown) <= longest else f"{shown[: 3 * limit]}..."


def seconds(given: float, what: str, *, infinite: bool = True) -> float:
    """A length of time above 0 as a float. Raises ValueError for anything else, NaN and bools too.

    what: takes the time, as the subject of the error's sentence. infinite: whether it may be without an end.
    """
    try:
        length = math.nan if isinstance(given, bool) or not isinstance(given, (int, float)) else float(given)
    except OverflowError:
        length = math.nan
    if length > 0 and (infinite or math.isfinite(length)):
        return length
    raise ValueError(
        f"{what} lasts longer than 0 seconds{'' if infinite else ' and has an end'}, not {shortened(given)}"
    )


def whole(given: int, what: str, low: int, high: int | None = None) -> int:
    """A whole number from `low` to `high`. Raises ValueError for another number, TypeError for what is no whole number.

    what: the subject of the error's sentence. high: None for no upper bound.
    """
    if isinstance(given, bool):
        raise TypeError(f"{what} is a whole number, not {given}")
    number = index(given)
    if number < low or (high is not None and number > high):
        allowed = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{what} is {allowed}, not {shortened(number)}")
    return number


def name(given: str, what: str, longest: int = MAX_NAME) -> str:
    """A text that can be shown, sent and found again: 1 to `longest` characters. Raises ValueError for anything else.

    Lone surrogates, which stand for bytes that are no UTF-8, and NUL are refused. what: the subject of the error's
    sentence.
    """
    if not isinstance(given, str) or not 0 < len(given) <= longest:
        raise ValueError(f"{what} is a text of 1 to {longest} characters, not {shortened(given)}")
    if "\0" in given or not is_unicode(given):
        raise ValueError(f"{what} is a text that UTF-8 can encode, without NUL, not {shortened(given)}")
    return given


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can encode it: there is no lone surrogate in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
