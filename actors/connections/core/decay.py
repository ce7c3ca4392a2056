"""What becomes of a decaying tag's weight as time passes. Ready-made functions; yours may stand beside them.

A decay function gets a copy of the weight's record, how many whole intervals have passed since it was last asked (one,
unless the node stalled) and when the last of them ended. It returns the new weight, or None: then the tag leaves the
peer. It runs on the connections engine, so it is quick and does not wait. What it raises is logged, and the weight
stays.

Whether a node stalled makes no difference to the ready-made ones: many intervals at once are the same as one by one.
Negative weights shrink towards zero as positive ones do.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ....transport.identity import PeerId


class DecayingValue(Struct, frozen=True):
    """One peer's weight under a decaying tag. Times are monotonic seconds.

    added: the first bump. bumped: the last one. decayed: when the last interval ended that was counted.
    """

    tag: str
    peer: PeerId
    value: int
    added: float
    bumped: float
    decayed: float


Decay = Callable[[DecayingValue, int, float], int | None]
"""`decay(value, intervals, now)`: the weight from now on, None to take the tag away."""


def none() -> Decay:
    """The weight stays."""
    return lambda value, _intervals, _now: value.value


def fixed(amount: int) -> Decay:
    """The weight loses `amount` with each interval, and is taken away at zero. Raises ValueError below 1."""
    if amount < 1:
        raise ValueError(f"a fixed decay takes at least 1 with each interval, not {amount}")

    def decay(value: DecayingValue, intervals: int, _now: float) -> int | None:
        left = abs(value.value) - amount * intervals
        return None if left <= 0 else left if value.value > 0 else -left

    return decay


def linear(factor: float) -> Decay:
    """The weight is multiplied by `factor` with each interval, rounded towards zero, and is taken away at zero.

    Raises ValueError unless 0 <= factor < 1.
    """
    if not 0 <= factor < 1:
        raise ValueError(f"a linear decay multiplies by at least 0 and less than 1, not {factor}")

    def decay(value: DecayingValue, intervals: int, _now: float) -> int | None:
        left = value.value
        for _ in range(intervals):
            left = int(left * factor)  # loses at least 1 each time, so it ends
            if left == 0:
                return None
        return left

    return decay


def expire_when_inactive(after: float) -> Decay:
    """The weight stays, and is taken away once no bump came for `after` seconds. Raises ValueError unless above 0."""
    if not after > 0:
        raise ValueError(f"a weight expires after more than 0 seconds, not {after}")
    return lambda value, _intervals, now: None if now - value.bumped >= after else value.value


def each_interval(step: Callable[[DecayingValue], int | None]) -> Decay:
    """A decay from a function for one interval: called once for each that has passed, until it returns None."""

    def decay(value: DecayingValue, intervals: int, _now: float) -> int | None:
        for _ in range(intervals):
            left = step(value)
            if left is None:
                return None
            value = DecayingValue(value.tag, value.peer, left, value.added, value.bumped, value.decayed)
        return value.value

    return decay
