"""Outgoing requests: order, choice of peer, targets, limits, deadlines, and which answers count."""

import math
import random
from collections.abc import Iterable

import pytest

from rookery.actors.resolver.fetcher import MINIMUM_REST, Fetcher
from rookery.actors.resolver.requests import Active
from rookery.actors.resolver.wire import MAX_ID

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
    made.reconcile(0, set(peers))
    for peer in peers:
        made.open(peer, LINKS[peer])
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


# Keys and their states


def test_fetcher_that_is_empty_answers_every_query() -> None:
    known = fetcher("")
    assert known.next(0) is None
    assert (known.waiting, known.active, known.blocked) == (0, 0, 0)
    assert known.wake_up() == known.deadline() == math.inf
    assert known.pop_active(1e9, 100) == ()
    assert known.pop_response(0, 1) is known.pop_missing(0, 1, 0) is known.drop(b"k") is None
    assert known.close(1, 0) == known.block("a", 0) == ()
    assert known.wanted() == ()


def test_counts_follow_a_key_from_waiting_to_active_to_held_to_dropped() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    assert (known.waiting, known.active, b"k" in known) == (1, 0, True)
    request = sent(known, 0)
    assert (known.waiting, known.active, b"k" in known) == (0, 1, True)
    assert known.pop_response(request.id, 1) == request
    assert (known.waiting, known.active, b"k" in known) == (0, 0, True)
    assert known.drop(b"k") is None
    assert b"k" not in known


def test_add_ready_of_a_key_that_is_being_fetched_is_a_bug() -> None:
    known = fetcher()
    known.add_ready(b"k", 0)
    with pytest.raises(AssertionError, match="being fetched already"):
        known.add_ready(b"k", 0)


def test_add_retry_of_a_key_that_is_not_held_is_a_bug() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    with pytest.raises(AssertionError, match="is not held"):
        known.add_retry(b"k", 0, "a")
    sent(known, 0)
    with pytest.raises(AssertionError, match="is not held"):
        known.add_retry(b"k", 0, "a")


def test_open_of_a_second_link_to_one_peer_is_a_bug() -> None:
    known = fetcher("a")
    with pytest.raises(AssertionError, match="link 1 still"):
        known.open("a", 7)


def test_add_retry_waits_for_the_retry_delay() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    known.pop_response(sent(known, 0).id, 1)
    known.add_retry(b"k", 5, "a")
    assert known.wake_up() == 5 + DELAY
    assert known.next(5 + DELAY / 2) is None
    assert sent(known, 5 + DELAY).key == b"k"


def test_drop_of_a_waiting_key_takes_its_wake_up_with_it() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 3)
    assert known.wake_up() == 3
    assert known.drop(b"k") is None
    assert known.wake_up() == math.inf
    assert known.drop(b"k") is None
    assert known.next(3) is None


def test_drop_of_an_active_key_ends_its_request_and_its_late_answer_has_no_effect() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    request = sent(known, 0)
    assert known.drop(b"k") == request
    assert known.pop_response(request.id, 1) is None
    assert known.deadline() == math.inf
    known.add_ready(b"k", 1)
    assert sent(known, 1).id != request.id


def test_drop_of_one_key_leaves_the_request_of_another_untouched() -> None:
    known = fetcher("a")
    known.add_ready(b"j", 0)
    known.add_ready(b"k", 0)
    kept = sent(known, 0)
    sent(known, 0)
    known.drop(b"k")
    assert known.pop_response(kept.id, kept.link) == kept


# Order


def test_fresh_keys_go_by_time_then_key_and_before_overdue_retries() -> None:
    known = fetcher("a")
    for key in (b"r2", b"r1"):
        known.add_ready(key, 0)
        known.pop_missing(sent(known, 0).id, 1, 0)
    known.add_ready(b"y", 20)
    known.add_ready(b"x", 20)
    known.add_ready(b"z", 10)
    assert send_all(known, 30) == [b"z", b"x", b"y", b"r1", b"r2"]


