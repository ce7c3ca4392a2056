"""What a liar knows of the members, from what they tell it, and what it can say about them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.liars import protocol
from tests.liars.protocol import Update


@dataclass(slots=True, eq=False)
class Gang:
    """What the liars of one world share. keys: their own; invented: those of nobody; crowd: how many are Sybils."""

    keys: set[bytes] = field(default_factory=set)
    invented: set[bytes] = field(default_factory=set)
    crowd: int = 0

    def knows(self, key: bytes) -> bool:
        return key in self.keys or key in self.invented


class Knowledge:
    """Of one liar."""

    def __init__(self, key: bytes, gang: Gang, rng: random.Random) -> None:
        """key: its own, which is added to the gang."""
        self.key = key
        self.gang = gang
        self.rng = rng
        self.known: dict[bytes, Update] = {}  # the newest of each other member
        self.records: dict[bytes, bytes] = {}
        self.addresses: dict[bytes, str] = {}
        gang.keys.add(key)

    @property
    def victims(self) -> list[bytes]:
        """The honest members that are known, with an address, in the order of their keys."""
        return sorted(key for key in self.known if key in self.addresses and not self.gang.knows(key))

    def some(self, number: int) -> list[bytes]:
        """That many of them."""
        victims = self.victims
        return self.rng.sample(victims, min(number, len(victims)))

    def claim(self, key: bytes, state: int, *, above: int = 0, accusers: Sequence[bytes] = ()) -> Update:
        """Somebody's present life, said to be in this state, so far above its incarnation."""
        held = self.known[key]
        incarnation = min(held.incarnation + above, protocol.MAX_INCARNATION)
        is_shown = incarnation == held.incarnation and protocol.LEFT not in (state, held.state)
        return Update(
            key,
            held.generation,
            incarnation,
            state,
            tuple(accusers),
            held.proof if is_shown else self.guess(incarnation),
        )

    def guess(self, incarnation: int) -> bytes:
        """A proof that is none."""
        return self.rng.randbytes(protocol.PROOF_BYTES) if incarnation else b""

    def learn(self, update: Update) -> None:
        held = self.known.get(update.key)
        rank = (update.generation, update.incarnation)
        if update.key != self.key and (held is None or rank > (held.generation, held.incarnation)):
            self.known[update.key] = update

    def keep(self, data: bytes) -> None:
        peer, address, generation = protocol.read_record(data)
        before = self.records.get(peer)
        if address is not None and (before is None or generation > protocol.read_record(before)[2]):
            self.records[peer], self.addresses[peer] = data, address
