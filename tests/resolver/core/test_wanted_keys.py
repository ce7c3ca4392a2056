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
    inflight = core()
    inflight.fetch(KEY, 1, 0)
    assert KEY in inflight
    assert list(inflight) == [KEY]
    assert inflight.fetcher.wake_up() <= 0


def test_fetch_with_targets_restricts_an_idle_key() -> None:
    inflight = core()
    inflight.fetch(KEY, 1, 0, ["b"])
    assert send(inflight).peer == "b"


def test_fetch_twice_makes_one_request_and_one_delivery_with_sorted_subscribers() -> None:
    inflight = core()
    for subscriber in (2, 1, 2):
        inflight.fetch(KEY, subscriber, 0)
    request = send(inflight)
    assert inflight.fetcher.next(0) is None
    assert answer(inflight, request).subscribers == (1, 2)


def test_untargeted_fetch_opens_a_targeted_key_and_a_targeted_one_never_narrows() -> None:
    inflight = core()
    inflight.fetch(KEY, 1, 0, ["absent"])
    inflight.fetch(KEY, 2, 0)
    inflight.fetch(KEY, 3, 0, ["absent"])
    assert inflight.fetcher.targets(KEY) is None


def test_targeted_fetch_widens_a_targeted_key() -> None:
    inflight = core()
    inflight.fetch(KEY, 1, 0, ["absent"])
    inflight.fetch(KEY, 2, 0, ["b"])
    assert inflight.fetcher.targets(KEY) == frozenset({"absent", "b"})


# Answers


def test_response_ends_the_request_and_delivers_the_very_bytes() -> None:
    inflight = core("a")
    inflight.fetch(KEY, 1, 0)
    request = send(inflight)
    assert inflight.respond(1, request.id, VALUE, 0.5) == (
        Ended(request, Cause.ANSWERED),
        Deliver(KEY, 1, (1,), VALUE, "a"),
    )
    assert inflight.delivering == 1
    assert inflight.fetcher.scores.of("a") == 0.1


def test_empty_value_is_delivered_as_data() -> None:
    inflight = core("a")
    inflight.fetch(KEY, 1, 0)
    assert answer(inflight, send(inflight), value=b"").value == b""


@pytest.mark.parametrize("cause", [Cause.MISSING, Cause.TIMED_OUT, Cause.LINK_CLOSED])
def test_request_that_brings_nothing_is_retried_after_the_delay(cause: Cause) -> None:
    inflight = core("a")
    inflight.fetch(KEY, 1, 0)
    request = send(inflight)
    effects = {
        Cause.MISSING: lambda: inflight.missing(1, request.id, 2),
        Cause.TIMED_OUT: lambda: inflight.expire(2, 100),
        Cause.LINK_CLOSED: lambda: inflight.closed(1, 2),
    }[cause]()
    assert effects == (Ended(request, cause), Retry(KEY, cause))
    if cause is Cause.LINK_CLOSED:
        inflight.fetcher.open("a", 7)
    assert inflight.fetcher.wake_up() == 2 + DELAY


def test_answer_that_is_late_repeated_or_from_another_link_has_no_effect() -> None:
    inflight = core("a")
    inflight.fetch(KEY, 1, 0)
    request = send(inflight)
    assert inflight.respond(2, request.id, VALUE, 0) == ()
    assert inflight.missing(2, request.id, 0) == ()
    assert inflight.respond(1, request.id + 1, VALUE, 0) == ()
    answer(inflight, request)
    assert inflight.respond(1, request.id, VALUE, 0) == ()
    assert inflight.missing(1, request.id, 0) == ()


def test_awaited_verdict_does_not_delay_another_key() -> None:
    inflight, _ = validating(1)
    inflight.fetch(OTHER, 1, 0)
    assert send(inflight).key == OTHER


# Verdicts while VALIDATING