def test_retries_go_by_time_before_key() -> None:
    known = fetcher("a")
    for now, key in ((0, b"z"), (1, b"a")):
        known.add_ready(key, now)
        known.pop_missing(sent(known, now).id, 1, now)
    assert send_all(known, 9) == [b"z", b"a"]


def test_R1_retry_whose_time_has_not_come_is_skipped_behind_a_stuck_fresh_key() -> None:
    known = fetcher("a")
    known.add_ready(b"stuck", 0, targets=["absent"])
    known.add_ready(b"k", 0)
    known.pop_missing(sent(known, 0).id, 1, 0)
    assert known.next(DELAY / 2) is None
    assert known.wake_up() == DELAY
    assert sent(known, DELAY).key == b"k"


def test_R1_due_retry_at_a_limited_peer_does_not_let_an_undue_one_go() -> None:
    known = fetcher("ab")
    known.add_ready(b"due", 0, targets=["a"])
    known.pop_missing(sent(known, 0).id, 1, 0)
    known.add_ready(b"undue", 1, targets=["b"])
    known.pop_missing(sent(known, 1).id, 2, 1)
    attempt = known.next(1)
    assert attempt is not None
    assert attempt.key == b"due"
    known.limited(attempt, 50, now=1)
    assert known.next(1) is None
    assert known.wake_up() == 1 + DELAY


def test_R1_wake_up_is_the_smallest_time_among_keys_that_have_candidates() -> None:
    known = fetcher("a")
    known.add_ready(b"stuck", 0, targets=["absent"])
    assert known.wake_up() == math.inf
    known.add_ready(b"k", 7)
    assert known.wake_up() == 7


def test_R2_limited_peer_is_tried_once_and_not_once_per_key() -> None:
    known = fetcher("a")
    for number in range(1000):
        known.add_ready(number.to_bytes(2, "big"), 0)
    attempt = known.next(0)
    assert attempt is not None
    known.limited(attempt, 5, now=0)
    assert known.next(0) is None
    assert known.next(4.9) is None
    assert known.wake_up() == 5
    assert known.next(5) is not None


def test_R3_refused_send_spends_an_id_charges_the_peer_and_rests_it_but_a_limited_one_does_none_of_it() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    attempt = known.next(0)
    assert attempt is not None
    known.limited(attempt, 1, now=0)
    assert known.scores.of("a") == 0.1
    again = known.next(1)
    assert again == attempt
    known.refused(attempt, 1)
    assert known.scores.of("a") == pytest.approx((0.1 + TIMEOUT) / 2)
    assert known.next(1) is None
    last = known.next(1 + DELAY)
    assert last is not None
    assert last.id == attempt.id + 1


def test_R4_elapsed_time_is_taken_from_the_given_monotonic_times_alone() -> None:
    for start in (0.0, 1e6):
        known = fetcher("a")
        known.add_ready(b"k", start)
        known.pop_missing(sent(known, start).id, 1, start + 0.5)
        assert known.scores.of("a") == pytest.approx((0.1 + 0.5 + DELAY) / 2)


def test_R5_never_is_infinity_and_large_times_do_not_overflow() -> None:
    known = fetcher("")
    known.add_ready(b"k", 2.0**62)
    assert known.wake_up() == math.inf
    known.reconcile(1, {"a"})
    known.open("a", 1)
    assert sent(known, 2.0**62).deadline >= 2.0**62


# Choice of peer


def test_fresh_key_goes_to_the_peer_of_lowest_score() -> None:
    for seed in range(5):
        known = fetcher("abc", seed=seed)
        for peer, elapsed in (("a", 0.5), ("b", 0.01), ("c", 0.3)):
            known.rate_answer(peer, elapsed, 1)
        known.add_ready(b"k", 0)
        assert sent(known, 0).peer == "b"


def test_fresh_keys_asked_for_together_spread_over_equal_peers() -> None:
    known = fetcher("abcd")
    for number in range(8):
        known.add_ready(bytes([number]), 0)
    asked = [sent(known, 0).peer for _ in range(8)]
    assert sorted(asked) == list("aabbccdd")


