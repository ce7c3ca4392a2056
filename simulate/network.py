"""The network of a simulated cluster: how long a packet takes, which ones are lost, and who is cut off from whom."""

import random
from collections.abc import Iterable

from ..runtime import Link

LAN = Link(latency=0.0005, jitter=0.0045)
"""What packets meet between machines in one building."""


class ClusterNetwork:
    """Decides about packets, with a chance of its own: members draw the same numbers whatever is lost."""

    __slots__ = ("_blocks", "_rng", "_sides", "link")

    def __init__(self, link: Link, rng: random.Random) -> None:
        """link: what every packet meets; it may be exchanged at any time."""
        self.link = link
        self._rng = rng
        self._sides: dict[int, int] = {}
        self._blocks: set[frozenset[int]] = set()

    def delay(self, sender: int, receiver: int) -> float | None:
        """Seconds until a packet arrives; None if it never does."""
        seconds = self.link.transit(self._rng)
        if (self._sides or self._blocks) and self.cuts(sender, receiver):
            return None
        return seconds

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
