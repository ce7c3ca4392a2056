"""All searches of a node, and members that answer as a test says."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable

from rookery.actors.providers.core.codec import Have, Who
from rookery.actors.providers.core.ring import Ring
from rookery.actors.providers.core.search.inquiries import Send
from rookery.actors.providers.core.search.searches import Effect, Ended, Found, Searches
from rookery.transport import PeerId

ME, *OTHERS = [PeerId(random.Random(number).randbytes(32)) for number in range(1100)]
KEY = bytes(16)
KEYS = [random.Random(-number).randbytes(16) for number in range(1, 200)]


class World:
    """`Searches`, and members with a latency. Whoever is in `holders[key]` has it; honest index members know that."""

    def __init__(self, members: int = 40, *, latency: float = 0.05, loss: float = 0.0, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.ring = Ring()
        self.searches = Searches(self.ring, me=ME, at_once=10_000, rng=self.rng)
        self.members = OTHERS[:members]
        for number, peer in enumerate(self.members):
            self.ring.add(peer, number)
            self.searches.sweep.add(peer)
        self.now = 0.0
        self.latency, self.loss = latency, loss
        self.holders: dict[bytes, set[PeerId]] = {}
        self.index: Callable[[PeerId, bytes], list[PeerId] | None] = lambda _member, key: sorted(
            self.holders.get(key, ())
        )
        self.silent: set[PeerId] = set()
        self.liars: set[PeerId] = set()
        """Who says yes to everything, a little before anybody else has answered."""
        self.sent: list[tuple[float, Send]] = []
        self.effects: list[Effect] = []
        self._coming: list[tuple[float, int, Send]] = []
        self._numbers = itertools.count()

    def look(self, key: bytes = KEY, *, lasting: bool = False) -> None:
        self._take(self.searches.look(key, self.now, lasting=lasting))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        turns = 0
        while True:
            while self._coming and self._coming[0][0] <= self.now:
                self._answer(heapq.heappop(self._coming)[2])
            self._take(self.searches.poll(self.now))
            at = min(self.searches.wake_at(self.now), self._coming[0][0] if self._coming else math.inf)
            turns = turns + 1 if at <= self.now else 0
            assert turns < 1000, "it never rests"
            if at > end:
                self.now = end
                return
            self.now = max(self.now, at)

    def ended(self, key: bytes = KEY) -> list[Ended]:
        return [effect for effect in self.effects if isinstance(effect, Ended) and effect.hashed == key]

    def found(self, key: bytes = KEY) -> set[PeerId]:
        return {effect.peer for effect in self.effects if isinstance(effect, Found) and effect.hashed == key}

    def waits(self, key: bytes) -> bool:
        """Whether no member was asked for it yet, though it is looked for."""
        result = self.searches.result(key)
        return result is not None and result.asked == 0 and not self.ended(key)

    def asked(self, kind: type[Who | Have]) -> list[PeerId]:
        return [send.to for _, send in self.sent if isinstance(send.message, kind)]

    def _take(self, effects: list[Effect]) -> None:
        for effect in effects:
            if not isinstance(effect, Send):
                self.effects.append(effect)
                continue
            self.sent.append((self.now, effect))
            if effect.to not in self.silent and self.rng.random() >= self.loss and self.rng.random() >= self.loss:
                way = self.latency if effect.to in self.liars else 2 * self.latency
                heapq.heappush(self._coming, (self.now + way, next(self._numbers), effect))

    def _answer(self, send: Send) -> None:
        match send.message:
            case Who(number, hashed):
                named = self.index(send.to, hashed)
                if named is not None and self.searches.asked(send.to, number) == hashed:
                    self._take(self.searches.on_holders(send.to, hashed, [(peer, 1.0) for peer in named], (), self.now))
            case Have(number, hashes):
                which = sum(
                    1 << place
                    for place, key in enumerate(hashes)
                    if send.to in self.liars or send.to in self.holders.get(key, ())
                )
                self._take(self.searches.on_having(send.to, number, which, self.now) or [])