def test_newcomer_gets_its_share_once_the_best_peer_is_busy() -> None:
    known = fetcher("ab")
    for peer, elapsed in (("a", 0.01), ("b", 0.012)):
        for _ in range(20):
            known.rate_answer(peer, elapsed, 1)
    known.reconcile(1, {"a", "b", "c"})
    known.open("c", 3)
    for number in range(6):
        known.add_ready(bytes([number]), 0)
    assert sorted(sent(known, 0).peer for _ in range(6)) == list("aabbcc")


def test_newcomer_that_stands_where_the_only_known_peer_stands_is_tried_before_it() -> None:
    for seed in range(5):
        known = fetcher("ab", seed=seed)
        known.rate_answer("a", 0.01, 1)
        known.add_ready(b"k", 0)
        assert sent(known, 0).peer == "b"


def test_first_choice_among_equals_differs_between_nodes() -> None:
    first = set()
    for seed in range(20):
        known = fetcher("abc", seed=seed)
        known.add_ready(b"k", 0)
        first.add(sent(known, 0).peer)
    assert first == set("abc")


def test_retry_asks_each_other_peer_before_any_peer_twice() -> None:
    for seed in range(10):
        known = fetcher("abcd", seed=seed)
        known.add_ready(b"k", 0)
        asked = []
        for turn in range(8):
            request = sent(known, turn)
            asked.append(request.peer)
            known.pop_missing(request.id, request.link, turn)
        assert sorted(asked[:4]) == list("abcd")
        assert sorted(asked[4:]) == list("abcd")


def test_peer_that_failed_a_key_and_came_back_counts_as_not_asked_yet() -> None:
    for seed in range(10):
        known = fetcher("ab", seed=seed)
        known.add_ready(b"k", 0, targets=["a"])
        known.pop_missing(sent(known, 0).id, 1, 0)
        known.close(1, 0)
        known.clear_targets(b"k")
        known.pop_missing(sent(known, 1).id, 2, 1)
        known.open("a", 7)
        assert sent(known, 2).peer == "a"


def test_secondary_peer_is_asked_only_where_no_primary_one_is_left() -> None:
    for seed in range(10):
        known = fetcher("abcd", seed=seed, window=3)
        known.reconcile(1, {"a", "b"}, {"b", "c", "d"})  # b is both, so primary
        known.rate_answer("c", 0.001, 1)  # a better score does not count
        known.add_ready(b"k", 0)
        asked = []
        for turn in range(8):
            request = sent(known, turn)
            asked.append(request.peer)
            known.pop_missing(request.id, request.link, turn)
        assert [set(asked[:2]), set(asked[2:4])] == [set("ab"), set("cd")]
        assert [set(asked[4:6]), set(asked[6:])] == [set("ab"), set("cd")]


def test_secondary_peer_takes_what_is_over_the_limits_of_the_primary_ones() -> None:
    known = fetcher("ab", window=1)
    known.reconcile(1, {"a"}, {"b"})
    for number in range(2):
        known.add_ready(bytes([number]), 0)
    assert [sent(known, 0).peer, sent(known, 0).peer] == ["a", "b"]


def test_retry_ignores_the_score() -> None:
    second = set()
    for seed in range(20):
        known = fetcher("abc", seed=seed)
        for peer, elapsed in (("a", 0.01), ("b", 0.02), ("c", 0.9)):
            known.rate_answer(peer, elapsed, 1)
        known.add_ready(b"k", 0)
        first = sent(known, 0)
        assert first.peer == "b"
        known.pop_missing(first.id, first.link, 0)
        second.add(sent(known, 1).peer)
    assert second == {"a", "c"}


def test_peer_with_as_many_requests_as_it_may_have_is_passed_over_until_one_ends() -> None:
    known = fetcher("a", window=2)
    for number in range(3):
        known.add_ready(bytes([number]), 0)
    first = sent(known, 0)
    sent(known, 0)
    assert known.next(0) is None
    assert known.wake_up() == math.inf
    known.pop_response(first.id, 1)
    assert sent(known, 0).key == b"\x02"


def test_limited_peer_spills_over_to_the_next_at_once() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0)
    first = known.next(0)
    assert first is not None
    known.limited(first, 9, now=0)
    assert {first.peer, sent(known, 0).peer} == {"a", "b"}


