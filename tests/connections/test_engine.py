"""The connections engine: what it tells, what it keeps of peers, and what it answers."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import connections
from rookery.actors.connections import (
    Connected,
    Counts,
    Disconnected,
    LimitTooLow,
    PeerConnected,
    PeerDisconnected,
    TagInfo,
    TooMany,
    bump,
    decay,
)
from rookery.runtime import EngineGone, Feedback, UnhandledMessage
from rookery.transport import mailbox as transport
from rookery.transport.gatekeeper import Direction
from rookery.transport.reasons import Reason
from tests.connections.worlds import Around, make_link, peer_of


@pytest.fixture
def around(simulation: Any) -> Around:
    return Around(simulation)


# Notifications


def test_subscriber_is_told_the_counts_at_once(around: Around) -> None:
    assert around.told() == [Counts(open=0, closing=0)]


def test_subscriber_is_told_of_each_link_and_peer(around: Around) -> None:
    link = make_link(1)
    around.open(link)
    around.close(link, reason=Reason.LOST)
    assert around.told()[1:] == [
        Counts(open=1, closing=0),
        PeerConnected(link.peer),
        Connected(link),
        Counts(open=0, closing=0),
        Disconnected(link, Reason.LOST),
        PeerDisconnected(link.peer, Reason.LOST),
    ]


def test_C4_two_links_of_one_peer_are_two_connections_and_one_peer(around: Around) -> None:
    first, second = make_link(1, peer=7), make_link(2, peer=7)  # from one address
    around.open(first, second)
    info = around.conns.get_tag_info(first.peer).get(timeout=1)
    assert info is not None
    assert info.conns == {1: first, 2: second}
    around.close(first, reason=Reason.REPLACED)
    around.close(second, reason=Reason.REMOTE)
    events = [event for event in around.told() if not isinstance(event, Counts)]
    assert events == [
        PeerConnected(first.peer),
        Connected(first),
        Connected(second),
        Disconnected(first, Reason.REPLACED),
        Disconnected(second, Reason.REMOTE),
        PeerDisconnected(first.peer, Reason.REMOTE),
    ]


def test_subscriber_to_one_kind_is_told_no_other(around: Around) -> None:
    listener = around.simulation.mock(runtime.Mailbox)
    around.conns.subscribe(listener, PeerConnected)
    link = make_link(1)
    around.open(link)
    assert listener.control.received() == [PeerConnected(link.peer)]


def test_subscriber_that_subscribes_twice_is_told_once(around: Around) -> None:
    around.conns.subscribe(around.listener, PeerConnected)
    link = make_link(1)
    around.open(link)
    assert around.told().count(PeerConnected(link.peer)) == 1


def test_subscriber_that_is_gone_is_dropped(around: Around) -> None:
    around.listener.control.close()
    around.open(make_link(1))
    around.open(make_link(2))
    assert around.info().open == 2


def test_subscribe_to_what_is_no_event_is_refused(around: Around) -> None:
    allowed = "Counts, Connected, Disconnected, PeerConnected, PeerDisconnected"
    with pytest.raises(ValueError, match=f"has no event Trim; it has {allowed}"):
        around.conns.subscribe(around.listener, connections.Trim)


def test_subscribe_of_an_engine_without_a_handler_is_refused(around: Around) -> None:
    with pytest.raises(UnhandledMessage, match="Counts"):
        around.conns.subscribe(around.conns, Counts)


def test_link_that_opens_twice_or_closes_unopened_is_counted_and_changes_nothing(around: Around) -> None:
    around.open(make_link(1), make_link(1))
    around.close(make_link(2))
    assert around.info().open == 1
    assert around.counted("unexpected_total", "opened") == 1
    assert around.counted("unexpected_total", "closed") == 1


# Tags


def test_get_tag_info_of_a_stranger_is_none_and_of_a_connected_peer_says_since_when(around: Around) -> None:
    around.simulation.run(for_=3.0)
    link = make_link(1)
    around.open(link)
    assert around.conns.get_tag_info(peer_of(2)).get(timeout=1) is None
    assert around.conns.get_tag_info(link.peer).get(timeout=1) == TagInfo(3.0, 0, {}, {1: link})
    around.conns.tag_peer(link.peer, "a", 5)
    assert around.conns.get_tag_info(link.peer).get(timeout=1) == TagInfo(3.0, 5, {"a": 5}, {1: link})


def test_get_tag_info_is_a_copy(around: Around) -> None:
    around.conns.tag_peer(peer_of(1), "a", 5)
    info = around.conns.get_tag_info(peer_of(1)).get(timeout=1)
    assert info is not None
    info.tags["a"] = 99
    again = around.conns.get_tag_info(peer_of(1)).get(timeout=1)
    assert again is not None
    assert again.tags == {"a": 5}


def test_tag_of_a_peer_that_is_not_connected_yet_is_there_when_it_connects(around: Around) -> None:
    around.conns.tag_peer(peer_of(1), "a", 5)
    around.open(make_link(1))
    info = around.conns.get_tag_info(peer_of(1)).get(timeout=1)
    assert info is not None
    assert (info.value, list(info.conns)) == (5, [1])


def test_untag_of_a_stranger_is_only_counted(around: Around) -> None:
    assert not around.conns.untag_peer(peer_of(1), "a").get(timeout=1)
    assert around.conns.get_tag_info(peer_of(1)).get(timeout=1) is None
    assert around.counted("unexpected_total", "untagged") == 1


def test_upsert_starts_from_nothing_and_keeps_its_value_over_the_connect(around: Around) -> None:
    weights = [around.conns.upsert_tag(peer_of(1), "a", lambda weight: weight + 1)]
    around.open(make_link(1))
    weights += [around.conns.upsert_tag(peer_of(1), "a", change) for change in (lambda w: w + 1, lambda w: w - 1)]
    assert [weight.get(timeout=1) for weight in weights] == [1, 2, 1]


def test_upsert_whose_function_raises_leaves_the_tag_and_reaches_the_caller(around: Around) -> None:
    around.conns.tag_peer(peer_of(1), "a", 5)
    with pytest.raises(ZeroDivisionError):
        around.conns.upsert_tag(peer_of(1), "a", lambda weight: weight // 0).get(timeout=1)
    with pytest.raises(ZeroDivisionError):
        around.conns.upsert_tag(peer_of(2), "a", lambda weight: 1 // weight).get(timeout=1)
    info = around.conns.get_tag_info(peer_of(1)).get(timeout=1)
    assert info is not None
    assert info.tags == {"a": 5}
    assert around.conns.get_tag_info(peer_of(2)).get(timeout=1) is None  # no entry either


def test_upsert_whose_function_returns_no_whole_number_fails(around: Around) -> None:
    half: Any = lambda _weight: 0.5  # noqa: E731
    with pytest.raises(TypeError, match="'float' object"):
        around.conns.upsert_tag(peer_of(1), "a", half).get(timeout=1)


def test_C2_upsert_whose_function_tells_the_manager_more_does_not_deadlock(around: Around) -> None:
    def function(weight: int) -> int:
        around.conns.tag_peer(peer_of(1), "b", 3)
        return weight + 1

    assert around.conns.upsert_tag(peer_of(1), "a", function).get(timeout=1) == 1
    info = around.conns.get_tag_info(peer_of(1)).get(timeout=1)
    assert info is not None
    assert info.tags == {"a": 1, "b": 3}


def test_C16_application_code_that_raises_stops_nothing(around: Around) -> None:
    failed = around.conns.upsert_tag(peer_of(1), "a", lambda weight: [][weight])
    around.open(make_link(1))
    assert around.info().open == 1
    with pytest.raises(IndexError):
        failed.get(timeout=1)


def test_tags_of_one_peer_are_bounded_and_one_more_changes_nothing(simulation: Any) -> None:
    around = Around(simulation, max_tags=2)
    for name in ("a", "b", "a"):
        around.conns.tag_peer(peer_of(1), name, 5).get(timeout=1)
    for one_more in (around.conns.tag_peer(peer_of(1), "c", 5), around.conns.upsert_tag(peer_of(1), "c", abs)):
        with pytest.raises(TooMany, match=r"has 2 tags: allowed are 2 \(connections\.max_tags\)") as refused:
            one_more.get(timeout=1)
        assert refused.value.limit == 2
    info = around.conns.get_tag_info(peer_of(1)).get(timeout=1)
    assert info is not None
    assert (info.value, info.tags) == (10, {"a": 5, "b": 5})
    around.conns.tag_peer(peer_of(2), "c", 5).get(timeout=1)
    assert around.counted("declined_total", "TooMany") == 2


def test_decaying_tags_are_bounded_until_one_is_closed(simulation: Any) -> None:
    around = Around(simulation, max_tags=1)
    tag = around.conns.register_decaying_tag("a", 1.0, decay.none(), bump.overwrite()).get(timeout=1)
    with pytest.raises(TooMany, match="1 decaying tags are open: allowed are 1"):
        around.conns.register_decaying_tag("b", 1.0, decay.none(), bump.overwrite()).get(timeout=1)
    tag.close().get(timeout=1)
    around.conns.register_decaying_tag("b", 1.0, decay.none(), bump.overwrite()).get(timeout=1)


# Protections


def test_protections_are_bounded_in_names_and_in_peers(simulation: Any) -> None:
    around = Around(simulation, max_tags=2, max_protected=2)
    for number, name in ((1, "a"), (1, "b"), (1, "a"), (2, "a")):
        around.conns.protect(peer_of(number), name).get(timeout=1)
    with pytest.raises(TooMany, match="is protected under 2 names: allowed are 2"):
        around.conns.protect(peer_of(1), "c").get(timeout=1)
    with pytest.raises(TooMany, match=r"2 peers are protected: allowed are 2 \(connections\.max_protected\)"):
        around.conns.protect(peer_of(3), "a").get(timeout=1)
    assert not around.conns.is_protected(peer_of(3)).get(timeout=1)
    assert not around.conns.unprotect(peer_of(2), "a").get(timeout=1)
    around.conns.protect(peer_of(3), "a").get(timeout=1)


def test_is_protected_asks_for_one_name_or_for_any(around: Around) -> None:
    around.conns.protect(peer_of(1), "a")
    asked = [(None, True), ("a", True), ("b", False)]
    assert [around.conns.is_protected(peer_of(1), tag).get(timeout=1) for tag, _ in asked] == [yes for _, yes in asked]
    assert not around.conns.is_protected(peer_of(2)).get(timeout=1)


def test_unprotect_of_one_of_two_says_that_the_other_is_left(around: Around) -> None:
    around.conns.protect(peer_of(1), "a")
    around.conns.protect(peer_of(1), "b")
    assert around.conns.unprotect(peer_of(1), "a").get(timeout=1)
    assert not around.conns.unprotect(peer_of(1), "b").get(timeout=1)


def test_protection_makes_no_entry(around: Around) -> None:
    around.conns.protect(peer_of(1), "a")
    assert around.conns.get_tag_info(peer_of(1)).get(timeout=1) is None


def test_peers_of_the_configuration_are_protected_from_the_beginning(simulation: Any) -> None:
    around = Around(simulation, protected=(peer_of(1),))
    assert around.conns.is_protected(peer_of(1), "config").get(timeout=1)
    around.open(make_link(1), make_link(2))
    assert [link.id for link in around.trim(0).closed] == [2]


def test_work_done_that_never_began_is_counted_and_ignored(around: Around) -> None:
    around.conns.busy(peer_of(1), -1)
    around.simulation.settle()
    assert around.counted("unexpected_total", "busy") == 1


# Looking


def test_get_info_shows_marks_numbers_grace_and_the_last_trim(simulation: Any) -> None:
    around = Around(simulation, low_water=10, high_water=20, grace_period=1.5)
    around.grown(3)
    around.conns.protect(peer_of(1), "a")
    around.conns.tag_peer(peer_of(9), "a", 1)
    around.conns.trim_open_connections(5)
    assert around.info() == connections.Info(
        open=3,
        closing=0,
        eligible=1,
        in_grace=1,
        protected=1,
        temporary=1,
        low_water=10,
        high_water=20,
        grace_period=1.5,
        last_trim=3.0,
    )


def test_connections_are_listed_oldest_first_with_all_that_is_known(simulation: Any) -> None:
    around = Around(simulation, grace_period=0.5)
    links = around.grown(2)
    around.conns.tag_peer(peer_of(0), "a", 5)
    around.conns.protect(peer_of(0), "z")
    around.conns.protect(peer_of(0), "friend")
    around.conns.busy(peer_of(1), 2)
    first, second = around.conns.connections().get(timeout=1)
    assert first == connections.Connection(links[0], 5, {"a": 5}, ("friend", "z"), 0, False, 1.0)
    assert second == connections.Connection(links[1], 0, {}, (), 2, True, 0.0)


def test_connections_of_thousands_are_listed_once_each_while_others_come_and_go(around: Around) -> None:
    around.open(*(make_link(number) for number in range(1800)))
    listed = around.conns.connections()
    around.conns.tell(transport.Closed(1700, peer_of(1700), Reason.LOST))  # while it is listed
    around.conns.tell(transport.Opened(make_link(5000)))
    ids = [each.link.id for each in listed.get(timeout=1)]
    assert ids == [number for number in range(1800) if number != 1700]


# Limits


@pytest.mark.parametrize("limit", [20, 21])
def test_check_limit_passes_at_or_above_high_water(simulation: Any, limit: int) -> None:
    around = Around(simulation, low_water=10, high_water=20, max_connections=limit)
    assert around.conns.check_limit(limit).get(timeout=1) is None


def test_check_limit_below_high_water_fails_with_both_numbers(simulation: Any) -> None:
    around = Around(simulation, low_water=10, high_water=20)
    with pytest.raises(LimitTooLow, match="high water mark of connections is 20, and transport refuses more than 19"):
        around.conns.check_limit(19).get(timeout=1)


def test_engine_with_a_hard_limit_below_high_water_does_not_start(simulation: Any) -> None:
    net = simulation.mock(transport.Mailbox)
    config = connections.Config(low_water=10, high_water=20)
    with pytest.raises(LimitTooLow, match=r"allowed: a high_water of at most 19, or a higher transport\.max"):
        simulation.start(connections.Engine, config, transport=net, max_connections=19)


def test_everything_asked_of_an_engine_that_ended_is_answered_at_once(around: Around) -> None:
    around.simulation.close()
    assert around.conns.busy(peer_of(1), 1) is Feedback.CLOSED
    with pytest.raises(EngineGone):
        around.conns.trim_open_connections(0).get(timeout=1)


def test_connections_twice_with_one_seed_have_one_digest(simulation: Any) -> None:
    def run() -> str:
        with runtime.Simulation(seed=7) as world:
            net = simulation.mock(transport.Mailbox)
            conns = world.start(connections.Engine, connections.Config(grace_period=0.0), transport=net)
            for number in range(20):
                conns.tell(transport.Opened(make_link(number)))
            conns.trim_open_connections(5).get(timeout=9)
            closings = [message.link_id for message in net.control.received(transport.CloseLink)]
            assert len(closings) == 15
            return f"{world.digest()} {closings}"

    assert run() == run()


def test_lines_about_a_crowd_are_limited_counted_and_the_rest_is_told_in_one(
    simulation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    around = Around(simulation, max_inbound=2, share_per_ip=0.5)
    with caplog.at_level(logging.INFO, "rookery"):
        for number in range(101):
            around.open(make_link(number, direction=Direction.IN, ip="192.0.2.1"))
        simulation.run(for_=11)
    said = [record.__dict__["fields"] for record in caplog.records if "too many connections" in record.getMessage()]
    told = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "log lines left out"]
    assert around.counted("trimmed_total", "crowd") == 100
    assert {each["ip"] for each in said} == {"192.0.2.1"}
    assert around.counted("log_lines_left_out_total") == 100 - len(said) == 36
    assert told == [{"lines": 36, "most_of": "192.0.2.1", "of_it": 36}]
