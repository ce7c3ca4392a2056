"""The pure core of a resolver, brought into any state of the transition table."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from rookery.actors.resolver.core.decisions import Decision, Deliver, Outcome
from rookery.actors.resolver.core.fetching.fetcher import Fetcher
from rookery.actors.resolver.core.fetching.requests import Active
from rookery.actors.resolver.core.wanted_keys import WantedKeys

TIMEOUT, DELAY = 1.0, 0.1
KEY, OTHER, VALUE = b"key", b"other", b"value"
LINKS = {"a": 1, "b": 2}

Core = WantedKeys[str, int]
Decisions = tuple[Decision[str, int], ...]


def core(peers: Iterable[str] = "ab") -> Core:
    """Nothing is wanted; these peers are in the set and connected."""
    fetcher: Fetcher[str] = Fetcher(
        me=None,
        fetch_timeout=TIMEOUT,
        fetch_retry_delay=DELAY,
        initial_score=0.1,
        max_requests_per_peer=100,
        rng=random.Random(0),
    )
    fetcher.reconcile(0, set(peers), now=0)
    for peer in peers:
        fetcher.open(peer, LINKS[peer], 0)
    return WantedKeys(fetcher)


def send(wanted: WantedKeys[str, Any], now: float = 0) -> Active[str]:
    """The next request leaves."""
    attempt = wanted.fetcher.next(now)
    assert attempt is not None
    return wanted.fetcher.sent(attempt, now)


def delivery(decisions: Decisions) -> Deliver[str, int]:
    """The one delivery among these."""
    (found,) = [decision for decision in decisions if isinstance(decision, Deliver)]
    return found


def answer(wanted: Core, request: Active[str], now: float = 0, value: bytes = VALUE) -> Deliver[str, int]:
    """Bytes come."""
    return delivery(wanted.respond(request.link, request.id, value, now))


def validating(
    *subscribers: int, peers: Iterable[str] = "ab", targets: Iterable[str] | None = None
) -> tuple[Core, Deliver[str, int]]:
    """A key whose bytes took 20 ms to come and are before the consumer."""
    wanted = core(peers)
    for subscriber in subscribers:
        wanted.fetch(KEY, subscriber, 0, targets)
    return wanted, answer(wanted, send(wanted), 0.02)


def redelivering() -> tuple[Core, Deliver[str, int]]:
    """A key whose bytes were accepted for subscriber 1 and are delivered again for subscriber 2."""
    wanted, first = validating(1)
    wanted.fetch(KEY, 2, 0)
    return wanted, delivery(wanted.verdict(KEY, first.generation, Outcome.COMPLETE, 1))


def verdict(wanted: Core, about: Deliver[str, int], outcome: Outcome, now: float = 1) -> Decisions:
    """The consumer says this."""
    return wanted.verdict(about.key, about.generation, outcome, now)