def test_refusing_peer_is_replaced_in_the_same_turn_and_when_all_refuse_the_key_waits_for_the_delay() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0)
    refused = []
    while (attempt := known.next(0)) is not None:
        known.refused(attempt, 0)
        refused.append(attempt.peer)
    assert sorted(refused) == ["a", "b"]
    assert known.waiting == 1
    assert known.wake_up() == DELAY


def test_rest_of_a_refusing_or_limited_peer_is_never_zero() -> None:
    known = fetcher("ab", delay=0)
    known.add_ready(b"k", 0)
    one = known.next(0)
    assert one is not None
    known.refused(one, 0)
    other = known.next(0)
    assert other is not None
    known.limited(other, 0, now=0)
    assert known.next(0) is None
    assert known.wake_up() == MINIMUM_REST


def test_limited_targets_let_a_later_key_go_and_are_asked_when_the_limit_ends() -> None:
    known = fetcher("ab")
    known.add_ready(b"1", 0, targets=["a"])
    known.add_ready(b"2", 0, targets=["b"])
    attempt = known.next(0)
    assert attempt is not None
    known.limited(attempt, 1, now=0)
    assert sent(known, 0).key == b"2"
    assert known.next(0.5) is None
    assert known.wake_up() == 1
    assert sent(known, 1).key == b"1"


# Links and peer sets


def test_self_is_never_asked_and_without_an_identity_everybody_is() -> None:
    known = fetcher(["me"])
    known.add_ready(b"k", 0)
    assert known.next(0) is None
    assert fetcher(["me"], me=None).wants_link("me") is False
    nobody = fetcher(["me"], me=None)
    nobody.add_ready(b"k", 0)
    assert sent(nobody, 0).peer == "me"


def test_key_added_before_any_peer_waits_without_a_wake_up_until_one_is_connected_and_allowed() -> None:
    known = fetcher("")
    known.add_ready(b"k", 0)
    known.open("a", 1)
    assert known.wake_up() == math.inf
    assert known.reconcile(1, {"a"})
    assert known.wake_up() <= 0
    assert sent(known, 0).link == 1


def test_peer_set_that_is_not_newer_is_ignored() -> None:
    known = fetcher("a")
    assert known.reconcile(3, {"a"})
    assert not known.reconcile(3, set())
    assert not known.reconcile(2, set())
    known.add_ready(b"k", 0)
    assert known.next(0) is not None


def test_peer_that_left_the_set_is_not_asked_though_its_answer_still_counts_unrated() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    request = sent(known, 0)
    known.reconcile(1, {"b"})
    assert known.pop_response(request.id, 1) == request
    known.rate_answer("a", 0.5, 1)
    known.add_retry(b"k", 0, "a")
    assert known.next(9) is None
    known.reconcile(2, {"a"})
    assert known.scores.of("a") == 0.1
    assert sent(known, 9).peer == "a"


def test_closed_link_fails_its_requests_at_once_uncharged_and_leaves_those_of_others() -> None:
    known = fetcher("ab")
    for key in (b"1", b"2"):
        known.add_ready(key, 0, targets=["a"])
    known.add_ready(b"3", 0, targets=["b"])
    send_all(known, 0)
    assert [request.key for request in known.close(1, 0.5)] == [b"1", b"2"]
    assert (known.active, known.waiting) == (1, 2)
    assert known.scores.of("a") == 0.1
    assert known.wake_up() == math.inf
    known.open("a", 7)
    assert known.wake_up() == 0.5 + DELAY
    assert sent(known, 0.5 + DELAY).link == 7
    assert known.close(1, 0.5) == ()


# Requests that end


def test_deadline_is_that_of_the_oldest_request_and_charges_its_peer() -> None:
    known = fetcher("a")
    for now in (0.0, 0.3):
        known.add_ready(str(now).encode(), now)
        sent(known, now)
    assert known.deadline() == TIMEOUT
    assert known.pop_active(TIMEOUT - 0.01, 100) == ()
    assert [request.key for request in known.pop_active(TIMEOUT, 100)] == [b"0.0"]
    assert known.scores.of("a") == pytest.approx((0.1 + TIMEOUT) / 2)
    assert known.deadline() == 0.3 + TIMEOUT
    assert known.wake_up() == TIMEOUT + DELAY