def test_complete_with_nobody_else_waiting_rates_accepts_and_retires() -> None:
    inflight, delivered = validating(1, 2, peers="a")
    assert verdict(inflight, delivered, Outcome.COMPLETE) == (
        Accepted(KEY, "a", 1),
        Retired(KEY, Reason.FULFILLED, delivered.generation),
    )
    assert KEY not in inflight
    assert KEY not in inflight.fetcher
    assert inflight.fetcher.scores.of("a") == pytest.approx(0.06)


def test_fetch_during_validation_gets_the_same_bytes_after_acceptance_without_a_request() -> None:
    inflight, delivered = validating(1, peers="a")
    inflight.fetch(KEY, 2, 0)
    assert inflight.fetcher.next(9) is None
    assert verdict(inflight, delivered, Outcome.COMPLETE) == (
        Accepted(KEY, "a", 1),
        Deliver(KEY, delivered.generation + 1, (2,), VALUE, "a"),
    )


def test_subscriber_who_fetches_again_during_validation_is_absorbed() -> None:
    inflight, delivered = validating(1)
    inflight.fetch(KEY, 1, 0)
    verdict(inflight, delivered, Outcome.COMPLETE)
    assert KEY not in inflight


def test_ambiguous_rates_and_retries_with_late_subscribers_and_targets_and_blocks_nobody() -> None:
    inflight, delivered = validating(1, peers="a", targets=["a"])
    inflight.fetch(KEY, 2, 0, ["b"])
    assert verdict(inflight, delivered, Outcome.AMBIGUOUS) == (Retry(KEY, Outcome.AMBIGUOUS),)
    assert inflight.fetcher.scores.of("a") == pytest.approx(0.06)
    assert inflight.fetcher.targets(KEY) == frozenset({"a", "b"})
    assert inflight.fetcher.wake_up() == 1 + DELAY
    assert answer(inflight, send(inflight, 2)).subscribers == (1, 2)


def test_invalid_blocks_the_peer_and_retries_at_another() -> None:
    inflight, delivered = validating(1, targets=["a", "b"])
    assert verdict(inflight, delivered, Outcome.INVALID) == (
        Block(delivered.peer, KEY),
        Retry(KEY, Outcome.INVALID),
    )
    other = "b" if delivered.peer == "a" else "a"
    assert inflight.fetcher.targets(KEY) == frozenset({other})
    assert inflight.fetcher.scores.of(delivered.peer) == pytest.approx(0.06)
    assert send(inflight, 2).peer == other


def test_invalid_fails_the_other_requests_of_that_peer_at_once() -> None:
    inflight, delivered = validating(1, peers="a")
    inflight.fetch(OTHER, 1, 0)
    request = send(inflight, 0)
    assert verdict(inflight, delivered, Outcome.INVALID)[2:] == (
        Ended(request, Cause.LINK_CLOSED),
        Retry(OTHER, Cause.LINK_CLOSED),
    )


def test_peer_with_many_false_answers_is_blocked_exactly_once() -> None:
    inflight = core("a")
    keys = [bytes([number]) for number in range(20)]
    for key in keys:
        inflight.fetch(key, 1, 0)
    deliveries = [answer(inflight, send(inflight)) for _ in keys]
    effects = [effect for each in deliveries for effect in verdict(inflight, each, Outcome.INVALID)]
    assert [effect for effect in effects if isinstance(effect, Block)] == [Block("a", keys[0])]
    assert len(inflight) == 20


def test_liar_whose_link_closed_before_the_verdict_is_blocked_all_the_same() -> None:
    inflight, delivered = validating(1, peers="a")
    inflight.closed(1, 0)
    assert Block("a", KEY) in verdict(inflight, delivered, Outcome.INVALID)


def test_ignored_retires_late_subscribers_too_without_rating_retry_or_block() -> None:
    inflight, delivered = validating(1, peers="a", targets=["a"])
    inflight.fetch(KEY, 2, 0)
    assert verdict(inflight, delivered, Outcome.IGNORED) == (Retired(KEY, Reason.IGNORED, delivered.generation),)
    assert inflight.fetcher.scores.of("a") == 0.1
    inflight.fetch(KEY, 3, 1)
    assert inflight.fetcher.targets(KEY) is None
    assert answer(inflight, send(inflight, 1)).subscribers == (3,)


