"""The asking side, through the engine: what comes of answers, whoever sent them and whatever the consumer does."""

import itertools
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import resolver, tracker
from rookery.actors.resolver import Outcome
from rookery.actors.resolver.core import codec
from rookery.runtime import Reply
from rookery.transport import mailbox as transport
from rookery.transport.reasons import Reason

KEY, OTHER, VALUE = b"k", b"o", b"value"


def keys_of(rig: Any) -> list[bytes]:
    return [request.key for _, request in rig.sent() if isinstance(request, codec.Request)]


# Verdicts


def test_R6_false_data_blocks_the_peer_and_another_is_asked(rig: Any) -> None:
    rig.consumer.answers = [False]
    rig.start("bob", "carol", block_duration=60.0)
    rig.listen()
    rig.data.fetch(KEY)
    liar = rig.answer(b"lie")
    assert rig.blocks == [tracker.Block(rig.peer(liar), 60.0, at_least=True)]
    assert rig.events == [resolver.InvalidData(KEY, rig.peer(liar))]
    rig.simulation.run(for_=0.1)
    assert rig.answer(VALUE) != liar
    assert rig.consumer.values == [(KEY, b"lie"), (KEY, VALUE)]
    assert (rig.count("blocks_total"), rig.count("peers_excluded")) == (1, 1)


def test_block_lasts_as_long_as_the_tracker_says_by_default(rig: Any) -> None:
    rig.consumer.answers = [Outcome.INVALID]
    rig.start("bob").fetch(KEY)
    rig.answer(b"lie")
    assert rig.blocks == [tracker.Block(rig.peer("bob"), None, at_least=True)]


def test_peer_that_cannot_be_blocked_is_not_asked_again_over_its_link(rig: Any) -> None:
    rig.watch_blocks(tracker.NotInEffect("transport did not answer"))
    rig.consumer.answers = [False]
    rig.start("bob").fetch(KEY)
    rig.answer(b"lie")
    rig.simulation.run(for_=60)
    assert rig.sent() == []
    assert rig.count("peers_excluded") == 1


def test_R12_exclusion_ends_with_the_block_when_the_peer_connects_again(rig: Any) -> None:
    rig.consumer.answers = [False]
    rig.start("bob").fetch(KEY)
    rig.answer(b"lie")
    rig.close("bob", Reason.BLOCKED)
    rig.simulation.run(for_=60)
    assert rig.sent() == []
    rig.open("bob")
    rig.simulation.run(for_=0.1)
    assert rig.asked()[0] == "bob"


def test_only_holder_that_lies_is_blocked_once_for_many_keys_and_they_wait(rig: Any) -> None:
    keys = [bytes([number]) for number in range(20)]
    rig.consumer.answers = [False] * 20
    data = rig.start("bob", max_requests_per_peer=20)
    data.fetch_all(keys)
    for name, request in rig.sent():
        rig.receive(name, codec.Response(request.id, b"lie"))
    rig.simulation.run(for_=10)
    assert rig.blocked() == [rig.peer("bob")]
    assert rig.count("keys") == 20
    assert rig.count("unmatched_total") == 19


def test_ambiguous_asks_again_and_blocks_nobody(rig: Any) -> None:
    rig.consumer.answers = [Outcome.AMBIGUOUS]
    rig.start("bob", "carol").fetch(KEY)
    first = rig.answer(b"other answer")
    rig.simulation.run(for_=0.1)
    assert rig.answer(VALUE) != first
    assert rig.blocked() == []
    assert rig.count("retries_total", "ambiguous") == 1


