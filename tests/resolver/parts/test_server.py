"""The serving side: each request is answered, and what it may cost is bounded."""

from typing import Any

import pytest

from rookery import runtime
from rookery.actors import resolver
from rookery.actors.resolver.core import codec
from rookery.actors.resolver.core.codec import Missing, Request, Response
from rookery.runtime import Feedback, Reply
from rookery.transport import mailbox as transport

KEY, OTHER, VALUE = b"k", b"o", b"value"


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (VALUE, Response(7, VALUE)),
        (b"", Response(7, b"")),
        (memoryview(VALUE), Response(7, VALUE)),
        (None, Missing(7)),
        (lambda: Reply.of(VALUE), Response(7, VALUE)),
        (lambda: Reply.of(None), Missing(7)),
    ],
    ids=["value", "empty value", "view", "none", "value later", "none later"],
)
def test_request_is_answered_with_what_the_producer_has(rig: Any, value: Any, answer: codec.Message) -> None:
    rig.producer.data[KEY] = value
    rig.start("bob")
    rig.receive("bob", Request(7, KEY))
    assert rig.sent() == [("bob", answer)]
    assert rig.producer.asked == [KEY]


def test_request_of_a_peer_outside_the_set_is_served(rig: Any) -> None:
    rig.producer.data[KEY] = VALUE
    rig.start("bob")
    rig.open("carol")
    rig.receive("carol", Request(1, KEY))
    assert rig.sent() == [("carol", Response(1, VALUE))]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (ValueError("broken"), "ValueError('broken')"),
        (lambda: Reply.failed(ValueError("broken later")), "ValueError('broken later')"),
        (lambda: "text", "a value is bytes or None, not str"),
        (lambda: memoryview(VALUE)[::2], "a value is bytes or None, not memoryview"),
    ],
    ids=["raises", "fails later", "wrong type", "view with gaps"],
)
def test_producer_that_fails_is_reported_and_the_asker_is_told_no_data(rig: Any, failure: Any, error: str) -> None:
    rig.producer.data[KEY] = failure
    rig.start("bob")
    rig.listen()
    rig.receive("bob", Request(7, KEY))
    assert rig.sent() == [("bob", Missing(7))]
    (event,) = rig.events
    assert (event.part, event.data_key) == ("producer", KEY)
    assert error in repr(event.error)
    assert rig.count("serves_total", "failed") == 1


def test_producer_that_drops_its_reply_has_no_data(rig: Any) -> None:
    rig.producer.data[KEY] = Reply
    rig.start("bob")
    rig.receive("bob", Request(7, KEY))
    assert rig.sent() == [("bob", Missing(7))]
    assert rig.count("application_failures_total", "producer") == 0


def test_R11_stuck_producer_frees_its_place_after_the_time_out_and_the_asker_is_told(rig: Any) -> None:
    stuck: Reply[Any] = Reply()
    rig.producer.data = {KEY: stuck, OTHER: VALUE}
    rig.start("bob", serve_timeout=4.0, max_serves=1, max_serves_per_peer=1)
    rig.receive("bob", Request(1, KEY))
    rig.simulation.run(for_=3.9)
    assert (rig.sent(), rig.count("serves_active")) == ([], 1)
    rig.simulation.run(for_=0.1)
    assert rig.sent() == [("bob", Missing(1))]
    assert (rig.count("serves_active"), rig.count("serves_total", "timed out")) == (0, 1)
    assert isinstance(stuck.result(), runtime.ReplyCancelled)
    rig.receive("bob", Request(2, OTHER))
    assert rig.sent() == [("bob", Response(2, VALUE))]


def test_R9_flood_of_requests_is_worked_on_up_to_the_caps_and_the_rest_is_told_no_data(rig: Any) -> None:
    held: list[Reply[Any]] = []

    def hold() -> Reply[Any]:
        held.append(Reply())
        return held[-1]

    rig.producer.data[KEY] = hold
    rig.start("alice", "bob", "carol", max_serves=5, max_serves_per_peer=2)
    for number in range(100):
        for name in ("alice", "bob", "carol"):
            rig.receive(name, Request(number, KEY))
    refused = rig.sent()
    assert len(held) == rig.count("serves_active") == 5
    assert len(refused) == rig.count("serves_total", "busy") == 295
    assert {type(message) for _, message in refused} == {Missing}
    for reply in held:
        reply.set(VALUE)
    assert sorted(rig.sent(), key=repr) == sorted(
        [(name, Response(number, VALUE)) for name in ("alice", "bob") for number in (0, 1)]
        + [("carol", Response(0, VALUE))],
        key=repr,
    )
    rig.receive("bob", Request(500, KEY))
    rig.simulation.settle()
    assert rig.count("serves_active") == 1


def test_one_peers_requests_do_not_take_the_places_of_another(rig: Any) -> None:
    rig.producer.data = {KEY: lambda: stuck, OTHER: VALUE}
    stuck: Reply[Any] = Reply()
    rig.start("bob", "carol", max_serves=10, max_serves_per_peer=2)
    for number in range(50):
        rig.receive("bob", Request(number, KEY))
    rig.receive("carol", Request(99, OTHER))
    assert ("carol", Response(99, VALUE)) in rig.sent()


