"""Who was asked for a key in vain, and how long it rests."""

import math
from itertools import pairwise

import pytest

from rookery.actors.resolver.core.fetching.fetcher import Fetcher
from rookery.actors.resolver.core.fetching.requests import MINIMUM_REST, OVERDUE_SHARE
from rookery.actors.resolver.core.fetching.rounds import MAX_REST, NEW_AGAIN_AFTER, Rounds
from tests.resolver.core.fetching.fetchers import DELAY, LINKS, TIMEOUT, fetcher, send, sent

KEY = b"k"
WAIT = OVERDUE_SHARE * TIMEOUT + 1e-6


def in_vain(known: Fetcher[str], now: float, requests: int) -> list[float]:
    """So many requests for the key, each told "no data" at once; the waits after them."""
    waits = []
    for _ in range(requests):
        request = sent(known, now)
        known.pop_missing(request.id, request.link, now)
        waits.append(known.wake_up() - now)
        now += waits[-1]
    return [round(wait / DELAY, 6) for wait in waits]


def rested(peers: str = "ab", delay: float = DELAY) -> Fetcher[str]:
    """All these failed the key in eight rounds, so it rests as long as it ever does, from 100 on."""
    known = fetcher(peers, delay=delay)
    known.add_ready(KEY, 0)
    in_vain(known, 0, 8 * len(peers) - 1)
    request = sent(known, 100)
    known.pop_missing(request.id, request.link, 100)
    assert known.wake_up() == 100 + MAX_REST * max(delay, MINIMUM_REST)
    return known


def test_key_rests_twice_as_long_after_each_round_in_vain_up_to_a_bound_and_never_within_one() -> None:
    known = fetcher("abc")
    known.add_ready(KEY, 0)
    rests = [1, 2, 4, 8, 16, MAX_REST, MAX_REST]
    assert in_vain(known, 0, 3 * len(rests)) == [wait for rest in rests for wait in (1, 1, rest)]


def test_retry_delay_of_zero_does_not_ask_for_what_nobody_has_in_a_busy_loop() -> None:
    assert rested(delay=0).next(100 + MINIMUM_REST) is None


def test_targeted_key_rests_once_all_of_its_targets_that_are_connected_failed_it() -> None:
    known = fetcher("abc")
    known.add_ready(KEY, 0, targets=["a", "absent"])
    assert in_vain(known, 0, 4) == [1, 2, 4, 8]


def test_busy_candidate_keeps_a_round_open_until_it_was_asked_too() -> None:
    known = fetcher("ab", window=1)
    known.add_ready(b"other", 0, targets=["b"])
    out = sent(known, 0)
    known.add_ready(KEY, 0)
    assert in_vain(known, 0, 3) == [1, 1, 1]  # of a, as b is busy
    known.pop_response(out.id, out.link)
    request = sent(known, 0.5)
    assert request.peer == "b"
    known.pop_missing(request.id, request.link, 0.5)
    assert in_vain(known, 0.6, 2) == [1, 2]


def silenced(peers: str, *, window: int) -> Fetcher[str]:
    """The last of these peers has not answered the request for another key that is out."""
    known = fetcher(peers, window=window)
    known.add_ready(b"other", 0, targets=[peers[-1]])
    sent(known, 0)
    assert known.overdue(WAIT) is None
    assert known.scores.is_silent(peers[-1])
    return known


def test_silent_candidate_that_can_be_asked_nothing_more_keeps_no_round_open() -> None:
    known = silenced("ab", window=1)
    known.watch_stuck()
    known.add_ready(KEY, WAIT)
    assert in_vain(known, WAIT, 4) == [1, 2, 4, 8]
    assert (known.is_stuck, known.take_stuck(9)) == (True, [KEY])


def beside(known: Fetcher[str], begun: float, until: float) -> list[tuple[float, str]]:
    """Who is asked beside a request that is out, and when; each has no data."""
    asked = []
    while (now := known.overdue_at()) < until:
        attempt = known.overdue(now)
        if attempt is not None:
            request = known.sent(attempt, now)
            known.pop_missing(request.id, request.link, now)
            asked.append((round(now - begun, 6), request.peer))
    return asked


def test_others_are_asked_again_while_a_silent_candidate_is_and_rest_ever_longer_between() -> None:
    known = silenced("ab", window=9)
    known.add_ready(KEY, WAIT)
    assert in_vain(known, WAIT, 1) == [1]
    out = sent(known, WAIT + DELAY)
    assert out.peer == "b"
    times = [each for each, peer in beside(known, out.sent_at, out.deadline) if peer == "a"]
    assert len(times) in (3, 4)
    rests = [later - sooner for sooner, later in pairwise(times)]
    assert rests == sorted(rests)
    assert known.pop_response(out.id, out.link) is out, "it may only have been slow"


def test_new_candidate_is_asked_when_a_silent_one_is_overdue_though_the_others_rest() -> None:
    known = silenced("ab", window=9)
    known.add_ready(KEY, WAIT)
    in_vain(known, WAIT, 1)
    out = sent(known, WAIT + DELAY)
    beside(known, out.sent_at, out.sent_at + TIMEOUT / 2)
    was_stuck = known.is_stuck
    known.reconcile(1, set("abc"), now=out.sent_at + TIMEOUT / 2)
    known.open("c", LINKS["c"], out.sent_at + TIMEOUT / 2)
    assert (was_stuck, known.is_stuck) == (True, False)
    (_, first), *_ = beside(known, out.sent_at, out.sent_at + TIMEOUT / 2 + WAIT)
    assert first == "c"