def test_ignored_drops_the_key_with_late_subscribers_and_the_next_fetch_is_clean(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    data.fetch(KEY, 1)
    rig.answer(VALUE)
    data.fetch(KEY, 2)
    rig.simulation.settle()
    verdict.set(Outcome.IGNORED)
    rig.simulation.run(for_=10)
    assert (rig.count("keys"), rig.blocked(), rig.sent()) == (0, [], [])
    data.fetch(KEY, 3)
    rig.answer(VALUE)
    assert [subscribers for _, subscribers, _, _ in rig.consumer.deliveries] == [(1,), (3,)]


def test_awaited_verdict_does_not_delay_another_key_and_is_not_asked_twice(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    data.fetch(KEY)
    rig.answer(VALUE)
    data.fetch(OTHER)
    rig.answer(VALUE)
    assert rig.consumer.values == [(KEY, VALUE), (OTHER, VALUE)]
    assert rig.count("verdicts_awaited") == 1
    verdict.set(True)
    rig.simulation.settle()
    assert (rig.count("keys"), rig.count("verdicts_awaited")) == (0, 0)


def test_late_subscriber_gets_the_same_bytes_after_acceptance_without_a_request(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    data.fetch(KEY, 1)
    rig.answer(VALUE)
    data.fetch(KEY, 2)
    rig.simulation.settle()
    verdict.set(True)
    assert rig.sent() == []
    assert [(subscribers, value) for _, subscribers, _, value in rig.consumer.deliveries] == [
        ((1,), VALUE),
        ((2,), VALUE),
    ]
    assert rig.count("fetched_total") == 1


@pytest.mark.parametrize("is_late", [False, True])
def test_fetch_in_reaction_to_an_accepted_verdict_starts_anew(rig: Any, is_late: bool) -> None:
    data = rig.start("bob")
    verdict: Reply[Any] = Reply()

    def accept() -> Any:
        if is_late:
            return verdict
        data.fetch(KEY)
        return True

    rig.consumer.answers = [accept]
    data.fetch(KEY)
    rig.answer(VALUE)
    if is_late:
        verdict.set(True)
        data.fetch(KEY)
    rig.answer(b"newer")
    assert rig.consumer.values == [(KEY, VALUE), (KEY, b"newer")]


def never() -> Reply[Any]:
    return Reply()


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (ValueError("broken"), "ValueError('broken')"),
        (Reply.failed(ValueError("broken later")), "ValueError('broken later')"),
        ("perhaps", "a verdict is an Outcome or a bool, not 'perhaps'"),
        (Reply.of(None), "a verdict is an Outcome or a bool, not None"),
        (never, "ReplyDropped"),
    ],
    ids=["raises", "fails later", "talks nonsense", "talks nonsense later", "drops its reply"],
)
def test_R12_consumer_that_fails_blames_nobody_and_its_key_is_given_up(rig: Any, failure: Any, error: str) -> None:
    rig.consumer.answers = [failure]
    rig.start("bob")
    rig.listen()
    rig.data.fetch(KEY)
    rig.answer(VALUE)
    failed, given_up = rig.events
    assert (failed.part, failed.data_key) == ("consumer", KEY)
    assert error in repr(failed.error)
    assert given_up == resolver.FetchFailed(KEY, resolver.Reason.UNANSWERED)
    rig.simulation.run(for_=10)
    assert (rig.sent(), rig.blocked(), rig.count("keys")) == ([], [], 0)
    assert rig.count("application_failures_total", "consumer") == 1


def test_R12_consumer_that_never_answers_is_given_up_after_the_verdict_time_out(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    rig.start("bob", verdict_timeout=30.0).fetch(KEY)
    rig.answer(VALUE)
    rig.simulation.run(for_=29.9)
    assert rig.count("keys") == 1
    rig.simulation.run(for_=0.1)
    assert rig.count("keys") == 0
    assert rig.blocked() == []
    assert isinstance(verdict.result(), runtime.ReplyCancelled)


def test_R12_bytes_that_a_failed_consumer_saw_go_to_those_who_came_late(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    data.fetch(KEY, 1)
    rig.answer(VALUE)
    data.fetch(KEY, 2)
    rig.simulation.settle()
    verdict.fail(ValueError("broken"))
    assert rig.sent() == []
    assert [subscribers for _, subscribers, _, _ in rig.consumer.deliveries] == [(1,), (2,)]


def test_consumer_that_contradicts_itself_ends_the_key_and_blocks_nobody(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict, False]
    rig.start("bob")
    rig.listen()
    rig.data.fetch(KEY, 1)
    rig.answer(VALUE)
    rig.data.fetch(KEY, 2)
    rig.simulation.settle()
    verdict.set(True)
    assert rig.sent() == []
    assert rig.events == [resolver.FetchFailed(KEY, resolver.Reason.CONTRADICTED)]
    assert (rig.count("keys"), rig.blocked()) == (0, [])


# Strange answers


def test_answer_with_a_wrong_id_or_from_another_peer_has_no_effect(rig: Any) -> None:
    data = rig.start("bob", "carol")
    data.fetch_targeted(KEY, [rig.peer("bob")])
    _, request = rig.asked()
    rig.receive("carol", codec.Response(request.id, b"forged"))
    rig.receive("bob", codec.Response(request.id + 1, b"guessed"))
    rig.receive("carol", codec.Missing(request.id))
    rig.simulation.settle()
    assert rig.consumer.deliveries == []
    assert rig.count("unmatched_total") == 3
    rig.receive("bob", codec.Response(request.id, VALUE))
    rig.receive("bob", codec.Response(request.id, b"again"))
    rig.simulation.settle()
    assert rig.consumer.values == [(KEY, VALUE)]
    assert rig.count("unmatched_total") == 4


def test_answer_over_a_link_that_was_closed_is_discarded_and_counted(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch(KEY)
    _, request = rig.asked()
    rig.receive("bob", codec.Response(request.id, VALUE))
    rig.close("bob", Reason.BLOCKED)  # a control message overtakes data
    rig.simulation.settle()
    assert rig.consumer.deliveries == []
    assert rig.count("stray_total") == 1


@pytest.mark.parametrize("close_malformed", [False, True])
def test_R8_message_that_cannot_be_decoded_is_counted_told_and_punished_if_so_configured(
    rig: Any, close_malformed: bool
) -> None:
    rig.start("bob", close_malformed=close_malformed)
    rig.listen()
    for payload in (b"", b"\xff" * 20, codec.encode(codec.Missing(1)) + b"x"):
        rig.receive("bob", payload)
    rig.simulation.settle()
    assert rig.count("malformed_total") == 3
    assert [event.peer for event in rig.events] == [rig.peer("bob")] * 3
    closed = [transport.CloseLink(rig.links["bob"], Reason.PROTOCOL)] * 3
    assert rig.net.control.received(transport.CloseLink) == (closed if close_malformed else [])
    assert rig.blocked() == []


def test_R10_request_for_a_key_of_another_length_is_malformed_and_never_reaches_the_producer(rig: Any) -> None:
    rig.start("bob")
    rig.receive("bob", codec.Request(1, b"k" * 100_000))
    assert rig.sent() == []
    assert (rig.producer.asked, rig.count("malformed_total")) == ([], 1)


def test_values_and_gauges_follow_a_key_from_waiting_to_judged(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start()

    def gauges() -> tuple[float, ...]:
        rig.simulation.settle()
        return tuple(map(rig.count, ("keys", "keys_waiting", "requests_active", "verdicts_awaited")))

    data.fetch(KEY)
    assert gauges() == (1, 1, 0, 0)
    rig.peer_set("bob")
    rig.open("bob")
    assert gauges() == (1, 0, 1, 0)
    rig.answer(VALUE)
    assert gauges() == (1, 0, 0, 1)
    verdict.set(True)
    assert gauges() == (0, 0, 0, 0)


def test_request_ids_are_not_reused_while_keys_come_and_go(rig: Any) -> None:
    data = rig.start("bob")
    ids = []
    for _ in range(3):
        data.fetch(KEY)
        ids.append(rig.asked()[1].id)
        data.cancel(KEY)
    assert all(later == earlier + 1 for earlier, later in itertools.pairwise(ids))