def test_reconnecting_frees_no_place_and_the_old_links_answer_is_not_sent(rig: Any) -> None:
    held: Reply[Any] = Reply()
    rig.producer.data[KEY] = held
    rig.start("bob", max_serves_per_peer=1)
    rig.receive("bob", Request(1, KEY))
    rig.simulation.settle()
    rig.close("bob")
    rig.simulation.settle()
    rig.open("bob")
    rig.simulation.settle()
    rig.receive("bob", Request(2, KEY))
    assert rig.sent() == [("bob", Missing(2))]
    held.set(VALUE)
    assert rig.sent() == []
    assert rig.count("answers_lost_total", "link closed") == 1
    assert rig.count("serves_active") == 0


def test_value_too_large_for_a_message_is_reported_and_the_asker_is_told_no_data(rig: Any) -> None:
    limit = resolver.Config(max_message=1024).max_value
    rig.producer.data = {KEY: bytes(limit), OTHER: bytes(limit + 1)}
    rig.start("bob", max_message=1024)
    rig.listen()
    rig.receive("bob", Request(2**64 - 1, KEY))
    rig.receive("bob", Request(2, OTHER))
    assert [message for _, message in rig.sent()] == [Response(2**64 - 1, bytes(limit)), Missing(2)]
    assert max(len(message.payload) for message in rig.net.control.received(transport.Send)) <= 1024
    (event,) = rig.events
    assert isinstance(event.error, resolver.ValueTooLarge)
    assert (event.error.size, event.error.limit) == (limit + 1, limit)
    assert rig.count("serves_total", "too large") == 1


@pytest.mark.parametrize("requests", [True, False])
@pytest.mark.parametrize("responses", [True, False])
def test_requests_and_answers_have_the_priority_that_is_configured(rig: Any, requests: bool, responses: bool) -> None:
    rig.producer.data[KEY] = VALUE
    rig.start("bob", priority_requests=requests, priority_responses=responses).fetch(OTHER)
    rig.receive("bob", Request(1, KEY, priority=True))
    rig.receive("bob", Request(2, b"z", priority=True))
    rig.receive("bob", Request(3, KEY))
    rig.receive("bob", Request(4, b"z"))
    sent = [message for _, message in rig.sent()]
    assert [type(message) for message in sent] == [Request, Response, Missing, Response, Missing]
    assert sent[0].priority is responses  # who answers ahead of others wishes for that too
    first = [isinstance(message, transport.SendFirst) for message in rig.net.control.received(transport.Send)]
    assert first == [requests, responses, responses, False, False]  # never more than is wished


def test_requests_have_priority_and_answers_have_not_unless_configured() -> None:
    assert resolver.Config().priority_requests
    assert not resolver.Config().priority_responses


def test_value_that_transport_refuses_becomes_no_data(rig: Any) -> None:
    rig.producer.data[KEY] = VALUE
    rig.start("bob")
    rig.net.control.feedback(Feedback.REJECTED, transport.Send, times=1)
    rig.receive("bob", Request(1, KEY))
    assert rig.sent() == [("bob", Missing(1))]
    assert rig.count("served_bytes_total") == 0


def test_answer_that_transport_refuses_altogether_is_counted_as_lost(rig: Any) -> None:
    rig.start("bob")
    rig.net.control.feedback(Feedback.REJECTED, transport.Send)
    rig.receive("bob", Request(1, KEY))
    assert rig.sent() == []
    assert rig.count("answers_lost_total", "refused") == 1


def test_own_requests_do_not_starve_the_answers_to_others(rig: Any) -> None:
    rig.producer.data[KEY] = VALUE
    data = rig.start("bob", request_rate=0.001, request_burst=1)
    data.fetch_all([b"1", b"2"])
    assert len(rig.sent()) == 1
    for number in range(10):
        rig.receive("bob", Request(number, KEY))
    assert [message for _, message in rig.sent()] == [Response(number, VALUE) for number in range(10)]


def test_same_id_asked_by_two_peers_is_answered_to_each(rig: Any) -> None:
    rig.producer.data = {KEY: b"1", OTHER: b"2"}
    rig.start("bob", "carol")
    rig.receive("bob", Request(7, KEY))
    rig.receive("carol", Request(7, OTHER))
    assert rig.sent() == [("bob", Response(7, b"1")), ("carol", Response(7, b"2"))]


def test_served_requests_and_bytes_are_counted(rig: Any) -> None:
    rig.producer.data[KEY] = VALUE
    rig.start("bob")
    for key in (KEY, KEY, OTHER):
        rig.receive("bob", Request(1, key))
    rig.simulation.settle()
    assert (rig.count("serves_total", "data"), rig.count("serves_total", "missing")) == (2, 1)
    assert rig.count("served_bytes_total") == 2 * len(VALUE)


def test_time_that_the_producer_takes_is_counted_for_the_values_sent(rig: Any) -> None:
    later: Reply[bytes] = Reply()
    rig.producer.data = {KEY: lambda: later, OTHER: None}
    rig.start("bob")
    rig.receive("bob", Request(1, KEY))
    rig.receive("bob", Request(2, OTHER))
    rig.simulation.run(for_=0.25)
    assert rig.count("serve_seconds_total") == 0
    later.set(VALUE)
    rig.simulation.settle()
    assert rig.count("serve_seconds_total") == 0.25
