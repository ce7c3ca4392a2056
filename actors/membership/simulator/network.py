"""The network of a simulated cluster: how long a packet takes, which ones are lost, and who is cut off from whom."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Conditions", "Network"]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What every packet meets. Latencies are one-way, in seconds, and uniform between both; loss is a probability.

    Raises ValueError unless 0 <= min_latency <= max_latency and 0 <= loss <= 1.
    """

    min_latency: float = 0.0005
    max_latency: float = 0.005
    loss: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_latency <= self.max_latency:
            raise ValueError(f"latencies from {self.min_latency} to {self.max_latency} s; allowed is 0 <= min <= max")
        if not 0 <= self.loss <= 1:
            raise ValueError(f"a loss of {self.loss}; allowed is 0 to 1")


class Network:
    """Decides about packets, with a chance of its own: members draw the same numbers whatever is lost."""

    __slots__ = ("_blocks", "_rng", "_sides", "conditions")

    def __init__(self, conditions: Conditions, rng: random.Random) -> None:
        self.conditions = conditions
        self._rng = rng
        self._sides: dict[int, int] = {}
        self._blocks: set[frozenset[int]] = set()

    def delay(self, sender: int, receiver: int) -> float | None:
        """Seconds until a packet arrives; None if it never does."""
        conditions = self.conditions
        if conditions.loss and self._rng.random() < conditions.loss:
            return None
        if (self._sides or self._blocks) and self.cuts(sender, receiver):
            return None
        return self._rng.uniform(conditions.min_latency, conditions.max_latency)

    def cuts(self, one: int, other: int) -> bool:
        """Whether nothing passes between the two: a partition, or a block by one of them."""
        sides = self._sides
        return sides.get(one, 0) != sides.get(other, 0) or (
            bool(self._blocks) and frozenset((one, other)) in self._blocks
        )

    def partition(self, *sides: Iterable[int]) -> None:
        """Cut these groups from each other and from everybody else; in place of an earlier partition."""
        self._sides = {number: place for place, side in enumerate(sides, 1) for number in side}

    def heal(self) -> None:
        """End the partition."""
        self._sides = {}

    def block(self, one: int, other: int) -> None:
        """Nothing passes between the two any more."""
        self._blocks.add(frozenset((one, other)))

    def unblock(self, one: int, other: int) -> None:
        """The opposite of `block`."""
        self._blocks.discard(frozenset((one, other)))
