"""When to act on the number of connections, and how far to go: one object for thresholds, targets and triggers.

::

    min ── min_threshold ── min_target ── expected ── max_target ── max_threshold ── max
              │ below: dial up to ▲                        ▲ down to: trim above │

Thirds are integer divisions (maintenance: how many connections a node keeps).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Numbers of connections, ascending. Made by `Bounds.of`."""

    min_threshold: int
    min_target: int
    max_target: int
    max_threshold: int

    @classmethod
    def of(cls, minimum: int, expected: int, maximum: int) -> Bounds:
        """The bounds for an operator's three numbers. Raises ValueError unless 0 <= minimum <= expected <= maximum."""
        if not 0 <= minimum <= expected <= maximum:
            raise ValueError(
                f"connections need 0 <= minimum <= expected <= maximum, not {minimum}, {expected}, {maximum}"
            )
        step_min = (expected - minimum) // 3
        step_max = (maximum - expected) // 3
        return cls(
            min_threshold=minimum + step_min,
            min_target=minimum + 2 * step_min,
            max_target=maximum - 2 * step_max,
            max_threshold=maximum - step_max,
        )

    def too_few(self, connections: int) -> bool:
        """Whether to dial."""
        return connections < self.min_threshold

    def too_many(self, connections: int) -> bool:
        """Whether to trim."""
        return connections > self.max_threshold

    def contain(self, connections: int) -> bool:
        """Whether nothing is to be done; both edges of the band belong to it."""
        return not self.too_few(connections) and not self.too_many(connections)
