"""`cancel`, `clear`, `retain` and `get`, through the engine."""

from typing import Any

import pytest

from rookery import runtime
from rookery.actors import resolver
from rookery.actors.resolver import Outcome
from rookery.actors.resolver.core import codec
from rookery.actors.resolver.parts.retain import KEYS_PER_SLICE as SLICE
from rookery.runtime import Reply
from rookery.runtime.actor import context
from rookery.transport import mailbox as transport

KEY, OTHER, VALUE = b"k", b"o", b"value"


def stop(data: Any, how: str) -> None:
    {
        "cancel": lambda: data.cancel(KEY),
        "clear": data.clear,
        "retain": lambda: data.retain(lambda _key, _subscriber: False),
    }[how]()


every_way = pytest.mark.parametrize("how", ["cancel", "clear", "retain"])


@every_way
def test_stopped_fetch_is_silent_and_its_late_answer_has_no_effect(rig: Any, how: str) -> None:
    data = rig.start("bob")
    data.fetch(KEY)
    _, request = rig.asked()
    stop(data, how)
    rig.receive("bob", codec.Response(request.id, VALUE))
    rig.simulation.run(for_=10)
    assert (rig.consumer.deliveries, rig.sent(), rig.count("keys")) == ([], [], 0)
    assert (rig.count("retired_total", "cancelled"), rig.count("requests_total", "cancelled")) == (1, 1)


@every_way
def test_stopped_key_can_be_fetched_again_at_once(rig: Any, how: str) -> None:
    data = rig.start("bob")
    data.fetch(KEY)
    stop(data, how)
    data.fetch(KEY)
    rig.simulation.settle()
    name, request = rig.sent()[-1]
    rig.receive(name, codec.Response(request.id, VALUE))
    rig.simulation.settle()
    assert rig.consumer.values == [(KEY, VALUE)]


@every_way
def test_open_verdict_of_a_stopped_key_is_withdrawn_and_not_heard(rig: Any, how: str) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    data.fetch(KEY)
    rig.answer(VALUE)
    stop(data, how)
    rig.simulation.settle()
    assert isinstance(verdict.result(), runtime.ReplyCancelled)
    verdict.set(False)
    data.fetch(KEY)
    rig.answer(VALUE)
    assert rig.blocked() == []
    assert rig.consumer.values == [(KEY, VALUE)] * 2
    assert rig.count("application_failures_total", "consumer") == 0


@every_way
def test_verdict_that_was_given_before_the_stop_counts(rig: Any, how: str) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    data.fetch(KEY)
    rig.answer(VALUE)
    verdict.set(Outcome.INVALID)
    stop(data, how)
    rig.simulation.settle()
    assert rig.blocked() == [rig.peer("bob")]


@every_way
def test_stopping_when_nothing_is_wanted_does_nothing(rig: Any, how: str) -> None:
    data = rig.start("bob")
    stop(data, how)
    rig.simulation.settle()
    assert rig.count("retired_total", "cancelled") == 0
    assert rig.sent() == []


