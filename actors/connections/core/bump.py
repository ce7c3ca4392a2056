"""What becomes of a decaying tag's weight when it is bumped. Ready-made functions; yours may stand beside them.

A bump function gets the weight (0 where there is none) and what it is bumped by, and returns the new weight. It runs on
the connections engine, so it is quick and does not wait. What it raises is logged, and the weight stays.
"""

from __future__ import annotations

from collections.abc import Callable

Bump = Callable[[int, int], int]
"""`bump(weight, delta)`: the new weight."""


def sum_unbounded() -> Bump:
    """The sum."""
    return lambda weight, delta: weight + delta


def sum_bounded(low: int, high: int) -> Bump:
    """The sum, but not below `low` nor above `high`. Raises ValueError if `low` is above `high`."""
    if low > high:
        raise ValueError(f"a sum from {low} to {high} has no room")
    return lambda weight, delta: min(high, max(low, weight + delta))


def overwrite() -> Bump:
    """What it is bumped by, whatever it was."""
    return lambda _weight, delta: delta
