"""Who has said that it has a key is asked for it before others, once in each round."""

import pytest

from rookery.actors.resolver.core.fetching.fetcher import Fetcher
from rookery.actors.resolver.core.fetching.named_holders import MAX_NAMED, NamedHolders
from rookery.actors.resolver.core.fetching.requests import OVERDUE_SHARE
from tests.resolver.core.fetching.fetchers import DELAY, LINKS, TIMEOUT, fetcher, sent

KEY = b"k"
SEEDS = range(8)  # so that nobody is first by chance


def refused(known: Fetcher[str], now: float, requests: int) -> tuple[list[str], float]:
    """So many requests, each told "no data" at once: who was asked, and when the key is asked for again."""
    asked = []
    for _ in range(requests):
        request = sent(known, now)
        known.pop_missing(request.id, request.link, now)
        asked.append(request.peer)
        now = known.wake_up()
    return asked, now


@pytest.mark.parametrize("seed", SEEDS)
def test_holder_is_asked_before_others_and_not_again_before_them(seed: int) -> None:
    known = fetcher("abcd", seed=seed)
    known.add_ready(KEY, 0)
    known.prefer(KEY, "c")
    asked, _ = refused(known, 0, 4)
    assert asked[0] == "c"
    assert sorted(asked) == list("abcd")


@pytest.mark.parametrize("seed", SEEDS)
def test_holder_that_failed_the_key_before_is_the_first_of_the_next_round(seed: int) -> None:
    known = fetcher("abcd", seed=seed)
    known.add_ready(KEY, 0)
    _, now = refused(known, 0, 4)
    known.prefer(KEY, "c")
    asked, _ = refused(known, now, 4)
    assert asked[0] == "c"
    assert sorted(asked) == list("abcd")


@pytest.mark.parametrize("seed", SEEDS)
def test_holder_that_failed_the_key_before_is_the_first_of_a_round_that_begins_beside_a_silent_peer(seed: int) -> None:
    known = fetcher("abcd", seed=seed)
    known.add_ready(b"other", 0, targets=["d"])
    sent(known, 0)
    now = OVERDUE_SHARE * TIMEOUT + 1e-6
    known.overdue(now)
    known.add_ready(KEY, now)
    asked, now = refused(known, now, 3)
    assert sorted(asked) == list("abc")
    assert sent(known, now).peer == "d"
    known.prefer(KEY, "c")
    while (attempt := known.overdue(now)) is None:
        now = known.overdue_at()
    assert now < TIMEOUT
    assert attempt.peer == "c"


def test_holder_that_was_connected_lately_ends_the_rest_of_its_key_alone_when_it_is_back() -> None:
    known = fetcher("abc")
    known.add_ready(KEY, 0)
    known.add_ready(b"l", 0)
    _, rests = refused(known, 0, 2 * 3 * 8)  # eight rounds of each
    now = rests - 10 * DELAY
    known.close(LINKS["c"], now)
    known.prefer(KEY, "c")
    assert known.wake_up() == rests
    known.open("c", 7, now)
    request = sent(known, now)
    assert (request.key, request.peer) == (KEY, "c")
    assert known.next(now) is None


def test_holder_that_reconnects_all_the_time_ends_no_rest_after_the_first_time() -> None:
    known = fetcher("abc")
    known.add_ready(KEY, 0)
    known.close(LINKS["c"], 0)
    known.prefer(KEY, "c")
    known.open("c", 7, 0)
    _, rests = refused(known, 0, 3 * 8)
    now = rests - 10 * DELAY
    known.close(7, now)
    known.open("c", 8, now)
    assert known.wake_up() == rests


def test_so_many_holders_of_a_key_count_and_nothing_is_left_of_them_when_it_is_dropped() -> None:
    holders: NamedHolders[int] = NamedHolders()
    assert all(holders.add(KEY, peer, is_linked=peer > 1) for peer in range(MAX_NAMED))
    assert not holders.add(KEY, MAX_NAMED, is_linked=False)
    assert holders.add(KEY, 0, is_linked=False), "it counts already"
    assert holders.add(b"l", 0, is_linked=False)
    assert sorted(holders.of(KEY)) == list(range(MAX_NAMED))
    assert (holders.came(0), holders.came(0), holders.came(2)) == ([KEY, b"l"], [], [])
    for key in (KEY, b"l"):
        holders.forget(key)
    assert (holders.of(KEY), holders._peers, holders._keys, holders._expected) == ((), {}, {}, {})


def test_holder_that_is_blocked_is_none_when_it_is_back() -> None:
    first = set()
    for seed in SEEDS:
        known = fetcher("abcd", seed=seed)
        known.add_ready(KEY, 0)
        known.prefer(KEY, "c")
        known.block("c", 0)
        known.prefer(KEY, "c")
        known.open("c", 7, 0)
        first.add(sent(known, 0).peer)
    assert len(first) > 1


def test_place_of_a_holder_that_counts_no_more_is_for_another() -> None:
    holders: NamedHolders[int] = NamedHolders()
    for peer in range(MAX_NAMED):
        holders.add(KEY, peer, is_linked=False)
    holders.discard(0)
    holders.discard(0)
    assert holders.came(0) == []
    assert holders.add(KEY, MAX_NAMED, is_linked=False)
    assert sorted(holders.of(KEY)) == list(range(1, MAX_NAMED + 1))