def test_new_candidate_ends_the_rest_and_is_asked_first() -> None:
    known = rested()
    known.reconcile(1, set("abc"), now=0)
    assert known.next(100 + DELAY) is None
    known.open("c", LINKS["c"], 0)
    assert known.next(100 + DELAY / 2) is None
    assert sent(known, 100 + DELAY).peer == "c"


def test_set_that_lists_somebody_connected_ends_the_rest() -> None:
    known = fetcher("a")
    known.open("b", LINKS["b"], 0)
    known.add_ready(KEY, 0)
    assert in_vain(known, 0, 5)[-1] == 16
    known.reconcile(1, set("ab"), now=0)
    assert sent(known, 1.6).peer == "b"


def test_new_target_and_opening_to_all_and_a_new_wish_end_the_rest() -> None:
    known = fetcher("ab")
    known.add_ready(KEY, 0, targets=["a"])
    assert in_vain(known, 0, 5)[-1] == 16
    known.add_targets(KEY, ["b"])
    assert sent(known, 1.6).peer == "b"
    known = fetcher("ab")
    known.add_ready(KEY, 0, targets=["a"])
    assert in_vain(known, 0, 5)[-1] == 16
    known.clear_targets(KEY)
    assert sent(known, 1.6).peer == "b"
    known = rested()
    known.clear_targets(KEY)
    assert sent(known, 100 + DELAY).key == KEY


def test_rest_that_has_ended_begins_short_again() -> None:
    known = rested("a")
    known.open("b", LINKS["b"], 0)
    known.reconcile(1, set("ab"), now=0)
    assert in_vain(known, 100 + DELAY, 5) == [1, 1, 2, 1, 4]


def test_key_that_is_wanted_anew_begins_anew() -> None:
    known = rested("a")
    known.drop(KEY)
    known.add_ready(KEY, 200)
    assert in_vain(known, 200, 2) == [1, 2]


def test_very_many_resting_keys_are_woken_by_a_new_candidate_a_few_in_each_turn() -> None:
    known = fetcher("a", window=5000)
    for number in range(1000):
        known.add_ready(number.to_bytes(2, "big"), 0)
    for now in (0.0, 1.0, 2.0, 3.0):
        while (request := send(known, now)) is not None:
            known.pop_missing(request.id, request.link, now)
    assert known.wake_up() == 3 + 8 * DELAY
    known.reconcile(1, set("ab"), now=0)
    known.open("b", LINKS["b"], 0)
    turns, asked = 0, 0
    while known.wake_up() <= 3 + DELAY:
        turns += 1
        asked += send(known, 3 + DELAY) is not None
    assert asked == 1000
    assert known.wake_up() == math.inf


def asked_within_a_minute(there: float, away: float) -> int:
    """Requests to two peers for a key that nobody has, while a third one comes and goes."""
    known = rested("ab")
    known.reconcile(1, set("abc"), now=100)
    asked, begun, link = 0, 100.0, 10
    while begun < 160:
        known.open("c", link, begun)
        for until, then in ((begun + there, True), (begun + there + away, False)):
            while (now := max(known.wake_up(), begun)) < until:
                if (request := send(known, now)) is not None:
                    known.pop_missing(request.id, request.link, now)
                    asked += request.peer != "c"
            if then:
                known.close(link, until)
        begun, link = begun + there + away, link + 1
    return asked


@pytest.mark.parametrize(("there", "away"), [(0.25, 0.0), (3.0, 0.0), (0.1, 4.0), (0.1, 20.0)])
def test_peer_that_reconnects_all_the_time_ends_no_rest_after_the_first_time(there: float, away: float) -> None:
    first, longest = 7, MAX_REST * DELAY
    assert asked_within_a_minute(there, away) <= 2 * (first + 60 / longest)


def test_candidate_that_was_none_for_a_long_time_is_new_again_and_one_that_comes_back_sooner_is_not() -> None:
    known, span = rested(), NEW_AGAIN_AFTER * MAX_REST * DELAY
    known.close(LINKS["b"], 100)
    known.open("b", 22, 100 + DELAY)
    assert known.next(100 + 2 * DELAY) is None
    known.reconcile(1, set("a"), now=101)
    known.reconcile(2, set("ab"), now=101)
    assert known.next(101) is None
    known.close(22, 101)
    begun = 101 + span - 1
    request = sent(known, begun)
    known.pop_missing(request.id, request.link, begun)
    assert known.next(begun + 1) is None
    known.open("b", 23, 101.5 + span)
    assert sent(known, 101.5 + span).peer == "b"


def test_so_many_who_were_candidates_are_remembered() -> None:
    rounds: Rounds[int] = Rounds(DELAY)
    for peer in range(5000):
        rounds.leave(peer, 0.0)
    assert [rounds.is_new(peer, 1.0) for peer in (0, 903, 904, 4999)] == [True, True, False, False]
