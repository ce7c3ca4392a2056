"""A wanted key that is cancelled, wanted anew, or both at once; and whatever happens in whatever order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rookery.actors.resolver.core.decisions import Block, Cause, Deliver, Ended, Outcome, Reason, Retired, Retry
from rookery.actors.resolver.core.fetching.requests import Active
from tests.resolver.core.states import KEY, LINKS, OTHER, VALUE, Decisions, answer, core, send, validating, verdict

# Generations


@pytest.mark.parametrize("outcome", list(Outcome))
def test_verdict_of_an_older_generation_has_no_effect(outcome: Outcome) -> None:
    wanted, delivered = validating(1)
    verdict(wanted, delivered, Outcome.AMBIGUOUS)
    assert verdict(wanted, delivered, outcome) == ()
    fresh = answer(wanted, send(wanted, 2), 2)
    assert verdict(wanted, delivered, outcome) == ()
    assert wanted.delivering == 1
    assert verdict(wanted, fresh, Outcome.IGNORED) != ()


def test_cancel_before_an_invalid_verdict_saves_the_peer_and_the_verdict_first_blocks_it() -> None:
    wanted, delivered = validating(1)
    wanted.cancel(KEY)
    assert verdict(wanted, delivered, Outcome.INVALID) == ()
    wanted, delivered = validating(1)
    assert Block(delivered.peer, KEY) in verdict(wanted, delivered, Outcome.INVALID)
    wanted.cancel(KEY)
    assert wanted.fetcher.is_blocked(delivered.peer)


def test_fetch_after_a_cancelled_delivery_delivers_exactly_once_under_a_new_generation() -> None:
    wanted, delivered = validating(1)
    wanted.cancel(KEY)
    wanted.fetch(KEY, 1, 1)
    assert verdict(wanted, delivered, Outcome.COMPLETE) == ()
    fresh = answer(wanted, send(wanted, 1), 1)
    assert fresh.generation > delivered.generation


# Cancelling


def test_retain_that_keeps_a_subscriber_keeps_the_request_and_the_open_delivery() -> None:
    wanted, delivered = validating(1, 2)
    assert wanted.retain(lambda _key, subscriber: subscriber == 2) == ()
    assert Retired(KEY, Reason.FULFILLED, delivered.generation) in verdict(wanted, delivered, Outcome.COMPLETE)


def test_retain_that_keeps_all_or_meets_no_key_does_nothing() -> None:
    wanted, _ = validating(1)
    assert wanted.retain(lambda _key, _subscriber: True) == ()
    assert core().retain(lambda _key, _subscriber: False) == ()


def test_retain_of_given_keys_looks_at_those_only_and_ignores_the_unknown() -> None:
    wanted = core()
    for key in (KEY, OTHER):
        wanted.fetch(key, 1, 0)
    assert wanted.retain(lambda _key, _subscriber: False, [OTHER, b"gone"]) == (Retired(OTHER, Reason.CANCELLED, None),)
    assert list(wanted) == [KEY]


def test_cancel_ends_a_waiting_key_and_is_idempotent() -> None:
    wanted = core()
    wanted.fetch(KEY, 1, 0, ["a"])
    assert wanted.cancel(KEY) == (Retired(KEY, Reason.CANCELLED, None),)
    assert wanted.cancel(KEY) == ()
    assert wanted.fetcher.next(9) is None


def test_cancel_ends_an_active_request_and_its_late_answer_is_not_reused() -> None:
    wanted = core("a")
    wanted.fetch(KEY, 1, 0)
    request = send(wanted)
    assert wanted.cancel(KEY) == (Ended(request, Cause.CANCELLED), Retired(KEY, Reason.CANCELLED, None))
    wanted.fetch(KEY, 1, 0)
    assert wanted.respond(1, request.id, VALUE, 0) == ()
    assert send(wanted).id == request.id + 1


def test_cancel_names_the_generation_of_the_verdict_it_voids() -> None:
    wanted, delivered = validating(1)
    assert wanted.cancel(KEY) == (Retired(KEY, Reason.CANCELLED, delivered.generation),)
    assert wanted.delivering == 0


def test_clear_cancels_everything_and_the_same_key_can_be_fetched_again() -> None:
    wanted, delivered = validating(1)
    wanted.fetch(OTHER, 2, 0)
    assert sorted(wanted.clear(), key=repr) == [
        Retired(KEY, Reason.CANCELLED, delivered.generation),
        Retired(OTHER, Reason.CANCELLED, None),
    ]
    wanted.fetch(KEY, 1, 5)
    assert send(wanted, 5).key == KEY


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

    def perform(self, decisions: Decisions) -> None:
        for decision in decisions:
            match decision:
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
        decisions = self.core.verdict(key, generation, outcome, self.now)
        assert (decisions != ()) == (key in self.open and age == 0)
        self.perform(decisions)

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
            self.core.fetcher.open(peer, self.next_link, 0)

    @invariant()
    def each_live_key_is_in_exactly_one_state(self) -> None:
        fetcher = self.core.fetcher
        assert fetcher.active == len(self.out)
        assert self.core.delivering == len(self.open)
        assert fetcher.waiting + fetcher.active + self.core.delivering == len(self.core)
        assert set(self.open) <= set(self.core)


InflightMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=40, deadline=None)
TestInflightKeepsItsPromises = InflightMachine.TestCase
