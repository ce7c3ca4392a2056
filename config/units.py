"""Durations and sizes as people write them.

* A duration is a number with one of ms, s, m, h, d, or a bare number of seconds: `500ms`, `5s`, `1.5 h`, `0.25`.
* A size is a number with B, kB (or KB), MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024), or a
  bare number of bytes: `64KiB`, `64 MiB`, `10MB`. It must come out as whole bytes.
* Case matters, as `Mb` and `mb` are other things than `MB`. Nothing is negative, infinite or a sum (`1h30m`).
* `format_duration` and `format_size` write the shortest of these that reads back as exactly the same number.
"""

import math
import re
from fractions import Fraction

from ..runtime.arguments import SHOWN

DURATION = "a number of seconds, or a number with ms, s, m, h, d"
SIZE = "a number of bytes, or a number with B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"

DURATION_PATTERN = r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?) *(ms|s|m|h|d)?"
SIZE_PATTERN = r"([0-9]+(?:\.[0-9]+)?) *(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?"

_LARGEST = 1e25  # ten billion PB; what is beyond it may be more digits than Python reads
_DIGITS = 1000

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_BYTES = {f"{letter}iB": 1024**power for power, letter in ((4, "T"), (3, "G"), (2, "M"), (1, "K"))} | {
    f"{letter}B": 1000**power for power, letter in ((4, "T"), (3, "G"), (2, "M"), (1, "k"), (1, "K"), (0, ""))
}


class TooLarge(ValueError):
    """What would be a duration or a size, were it not beyond all bounds."""


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError that says what is allowed, of class `TooLarge` for a number beyond that."""
    match = re.fullmatch(DURATION_PATTERN, text)
    if not match:
        raise ValueError(f"{_cut(text)} is not a duration (allowed: {DURATION})")
    number, unit = float(match[1]), match[2] or "s"
    seconds = number / 1000 if unit == "ms" else number * _SECONDS[unit]
    if not math.isfinite(seconds):
        raise TooLarge(f"{_cut(text)} is too long for a duration (allowed: at most 1.79e308 seconds)")
    return seconds


def format_duration(seconds: float) -> str:
    """A finite duration of 0 or more as text: 0.5 is `500ms`, 5400.0 is `90m`. `parse_duration` gives it back."""
    if 0 < seconds < 1e15:
        units = [f"{seconds / factor:.0f}{unit}" for unit, factor in _SECONDS.items()] + [f"{seconds * 1000:.0f}ms"]
        for text in units:
            if parse_duration(text) == seconds:
                return text
    return f"{seconds!r}s" if seconds else "0s"


def parse_size(text: str) -> int:
    """Bytes. Raises ValueError that says what is allowed, of class `TooLarge` for a number beyond that."""
    match = re.fullmatch(SIZE_PATTERN, text)
    if match and float(match[1]) * _BYTES[match[2] or "B"] >= _LARGEST:
        raise TooLarge(f"{_cut(text)} is too large for a size (allowed: less than 10**25 bytes)")
    size = Fraction(match[1]) * _BYTES[match[2] or "B"] if match and len(text) <= _DIGITS else Fraction(1, 2)
    if size.denominator != 1:
        raise ValueError(f"{_cut(text)} is not a size (allowed: {SIZE})")
    return size.numerator


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def format_size(size: int) -> str:
    """A size of 0 or more as text: 65536 is `64KiB`, 1500000 is `1500kB`, 7 is `7B`. `parse_size` gives it back."""
    unit = next((unit for unit, factor in _BYTES.items() if size and size % factor == 0), "B")
    return f"{size // _BYTES[unit]}{unit}"