def test_answer_rates_its_peer_only_when_told_to() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    request = sent(known, 0)
    assert known.pop_response(request.id + 1, 1) is None
    assert known.pop_response(request.id, 1) == request
    assert known.scores.of("a") == 0.1
    known.rate_answer("a", 0.02, 1)
    assert known.scores.of("a") == pytest.approx(0.06)


def test_no_data_costs_its_own_elapsed_time_with_the_delay_and_is_retried_after_the_delay() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    request = sent(known, 0)
    assert known.pop_missing(request.id, 1, 0.02) == request
    assert known.scores.of("a") == pytest.approx((0.1 + 0.02 + DELAY) / 2)
    assert known.wake_up() == 0.02 + DELAY


def test_peer_that_is_quick_to_have_nothing_is_not_asked_before_one_that_takes_longer_to_send() -> None:
    known = fetcher("ab")
    asked = []
    for number in range(20):
        now = 10.0 * number
        known.add_ready(bytes([number]), now)
        request = sent(known, now)
        asked.append(request.peer)
        if request.peer == "a":
            known.pop_missing(request.id, 1, now + 0.001)
        else:
            known.pop_response(request.id, 2)
            known.rate_answer("b", 0.02, 1000)
        known.drop(bytes([number]))
    assert asked.count("a") <= 2


def test_answer_over_another_link_has_no_effect_and_the_request_goes_on() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["a"])
    request = sent(known, 0)
    assert known.pop_response(request.id, 2) is known.pop_missing(request.id, 2, 0) is None
    assert known.pop_response(request.id, 1) == request


def test_second_answer_and_late_answer_have_no_effect() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    first = sent(known, 0)
    known.pop_missing(first.id, 1, 0)
    assert known.pop_response(first.id, 1) is None
    late = sent(known, 1)
    known.pop_active(1 + TIMEOUT, 100)
    score = known.scores.of("a")
    assert known.pop_missing(late.id, 1, 3) is None
    assert known.scores.of("a") == score


def test_request_ids_count_up_over_all_peers_and_wrap_to_zero() -> None:
    known = fetcher("ab")
    for number in range(4):
        known.add_ready(bytes([number]), 0)
    assert [sent(known, 0).id for _ in range(2)] == [0, 1]
    known.drop(b"\x00")
    known._requests.next_id = MAX_ID
    assert [sent(known, 0).id for _ in range(2)] == [MAX_ID, 0]


# Targets: reference section 5, row by row


def test_targeted_key_is_asked_of_its_targets_only() -> None:
    known = fetcher("abc")
    known.rate_answer("a", 0.001, 1)
    known.add_ready(b"k", 0, targets=["b", "c"])
    for turn in range(6):
        request = sent(known, turn)
        assert request.peer in "bc"
        known.pop_missing(request.id, request.link, turn)


def test_untargeted_key_is_never_narrowed() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    known.add_targets(b"k", ["b"])
    assert known.targets(b"k") is None
    assert sent(known, 0).peer == "a"


def test_targets_are_united_and_naming_one_twice_is_naming_it_once() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["c", "c"])
    known.add_ready(b"other", 0, targets=["c"])
    known.add_targets(b"k", ["a", "c"])
    known.add_targets(b"k", ["a"])
    assert known.targets(b"k") == frozenset({"a", "c"})
    assert known.targets(b"other") == frozenset({"c"})
    assert sent(known, 0).peer == "a"
    assert known.next(0) is None


def test_adding_a_target_wakes_a_stuck_key_and_clearing_targets_opens_it_to_all() -> None:
    known = fetcher("ab")
    for key in (b"1", b"2"):
        known.add_ready(key, 0, targets=["absent"])
    assert known.wake_up() == math.inf
    known.add_targets(b"1", ["b"])
    assert known.wake_up() <= 0
    assert sent(known, 0).peer == "b"
    assert known.wake_up() == math.inf
    known.clear_targets(b"2")
    assert known.targets(b"2") is None
    assert sent(known, 0).key == b"2"