def test_R12_unanswered_retires_the_key_and_blames_nobody() -> None:
    inflight, delivered = validating(1, peers="a")
    assert verdict(inflight, delivered, Outcome.UNANSWERED) == (Retired(KEY, Reason.UNANSWERED, delivered.generation),)
    assert KEY not in inflight
    assert inflight.fetcher.scores.of("a") == 0.1
    assert inflight.fetcher.blocked == 0


def test_R12_unanswered_hands_the_unaccepted_bytes_to_those_who_came_late() -> None:
    inflight, delivered = validating(1, peers="a")
    inflight.fetch(KEY, 2, 0)
    (again,) = verdict(inflight, delivered, Outcome.UNANSWERED)
    assert again == Deliver(KEY, delivered.generation + 1, (2,), VALUE, "a")
    assert verdict(inflight, delivery((again,)), Outcome.INVALID)[0] == Block("a", KEY)


def test_R6_liar_costs_one_wasted_attempt_and_the_honest_answer_follows() -> None:
    inflight, delivered = validating(1)
    verdict(inflight, delivered, Outcome.INVALID)
    honest = answer(inflight, send(inflight, 2), 2)
    assert honest.peer != delivered.peer
    assert Retired(KEY, Reason.FULFILLED, honest.generation) in verdict(inflight, honest, Outcome.COMPLETE)


# Verdicts while REDELIVERING


def test_redelivery_complete_retires_without_rating_or_accepting_twice() -> None:
    inflight, delivered = redelivering()
    score = inflight.fetcher.scores.of(delivered.peer)
    assert verdict(inflight, delivered, Outcome.COMPLETE) == (Retired(KEY, Reason.FULFILLED, delivered.generation),)
    assert inflight.fetcher.scores.of(delivered.peer) == score


def test_redelivery_complete_goes_on_to_those_who_joined_meanwhile() -> None:
    inflight, delivered = redelivering()
    inflight.fetch(KEY, 3, 0)
    (again,) = verdict(inflight, delivered, Outcome.COMPLETE)
    assert again == Deliver(KEY, delivered.generation + 1, (3,), VALUE, delivered.peer)


def test_redelivery_invalid_is_a_contradiction_that_retires_all_and_blocks_nobody() -> None:
    inflight, delivered = redelivering()
    inflight.fetch(KEY, 3, 0)
    assert verdict(inflight, delivered, Outcome.INVALID) == (Retired(KEY, Reason.CONTRADICTED, delivered.generation),)
    assert inflight.fetcher.blocked == 0
    assert inflight.fetcher.wake_up() == float("inf")


def test_redelivery_ambiguous_retries_unrated_and_a_later_complete_is_accepted_anew() -> None:
    inflight, delivered = redelivering()
    score = inflight.fetcher.scores.of(delivered.peer)
    assert verdict(inflight, delivered, Outcome.AMBIGUOUS) == (Retry(KEY, Outcome.AMBIGUOUS),)
    assert inflight.fetcher.scores.of(delivered.peer) == score
    fresh = answer(inflight, send(inflight, 2), 2, b"more")
    assert fresh.value == b"more"
    assert isinstance(verdict(inflight, fresh, Outcome.COMPLETE, 3)[0], Accepted)


def test_redelivery_ignored_retires() -> None:
    inflight, delivered = redelivering()
    assert verdict(inflight, delivered, Outcome.IGNORED) == (Retired(KEY, Reason.IGNORED, delivered.generation),)


def test_redelivery_unanswered_goes_to_those_who_joined_meanwhile_or_retires() -> None:
    inflight, delivered = redelivering()
    inflight.fetch(KEY, 3, 0)
    (again,) = verdict(inflight, delivered, Outcome.UNANSWERED)
    assert delivery((again,)).subscribers == (3,)
    assert verdict(inflight, delivery((again,)), Outcome.UNANSWERED) == (
        Retired(KEY, Reason.UNANSWERED, delivered.generation + 1),
    )
