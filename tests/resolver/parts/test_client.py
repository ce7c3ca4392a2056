"""The asking side, through the engine: what leaves, when, and to whom."""

from typing import Any

import pytest

from rookery import runtime
from rookery.actors import resolver, tracker
from rookery.actors.resolver import Outcome
from rookery.actors.resolver.core import codec
from rookery.actors.resolver.parts.client import SENDS_PER_TURN
from rookery.runtime import Feedback
from rookery.transport import ChannelTaken
from rookery.transport import mailbox as transport

KEY, OTHER, VALUE = b"k", b"o", b"value"


def keys_of(rig: Any) -> list[bytes]:
    return [request.key for _, request in rig.sent() if isinstance(request, codec.Request)]


# Asking and getting


def test_resolver_when_it_starts_takes_its_channel_and_hears_of_peer_sets(rig: Any) -> None:
    held = rig.net.control.hold(transport.Register)
    rig.start(request_rate=5, request_burst=6, inbound_rate=70, inbound_burst=80)
    assert held.waiting == [transport.Register(16, rig.data, transport.Quota(70, 80))]
    assert rig.tracker.control.received() == [runtime.Subscribe(rig.data, (tracker.PeerSetUpdate,))]


def test_resolver_whose_channel_is_taken_stops_the_node(rig: Any) -> None:
    rig.net.control.answer(transport.Register, ChannelTaken("channel 16 is taken"))
    with pytest.raises(runtime.EngineFailed, match="resolver cannot have channel 16: channel 16 is taken"):
        rig.start()


def test_fetch_asks_a_connected_peer_and_delivers_its_bytes_to_the_consumer(rig: Any) -> None:
    data = rig.start("bob")
    assert data.fetch(KEY, 7) is Feedback.OK
    assert rig.answer(VALUE) == "bob"
    assert rig.consumer.deliveries == [(KEY, (7,), rig.peer("bob"), VALUE)]
    assert rig.sent() == []
    assert (rig.count("fetched_total"), rig.count("fetched_bytes_total"), rig.count("keys")) == (1, len(VALUE), 0)


def test_fetch_before_the_first_peer_set_waits_without_a_timer_and_is_sent_when_it_comes(rig: Any) -> None:
    data = rig.start()
    data.fetch(KEY)
    rig.open("bob")
    assert rig.sent() == []
    rig.simulation.run(for_=60)
    assert rig.sent() == []
    rig.peer_set("bob")
    assert rig.asked()[0] == "bob"


def test_messages_told_before_the_start_are_handled_after_it(rig: Any) -> None:
    mailbox = rig.simulation.mailbox(resolver.Mailbox, "early")
    mailbox.fetch_all([KEY, b"too long"])
    rig.data = rig.simulation.start(
        mailbox,
        resolver.Engine,
        resolver.Config(key_length=1),
        transport=rig.net,
        tracker=rig.tracker,
        channel=16,
        producer=rig.producer,
        consumer=rig.consumer,
    )
    rig.simulation.settle()
    assert rig.count("application_failures_total", "key") == 1
    rig.peer_set("bob")
    rig.open("bob")
    assert keys_of(rig) == [KEY]