def test_changing_targets_does_not_shorten_a_retry_delay() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["a"])
    known.pop_missing(sent(known, 0).id, 1, 0)
    known.add_targets(b"k", ["b"])
    assert known.wake_up() == DELAY
    known.clear_targets(b"k")
    assert known.wake_up() == DELAY


def test_changing_targets_leaves_an_active_request_alone() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["a"])
    request = sent(known, 0)
    known.add_targets(b"k", ["b"])
    known.clear_targets(b"k")
    assert known.pop_response(request.id, 1) == request


@pytest.mark.parametrize("ending", ["timeout", "missing", "refused", "limited", "response"])
def test_targets_stay_after_everything_that_happens_to_a_request(ending: str) -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["a"])
    attempt = known.next(0)
    assert attempt is not None
    if ending == "refused":
        known.refused(attempt, 0)
    elif ending == "limited":
        known.limited(attempt, 1, 0)
    else:
        request = known.sent(attempt, 0)
        if ending == "timeout":
            known.pop_active(TIMEOUT, 100)
        elif ending == "missing":
            known.pop_missing(request.id, 1, 0)
        else:
            known.pop_response(request.id, 1)
            known.add_retry(b"k", 0, "a")
    assert known.targets(b"k") == frozenset({"a"})
    assert sent(known, 9).peer == "a"


def test_targets_go_with_the_key() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["absent"])
    known.drop(b"k")
    known.add_ready(b"k", 0)
    assert known.targets(b"k") is None


def test_target_that_leaves_the_peer_set_is_asked_again_when_it_is_back() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["a"])
    known.reconcile(1, {"b"})
    assert known.next(0) is None
    known.reconcile(2, {"a", "b"})
    assert sent(known, 0).peer == "a"


def test_target_without_a_link_is_wanted_once_it_may_be_asked_and_only_while_a_key_waits_for_it() -> None:
    known = fetcher("a")
    known.add_ready(b"1", 0, targets=["a", "c", "b", "me"])
    assert known.wanted() == ()
    known.reconcile(1, {"a", "b", "c", "me"})
    assert known.wanted() == ("b", "c")
    assert known.wants_link("b")
    assert not known.wants_link("a")
    known.open("b", 2)
    assert known.wanted() == ("c",)
    known.drop(b"1")
    assert known.wanted() == ()


# Blocking


def test_block_removes_the_peer_from_every_set_of_targets_and_an_emptied_set_stays() -> None:
    known = fetcher("ab")
    known.add_ready(b"1", 0, targets=["a"])
    known.add_ready(b"2", 0, targets=["a", "b"])
    known.block("a", 0)
    assert known.targets(b"1") == frozenset()
    assert known.targets(b"2") == frozenset({"b"})
    assert send_all(known, 0) == [b"2"]
    assert known.wake_up() == math.inf
    known.add_targets(b"1", ["b"])
    assert sent(known, 0).key == b"1"


def test_block_excludes_until_a_new_link_and_counts_the_peer_meanwhile() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    known.block("a", 0)
    assert (known.blocked, known.is_blocked("a")) == (1, True)
    assert known.next(0) is None
    known.close(1, 0)
    known.open("a", 7)
    assert (known.blocked, known.is_blocked("a")) == (0, False)
    assert sent(known, 0).link == 7


def test_block_fails_the_other_requests_of_the_peer_at_once() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    request = sent(known, 0)
    assert known.block("a", 0.5) == (request,)
    assert (known.active, known.waiting) == (0, 1)


def test_blocked_peer_named_anew_is_a_target_again_once_it_is_back() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0, targets=["a"])
    known.block("a", 0)
    known.open("a", 7)
    assert known.next(0) is None
    known.add_targets(b"k", ["a"])
    assert known.targets(b"k") == frozenset({"a"})
    assert sent(known, 0).link == 7


def test_blocked_peer_that_left_the_peer_set_is_no_longer_counted() -> None:
    known = fetcher("ab")
    known.block("a", 0)
    known.reconcile(1, {"b"})
    assert known.blocked == 0
