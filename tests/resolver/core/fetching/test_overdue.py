"""A peer that does not answer in time: another one is asked too, and it is asked behind all others from then on."""

import math

from rookery.actors.resolver.core.fetching.fetcher import Fetcher
from rookery.actors.resolver.core.fetching.requests import MAX_EXTRA, MAX_OUT, OVERDUE_SHARE, Active
from tests.resolver.core.fetching.fetchers import DELAY, LINKS, TIMEOUT, fetcher, sent

WAIT = OVERDUE_SHARE * TIMEOUT
LATER = WAIT + 1e-6


def another(known: Fetcher[str], now: float) -> Active[str] | None:
    attempt = known.overdue(now)
    return None if attempt is None else known.sent(attempt, now)


def asked_another(known: Fetcher[str], now: float) -> Active[str]:
    request = another(known, now)
    assert request is not None
    return request


def crowd(size: int, *, window: int = 100, seed: int = 0) -> tuple[Fetcher[str], list[str]]:
    names = [f"peer {number:02}" for number in range(size)]
    known = fetcher("", window=window, seed=seed)
    known.reconcile(1, set(names), now=0)
    for number, name in enumerate(names):
        known.open(name, number, 0)
    return known, names


def test_second_peer_is_asked_when_the_first_is_overdue_and_not_before() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0)
    first = sent(known, 0)
    assert known.overdue_at() == WAIT
    assert another(known, WAIT - 1e-6) is None
    second = asked_another(known, LATER)
    assert {first.peer, second.peer} == set("ab")
    assert another(known, LATER) is None
    assert known.active == 2


def test_further_peers_are_asked_after_half_as_long_each_until_everybody_is() -> None:
    known = fetcher("abcd")
    known.add_ready(b"k", 0)
    asked, now = [sent(known, 0).peer], 0.0
    for wait in (WAIT, WAIT / 2, WAIT / 2):
        assert another(known, now + wait - 1e-6) is None
        now += wait + 1e-6
        asked.append(asked_another(known, now).peer)
    assert sorted(asked) == list("abcd")
    assert another(known, TIMEOUT - 1e-6) is None


def test_peer_that_was_silent_once_is_asked_behind_those_that_were_not() -> None:
    for seed in range(5):
        known = fetcher("abc", seed=seed)
        known.add_ready(b"k", 0)
        silent = sent(known, 0).peer
        asked_another(known, LATER)
        for number in range(6):
            known.add_ready(bytes([number]), LATER)
        assert silent not in [sent(known, LATER).peer for _ in range(6)]


def test_peer_that_was_silent_is_asked_where_everybody_else_failed_the_key() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0)
    silent = sent(known, 0)
    other = asked_another(known, LATER)
    known.add_ready(b"l", LATER)
    second = sent(known, LATER)
    assert second.peer == other.peer
    known.pop_missing(second.id, second.link, LATER)
    assert sent(known, LATER + DELAY).peer == silent.peer


def test_secondary_peer_is_asked_before_a_primary_one_that_is_silent() -> None:
    known = fetcher("ab")
    known.reconcile(1, {"a"}, {"b"}, now=0)
    known.add_ready(b"k", 0)
    assert sent(known, 0).peer == "a"
    assert asked_another(known, LATER).peer == "b"
    known.add_ready(b"l", LATER)
    assert sent(known, LATER).peer == "b"


def test_silent_peer_is_back_when_it_answers_anything_be_it_late() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0)
    silent = sent(known, 0)
    other = asked_another(known, LATER)
    known.pop_response(other.id, other.link)
    known.overtaken(b"k")
    assert known.scores.is_silent(silent.peer)
    assert known.pop_response(silent.id, silent.link) is None
    assert not known.scores.is_silent(silent.peer)


def test_time_out_makes_a_peer_silent_too() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    sent(known, 0)
    known.pop_active(TIMEOUT, 1)
    assert known.scores.is_silent("a")


def test_silence_is_forgotten_with_the_peer_that_leaves_the_set() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    sent(known, 0)
    known.pop_active(TIMEOUT, 1)
    known.reconcile(1, set(), now=0)
    known.reconcile(2, {"a"}, now=0)
    assert not known.scores.is_silent("a")


def test_first_answer_counts_and_ends_the_other_requests() -> None:
    known = fetcher("abc")
    known.add_ready(b"k", 0)
    first = sent(known, 0)
    second = asked_another(known, LATER)
    assert known.pop_response(first.id, first.link) is first
    assert known.overtaken(b"k") == (second,)
    assert known.active == 0
    known.add_retry(b"k", LATER, first.peer)  # the bytes did not help
    assert known.waiting == 1


def test_no_data_while_another_is_asked_is_no_retry_and_a_third_is_asked() -> None:
    known = fetcher("abc")
    known.add_ready(b"k", 0)
    first = sent(known, 0)
    second = asked_another(known, LATER)
    known.pop_missing(second.id, second.link, LATER)
    assert known.waiting == 0
    third = asked_another(known, LATER + WAIT)
    assert len({first.peer, second.peer, third.peer}) == 3
    known.pop_missing(third.id, third.link, LATER + WAIT)
    known.pop_missing(first.id, first.link, LATER + WAIT)
    assert (known.waiting, known.active) == (1, 0)


def test_peer_that_is_known_to_be_slow_gets_four_times_its_usual_time() -> None:
    known = fetcher("ab", seed=1)
    for peer in "ab":
        known.rate_answer(peer, 0.2, 1)
    known.add_ready(b"k", 0)
    sent(known, 0)
    assert known.overdue_at() == 0.8


def test_only_targets_are_asked_too() -> None:
    known = fetcher("abc")
    known.add_ready(b"k", 0, targets=["a"])
    sent(known, 0)
    assert another(known, LATER) is None
    known.add_targets(b"k", ["b"])
    assert asked_another(known, LATER + WAIT).peer == "b"


def test_peer_that_is_limited_or_refuses_is_passed_over_for_the_next() -> None:
    known = fetcher("abc")
    known.add_ready(b"k", 0)
    sent(known, 0)
    limited = known.overdue(LATER)
    assert limited is not None
    known.limited(limited, LATER + 1, LATER)
    other = known.overdue(LATER)
    assert other is not None
    assert other.peer != limited.peer
    known.refused(other, LATER)
    assert known.overdue(LATER) is None
    assert known.overdue_at() > LATER


def test_key_is_asked_of_no_more_than_so_many_at_once() -> None:
    known, _ = crowd(30)
    known.add_ready(b"k", 0)
    sent(known, 0)
    for number in range(1, 200):
        another(known, number * WAIT / 4)
    assert known.active == MAX_OUT


def test_requests_beside_overdue_ones_are_bounded_in_all() -> None:
    known, _ = crowd(30)
    for number in range(60):
        known.add_ready(bytes([number]), 0)
        sent(known, 0)
    for number in range(1, 20):
        for _ in range(100):
            another(known, number * WAIT / 2)
    assert known.active == 60 + MAX_EXTRA
    for request in known.pop_active(TIMEOUT * 10, 1000):
        assert request.peer
    assert known.active == 0
    assert known.overdue_at() == math.inf
    known.add_ready(b"k", 100)
    sent(known, 100)
    asked_another(known, 100 + LATER)  # the room of those that ended is there again


def test_link_that_closes_leaves_the_other_requests_of_the_key_out() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0)
    first = sent(known, 0)
    second = asked_another(known, LATER)
    assert known.close(LINKS[first.peer], LATER) == (first,)
    assert (known.waiting, known.active) == (0, 1)
    assert known.pop_response(second.id, second.link) is second
