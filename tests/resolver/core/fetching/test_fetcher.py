"""Outgoing requests: states of a key, order of sending, deadlines, and which answers count."""

import math

import pytest

from rookery.actors.resolver.core.codec import MAX_ID
from tests.resolver.core.fetching.fetchers import DELAY, TIMEOUT, fetcher, send_all, sent

# Keys and their states


def test_fetcher_that_is_empty_answers_every_query() -> None:
    known = fetcher("")
    assert known.next(0) is None
    assert (known.waiting, known.active, known.blocked) == (0, 0, 0)
    assert known.wake_up() == known.deadline() == math.inf
    assert known.pop_active(1e9, 100) == ()
    assert known.pop_response(0, 1) is known.pop_missing(0, 1, 0) is None
    assert known.drop(b"k") == ()
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
    assert known.drop(b"k") == ()
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
        known.open("a", 7, 0)


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
    assert known.drop(b"k") == ()
    assert known.wake_up() == math.inf
    assert known.drop(b"k") == ()
    assert known.next(3) is None


def test_drop_of_an_active_key_ends_its_request_and_its_late_answer_has_no_effect() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    request = sent(known, 0)
    assert known.drop(b"k") == (request,)
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
    known.reconcile(1, {"a"}, now=0)
    known.open("a", 1, 0)
    assert sent(known, 2.0**62).deadline >= 2.0**62


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
