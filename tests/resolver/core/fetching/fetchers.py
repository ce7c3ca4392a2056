"""A fetcher with connected peers, and how a test sends with it."""

import random
from collections.abc import Iterable

from rookery.actors.resolver.core.fetching.fetcher import Fetcher
from rookery.actors.resolver.core.fetching.requests import Active

TIMEOUT, DELAY = 1.0, 0.1
LINKS = {"me": 9, "a": 1, "b": 2, "c": 3, "d": 4}


def fetcher(
    peers: Iterable[str] = "ab", *, delay: float = DELAY, window: int = 100, seed: int = 0, me: str | None = "me"
) -> Fetcher[str]:
    """Peers of these names are connected and in the peer set."""
    made: Fetcher[str] = Fetcher(
        me=me,
        fetch_timeout=TIMEOUT,
        fetch_retry_delay=delay,
        initial_score=0.1,
        max_requests_per_peer=window,
        rng=random.Random(seed),
    )
    made.reconcile(0, set(peers), now=0)
    for peer in peers:
        made.open(peer, LINKS[peer], 0)
    return made


def send(known: Fetcher[str], now: float) -> Active[str] | None:
    """One send over links that take everything."""
    attempt = known.next(now)
    return None if attempt is None else known.sent(attempt, now)


def sent(known: Fetcher[str], now: float) -> Active[str]:
    request = send(known, now)
    assert request is not None
    return request


def send_all(known: Fetcher[str], now: float) -> list[bytes]:
    keys = []
    while (request := send(known, now)) is not None:
        keys.append(request.key)
    return keys
