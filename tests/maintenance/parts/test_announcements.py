"""What maintenance says of itself: events once, and one line that is true at every moment."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from rookery.actors import connections, maintenance, tracker
from rookery.actors.maintenance import (
    CannotTrim,
    Doing,
    Level,
    MaintenanceEnded,
    MaintenanceStarted,
    Motive,
    Standing,
    TooFewConnections,
    TooManyConnections,
)
from rookery.transport import PeerId, Reason
from tests.maintenance.neighbours import Neighbours

BAND = maintenance.Config(min_connections=2, expected_connections=5, max_connections=8)  # 3 to 7, targets 4 and 6
ALL = maintenance.Config(policy="all", min_connections=1, expected_connections=4, max_connections=8)


def explained(around: Neighbours) -> str:
    around.simulation.settle()
    return around.upkeep.standing().get(timeout=1).explain()


def test_too_few_is_told_when_work_begins_and_once_however_long_it_lasts(simulation: Any) -> None:
    around = Neighbours(simulation, BAND)
    around.upkeep.activate()
    simulation.run(for_=60)
    assert around.events() == [MaintenanceStarted(Motive.ACTIVATION, 0), TooFewConnections(0, wanted=4)]
    around.count(3)
    simulation.run(for_=300)
    (ended,) = around.events()[2:]
    assert isinstance(ended, MaintenanceEnded)
    assert ended.open == 3
    assert ended.seconds == pytest.approx(61, abs=2)


def test_too_many_is_told_once_and_ends_with_the_trim(simulation: Any) -> None:
    around = Neighbours(simulation, BAND)
    trims = around.conns.control.hold(connections.Trim)
    around.count(8)
    around.upkeep.activate()
    simulation.settle()
    around.count(6)
    trims.pop(target=6).set(connections.TrimReport(closed=(None, None), short_by=0))  # type: ignore[arg-type]
    simulation.run(for_=60)
    assert around.events() == [
        MaintenanceStarted(Motive.ACTIVATION, 8),
        TooManyConnections(8, target=6),
        MaintenanceEnded(0.0, 6),
    ]


def test_P3_cannot_trim_is_told_once_until_there_are_few_enough(simulation: Any) -> None:
    around = Neighbours(simulation, BAND)
    around.conns.control.answer(connections.Trim, connections.TrimReport(closed=(), short_by=2, protected=8))
    around.upkeep.activate()
    around.count(8)
    simulation.run(for_=1000)
    around.count(9)
    simulation.run(for_=10)
    assert around.events().count(CannotTrim(8, 6)) == 1
    assert [type(event) for event in around.events()].count(CannotTrim) == 1
    around.count(5)
    around.count(8)
    simulation.run(for_=10)
    assert [type(event) for event in around.events()].count(CannotTrim) == 2


def test_losses_and_arrivals_say_why_work_began(simulation: Any) -> None:
    around = Neighbours(simulation, BAND)
    around.upkeep.activate()
    around.count(5)
    simulation.run(for_=10)
    around.count(1)
    simulation.run(for_=10)
    assert MaintenanceStarted(Motive.TOO_FEW, 1) in around.events()


def test_policy_all_that_has_nobody_new_to_dial_begins_nothing(simulation: Any) -> None:
    around = Neighbours(simulation, ALL)
    around.upkeep.activate()
    simulation.run(for_=1000)
    assert around.events() == []
    around.dialable = simulation.peers("bob")
    around.upkeep.tell(tracker.DialableChanged())
    simulation.settle()
    assert around.events() == [MaintenanceStarted(Motive.NEW_PEER, 0)]


# One line


def test_line_follows_what_happens(simulation: Any) -> None:
    around = Neighbours(simulation, BAND)
    bob, carol = around.dialable = simulation.peers("bob", "carol")
    assert explained(around) == "0 connections, 3 below 3: maintenance has not begun"
    around.upkeep.activate()
    assert explained(around) == "0 connections, 3 below 3: dialling 2 peers"
    around.dials.pop(peer=bob).set(tracker.Dialled(bob))
    around.count(1)
    assert explained(around) == "1 connection, 2 below 3: dialling 1 peer"
    around.dials.pop(peer=carol).set(tracker.Failed(Reason.TIMEOUT))
    around.dialable = ()
    assert explained(around) == "1 connection, 2 below 3: looking for what to do"
    simulation.run(for_=4)
    assert explained(around) == "1 connection, 2 below 3: nobody to dial now, waiting until somebody can be"
    around.count(3)
    assert explained(around) == "3 connections, within 3 to 7: nothing to do"
    trims = around.conns.control.hold(connections.Trim)
    around.count(9)
    simulation.run(for_=2)
    assert explained(around) == "9 connections, 2 above 7: closing the least useful"
    trims.pop(target=6).set(connections.TrimReport(closed=(), short_by=3))
    assert explained(around) == "9 connections, 2 above 7: none of them can be given up, waiting until one closes"
    around.upkeep.shutdown()
    assert explained(around) == "9 connections, 2 above 7: maintenance was shut down"


def test_line_of_policy_all_follows_what_happens(simulation: Any) -> None:
    around = Neighbours(simulation, ALL)
    (bob,) = around.dialable = simulation.peers("bob")
    around.upkeep.activate()
    assert explained(around) == "0 connections, of at most 8: dialling 1 peer"
    around.dialable, around.next_at = (), 60.0
    around.dials.pop(peer=bob).set(tracker.Failed(Reason.TIMEOUT))
    simulation.run(for_=4)
    assert explained(around) == "0 connections, of at most 8: nobody to dial now, waiting until somebody can be"
    around.next_at = None
    simulation.run(for_=10)
    assert explained(around) == "0 connections, of at most 8: nobody else may be dialled"


def test_node_that_is_connected_to_all_peers_that_there_are_says_so_and_warns_of_nothing(
    simulation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    around = Neighbours(simulation, BAND)
    bob, carol, dave = simulation.peers("bob", "carol", "dave")

    def track(index: int, *peers: PeerId) -> None:
        listed = tracker.PeerSet.of(peers, [])
        around.upkeep.tell(tracker.PeerSetUpdate(index, listed, listed))

    def connect(*peers: PeerId) -> None:
        for peer in peers:
            around.upkeep.tell(connections.PeerConnected(peer))
        around.count(len(peers))

    with caplog.at_level(logging.INFO, logger="rookery"):
        track(1, bob)
        connect(bob)
        around.upkeep.activate()
        simulation.run(for_=4)
        assert explained(around) == "connected to the only known peer"
        connect(bob, carol)
        track(2, bob, carol)
        simulation.run(for_=4)
        assert explained(around) == "connected to all 2 known peers"
        assert [record.getMessage() for record in caplog.records] == ["connected to all known peers"]
        track(3, bob, carol, dave)
        simulation.run(for_=4)
        assert explained(around) == "2 connections, 1 below 3: nobody to dial now, waiting until somebody can be"
        assert caplog.messages[1:] == ["too few connections, and nobody else to dial now"]


def test_line_says_what_does_not_count() -> None:
    few = Standing(Level.TOO_FEW, Doing.LOOKING, open=4, low=3, high=7, surplus=2)
    assert few.explain().startswith("4 connections, 1 below 3 without 2 too many of one subnet: ")
    enough = Standing(Level.IN_BAND, Doing.RESTING, open=6, low=3, high=7, surplus=2)
    assert enough.explain() == "6 connections, within 3 to 7 without 2 too many of one subnet: nothing to do"


def test_line_says_how_many_peers_were_asked() -> None:
    standing = Standing(Level.TOO_FEW, Doing.WAITING, open=1, low=3, high=7, asked=1)
    assert standing.explain().endswith("nobody to dial now, waiting after asking 1 peer for others")


def test_subscriber_to_where_it_stands_is_told_at_once_and_whenever_it_changes(simulation: Any) -> None:
    around = Neighbours(simulation, BAND)
    simulation.settle()
    around.count(4)
    around.upkeep.activate()
    simulation.run(for_=1000)
    told = around.listener.control.received(Standing)
    assert [(each.doing, each.open) for each in told] == [
        (Doing.INACTIVE, 0),
        (Doing.INACTIVE, 4),
        (Doing.RESTING, 4),
    ]


def test_subscription_to_what_is_no_event_is_refused(simulation: Any) -> None:
    around = Neighbours(simulation, BAND)
    with pytest.raises(ValueError, match="maintenance has no event Want; it has MaintenanceStarted, "):
        around.upkeep.subscribe(around.listener, maintenance.Want)
