"""Who is blocked, and until when.

* A block is of a CURVE key: two ids that are each other's negative share one, and are blocked together.
* Blocking again while a block lasts changes nothing; after its end it starts a full new period.
* A block whose time has come is over, also before anybody took it away.
* It knows nothing of records, so it outlives them.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from ...transport.identity import PeerId, curve_key


def key_of(peer: PeerId) -> bytes:
    """Equal for two ids exactly if their CURVE keys are: the id without its sign bit (see `transport.edwards`)."""
    return peer[:-1] + bytes((peer[-1] & 0x7F,))


def twin_of(peer: PeerId) -> PeerId:
    """The other id with the same CURVE key."""
    return PeerId(peer[:-1] + bytes((peer[-1] ^ 0x80,)))


@dataclass(frozen=True, slots=True)
class Block:
    """One block. until: monotonic seconds, infinite for one that only `unblock` ends."""

    peer: PeerId
    curve_key: bytes
    until: float


class Blocks:
    """Blocks by key. `changed` is set by each change of who is blocked, for whoever pushes the gate."""

    def __init__(self) -> None:
        self.changed = False
        self._blocks: dict[bytes, Block] = {}
        self._expiries: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def curve_keys(self) -> frozenset[bytes]:
        """What the gate refuses."""
        return frozenset(block.curve_key for block in self._blocks.values())

    def until(self, peer: PeerId, now: float) -> float | None:
        """When the peer's block ends, monotonic seconds; None if it is not blocked."""
        block = self._blocks.get(key_of(peer))
        return block.until if block is not None and block.until > now else None

    def add(self, peer: PeerId, duration: float, now: float) -> None:
        """Block for `duration` seconds. Raises ValueError for an id that is no valid public key."""
        block = Block(peer, curve_key(peer), now + duration)
        self._blocks[key_of(peer)] = block
        self.changed = True
        heapq.heappush(self._expiries, (block.until, key_of(peer)))

    def remove(self, peer: PeerId) -> Block | None:
        """End a block; None if there was none."""
        block = self._blocks.pop(key_of(peer), None)
        self.changed = self.changed or block is not None
        return block

    def next_expiry(self) -> float | None:
        """When the next block ends; None if none will."""
        while self._expiries and not self._is_current(*self._expiries[0]):
            heapq.heappop(self._expiries)
        until = self._expiries[0][0] if self._expiries else None
        return until if until != float("inf") else None

    def expire(self, now: float) -> tuple[PeerId, ...]:
        """Take away what is over; the peers that were blocked, in the order of their blocks' ends."""
        over: list[PeerId] = []
        while (until := self.next_expiry()) is not None and until <= now:
            _, key = heapq.heappop(self._expiries)
            over.append(self._blocks.pop(key).peer)
            self.changed = True
        return tuple(over)

    def _is_current(self, until: float, key: bytes) -> bool:
        block = self._blocks.get(key)
        return block is not None and block.until == until
