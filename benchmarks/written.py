"""How a figure is written: three digits that count, in a unit that fits, and the quartiles of its runs behind it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

_TO = "\N{EN DASH}"
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def quartiles(samples: Sequence[float]) -> tuple[float, float] | None:
    """The lower and the upper one; None of a single run, which says nothing of others."""
    if len(samples) < 2:
        return None
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, high


def readable(value: float, unit: str, samples: Sequence[float] = ()) -> str:
    """0.000145 s is `145 us`, with its quartiles in brackets behind. Such that would be written alike are left out."""
    size, unit = _fitting(value, unit)
    middle, spread = three_digits(value / size), quartiles(samples)
    ends = [] if spread is None else [three_digits(end / size) for end in spread]
    if set(ends) <= {middle}:
        return f"{middle} {unit}"
    return f"{middle} {unit} ({_TO.join(ends)})"


def three_digits(value: float) -> str:
    """0.0812, 44,700."""
    if abs(value) < 100:
        return f"{value:.3g}"
    return f"{round(value, 2 - int(math.log10(abs(value)))):,.0f}"


def _fitting(value: float, unit: str) -> tuple[float, str]:
    if unit != "s" or value <= 0:
        return 1.0, unit
    return next(((size, word) for size, word in _SECONDS if value >= size), _SECONDS[-1])
