"""Several who want one key: who gets which bytes, and who may be asked for them."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

import pytest

from rookery.actors.resolver import Outcome
from rookery.actors.resolver.core import codec
from rookery.runtime import Feedback, Reply
from rookery.transport import mailbox as transport

KEY, OTHER, VALUE = b"k", b"o", b"value"


@dataclass(frozen=True, order=True, slots=True)
class Ask:
    """A subscriber of an application's own type, which is not the key's."""

    kind: str
    until: int


def test_subscribers_of_an_applications_own_type_come_in_their_order_and_survive_a_retain_that_keeps_them(
    rig: Any,
) -> None:
    data = rig.start("bob")
    asks = [Ask("notarization", 7), Ask("nullification", 3), Ask("notarization", 5)]
    for ask in asks:
        data.fetch(KEY, ask)
    data.retain(lambda key, ask: key == KEY and ask.until != 3)
    rig.answer(VALUE)
    (delivery,) = rig.consumer.deliveries
    assert delivery[1] == (Ask("notarization", 5), Ask("notarization", 7))


def test_late_targeted_subscriber_joins_the_unrestricted_retry_after_an_ambiguous_verdict(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob", "carol")
    data.fetch(KEY, 1)
    first = rig.answer(VALUE)
    data.fetch_targeted(KEY, [rig.peer(first)], 2)
    rig.simulation.settle()
    verdict.set(Outcome.AMBIGUOUS)
    rig.simulation.run(for_=0.1)
    assert rig.answer(b"other bytes") != first
    assert [subscribers for _, subscribers, _, _ in rig.consumer.deliveries] == [(1,), (1, 2)]


def test_redelivery_to_a_late_subscriber_does_not_wait_for_another_key_that_is_stuck(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    data.fetch(KEY, 1)
    rig.answer(VALUE)
    data.fetch_targeted(OTHER, [rig.peer("alice")])  # who is not there
    data.fetch(KEY, 2)
    rig.simulation.settle()
    verdict.set(True)
    rig.simulation.settle()
    assert rig.simulation.time == 0
    assert rig.consumer.deliveries[-1][1] == (2,)


def test_batch_with_targets_for_each_key_goes_side_by_side_with_an_untargeted_key(rig: Any) -> None:
    data = rig.start("bob", "carol", max_requests_per_peer=2)
    data.fetch_all_targeted({b"1": [rig.peer("bob")], b"2": [rig.peer("carol")]})
    data.fetch(b"3")
    asked = rig.sent()
    assert {(name, request.key) for name, request in asked[:2]} == {("bob", b"1"), ("carol", b"2")}
    for name, request in asked:
        rig.receive(name, codec.Response(request.id, VALUE))
    rig.simulation.settle()
    assert sorted(rig.consumer.values) == [(b"1", VALUE), (b"2", VALUE), (b"3", VALUE)]
    assert rig.count("fetched_total") == 3


def test_peer_that_left_the_primary_set_is_not_asked_even_as_a_target_until_it_is_back(rig: Any) -> None:
    data = rig.start("bob", "carol")
    rig.peer_set("carol")
    data.fetch_targeted(KEY, [rig.peer("bob")])
    rig.simulation.run(for_=10)
    assert rig.sent() == []
    rig.peer_set("bob", "carol")
    assert rig.asked()[0] == "bob"


def test_link_that_takes_a_request_over_its_limit_has_taken_it(rig: Any) -> None:
    data = rig.start("bob", "carol")
    rig.net.control.feedback(Feedback.BACKOFF, transport.Send, times=1)
    data.fetch(KEY)
    rig.answer(VALUE)
    assert rig.consumer.values == [(KEY, VALUE)]
    assert rig.count("requests_refused_total") == 0


@pytest.mark.parametrize("answer", [Outcome.COMPLETE, Outcome.IGNORED, "cancelled"])
def test_time_of_a_fetch_is_counted_once_it_is_accepted_and_not_otherwise(rig: Any, answer: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    data.fetch(KEY)
    rig.simulation.run(for_=0.5)
    rig.answer(VALUE)
    data.fetch(KEY, 2) if answer is Outcome.COMPLETE else None
    rig.simulation.run(for_=0.25)
    data.cancel(KEY) if answer == "cancelled" else verdict.set(answer)
    rig.simulation.settle()
    assert rig.count("fetch_seconds_total") == (0.75 if answer is Outcome.COMPLETE else 0)
    assert rig.count("fetched_total") == (1 if answer is Outcome.COMPLETE else 0)


def test_peer_that_left_the_set_and_returns_is_rated_anew(rig: Any) -> None:
    data = rig.start("bob", "carol")
    scores = rig.simulation.engines[-1].client.fetcher.scores
    data.fetch_targeted(KEY, [rig.peer("bob")])
    rig.simulation.run(for_=1.0)  # silent
    assert scores.of(rig.peer("bob")) > 0.5
    data.cancel(KEY)
    rig.peer_set("carol")
    rig.peer_set("bob", "carol")
    rig.simulation.settle()
    assert rig.peer("bob") not in scores


def test_resolver_serves_though_nobody_holds_its_mailbox(simulation: Any, rig: Any) -> None:
    rig.producer.data = {KEY: VALUE}
    rig.start("bob")
    link, peer = rig.links["bob"], rig.peer("bob")
    inbox = rig.data.inbox
    rig.data = None
    gc.collect()
    inbox.offer(transport.Received(link, peer, 16, codec.encode(codec.Request(1, KEY))))
    simulation.settle()
    (sent,) = rig.net.control.received(transport.Send)
    assert codec.decode(sent.payload, 1) == codec.Response(1, VALUE)


def test_consumer_that_answers_after_its_key_was_wanted_anew_is_not_heard(rig: Any) -> None:
    old: Reply[Any] = Reply()
    new: Reply[Any] = Reply()
    rig.consumer.answers = [old, new]
    data = rig.start("bob")
    data.fetch(KEY)
    rig.answer(VALUE)
    data.cancel(KEY)
    data.fetch(KEY)
    rig.answer(VALUE)
    old.set(Outcome.INVALID)
    rig.simulation.settle()
    assert rig.blocked() == []
    assert rig.count("verdicts_awaited") == 1
    new.set(True)
    rig.simulation.settle()
    assert rig.count("fetched_total") == 1


class Awkward:
    """A subscriber that can be hashed, and compared with nothing."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise ValueError("incomparable")

    def __lt__(self, other: object) -> bool:
        raise ValueError("incomparable")


def test_subscriber_that_compares_with_nothing_gets_its_bytes_alone_and_harms_nobody_beside_others(rig: Any) -> None:
    data = rig.start("bob")
    alone = Awkward()
    data.fetch(KEY, alone)
    rig.answer(VALUE)
    assert rig.consumer.deliveries[0][1][0] is alone
    assert rig.count("keys") == 0
    data.fetch(OTHER, 1)
    rig.simulation.settle()
    data.fetch(OTHER, Awkward())
    rig.answer(VALUE)
    assert rig.consumer.deliveries[1][1] == (1,)
    assert rig.count("application_failures_total", "subscriber") == 1
