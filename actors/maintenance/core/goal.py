"""When to act on the number of connections, and how far to go: the bounds, and what a policy makes of them.

::

    min ── min_threshold ── min_target ── expected ── max_target ── max_threshold ── max
              │ below: dial up to ▲                        ▲ down to: trim above │

Thirds are integer divisions (maintenance: how many connections a node keeps).

* `band`: start below `min_threshold`, go on to `min_target`, aim at most at `max_target`; trim above `max_threshold`.
  A wanted peer may come on top while that stays within the band.
* `all`: everybody who may be dialled, up to the maximum. Nothing is given up: above the maximum transport refuses.
"""

from __future__ import annotations

from msgspec import Struct

from .actions import Motive


class Bounds(Struct, frozen=True):
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
        """Whether so many connections are below the band."""
        return connections < self.min_threshold

    def too_many(self, connections: int) -> bool:
        """Whether so many connections are above the band."""
        return connections > self.max_threshold

    def contain(self, connections: int) -> bool:
        """Whether nothing is to be done; both edges of the band belong to it."""
        return not self.too_few(connections) and not self.too_many(connections)


class Goal(Struct, frozen=True):
    """A policy with its numbers. dial_all: policy `all`, else `band`. maximum: `max_connections`."""

    bounds: Bounds
    maximum: int
    dial_all: bool

    @property
    def start_below(self) -> int:
        """A repair begins when fewer are open."""
        return self.maximum if self.dial_all else self.bounds.min_threshold

    @property
    def dial_to(self) -> int:
        """A repair goes on until so many are open."""
        return self.maximum if self.dial_all else self.bounds.min_target

    @property
    def aim_to(self) -> int:
        """No round aims above this."""
        return self.maximum if self.dial_all else self.bounds.max_target

    @property
    def want_to(self) -> int:
        """Wanted peers are dialled up to this."""
        return self.maximum if self.dial_all else self.bounds.max_threshold

    def excess(self, connections: int) -> bool:
        """Whether to trim, to `bounds.max_target`."""
        return not self.dial_all and self.bounds.too_many(connections)

    @property
    def reunites(self) -> bool:
        """Whether to try again whom we lost, with enough connections too; `all` does so anyway."""
        return not self.dial_all

    @property
    def seeks(self) -> bool:
        """Whether peers of the set are preferred to others; `all` dials nobody else, and closes nobody."""
        return not self.dial_all

    def searches(self, expected: int) -> bool:
        """Whether to ask the peers for others, expecting so many connections. `all` is given its peers."""
        return not self.dial_all and expected < self.dial_to

    def motive(self, useful: int, connections: int) -> Motive:
        """What a change to these numbers means."""
        if useful < self.start_below:
            return Motive.TOO_FEW
        return Motive.TOO_MANY if self.excess(connections) else Motive.CONNECTIONS

    def met(self, useful: int, *, repairing: bool) -> bool:
        """Whether nobody need be dialled, known without asking anybody. useful: connections that count."""
        return useful >= (self.dial_to if repairing else self.start_below)

    def met_when_exhausted(self, useful: int, connections: int, *, waiting: bool) -> bool:
        """Whether it is met now that nobody can be dialled. waiting: somebody can be later."""
        if self.dial_all:
            return not waiting
        return not self.bounds.too_few(useful) and not self.bounds.too_many(connections)