def test_several_subscribers_of_one_key_make_one_request_and_one_delivery_in_their_order(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch(KEY, "b")
    data.fetch_all([KEY], "c")
    data.fetch(KEY, "a")
    rig.answer(VALUE)
    assert [subscribers for _, subscribers, _, _ in rig.consumer.deliveries] == [("a", "b", "c")]


def test_empty_value_is_data(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch(KEY)
    rig.answer(b"")
    assert rig.consumer.values == [(KEY, b"")]


def test_missing_then_another_peer_after_the_retry_delay(rig: Any) -> None:
    data = rig.start("bob", "carol")
    data.fetch(KEY)
    first = rig.answer(None)
    assert rig.sent() == []
    rig.simulation.run(for_=0.099)
    assert rig.sent() == []
    rig.simulation.run(for_=0.001)
    assert rig.answer(VALUE) != first
    assert rig.consumer.values == [(KEY, VALUE)]
    assert rig.count("requests_total", "missing") == 1


def test_R7_silent_peer_costs_a_twelfth_of_the_time_out_and_another_is_asked(rig: Any) -> None:
    data = rig.start("bob", "carol")
    data.fetch(KEY)
    silent, request = rig.asked()
    rig.simulation.run(for_=0.083)
    assert rig.sent() == []
    rig.simulation.run(for_=0.001)
    assert rig.answer(VALUE) != silent
    rig.receive(silent, codec.Response(request.id, b"late"))
    rig.simulation.settle()
    assert rig.consumer.values == [(KEY, VALUE)]
    assert rig.count("unmatched_total") == 1
    assert rig.count("requests_overdue_total") == rig.count("requests_total", "overtaken") == 1


def test_silent_peer_that_is_alone_is_asked_again_after_the_time_out(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch(KEY)
    rig.asked()
    rig.simulation.run(for_=0.999)
    assert rig.count("requests_total", "timed out") == 0
    rig.simulation.run(for_=0.101)
    assert rig.answer(VALUE) == "bob"
    assert rig.consumer.values == [(KEY, VALUE)]


def test_no_data_of_one_while_another_is_asked_counts_as_no_retry(rig: Any) -> None:
    data = rig.start("bob", "carol")
    data.fetch(KEY)
    silent, request = rig.asked()
    rig.simulation.run(for_=0.1)
    rig.answer(None)
    rig.simulation.run(for_=0.08)
    assert rig.sent() == []
    assert (rig.count("requests_total", "missing"), rig.count("retries_total", "missing")) == (1, 0)
    rig.receive(silent, codec.Response(request.id, VALUE))
    rig.simulation.settle()
    assert rig.consumer.values == [(KEY, VALUE)]


def test_key_that_is_cancelled_while_two_are_asked_leaves_nobody_busy(rig: Any) -> None:
    data = rig.start("bob", "carol")
    data.fetch(KEY)
    rig.simulation.run(for_=0.1)
    assert rig.busy() == {"bob": 1, "carol": 1}
    data.cancel(KEY)
    rig.simulation.settle()
    assert rig.busy() == {}
    assert rig.count("requests_total", "cancelled") == 2


def test_closed_link_fails_its_requests_at_once_and_others_are_asked(rig: Any) -> None:
    data = rig.start("bob", "carol")
    data.fetch(KEY)
    asked, _ = rig.asked()
    rig.close(asked)
    rig.simulation.run(for_=0.1)
    assert rig.answer(VALUE) == {"bob": "carol", "carol": "bob"}[asked]
    assert rig.count("requests_total", "link closed") == 1


def test_R1_retry_delay_holds_while_another_key_cannot_be_sent(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch_targeted(OTHER, [rig.peer("carol")])
    data.fetch(KEY)
    rig.answer(None)
    rig.simulation.run(for_=0.09)
    assert rig.sent() == []
    rig.simulation.run(for_=0.02)
    assert keys_of(rig) == [KEY]


def test_due_retry_goes_before_a_fetch_that_still_waits_in_the_mailbox(rig: Any) -> None:
    data = rig.start("bob", fetch_retry_delay=0, max_requests_per_peer=1)
    rig.consumer.answers = [lambda: data.fetch(OTHER) and Outcome.AMBIGUOUS]
    data.fetch(KEY)
    rig.answer(VALUE)
    assert keys_of(rig) == [KEY]


def test_refused_send_goes_to_the_next_peer_in_the_same_turn(rig: Any) -> None:
    data = rig.start("bob", "carol")
    rig.net.control.feedback(Feedback.REJECTED, transport.Send, times=1)
    data.fetch(KEY)
    rig.asked()
    assert rig.simulation.time == 0
    assert rig.count("requests_refused_total") == 1


def test_all_sends_refused_are_repeated_after_the_retry_delay(rig: Any) -> None:
    data = rig.start("bob")
    rig.net.control.feedback(Feedback.REJECTED, transport.Send, times=1)
    data.fetch(KEY)
    assert rig.sent() == []
    rig.simulation.run(for_=0.1)
    rig.asked()


def test_R3_refused_send_leaves_the_peer_its_tokens(rig: Any) -> None:
    data = rig.start("bob", request_rate=0.01, request_burst=1)
    rig.net.control.feedback(Feedback.REJECTED, transport.Send, times=3)
    data.fetch(KEY)
    rig.simulation.run(for_=0.45)  # refused at 0, 0.1 and 0.2 seconds
    assert rig.count("requests_refused_total") == 3
    assert rig.count("requests_limited_total") == 0
    rig.asked()


def test_peer_over_our_quota_is_passed_over_at_once_and_not_blamed(rig: Any) -> None:
    data = rig.start("bob", "carol", request_rate=1, request_burst=1)
    data.fetch_all([b"1", b"2", b"3"])
    first = rig.sent()
    assert {name for name, _ in first} == {"bob", "carol"}
    assert len(first) == 2
    rig.simulation.run(for_=0.9)
    assert rig.sent() == []
    rig.simulation.run(for_=0.1)
    assert keys_of(rig) == [b"3"]
    assert rig.count("requests_refused_total") == 0


def test_one_turn_sends_a_bounded_burst_and_the_rest_follows_without_waiting(rig: Any) -> None:
    keys = [number.to_bytes(1, "big") for number in range(3 * SENDS_PER_TURN)]
    data = rig.start("bob", max_requests_per_peer=1000)
    data.fetch_all(keys)
    sent = 0
    while sent < len(keys):
        rig.simulation.run_until(lambda sent=sent: len(rig.net.control.received(transport.Send)) > sent, timeout=0)
        now = len(rig.net.control.received(transport.Send))
        assert now - sent <= SENDS_PER_TURN
        sent = now
    assert rig.simulation.time == 0
    assert [request.key for _, request in rig.sent()] == keys


def test_waiting_answers_are_handled_between_the_bursts_of_a_large_fetch(rig: Any) -> None:
    data = rig.start("bob", max_requests_per_peer=1000)
    data.fetch(b"\xff")
    _, request = rig.asked()
    data.fetch_all([number.to_bytes(1, "big") for number in range(3 * SENDS_PER_TURN)])
    rig.receive("bob", codec.Response(request.id, VALUE))
    rig.simulation.run_until(lambda: rig.consumer.deliveries, timeout=0)
    assert len(rig.net.control.received(transport.Send)) < 1 + 3 * SENDS_PER_TURN


# Who is asked


@pytest.mark.parametrize(("ask", "asked"), [("all", ["bob", "carol"]), ("primary", ["bob"])])
def test_secondary_peers_are_asked_after_primary_ones_unless_left_out(rig: Any, ask: str, asked: list[str]) -> None:
    data = rig.start(ask=ask, max_requests_per_peer=1)
    rig.peer_set("bob", secondary=("carol",))
    rig.open("bob", "carol")
    data.fetch_all([KEY, OTHER])
    assert [name for name, _ in rig.sent()] == asked


def test_peer_outside_the_latest_set_is_not_asked_though_it_is_connected(rig: Any) -> None:
    data = rig.start("bob", "carol", max_requests_per_peer=1)
    rig.peer_set("carol")
    data.fetch_all([KEY, OTHER])
    assert [name for name, _ in rig.sent()] == ["carol"]


def test_peer_set_that_is_not_newer_changes_nothing(rig: Any) -> None:
    data = rig.start("bob", "carol", max_requests_per_peer=1)
    rig.peer_set("bob", index=1)
    data.fetch_all([KEY, OTHER])
    assert sorted(name for name, _ in rig.sent()) == ["bob", "carol"]


def test_peer_that_leaves_the_set_still_answers_what_it_was_asked(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch(KEY)
    _, request = rig.asked()
    rig.peer_set("carol")
    rig.receive("bob", codec.Response(request.id, VALUE))
    rig.simulation.settle()
    assert rig.consumer.values == [(KEY, VALUE)]


def test_targeted_fetch_asks_its_targets_only_without_fallback(rig: Any) -> None:
    data = rig.start("bob", "carol")
    data.fetch_targeted(KEY, [rig.peer("carol")])
    for rest in (0.1, 0.2, 0.4):
        assert rig.answer(None) == "carol"
        rig.simulation.run(for_=rest)


def test_key_that_nobody_has_is_asked_for_ever_more_seldom_and_of_who_connects_at_once(rig: Any) -> None:
    data = rig.start("alice", "bob")
    rig.peer_set("alice", "bob", "carol")
    data.fetch(KEY)
    asked = 0
    for _ in range(1200):  # a minute
        for name, request in rig.sent():
            rig.receive(name, codec.Missing(request.id))
            asked += 1
        rig.simulation.run(for_=0.05)
    assert asked < 60  # two in 3.3 s
    assert rig.sent() == []
    rig.open("carol")
    assert rig.asked()[0] == "carol"


def test_targeted_batch_asks_each_keys_own_targets(rig: Any) -> None:
    data = rig.start("bob", "carol")
    data.fetch_all_targeted({KEY: [rig.peer("carol")], OTHER: [rig.peer("bob")]})
    assert {name: request.key for name, request in rig.sent()} == {"carol": KEY, "bob": OTHER}


def test_untargeted_fetch_opens_a_targeted_key_to_everybody(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch_targeted(KEY, [rig.peer("carol")])
    assert rig.sent() == []
    data.fetch(KEY)
    assert rig.asked()[0] == "bob"


def test_R13_peer_that_answers_small_values_fast_and_stalls_on_a_large_one_loses_its_preference(rig: Any) -> None:
    data = rig.start("bob", "carol")

    def fetch(number: int, *, bob_takes: float) -> str:
        data.fetch(bytes([number]))
        name, request = rig.asked()
        rig.simulation.run(for_=bob_takes if name == "bob" else 0.05)
        rig.receive(name, codec.Response(request.id, VALUE))
        rig.simulation.run(for_=0.2)
        return str(name)

    assert [fetch(number, bob_takes=0.01) for number in range(60)][-1] == "bob"
    data.fetch(KEY)
    assert rig.asked()[0] == "bob"
    rig.simulation.run(for_=0.1)
    assert rig.answer(VALUE) == "carol"
    assert fetch(200, bob_takes=0.01) == "carol"
