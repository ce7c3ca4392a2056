"""The engine dials peers of the set though it has enough connections with others."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.actors import connections, maintenance, tracker
from rookery.actors.tracker.core.peer_sets import PeerSet
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason
from tests.maintenance.neighbours import Neighbours

NARROW = maintenance.Config(min_connections=1, expected_connections=1, max_connections=8)


class Around(Neighbours):
    """The tracker has a set, and offers only whom it was asked for."""

    index = 0

    def set_changed(self, *primary: PeerId, secondary: tuple[PeerId, ...] = ()) -> None:
        self.index += 1
        latest = PeerSet.of(primary, secondary)
        self.upkeep.tell(tracker.PeerSetUpdate(self.index, latest, latest))
        self.simulation.settle()

    def connect(self, *peers: PeerId) -> None:
        for peer in peers:
            self.upkeep.tell(connections.PeerConnected(peer))
        self.count(len(peers))

    def candidates(self, message: tracker.Dialable) -> tracker.Candidates:
        self.asked.append(message)
        free = (peer for peer in self.dialable if peer not in message.exclude)
        asked_for = [peer for peer in free if message.among is None or peer in message.among]
        return tracker.Candidates(tuple(asked_for[: message.limit]), None)


def test_maintenance_connected_with_strangers_alone_dials_a_peer_of_the_set(simulation: Any) -> None:
    around = Around(simulation, NARROW)
    bob, carol, dave = simulation.peers("bob", "carol", "dave")
    around.dialable = (carol, bob)
    around.connect(dave)
    around.upkeep.activate()
    asked = len(around.asked)
    simulation.run(for_=200)
    assert len(around.asked) - asked <= 1  # without a set everybody counts
    around.set_changed(bob)
    simulation.run(for_=3)
    assert around.asked[-1].among == frozenset({bob})
    assert around.dials.waiting == [tracker.Dial(bob)]


@pytest.mark.parametrize(("secondary", "asks"), [(True, False), (False, True)])
def test_maintenance_counts_secondary_peers_where_they_are_asked_for_data(
    simulation: Any, secondary: bool, asks: bool
) -> None:
    around = Around(simulation, NARROW, secondary=secondary)
    bob, carol = simulation.peers("bob", "carol")
    around.upkeep.activate()
    around.set_changed(bob, secondary=(carol,))
    around.connect(carol)
    around.asked.clear()
    simulation.run(for_=3)
    assert bool(around.asked) is asks


def test_maintenance_trims_strangers_and_spares_the_set(simulation: Any) -> None:
    around = Around(simulation, NARROW)
    trims = around.conns.control.hold(connections.Trim)
    peers = simulation.peers(*(f"peer-{number}" for number in range(7)))
    around.upkeep.activate()
    around.set_changed(peers[0])
    around.connect(*peers)
    simulation.run(for_=2)
    assert trims.waiting == [connections.Trim(4, spare=frozenset({peers[0]}))]


def test_maintenance_that_seeks_or_makes_room_with_the_right_number_tells_no_event(simulation: Any) -> None:
    around = Around(simulation, maintenance.Config(min_connections=1, expected_connections=1, max_connections=1))
    trims: list[connections.Trim] = []

    def trim(message: connections.Trim) -> connections.TrimReport:
        trims.append(message)
        return connections.TrimReport(closed=(), short_by=1)

    around.conns.control.answer(connections.Trim, trim)
    bob, carol = simulation.peers("bob", "carol")
    around.dialable = (bob,)
    around.connect(carol)
    around.upkeep.activate()
    around.set_changed(bob)
    simulation.run(for_=100)
    assert around.asked[-1].among == frozenset({bob})
    assert set(trims) == {connections.Trim(0, spare=frozenset({bob}))}
    assert around.events() == []


def test_maintenance_that_withholds_room_says_so_once_per_wait(
    simulation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """bob, for whom dave's place was made, cannot be dialled, and the resolver goes on to want him."""
    caplog.set_level("INFO", "rookery")
    around = Around(simulation, maintenance.Config(min_connections=0, expected_connections=0, max_connections=1))
    bob, carol, dave = simulation.peers("bob", "carol", "dave")
    trims = around.conns.control.hold(connections.Trim)
    around.connect(dave)
    around.upkeep.activate()
    around.set_changed(bob)
    around.upkeep.want(bob)
    simulation.settle()
    around.upkeep.tell(connections.PeerDisconnected(dave, Reason.TRIMMED))
    around.count(0)
    trims.pop(target=0).set(connections.TrimReport(closed=(dave,), short_by=0))
    simulation.settle()
    around.dials.pop(peer=bob).set(tracker.Failed(Reason.UNREACHABLE))
    around.connect(carol)
    for _ in range(20):
        around.upkeep.want(bob)
        simulation.run(for_=0.2)
    (told,) = [event for event in around.events() if isinstance(event, maintenance.RoomWithheld)]
    assert 0 < told.seconds <= 5
    assert simulation.registry.value("maintenance_room_withheld_total") == 1
    assert [record.message for record in caplog.records if "no place" in record.message] == [
        "no place for a peer of the set yet, as others did not stay"
    ]


def test_maintenance_told_the_same_set_again_does_nothing(simulation: Any) -> None:
    around = Around(simulation, NARROW)
    bob, carol = simulation.peers("bob", "carol")
    around.upkeep.activate()
    around.set_changed(bob)
    around.connect(carol)
    simulation.run(for_=2000)
    asked = len(around.asked)
    around.set_changed(bob)
    simulation.run(for_=2000)
    assert len(around.asked) == asked
    around.set_changed(bob, carol)
    around.upkeep.tell(connections.PeerDisconnected(carol, Reason.LOST))
    around.count(0)
    simulation.run(for_=3)
    assert len(around.asked) > asked
