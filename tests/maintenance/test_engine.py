"""The maintenance engine between mocked neighbours, in virtual time."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from rookery.actors import connections, maintenance, tracker
from rookery.actors.maintenance.core.fetch_wishes import MAX_WISHES
from rookery.runtime import EngineGone, Subscribe
from rookery.transport import mailbox as transport
from rookery.transport.gatekeeper import Direction, Link, Role
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason
from tests.maintenance.neighbours import Neighbours

ONE = maintenance.Config(min_connections=1, expected_connections=1, max_connections=1)
ALL = maintenance.Config(policy="all", min_connections=1, expected_connections=4, max_connections=8)


def test_maintenance_when_a_dial_fails_tries_the_next_candidate(simulation: Any) -> None:
    bob, carol = simulation.peers("bob", "carol")
    peers, conns, net = map(simulation.mock, (tracker.Mailbox, connections.Mailbox, transport.Mailbox))
    peers.control.answer(
        tracker.Dialable,
        lambda m: tracker.Candidates(tuple(p for p in (bob, carol) if p not in m.exclude)[: m.limit], next_at=None),
    )
    dials = peers.control.hold(tracker.Dial)  # asks wait here until the test answers them
    upkeep = simulation.start(
        maintenance.Engine,
        maintenance.Config(min_connections=1, expected_connections=1, max_connections=1),
        tracker=peers,
        connections=conns,
        transport=net,
    )
    upkeep.activate()
    report = upkeep.maintain()
    simulation.settle()  # every message that needs no time
    dials.pop(peer=bob).set(tracker.Failed("timeout"))  # type: ignore[arg-type]  # a Reason is its word
    simulation.run_until(lambda: dials.waiting == [tracker.Dial(carol)], timeout=10)
    dials.pop(peer=carol).set(tracker.Dialled(carol))
    upkeep.tell(connections.Counts(open=1, closing=0))
    assert report.get(timeout=5).in_band  # outside an engine get() steps virtual time
    assert net.control.received() == []


def test_maintenance_at_start_subscribes_to_its_triggers(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    [to_counts] = around.conns.control.received(Subscribe)
    assert connections.Counts in to_counts.kinds
    [to_dialable] = around.peers.control.received(Subscribe)
    assert to_dialable.kinds == (tracker.DialableChanged, tracker.PeerSetUpdate)


def test_maintenance_before_activation_does_nothing_and_lets_maintain_wait(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    report = around.upkeep.maintain()
    simulation.run(for_=300)
    assert not report.done
    assert around.asked == []
    around.upkeep.activate()
    assert not report.get(timeout=1).in_band


def test_P2_maintain_resolves_when_nothing_to_do(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.upkeep.activate()
    around.count(1)
    for _ in range(3):
        assert around.upkeep.maintain().get(timeout=2) == maintenance.Report(
            in_band=True, open=1, dialled=0, opened=0, trimmed=0
        )


def test_P2_maintain_resolves_when_nobody_can_be_dialled(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.upkeep.activate()
    assert not around.upkeep.maintain().get(timeout=2).in_band


def test_maintain_reports_what_was_really_dialled(simulation: Any) -> None:
    around = Neighbours(simulation, maintenance.Config(min_connections=3, expected_connections=3, max_connections=3))
    around.dialable = bob, carol, dave = simulation.peers("bob", "carol", "dave")
    around.upkeep.activate()
    report = around.upkeep.maintain()
    simulation.settle()
    around.dials.pop(peer=bob).set(tracker.Dialled(bob))
    around.dials.pop(peer=carol).set(tracker.Refused(Reason.COOLDOWN))
    around.dials.pop(peer=dave).set(tracker.Failed(Reason.UNREACHABLE))
    around.count(1)
    assert report.get(timeout=5) == maintenance.Report(in_band=False, open=1, dialled=2, opened=1, trimmed=0)


def test_P3_maintenance_with_nobody_to_dial_asks_once_per_looking_interval(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.upkeep.activate()
    simulation.run(for_=51)
    assert len(around.asked) == 11


def test_P3_maintenance_whose_trims_close_nobody_waits_for_counts_or_the_idle_time(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.conns.control.answer(connections.Trim, connections.TrimReport(closed=(), short_by=1))
    around.count(2)
    around.upkeep.activate()
    assert not around.upkeep.maintain().get(timeout=5).in_band
    before = simulation.handled
    simulation.run(for_=100)
    assert simulation.handled - before < 5
    assert simulation.registry.value("maintenance_cannot_trim_total") == 2  # activation, and maintain


def test_maintenance_above_the_band_lets_connections_trim_to_the_upper_target(simulation: Any) -> None:
    around = Neighbours(simulation, maintenance.Config(min_connections=0, expected_connections=3, max_connections=9))
    trims = around.conns.control.hold(connections.Trim)
    around.count(8)
    around.upkeep.activate()
    simulation.settle()
    assert trims.waiting == [connections.Trim(target=5)]


def test_P9_maintenance_acts_at_once_when_the_count_enters_what_upstream_calls_a_dead_zone(simulation: Any) -> None:
    around = Neighbours(simulation, maintenance.Config())
    around.upkeep.activate()
    around.count(50)
    simulation.run(for_=10)
    around.count(22)  # above min_connections, below min_threshold
    assert [(ask.limit, ask.urgent) for ask in around.asked] == [(68, True), (68 - 22, True)]


def test_P4_only_what_was_really_dialled_counts_as_seen(simulation: Any) -> None:
    config = maintenance.Config(
        min_connections=0, expected_connections=6, max_connections=9, max_concurrent_dials=1
    )  # threshold 2, targets 4 and 7
    around = Neighbours(simulation, config)
    around.dialable = bob, *_others = simulation.peers("bob", "carol", "dave")
    around.upkeep.activate()
    simulation.settle()
    around.count(4)  # they dialled us meanwhile
    around.dials.pop(peer=bob).set(tracker.Failed(Reason.TIMEOUT))
    simulation.run(for_=3)
    around.count(1)
    assert [set(ask.exclude) for ask in around.asked] == [set(), set()]  # carol and dave were never dialled
    assert around.dials.waiting == [tracker.Dial(bob)]


def test_P16_maintenance_whose_neighbours_fail_goes_on(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.peers.control.answer(tracker.Dialable, EngineGone("the tracker is not running"))
    around.upkeep.activate()
    simulation.run(for_=12)
    assert simulation.registry.value("maintenance_unanswered_total", "candidates") == 3
    around.peers.control.answer(tracker.Dialable, around.candidates)
    around.dialable = simulation.peers("bob")
    simulation.run_until(lambda: around.dials.waiting, timeout=6)


def test_P16_maintenance_whose_trim_fails_goes_on(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.conns.control.answer(connections.Trim, EngineGone("connections is not running"))
    around.count(2)
    around.upkeep.activate()
    simulation.settle()
    around.count(1)
    assert around.upkeep.maintain().get(timeout=5).in_band


def test_maintenance_without_an_answer_to_a_dial_counts_it_as_failed(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.dialable = _bob, carol = simulation.peers("bob", "carol")
    around.upkeep.activate()
    simulation.run_until(lambda: tracker.Dial(carol) in around.dials.waiting, timeout=120)
    assert simulation.registry.value("maintenance_dials_total", "failed") == 1


def test_P18_shutdown_during_a_dial_ends_everything_and_releases_who_waits(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.dialable = bob, _carol = simulation.peers("bob", "carol")
    around.upkeep.activate()
    report = around.upkeep.maintain()
    simulation.settle()
    around.upkeep.shutdown().get(timeout=1)
    with pytest.raises(maintenance.MaintenanceStopped):
        report.get(timeout=1)
    around.dials.pop(peer=bob).set(tracker.Failed(Reason.TIMEOUT))
    around.upkeep.tell(tracker.DialableChanged())
    around.upkeep.activate()
    simulation.run(for_=300)
    assert around.dials.waiting == []
    assert len(around.asked) == 1


@pytest.mark.parametrize("step", ["resting", "asking", "trimming"])
def test_P18_shutdown_during_any_step_leaves_no_timer_and_no_question(simulation: Any, step: str) -> None:
    around = Neighbours(simulation, ONE)
    questions = (
        around.peers.control.hold(tracker.Dialable) if step == "asking" else around.conns.control.hold(connections.Trim)
    )
    around.count({"resting": 1, "asking": 0, "trimming": 2}[step])
    around.upkeep.activate()
    simulation.settle()
    around.upkeep.shutdown().get(timeout=1)
    while questions.waiting:
        questions.pop().fail(EngineGone("stopped"))
    simulation.settle()
    before = simulation.handled
    simulation.run(for_=1000)
    assert simulation.handled == before
    assert questions.waiting == []


def test_shutdown_repeated_is_answered_and_maintain_afterwards_is_refused(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.upkeep.shutdown().get(timeout=1)
    around.upkeep.shutdown().get(timeout=1)
    with pytest.raises(maintenance.MaintenanceStopped, match="was shut down"):
        around.upkeep.maintain().get(timeout=1)


def test_maintenance_short_of_peers_says_so_once_and_once_more_when_it_is_over(
    simulation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    around = Neighbours(simulation, ONE)
    with caplog.at_level(logging.INFO, logger="rookery"):
        around.upkeep.activate()
        simulation.run(for_=60)
        around.count(1)
        simulation.run(for_=60)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["too few connections, and nobody else to dial now", "connections are in bounds again"]


def test_maintenance_of_policy_all_redials_a_lost_peer_when_the_tracker_lets_it(simulation: Any) -> None:
    around = Neighbours(simulation, ALL)
    around.dialable = (bob,) = simulation.peers("bob")
    around.upkeep.activate()
    simulation.settle()
    around.dialable = ()
    around.dials.pop(peer=bob).set(tracker.Dialled(bob))
    around.count(1)
    assert around.upkeep.maintain().get(timeout=5).in_band
    around.next_at = simulation.time + 9
    around.upkeep.tell(connections.PeerDisconnected(bob, Reason.LOST))
    around.upkeep.tell(tracker.DialableChanged())
    around.count(0)
    assert not around.upkeep.maintain().get(timeout=5).in_band
    lost_at, asked = simulation.time, len(around.asked)
    simulation.run(for_=3)
    assert len(around.asked) == asked  # it waits
    around.dialable, around.next_at = (bob,), None
    simulation.run_until(lambda: around.dials.waiting, timeout=10)
    assert simulation.time - lost_at > 3


def test_maintenance_of_policy_all_dials_all_candidates_but_only_so_many_at_once(simulation: Any) -> None:
    config = maintenance.Config(
        policy="all", min_connections=1, expected_connections=4, max_connections=8, max_concurrent_dials=2
    )
    around = Neighbours(simulation, config)
    names = ("bob", "carol", "dave", "erin", "frank")
    around.dialable = wanted = simulation.peers(*names)
    around.upkeep.activate()
    dialled: list[PeerId] = []
    while len(dialled) < len(names):
        simulation.settle()
        assert 1 <= len(around.dials.waiting) <= 2
        peer = around.dials.waiting[0].peer
        around.dials.pop(peer=peer).set(tracker.Dialled(peer))
        dialled.append(peer)
        around.count(len(dialled))
    assert sorted(dialled) == sorted(wanted)


def test_want_of_what_is_no_peer_is_refused_at_the_caller(simulation: Any) -> None:
    peer: Any = "ab" * 32
    with pytest.raises(ValueError, match="a peer id is 32 bytes"):
        simulation.mock(maintenance.Mailbox).want(peer)


def test_want_inside_the_band_dials_that_peer_through_the_tracker(simulation: Any) -> None:
    around = Neighbours(simulation, maintenance.Config(min_connections=0, expected_connections=3, max_connections=9))
    (bob,) = simulation.peers("bob")
    around.upkeep.activate()
    around.count(3)
    around.upkeep.want(bob)
    around.upkeep.want(bob)
    simulation.run(for_=2)
    assert around.dials.waiting == [tracker.Dial(bob)]
    around.dials.pop(peer=bob).set(tracker.Refused(Reason.COOLDOWN))
    simulation.run(for_=10)
    assert around.dials.waiting == []


@pytest.mark.parametrize("seed", range(5))
def test_maintenance_with_the_real_connections_reaches_its_band_and_no_more(simulation: Any, seed: int) -> None:
    """A tracker that connects whom it dials, over a transport that only tells: every order of messages will do."""
    around = RealConnections(simulation, [f"peer{seed}-{number}" for number in range(20)])
    around.upkeep.activate()
    report = around.upkeep.maintain().get(timeout=30)
    assert report.in_band
    simulation.run(for_=10)
    info = around.conns.get_info().get(timeout=1)
    assert (info.open, info.closing) == (6, 0)  # exactly the lower target


class RealConnections:
    """Maintenance with the real connections actor; dialling a peer opens a link to it."""

    def __init__(self, simulation: Any, names: list[str]) -> None:
        self.simulation = simulation
        self.names = names
        self.dialled: list[PeerId] = []
        peers, net = simulation.mock(tracker.Mailbox), simulation.mock(transport.Mailbox)
        ids = simulation.peers(*names)
        peers.control.answer(
            tracker.Dialable,
            lambda m: tracker.Candidates(
                tuple(p for p in ids if p not in self.dialled and p not in m.exclude)[: m.limit], None
            ),
        )
        peers.control.answer(tracker.Dial, lambda m: self.dial(m.peer))
        self.conns = simulation.start(connections.Engine, connections.Config(), transport=net)
        config = maintenance.Config(min_connections=2, expected_connections=8, max_connections=14)
        self.upkeep = simulation.start(maintenance.Engine, config, tracker=peers, connections=self.conns, transport=net)

    def dial(self, peer: PeerId) -> tracker.DialResult:
        self.dialled.append(peer)
        number = len(self.dialled)
        record = self.simulation.known.record(self.names[number - 1])
        link = Link(
            id=number,
            peer=peer,
            direction=Direction.OUT,
            role=Role.PRIMARY,
            ip="10.0.0.1",
            opened_at=self.simulation.now(),
            record=record,
        )
        self.conns.tell(transport.Opened(link))
        return tracker.Dialled(peer)


def test_any_number_of_hints_is_one_look_and_one_more_for_those_that_came_meanwhile(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.upkeep.activate()
    simulation.run(for_=2)
    asked = len(around.asked)
    reports = [around.upkeep.maintain() for _ in range(500)]
    for _ in range(500):
        around.upkeep.tell(tracker.DialableChanged())
    simulation.settle()
    assert [report.get(timeout=5).in_band for report in reports] == [False] * 500
    assert len(around.asked) == asked + 2


def test_activation_repeated_changes_nothing(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    around.upkeep.activate()
    simulation.settle()
    around.upkeep.activate()
    simulation.settle()
    assert len(around.asked) == 1


def test_policy_all_dials_primary_peers_and_nobody_else(simulation: Any) -> None:
    around = Neighbours(simulation, ALL)
    bob, carol = around.dialable = simulation.peers("bob", "carol")
    [subscription] = around.peers.control.received(Subscribe)
    assert subscription.kinds == (tracker.DialableChanged, tracker.PeerSetUpdate)
    listed = tracker.PeerSet.of([carol], [])
    around.upkeep.tell(tracker.PeerSetUpdate(1, listed, listed))
    around.upkeep.activate()
    simulation.settle()
    assert around.dials.waiting == [tracker.Dial(carol)]
    both = tracker.PeerSet.of([bob, carol], [])
    around.upkeep.tell(tracker.PeerSetUpdate(2, both, both))
    simulation.run(for_=2)
    assert around.dials.waiting == [tracker.Dial(carol), tracker.Dial(bob)]


def test_wishes_of_fetches_beyond_those_that_are_kept_are_counted_and_told_of(simulation: Any) -> None:
    around = Neighbours(simulation, ONE)
    first, second, *others = simulation.peers(*(f"peer-{number}" for number in range(MAX_WISHES + 2)))
    for peer in (first, second, *others):
        around.upkeep.want_for_fetch(peer)
    simulation.settle()
    assert simulation.registry.value("maintenance_fetch_wishes_dropped_total") == 2
    dropped = [event for event in around.events() if isinstance(event, maintenance.NotReached)]
    assert [(event.peer, event.waits) for event in dropped] == [(first, False), (second, False)]
