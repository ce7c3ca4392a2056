"""The connections engine: what it tells, and how it trims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import connections
from rookery.actors.connections import Counts, PeerConnected, PeerDisconnected
from rookery.runtime import UnhandledMessage
from rookery.transport import mailbox as transport
from rookery.transport.mailbox import Link
from rookery.transport.reasons import Reason

MakeLink = Callable[..., Link]


class Around:
    """A connections engine with a mocked transport and one subscriber to everything."""

    def __init__(self, simulation: Any) -> None:
        self.simulation = simulation
        self.net = simulation.mock(transport.Mailbox)
        self.conns = simulation.start(connections.Engine, connections.Config(close_timeout=5.0), transport=self.net)
        self.listener = simulation.mock(runtime.Mailbox)
        self.conns.subscribe(self.listener)
        simulation.settle()

    def open(self, *links: Link) -> None:
        for link in links:
            self.conns.tell(transport.Opened(link))
        self.simulation.settle()

    def close(self, *links: Link, reason: Reason = Reason.TRIMMED) -> None:
        for link in links:
            self.conns.tell(transport.Closed(link.id, link.peer, reason))
        self.simulation.settle()

    def told(self) -> list[runtime.Message]:
        heard: list[runtime.Message] = self.listener.received()
        return heard

    def closings(self) -> list[int]:
        return [message.link_id for message in self.net.received(transport.CloseLink)]


@pytest.fixture
def around(simulation: Any) -> Around:
    return Around(simulation)


def test_subscriber_is_told_the_counts_at_once(around: Around) -> None:
    assert around.told() == [Counts(open=0, closing=0)]


def test_subscriber_is_told_of_each_link_and_peer(around: Around, make_link: MakeLink) -> None:
    link = make_link(1)
    around.open(link)
    around.close(link, reason=Reason.LOST)
    assert around.told()[1:] == [
        Counts(open=1, closing=0),
        PeerConnected(link.peer),
        Counts(open=0, closing=0),
        PeerDisconnected(link.peer, Reason.LOST),
    ]


def test_subscriber_is_told_of_a_peer_with_two_links_once(around: Around, make_link: MakeLink) -> None:
    first, second = make_link(1, peer=7), make_link(2, peer=7)
    around.open(first, second)
    around.close(first, reason=Reason.REPLACED)
    around.close(second, reason=Reason.REMOTE)
    peer_events = [event for event in around.told() if not isinstance(event, Counts)]
    assert peer_events == [PeerConnected(first.peer), PeerDisconnected(first.peer, Reason.REMOTE)]


def test_subscriber_to_one_kind_is_told_no_other(around: Around, make_link: MakeLink) -> None:
    listener = around.simulation.mock(runtime.Mailbox)
    around.conns.subscribe(listener, PeerConnected)
    link = make_link(1)
    around.open(link)
    assert listener.received() == [PeerConnected(link.peer)]


def test_subscriber_that_subscribes_twice_is_told_once(around: Around, make_link: MakeLink) -> None:
    around.conns.subscribe(around.listener, PeerConnected)
    link = make_link(1)
    around.open(link)
    assert around.told().count(PeerConnected(link.peer)) == 1


def test_subscriber_that_is_gone_is_dropped(around: Around, make_link: MakeLink) -> None:
    around.listener.close()
    around.open(make_link(1))
    around.open(make_link(2))
    assert around.conns.get_info().get(timeout=1).open == 2


def test_subscribe_to_what_is_no_event_is_refused(around: Around) -> None:
    with pytest.raises(ValueError, match="has no event Trim; it has Counts, PeerConnected, PeerDisconnected"):
        around.conns.subscribe(around.listener, connections.Trim)


def test_subscribe_of_an_engine_without_a_handler_is_refused(around: Around) -> None:
    with pytest.raises(UnhandledMessage, match="Counts"):
        around.conns.subscribe(around.conns, Counts)


def test_link_that_opens_twice_or_closes_unopened_is_counted_and_changes_nothing(
    around: Around, make_link: MakeLink
) -> None:
    around.open(make_link(1), make_link(1))
    around.close(make_link(2))
    assert around.conns.get_info().get(timeout=1).open == 1
    registry = around.simulation.registry
    assert registry.value("connections_unexpected_total", "opened") == 1
    assert registry.value("connections_unexpected_total", "closed") == 1


def test_get_info_lists_the_open_links_oldest_first(around: Around, make_link: MakeLink) -> None:
    young, old = make_link(1, opened_at=5.0), make_link(2, opened_at=1.0)
    around.open(young, old)
    info = around.conns.get_info().get(timeout=1)
    assert info == connections.Info(open=2, closing=0, links=(old, young), last_trim=None)


def test_trim_closes_down_to_the_target_and_reports_when_all_are_gone(around: Around, make_link: MakeLink) -> None:
    links = [make_link(number, opened_at=float(number)) for number in range(5)]
    around.open(*links)
    report = around.conns.trim_open_connections(3)
    around.simulation.settle()
    assert around.closings() == [4, 3]
    assert around.told()[-1] == Counts(open=3, closing=2)
    around.close(links[4])
    assert not report.done
    around.close(links[3])
    assert report.get(timeout=0) == connections.TrimReport(closed=(links[4], links[3]), short_by=0)
    assert Counts(open=3, closing=0) in around.told()


def test_trim_without_a_victim_is_answered_at_once(around: Around, make_link: MakeLink) -> None:
    around.open(make_link(1))
    assert around.conns.trim_open_connections(1).get(timeout=0) == connections.TrimReport(closed=(), short_by=0)
    assert around.closings() == []


def test_C7_every_trim_is_remembered_as_the_last(around: Around, make_link: MakeLink) -> None:
    around.simulation.run(for_=3)
    around.conns.trim_open_connections(1)
    assert around.conns.get_info().get(timeout=1).last_trim == 3.0


def test_C11_a_link_that_does_not_close_holds_up_neither_the_others_nor_the_report(
    around: Around, make_link: MakeLink
) -> None:
    links = [make_link(number, opened_at=float(number)) for number in range(3)]
    around.open(*links)
    report = around.conns.trim_open_connections(0)
    around.simulation.settle()
    assert around.closings() == [2, 1, 0]  # all asked at once
    around.close(links[2], links[0])
    assert report.get(timeout=6) == connections.TrimReport(closed=(links[2], links[0]), short_by=1)
    assert around.simulation.time == 5.0
    around.close(links[1])
    info = around.conns.get_info().get(timeout=1)
    assert (info.open, info.closing) == (0, 0)


def test_trims_asked_for_during_one_share_its_report_and_the_strictest_follows(
    around: Around, make_link: MakeLink
) -> None:
    links = [make_link(number, opened_at=float(number)) for number in range(5)]
    around.open(*links)
    first = around.conns.trim_open_connections(4)
    around.simulation.settle()
    others = [around.conns.trim_open_connections(target) for target in (4, 2, 3)]
    around.simulation.settle()
    assert around.closings() == [4]
    around.close(links[4])
    assert [reply.get(timeout=0) for reply in (first, *others)] == [connections.TrimReport((links[4],), 0)] * 4
    assert around.closings() == [4, 3, 2]


def test_victim_that_its_own_peer_closes_first_counts_as_gone(around: Around, make_link: MakeLink) -> None:
    link = make_link(1)
    around.open(link)
    report = around.conns.trim_open_connections(0)
    around.simulation.settle()
    around.close(link, reason=Reason.REMOTE)
    assert report.get(timeout=0).closed == (link,)


def test_trim_to_a_negative_target_is_refused(around: Around) -> None:
    with pytest.raises(ValueError, match="at least 0, not -1"):
        around.conns.trim_open_connections(-1)


def test_connections_twice_with_one_seed_have_one_digest(simulation: Any, make_link: MakeLink) -> None:
    def run() -> str:
        with runtime.Simulation(seed=7) as world:
            net = simulation.mock(transport.Mailbox)
            conns = world.start(connections.Engine, connections.Config(), transport=net)
            for number in range(20):
                conns.tell(transport.Opened(make_link(number)))
            conns.trim_open_connections(5).get(timeout=9)
            closings = [message.link_id for message in net.received(transport.CloseLink)]
            return f"{world.digest()} {closings}"

    assert run() == run()
