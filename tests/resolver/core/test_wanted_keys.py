"""A wanted key from the first fetch to the last verdict, in the pure core."""

import pytest

from rookery.actors.resolver.core.decisions import (
    Accepted,
    Block,
    Cause,
    Deliver,
    Ended,
    Outcome,
    Reason,
    Retired,
    Retry,
)
from tests.resolver.core.states import (
    DELAY,
    KEY,
    OTHER,
    VALUE,
    answer,
    core,
    delivery,
    redelivering,
    send,
    validating,
    verdict,
)

# Demand


def test_fetch_of_an_idle_key_makes_it_live_and_due_at_once() -> None:
    wanted = core()
    wanted.fetch(KEY, 1, 0)
    assert KEY in wanted
    assert list(wanted) == [KEY]
    assert wanted.fetcher.wake_up() <= 0


def test_fetch_with_targets_restricts_an_idle_key() -> None:
    wanted = core()
    wanted.fetch(KEY, 1, 0, ["b"])
    assert send(wanted).peer == "b"


def test_fetch_twice_makes_one_request_and_one_delivery_with_sorted_subscribers() -> None:
    wanted = core()
    for subscriber in (2, 1, 2):
        wanted.fetch(KEY, subscriber, 0)
    request = send(wanted)
    assert wanted.fetcher.next(0) is None
    assert answer(wanted, request).subscribers == (1, 2)


def test_untargeted_fetch_opens_a_targeted_key_and_a_targeted_one_never_narrows() -> None:
    wanted = core()
    wanted.fetch(KEY, 1, 0, ["absent"])
    wanted.fetch(KEY, 2, 0)
    wanted.fetch(KEY, 3, 0, ["absent"])
    assert wanted.fetcher.targets(KEY) is None


def test_targeted_fetch_widens_a_targeted_key() -> None:
    wanted = core()
    wanted.fetch(KEY, 1, 0, ["absent"])
    wanted.fetch(KEY, 2, 0, ["b"])
    assert wanted.fetcher.targets(KEY) == frozenset({"absent", "b"})


# Answers


def test_response_ends_the_request_and_delivers_the_very_bytes() -> None:
    wanted = core("a")
    wanted.fetch(KEY, 1, 0)
    request = send(wanted)
    assert wanted.respond(1, request.id, VALUE, 0.5) == (
        Ended(request, Cause.ANSWERED),
        Deliver(KEY, 1, (1,), VALUE, "a"),
    )
    assert wanted.delivering == 1
    assert wanted.fetcher.scores.of("a") == 0.1


def test_empty_value_is_delivered_as_data() -> None:
    wanted = core("a")
    wanted.fetch(KEY, 1, 0)
    assert answer(wanted, send(wanted), value=b"").value == b""


@pytest.mark.parametrize("cause", [Cause.MISSING, Cause.TIMED_OUT, Cause.LINK_CLOSED])
def test_request_that_brings_nothing_is_retried_after_the_delay(cause: Cause) -> None:
    wanted = core("a")
    wanted.fetch(KEY, 1, 0)
    request = send(wanted)
    decisions = {
        Cause.MISSING: lambda: wanted.missing(1, request.id, 2),
        Cause.TIMED_OUT: lambda: wanted.expire(2, 100),
        Cause.LINK_CLOSED: lambda: wanted.closed(1, 2),
    }[cause]()
    assert decisions == (Ended(request, cause), Retry(KEY, cause))
    if cause is Cause.LINK_CLOSED:
        wanted.fetcher.open("a", 7, 0)
    assert wanted.fetcher.wake_up() == 2 + DELAY


def test_answer_that_is_late_repeated_or_from_another_link_has_no_effect() -> None:
    wanted = core("a")
    wanted.fetch(KEY, 1, 0)
    request = send(wanted)
    assert wanted.respond(2, request.id, VALUE, 0) == ()
    assert wanted.missing(2, request.id, 0) == ()
    assert wanted.respond(1, request.id + 1, VALUE, 0) == ()
    answer(wanted, request)
    assert wanted.respond(1, request.id, VALUE, 0) == ()
    assert wanted.missing(1, request.id, 0) == ()


