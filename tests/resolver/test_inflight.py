"""A wanted key from the first fetch to the last verdict: the transition table of the reference, row by row."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rookery.actors.resolver.effects import (
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
from rookery.actors.resolver.requests import Active
from tests.resolver.core import (
    DELAY,
    KEY,
    LINKS,
    OTHER,
    VALUE,
    Effects,
    answer,
    core,
    delivery,
    redelivering,
    send,
    validating,
    verdict,
)

# Demand: rows 1 to 4


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


# Answers: rows 9 to 12


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


# Verdicts while VALIDATING: rows 13 to 18


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


# Verdicts while REDELIVERING: rows 19 to 23


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


# Generations


@pytest.mark.parametrize("outcome", list(Outcome))
def test_verdict_of_an_older_generation_has_no_effect(outcome: Outcome) -> None:
    inflight, delivered = validating(1)
    verdict(inflight, delivered, Outcome.AMBIGUOUS)
    assert verdict(inflight, delivered, outcome) == ()
    fresh = answer(inflight, send(inflight, 2), 2)
    assert verdict(inflight, delivered, outcome) == ()
    assert inflight.delivering == 1
    assert verdict(inflight, fresh, Outcome.IGNORED) != ()


def test_cancel_before_an_invalid_verdict_saves_the_peer_and_the_verdict_first_blocks_it() -> None:
    inflight, delivered = validating(1)
    inflight.cancel(KEY)
    assert verdict(inflight, delivered, Outcome.INVALID) == ()
    inflight, delivered = validating(1)
    assert Block(delivered.peer, KEY) in verdict(inflight, delivered, Outcome.INVALID)
    inflight.cancel(KEY)
    assert inflight.fetcher.is_blocked(delivered.peer)


def test_fetch_after_a_cancelled_delivery_delivers_exactly_once_under_a_new_generation() -> None:
    inflight, delivered = validating(1)
    inflight.cancel(KEY)
    inflight.fetch(KEY, 1, 1)
    assert verdict(inflight, delivered, Outcome.COMPLETE) == ()
    fresh = answer(inflight, send(inflight, 1), 1)
    assert fresh.generation > delivered.generation


# Cancelling: rows 24 to 26


def test_retain_that_keeps_a_subscriber_keeps_the_request_and_the_open_delivery() -> None:
    inflight, delivered = validating(1, 2)
    assert inflight.retain(lambda _key, subscriber: subscriber == 2) == ()
    assert Retired(KEY, Reason.FULFILLED, delivered.generation) in verdict(inflight, delivered, Outcome.COMPLETE)


def test_retain_that_keeps_all_or_meets_no_key_does_nothing() -> None:
    inflight, _ = validating(1)
    assert inflight.retain(lambda _key, _subscriber: True) == ()
    assert core().retain(lambda _key, _subscriber: False) == ()


def test_retain_of_given_keys_looks_at_those_only_and_ignores_the_unknown() -> None:
    inflight = core()
    for key in (KEY, OTHER):
        inflight.fetch(key, 1, 0)
    assert inflight.retain(lambda _key, _subscriber: False, [OTHER, b"gone"]) == (
        Retired(OTHER, Reason.CANCELLED, None),
    )
    assert list(inflight) == [KEY]


def test_cancel_ends_a_waiting_key_and_is_idempotent() -> None:
    inflight = core()
    inflight.fetch(KEY, 1, 0, ["a"])
    assert inflight.cancel(KEY) == (Retired(KEY, Reason.CANCELLED, None),)
    assert inflight.cancel(KEY) == ()
    assert inflight.fetcher.next(9) is None


def test_cancel_ends_an_active_request_and_its_late_answer_is_not_reused() -> None:
    inflight = core("a")
    inflight.fetch(KEY, 1, 0)
    request = send(inflight)
    assert inflight.cancel(KEY) == (Ended(request, Cause.CANCELLED), Retired(KEY, Reason.CANCELLED, None))
    inflight.fetch(KEY, 1, 0)
    assert inflight.respond(1, request.id, VALUE, 0) == ()
    assert send(inflight).id == request.id + 1


def test_cancel_names_the_generation_of_the_verdict_it_voids() -> None:
    inflight, delivered = validating(1)
    assert inflight.cancel(KEY) == (Retired(KEY, Reason.CANCELLED, delivered.generation),)
    assert inflight.delivering == 0


def test_clear_cancels_everything_and_the_same_key_can_be_fetched_again() -> None:
    inflight, delivered = validating(1)
    inflight.fetch(OTHER, 2, 0)
    assert sorted(inflight.clear(), key=repr) == [
        Retired(KEY, Reason.CANCELLED, delivered.generation),
        Retired(OTHER, Reason.CANCELLED, None),
    ]
    inflight.fetch(KEY, 1, 5)
    assert send(inflight, 5).key == KEY


class InflightMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order: each request ends once, and each live key is in one state."""

    keys = st.sampled_from([b"1", b"2", b"3"])

    def __init__(self) -> None:
        super().__init__()
        self.core = core()
        self.now = 0.0
        self.links = dict(LINKS)
        self.next_link = 10
        self.out: dict[int, Active[str]] = {}
        self.open: dict[bytes, int] = {}
        self.last_generation = 0

    def perform(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Ended(request, _):
                    assert self.out.pop(request.id) == request
                case Deliver(key, generation, subscribers, _, _):
                    assert generation > self.last_generation
                    assert list(subscribers) == sorted(set(subscribers)) != []
                    self.last_generation = self.open[key] = generation
                case Retired(key, _, generation):
                    assert self.open.pop(key, None) == generation
                    assert key not in self.core
                case Retry(key, Outcome()):
                    del self.open[key]
                case Block(peer, _):
                    self.links.pop(peer, None)
                case _:
                    pass

    @rule(key=keys, subscriber=st.integers(1, 3), only=st.none() | st.sets(st.sampled_from("ab"), min_size=1))
    def fetch(self, key: bytes, subscriber: int, only: set[str] | None) -> None:
        self.core.fetch(key, subscriber, self.now, only)

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.6]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.perform(self.core.expire(self.now, 100))

    @rule()
    def send(self) -> None:
        attempt = self.core.fetcher.next(self.now)
        if attempt is not None:
            assert attempt.link == self.links[attempt.peer]
            self.out[attempt.id] = self.core.fetcher.sent(attempt, self.now)

    @rule(data=st.data(), has_data=st.booleans())
    def answer(self, data: st.DataObject, has_data: bool) -> None:
        request_id = data.draw(st.integers(0, 1) if not self.out else st.sampled_from(sorted(self.out)))
        link = self.out[request_id].link if request_id in self.out else 1
        respond = self.core.respond(link, request_id, VALUE, self.now) if has_data else ()
        self.perform(respond if has_data else self.core.missing(link, request_id, self.now))

    @rule(key=keys, outcome=st.sampled_from(Outcome), age=st.sampled_from([0, 0, 1]))
    def judge(self, key: bytes, outcome: Outcome, age: int) -> None:
        generation = self.open.get(key, 0) - age
        effects = self.core.verdict(key, generation, outcome, self.now)
        assert (effects != ()) == (key in self.open and age == 0)
        self.perform(effects)

    @rule(key=keys)
    def cancel(self, key: bytes) -> None:
        self.perform(self.core.cancel(key))

    @rule(least=st.integers(1, 3))
    def retain(self, least: int) -> None:
        self.perform(self.core.retain(lambda _key, subscriber: subscriber >= least))

    @rule(peer=st.sampled_from("ab"))
    def link_changes(self, peer: str) -> None:
        if peer in self.links:
            self.perform(self.core.closed(self.links.pop(peer), self.now))
        else:
            self.next_link += 1
            self.links[peer] = self.next_link
            self.core.fetcher.open(peer, self.next_link)

    @invariant()
    def each_live_key_is_in_exactly_one_state(self) -> None:
        fetcher = self.core.fetcher
        assert fetcher.active == len(self.out)
        assert self.core.delivering == len(self.open)
        assert fetcher.waiting + fetcher.active + self.core.delivering == len(self.core)
        assert set(self.open) <= set(self.core)


InflightMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=40, deadline=None)
TestInflightKeepsItsPromises = InflightMachine.TestCase
