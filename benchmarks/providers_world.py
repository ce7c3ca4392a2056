"""Many nodes' cores of the providers in one process: no engines, no sockets, virtual time; and flooding beside it.

A packet takes `LATENCY`; the first one between two that are not connected takes `HANDSHAKE` more, as its link has to be
opened. Flooding goes over connections that are there.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Iterable

from rookery.actors.providers.core.announcing import Announcer, Tell
from rookery.actors.providers.core.codec import Have, Who
from rookery.actors.providers.core.index import Index
from rookery.actors.providers.core.ring import Ring
from rookery.actors.providers.core.search.inquiries import Send
from rookery.actors.providers.core.search.searches import Effect, Ended, Found, Searches
from rookery.transport import PeerId

LATENCY = 0.05
"""Seconds, one way."""
HANDSHAKE = 0.4
"""Seconds: TCP, CURVE and Hello are four round trips."""
TTL = 7200


def peers(count: int) -> list[PeerId]:
    """So many peer ids, the same ones each time."""
    rng = random.Random(1)
    return [PeerId(rng.randbytes(32)) for _ in range(count)]


def ring_of(members: Iterable[PeerId]) -> Ring:
    """All of them, each in a subnet with three others."""
    ring = Ring()
    for number, peer in enumerate(members):
        ring.add(peer, number // 4)
    return ring


def hashes(count: int, seed: int = 2) -> list[bytes]:
    """Hashes of so many keys."""
    rng = random.Random(seed)
    return [rng.randbytes(16) for _ in range(count)]


class Holder:
    """One node's announcer among so many members, all of which answer at once."""

    def __init__(self, members: int, keys: int) -> None:
        """keys: that it has."""
        known = peers(members)
        self.announcer = Announcer(ring_of(known), me=known[0], ttl=TTL, rate=32.0, burst=64, rng=random.Random(3))
        self.announcer.provide(hashes(keys), 0.0)
        self.now = 0.0
        self.sent = 0

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            for tell in self.announcer.poll(self.now):
                self._take(tell)
            self.now = max(self.now, min(end, self.announcer.wake_at(self.now)))

    def _take(self, tell: Tell) -> None:
        self.sent += 1
        self.announcer.answered(tell.to, tell.number, self.now)


class Seeker:
    """One node that looks for what another has, which has told three index members."""

    def __init__(self, members: int, seed: int) -> None:
        self._rng = random.Random(seed)
        self.known = peers(members)
        self.me, self.holder = self._rng.sample(self.known, 2)
        self.hashed = self._rng.randbytes(16)
        ring = ring_of(self.known)
        self.indexes = {peer: Index(max_keys=10, max_keys_per_provider=10) for peer in ring.index_members(self.hashed)}
        for index in self.indexes.values():
            index.provide(self.holder, 0, [self.hashed], TTL, 0.0)
        self.searches = Searches(ring, me=self.me, at_once=1, rng=self._rng)
        for peer in self.known:
            if peer != self.me:
                self.searches.sweep.add(peer)
        self.sent = 0
        self._coming: list[tuple[float, int, Send]] = []
        self._numbers = itertools.count()
        self._met: set[PeerId] = set()

    def forget_index(self) -> None:
        """As if liars were all index members of the key."""
        self.indexes = dict.fromkeys(self.indexes, Index(max_keys=0, max_keys_per_provider=0))

    def find(self) -> float:
        """Virtual seconds until a holder has said yes. Raises RuntimeError if none did."""
        now = 0.0
        effects = self.searches.look(self.hashed, now, lasting=True)
        while True:
            for effect in effects:
                match effect:
                    case Found():
                        return now
                    case Ended():
                        raise RuntimeError("nobody was found")
                    case Send():
                        self._send(effect, now)
            at = min(self.searches.wake_at(now), self._coming[0][0] if self._coming else math.inf)
            now = max(now, at)
            if self._coming and self._coming[0][0] <= now:
                effects = self._answer(heapq.heappop(self._coming)[2], now)
            else:
                effects = self.searches.poll(now)

    def _send(self, send: Send, now: float) -> None:
        self.sent += 2  # with its answer
        way = 2 * LATENCY + (0 if send.to in self._met or send.to == self.me else 2 * HANDSHAKE)
        self._met.add(send.to)
        heapq.heappush(self._coming, (now + (0 if send.to == self.me else way), next(self._numbers), send))

    def _answer(self, send: Send, now: float) -> list[Effect]:
        match send.message:
            case Who(number, hashed):
                index = self.indexes.get(send.to)
                named = [] if index is None else index.holders(hashed, 16, now, self._rng)
                if self.searches.asked(send.to, number) is None:
                    return []
                told = [(each.peer, each.age) for each in named]
                return self.searches.on_holders(send.to, hashed, told, (), now)
            case Have(number, asked):
                which = sum(
                    1 << place for place, each in enumerate(asked) if (send.to, each) == (self.holder, self.hashed)
                )
                return self.searches.on_having(send.to, number, which, now) or []


def flood(members: int, degree: int, hops: int, seed: int) -> tuple[float, int]:
    """Asking everybody over connections, each of whom asks its own: seconds until the answer is back, and messages.

    The graph is random, with so many connections each. Infinite seconds if the holder is farther away than `hops`.
    """
    rng = random.Random(seed)
    links: list[set[int]] = [set() for _ in range(members)]
    for node in range(members):
        while len(links[node]) < degree // 2 or (node and not links[node]):
            other = rng.randrange(members)
            if other != node:
                links[node].add(other)
                links[other].add(node)
    asker, holder = rng.sample(range(members), 2)
    away, waiting, messages = {asker: 0}, deque([asker]), 0
    while waiting:
        node = waiting.popleft()
        if away[node] == hops or node == holder:
            continue
        messages += len(links[node]) - (node != asker)
        for other in sorted(links[node]):
            if other not in away:
                away[other] = away[node] + 1
                waiting.append(other)
    if holder not in away:
        return math.inf, messages
    return 2 * LATENCY * away[holder], messages + away[holder]