def test_awaited_verdict_does_not_delay_another_key() -> None:
    wanted, _ = validating(1)
    wanted.fetch(OTHER, 1, 0)
    assert send(wanted).key == OTHER


# Verdicts while VALIDATING


def test_complete_with_nobody_else_waiting_rates_accepts_and_retires() -> None:
    wanted, delivered = validating(1, 2, peers="a")
    assert verdict(wanted, delivered, Outcome.COMPLETE) == (
        Accepted(KEY, "a", 1),
        Retired(KEY, Reason.FULFILLED, delivered.generation),
    )
    assert KEY not in wanted
    assert KEY not in wanted.fetcher
    assert wanted.fetcher.scores.of("a") == pytest.approx(0.06)


def test_fetch_during_validation_gets_the_same_bytes_after_acceptance_without_a_request() -> None:
    wanted, delivered = validating(1, peers="a")
    wanted.fetch(KEY, 2, 0)
    assert wanted.fetcher.next(9) is None
    assert verdict(wanted, delivered, Outcome.COMPLETE) == (
        Accepted(KEY, "a", 1),
        Deliver(KEY, delivered.generation + 1, (2,), VALUE, "a"),
    )


def test_subscriber_who_fetches_again_during_validation_is_absorbed() -> None:
    wanted, delivered = validating(1)
    wanted.fetch(KEY, 1, 0)
    verdict(wanted, delivered, Outcome.COMPLETE)
    assert KEY not in wanted


def test_ambiguous_rates_and_retries_with_late_subscribers_and_targets_and_blocks_nobody() -> None:
    wanted, delivered = validating(1, peers="a", targets=["a"])
    wanted.fetch(KEY, 2, 0, ["b"])
    assert verdict(wanted, delivered, Outcome.AMBIGUOUS) == (Retry(KEY, Outcome.AMBIGUOUS),)
    assert wanted.fetcher.scores.of("a") == pytest.approx(0.06)
    assert wanted.fetcher.targets(KEY) == frozenset({"a", "b"})
    assert wanted.fetcher.wake_up() == 1 + DELAY
    assert answer(wanted, send(wanted, 2)).subscribers == (1, 2)


def test_invalid_blocks_the_peer_and_retries_at_another() -> None:
    wanted, delivered = validating(1, targets=["a", "b"])
    assert verdict(wanted, delivered, Outcome.INVALID) == (
        Block(delivered.peer, KEY),
        Retry(KEY, Outcome.INVALID),
    )
    other = "b" if delivered.peer == "a" else "a"
    assert wanted.fetcher.targets(KEY) == frozenset({other})
    assert wanted.fetcher.scores.of(delivered.peer) == pytest.approx(0.06)
    assert send(wanted, 2).peer == other


def test_invalid_fails_the_other_requests_of_that_peer_at_once() -> None:
    wanted, delivered = validating(1, peers="a")
    wanted.fetch(OTHER, 1, 0)
    request = send(wanted, 0)
    assert verdict(wanted, delivered, Outcome.INVALID)[2:] == (
        Ended(request, Cause.LINK_CLOSED),
        Retry(OTHER, Cause.LINK_CLOSED),
    )


def test_peer_with_many_false_answers_is_blocked_exactly_once() -> None:
    wanted = core("a")
    keys = [bytes([number]) for number in range(20)]
    for key in keys:
        wanted.fetch(key, 1, 0)
    deliveries = [answer(wanted, send(wanted)) for _ in keys]
    decisions = [decision for each in deliveries for decision in verdict(wanted, each, Outcome.INVALID)]
    assert [decision for decision in decisions if isinstance(decision, Block)] == [Block("a", keys[0])]
    assert len(wanted) == 20


def test_liar_whose_link_closed_before_the_verdict_is_blocked_all_the_same() -> None:
    wanted, delivered = validating(1, peers="a")
    wanted.closed(1, 0)
    assert Block("a", KEY) in verdict(wanted, delivered, Outcome.INVALID)


def test_ignored_retires_late_subscribers_too_without_rating_retry_or_block() -> None:
    wanted, delivered = validating(1, peers="a", targets=["a"])
    wanted.fetch(KEY, 2, 0)
    assert verdict(wanted, delivered, Outcome.IGNORED) == (Retired(KEY, Reason.IGNORED, delivered.generation),)
    assert wanted.fetcher.scores.of("a") == 0.1
    wanted.fetch(KEY, 3, 1)
    assert wanted.fetcher.targets(KEY) is None
    assert answer(wanted, send(wanted, 1)).subscribers == (3,)