def test_cancel_of_one_key_leaves_the_others(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch_all([KEY, OTHER])
    data.cancel(KEY)
    rig.simulation.settle()
    for name, request in rig.sent():
        rig.receive(name, codec.Response(request.id, VALUE))
    rig.simulation.settle()
    assert rig.consumer.values == [(OTHER, VALUE)]


def test_retain_drops_subscribers_and_keeps_the_fetch_for_those_who_remain(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch(KEY, 1)
    data.fetch(KEY, 2)
    data.retain(lambda key, subscriber: (key, subscriber) == (KEY, 2))
    rig.answer(VALUE)
    assert [subscribers for _, subscribers, _, _ in rig.consumer.deliveries] == [(2,)]


def test_retain_is_applied_once_and_not_to_what_is_fetched_later(rig: Any) -> None:
    data = rig.start("bob")
    data.retain(lambda _key, _subscriber: False)
    data.fetch(KEY)
    rig.answer(VALUE)
    assert rig.consumer.values == [(KEY, VALUE)]


def test_R14_predicate_runs_on_the_resolver_and_not_in_the_caller(rig: Any) -> None:
    data = rig.start()
    data.fetch(KEY)
    rig.simulation.settle()
    calls: list[object] = []

    def predicate(_key: bytes, _subscriber: object) -> bool:
        calls.append(context.current())
        return True

    data.retain(predicate)
    data.fetch(OTHER)
    assert calls == []
    rig.simulation.settle()
    assert [type(engine) for engine in calls] == [resolver.Engine]


def test_predicate_that_raises_keeps_everything_from_there_on_and_is_reported_once(rig: Any) -> None:
    data = rig.start()
    rig.listen()
    data.fetch_all([bytes([number]) for number in range(4)])
    shown: list[bytes] = []

    def predicate(key: bytes, _subscriber: object) -> bool:
        shown.append(key)
        if len(shown) == 2:
            raise ValueError("broken")
        return False

    data.retain(predicate)
    rig.simulation.settle()
    assert rig.count("keys") == 3
    (event,) = rig.events
    assert (event.part, event.data_key, repr(event.error)) == ("predicate", shown[1], "ValueError('broken')")
    assert len(shown) == 2


def test_subscriber_that_does_not_compare_with_others_is_reported_and_harms_nobody(rig: Any) -> None:
    data = rig.start("bob")
    rig.listen()
    data.fetch(KEY, 1)
    data.fetch(KEY, "one")
    rig.answer(VALUE)
    assert [subscribers for _, subscribers, _, _ in rig.consumer.deliveries] == [(1,)]
    (event,) = rig.events
    assert (event.part, type(event.error)) == ("subscriber", resolver.UnusableSubscriber)


def many(data: Any, rig: Any) -> list[bytes]:
    keys = [number.to_bytes(2, "big") for number in range(3 * SLICE)]
    data.fetch_all(keys, 1)
    rig.simulation.settle()
    return keys


def test_retain_of_very_many_keys_goes_in_slices_between_which_answers_are_handled(rig: Any) -> None:
    data = rig.start("bob", key_length=2, max_requests_per_peer=1)
    keys = many(data, rig)
    _, request = rig.asked()
    data.retain(lambda key, _subscriber: key == keys[0])
    rig.receive("bob", codec.Response(request.id, VALUE))
    rig.simulation.run_until(lambda: rig.consumer.deliveries, timeout=0)
    assert rig.count("keys") == 2 * SLICE - 1
    rig.simulation.settle()
    assert rig.count("keys") == 0


def test_clear_of_very_many_keys_goes_in_slices(rig: Any) -> None:
    data = rig.start(key_length=2)
    many(data, rig)
    data.clear()
    left = [rig.count("keys")]
    while left[-1]:
        rig.simulation.run_until(lambda: rig.count("keys") < left[-1], timeout=0)
        left.append(rig.count("keys"))
    assert left == [3 * SLICE, 2 * SLICE, SLICE, 0]


def test_commands_given_during_a_long_retain_wait_for_its_end_and_keep_their_order(rig: Any) -> None:
    data = rig.start(key_length=2)
    keys = many(data, rig)
    data.retain(lambda _key, _subscriber: False)
    data.fetch(keys[-1], 2)
    waiting = data.get(keys[-2])
    data.fetch(keys[0], 2)
    data.cancel(keys[0])
    rig.simulation.settle()
    assert rig.count("keys") == 2
    rig.peer_set("bob")
    rig.open("bob")
    for name, request in rig.sent():
        rig.receive(name, codec.Response(request.id, request.key))
    rig.simulation.settle()
    assert waiting.get(timeout=0) == keys[-2]
    assert {key for key, _ in rig.consumer.values} == {keys[-1], keys[-2]}


# get


def test_get_answers_the_accepted_value(rig: Any) -> None:
    data = rig.start("bob")
    reply = data.get(KEY)
    rig.answer(VALUE)
    assert reply.get(timeout=0) == VALUE
    assert rig.consumer.deliveries == [(KEY, (), rig.peer("bob"), VALUE)]


def test_get_that_joins_a_fetch_shares_its_request_and_is_no_subscriber_to_the_consumer(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch(KEY, "tag")
    reply = data.get(KEY)
    rig.answer(VALUE)
    assert reply.get(timeout=0) == VALUE
    assert [subscribers for _, subscribers, _, _ in rig.consumer.deliveries] == [("tag",)]


def test_get_during_a_verdict_is_answered_with_the_same_bytes(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    first = data.get(KEY)
    rig.answer(VALUE)
    second = data.get(KEY)
    rig.simulation.settle()
    verdict.set(True)
    assert (first.get(timeout=0), second.get(timeout=0)) == (VALUE, VALUE)
    assert rig.sent() == []


def test_get_waits_through_false_and_ambiguous_data(rig: Any) -> None:
    rig.consumer.answers = [False, Outcome.AMBIGUOUS]
    data = rig.start("bob", "carol")
    reply = data.get(KEY)
    for value in (b"lie", b"other", VALUE):
        assert not reply.done
        rig.answer(value)
        rig.simulation.run(for_=0.1)
    assert reply.get(timeout=0) == VALUE


@pytest.mark.parametrize("how", ["cancel", "clear"])
def test_waiting_get_fails_when_it_is_cancelled_or_cleared(rig: Any, how: str) -> None:
    data = rig.start("bob")
    replies = [data.get(KEY), data.get(KEY)]
    stop(data, how)
    for reply in replies:
        with pytest.raises(resolver.FetchCancelled, match="6b was not fetched: cancelled"):
            reply.get(timeout=1)
    assert rig.count("keys") == 0


def test_retain_keeps_a_waiting_get(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch(KEY, 1)
    reply = data.get(KEY)
    stop(data, "retain")
    rig.answer(VALUE)
    assert reply.get(timeout=0) == VALUE
    assert [subscribers for _, subscribers, _, _ in rig.consumer.deliveries] == [()]


def test_get_with_a_timeout_fails_when_it_is_over_and_leaves_the_key_to_the_others(rig: Any) -> None:
    data = rig.start("bob")
    short, long = data.get(KEY, timeout=2), data.get(KEY, timeout=20)
    rig.simulation.run(for_=1.9)
    assert not short.done
    with pytest.raises(resolver.FetchTimedOut, match="not within 2 s"):
        short.get(timeout=0.2)
    name, request = rig.sent()[-1]
    rig.receive(name, codec.Response(request.id, VALUE))
    assert long.get(timeout=0) == VALUE


def test_get_alone_that_times_out_stops_the_fetch(rig: Any) -> None:
    data = rig.start("bob")
    reply = data.get(KEY, timeout=2)
    rig.simulation.run(for_=2)
    assert isinstance(reply.result(), TimeoutError)
    assert rig.count("keys") == 0


def test_timeout_of_a_get_that_was_answered_does_nothing(rig: Any) -> None:
    data = rig.start("bob")
    reply = data.get(KEY, timeout=2)
    rig.answer(VALUE)
    data.fetch(KEY)
    rig.simulation.run(for_=5)
    assert reply.get(timeout=0) == VALUE
    assert rig.count("keys") == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(Outcome.IGNORED, resolver.Reason.IGNORED), (ValueError("broken"), resolver.Reason.UNANSWERED)],
    ids=["ignores", "raises"],
)
def test_get_fails_when_the_consumer_gives_its_key_up(rig: Any, answer: Any, reason: resolver.Reason) -> None:
    rig.consumer.answers = [answer]
    reply = rig.start("bob").get(KEY)
    rig.answer(VALUE)
    with pytest.raises(resolver.FetchRetired) as error:
        reply.get(timeout=0)
    assert error.value.reason is reason


def test_get_of_a_key_of_another_length_told_before_the_start_is_declined(rig: Any) -> None:
    mailbox = rig.simulation.mailbox(resolver.Mailbox, "early")
    reply = mailbox.get(b"too long")
    engine: dict[str, Any] = {"transport": rig.net, "tracker": rig.tracker, "channel": 16}
    rig.simulation.start(
        mailbox, resolver.Engine, resolver.Config(), producer=rig.producer, consumer=rig.consumer, **engine
    )
    with pytest.raises(resolver.BadKey, match="a key of 8 bytes: keys of this resolver have 32"):
        reply.get(timeout=1)


def test_shutdown_withdraws_open_verdicts_and_fails_waiting_gets(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    data.fetch(KEY)
    rig.answer(VALUE)
    reply = data.get(OTHER)
    rig.simulation.settle()
    rig.simulation.stop()
    assert isinstance(verdict.result(), runtime.ReplyCancelled)
    assert isinstance(reply.result(), runtime.EngineGone)
    assert rig.net.control.received(transport.CloseLink) == []
