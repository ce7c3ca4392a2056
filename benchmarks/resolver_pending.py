"""What a great many wanted keys cost: the resolver's core without sockets, in processor time of one thread."""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from rookery.actors.resolver.core.decisions import Deliver, Outcome
from rookery.actors.resolver.core.fetching.fetcher import Fetcher
from rookery.actors.resolver.core.wanted_keys import WantedKeys
from rookery.actors.resolver.parts.gets import UNTAGGED, Tag
from rookery.actors.resolver.parts.retain import retain_in_slices
from rookery.transport import Identity, PeerId

EVENTS = 20_000
PEERS = [Identity.from_seed(bytes([number]) * 32).peer for number in range(8)]


class Crowd:
    """So many keys wait; eight peers can be asked."""

    def __init__(self, keys: int) -> None:
        fetcher: Fetcher[PeerId] = Fetcher(
            me=None,
            fetch_timeout=5.0,
            fetch_retry_delay=0.0,
            initial_score=0.1,
            max_requests_per_peer=16,
            rng=random.Random(0),
        )
        self.core: WantedKeys[PeerId, Tag] = WantedKeys(fetcher)
        self.now = 0.0
        self._numbers = iter(range(2**63))
        known = [self._new_key() for _ in range(keys)]
        random.Random(1).shuffle(known)
        gc.collect()
        before = resident()
        for key in known:
            self.core.fetch(key, UNTAGGED, self.now)
        gc.collect()
        self.bytes_per_key = (resident() - before) / keys
        fetcher.reconcile(1, set(PEERS), now=0)
        for link, peer in enumerate(PEERS):
            fetcher.open(peer, link, 0)

    def events(self) -> float:
        """Seconds per event: a new key, a request, "no data", a request, bytes, a verdict, over and over."""
        started = time.thread_time()
        for number in range(EVENTS // 6):
            self.now = number / 1000
            self.core.fetch(self._new_key(), UNTAGGED, self.now)
            self._send_and(lambda link, id: self.core.missing(link, id, self.now))
            self._send_and(self._respond)
        return (time.thread_time() - started) / EVENTS

    def worst_turn(self) -> float:
        """Seconds of the longest turn of a `retain` that drops half of the keys."""

        def keeps(key: bytes, _subscriber: object) -> bool:
            return key[-1] % 2 == 0

        slices = retain_in_slices(self.core, keeps, perform=_ignore, failed=_ignore)
        worst, more = 0.0, True
        while more:
            started = time.thread_time()
            more = next(slices, None) is not None
            worst = max(worst, time.thread_time() - started)
        return worst

    def _send_and(self, answer: Callable[[int, int], object]) -> None:
        attempt = self.core.fetcher.next(self.now)
        assert attempt is not None
        self.core.fetcher.sent(attempt, self.now)
        answer(attempt.link, attempt.id)

    def _respond(self, link: int, request_id: int) -> None:
        _, delivery = self.core.respond(link, request_id, b"value", self.now)
        assert isinstance(delivery, Deliver)
        self.core.verdict(delivery.key, delivery.generation, Outcome.COMPLETE, self.now)

    def _new_key(self) -> bytes:
        return next(self._numbers).to_bytes(32, "big")


def resident() -> int:
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _ignore(*_arguments: Iterable[object] | object) -> None:
    pass