def test_R12_unanswered_retires_the_key_and_blames_nobody() -> None:
    wanted, delivered = validating(1, peers="a")
    assert verdict(wanted, delivered, Outcome.UNANSWERED) == (Retired(KEY, Reason.UNANSWERED, delivered.generation),)
    assert KEY not in wanted
    assert wanted.fetcher.scores.of("a") == 0.1
    assert wanted.fetcher.blocked == 0


def test_R12_unanswered_hands_the_unaccepted_bytes_to_those_who_came_late() -> None:
    wanted, delivered = validating(1, peers="a")
    wanted.fetch(KEY, 2, 0)
    (again,) = verdict(wanted, delivered, Outcome.UNANSWERED)
    assert again == Deliver(KEY, delivered.generation + 1, (2,), VALUE, "a")
    assert verdict(wanted, delivery((again,)), Outcome.INVALID)[0] == Block("a", KEY)


def test_R6_liar_costs_one_wasted_attempt_and_the_honest_answer_follows() -> None:
    wanted, delivered = validating(1)
    verdict(wanted, delivered, Outcome.INVALID)
    honest = answer(wanted, send(wanted, 2), 2)
    assert honest.peer != delivered.peer
    assert Retired(KEY, Reason.FULFILLED, honest.generation) in verdict(wanted, honest, Outcome.COMPLETE)


# Verdicts while REDELIVERING


def test_redelivery_complete_retires_without_rating_or_accepting_twice() -> None:
    wanted, delivered = redelivering()
    score = wanted.fetcher.scores.of(delivered.peer)
    assert verdict(wanted, delivered, Outcome.COMPLETE) == (Retired(KEY, Reason.FULFILLED, delivered.generation),)
    assert wanted.fetcher.scores.of(delivered.peer) == score


def test_redelivery_complete_goes_on_to_those_who_joined_meanwhile() -> None:
    wanted, delivered = redelivering()
    wanted.fetch(KEY, 3, 0)
    (again,) = verdict(wanted, delivered, Outcome.COMPLETE)
    assert again == Deliver(KEY, delivered.generation + 1, (3,), VALUE, delivered.peer)


def test_redelivery_invalid_is_a_contradiction_that_retires_all_and_blocks_nobody() -> None:
    wanted, delivered = redelivering()
    wanted.fetch(KEY, 3, 0)
    assert verdict(wanted, delivered, Outcome.INVALID) == (Retired(KEY, Reason.CONTRADICTED, delivered.generation),)
    assert wanted.fetcher.blocked == 0
    assert wanted.fetcher.wake_up() == float("inf")


def test_redelivery_ambiguous_retries_unrated_and_a_later_complete_is_accepted_anew() -> None:
    wanted, delivered = redelivering()
    score = wanted.fetcher.scores.of(delivered.peer)
    assert verdict(wanted, delivered, Outcome.AMBIGUOUS) == (Retry(KEY, Outcome.AMBIGUOUS),)
    assert wanted.fetcher.scores.of(delivered.peer) == score
    fresh = answer(wanted, send(wanted, 2), 2, b"more")
    assert fresh.value == b"more"
    assert isinstance(verdict(wanted, fresh, Outcome.COMPLETE, 3)[0], Accepted)


def test_redelivery_ignored_retires() -> None:
    wanted, delivered = redelivering()
    assert verdict(wanted, delivered, Outcome.IGNORED) == (Retired(KEY, Reason.IGNORED, delivered.generation),)


def test_redelivery_unanswered_goes_to_those_who_joined_meanwhile_or_retires() -> None:
    wanted, delivered = redelivering()
    wanted.fetch(KEY, 3, 0)
    (again,) = verdict(wanted, delivered, Outcome.UNANSWERED)
    assert delivery((again,)).subscribers == (3,)
    assert verdict(wanted, delivery((again,)), Outcome.UNANSWERED) == (
        Retired(KEY, Reason.UNANSWERED, delivered.generation + 1),
    )
