"""The tracker as an actor: peer sets and the dialling side."""

from __future__ import annotations

import logging
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from rookery.actors import tracker
from rookery.runtime import Feedback, UnhandledMessage
from rookery.runtime.simulation import WALL_AT_START
from rookery.transport import mailbox as transport
from rookery.transport.gatekeeper import Admitted, Direction, Gate, Role
from rookery.transport.reasons import Reason
from tests.tracker.world import CONFIG, A, B, C, Listener, World


@pytest.fixture
def world(simulation: Any) -> World:
    return World(simulation)


# Start ---------------------------------------------------------------------------------------------------------------


def test_tracker_when_it_starts_pushes_a_gate_at_once(world: World) -> None:
    assert world.gates == [Gate(1, registered_ips=frozenset())]


def test_tracker_with_static_peers_tracks_them_as_set_one_before_the_first_gate(simulation: Any) -> None:
    (bob,) = simulation.peers("bob")
    config = tracker.Config(source="static", admission="tracked", peers=(tracker.StaticPeer(bob, A),))
    world = World(simulation, config)
    assert [gate.registered_ips for gate in world.gates] == [frozenset({"10.0.0.1"})]
    assert world.peers.peer_set(1).get(timeout=1) == tracker.PeerSet((bob,))
    with pytest.raises(tracker.SourceIsStatic):
        world.peers.track(2, {bob: B}).get(timeout=1)


def test_tracker_fed_by_membership_dials_the_seeds_until_the_first_set(simulation: Any) -> None:
    bob, carol = simulation.peers("bob", "carol")
    world = World(simulation, tracker.Config(peers=(tracker.StaticPeer(bob, A),)))
    assert world.candidates() == (bob,)
    assert world.hear() == []
    world.track(1, {carol: B})
    assert world.candidates() == (carol,)


# Peer sets -----------------------------------------------------------------------------------------------------------


def test_T5_track_that_is_refused_tells_the_caller_why(world: World) -> None:
    world.track(5, {world.bob: A})
    with pytest.raises(tracker.StaleSetId) as stale:
        world.peers.track(5, {world.bob: A}).get(timeout=1)
    assert stale.value.newest == 5
    assert world.metric("tracker_sets_refused_total", "StaleSetId") == 1


def test_T5_track_of_too_many_peers_tells_the_caller_how_many_are_allowed(simulation: Any) -> None:
    world = World(simulation, replace(CONFIG, max_peers_per_set=2))
    with pytest.raises(tracker.PeerSetTooLarge, match="allowed are 2"):
        world.peers.track(1, {world.bob: A, world.carol: B}).get(timeout=1)


def test_track_tells_subscribers_the_newest_set_and_all_of_them(world: World) -> None:
    world.track(1, {world.bob: A}, {world.carol: B})
    world.track(2, {world.carol: B}, {world.dave: C})
    updates = world.hear()
    all_of_them = tracker.PeerSet(tuple(sorted((world.bob, world.carol))), (world.dave,))
    assert updates == [tracker.PeerSetUpdate(2, tracker.PeerSet((world.carol,), (world.dave,)), all_of_them)]
    world.track(7, {world.bob: A})
    assert [update.index for update in world.heard() if isinstance(update, tracker.PeerSetUpdate)] == [2, 7]


def test_track_closes_peers_that_left_without_blocking_them(simulation: Any) -> None:
    world = World(simulation, replace(CONFIG, tracked_peer_sets=1))
    world.track(1, {world.bob: A})
    world.connect("bob")
    world.track(2, {world.carol: B})
    assert world.closed == [(world.bob, Reason.NOT_TRACKED)]
    assert world.gates[-1].blocked == frozenset()


def test_track_resolves_only_when_gate_and_closes_are_confirmed(simulation: Any) -> None:
    world = World(simulation, replace(CONFIG, tracked_peer_sets=1))
    world.track(1, {world.bob: A})
    world.connect("bob")
    simulation.settle()
    gates, closes = world.net.control.hold(transport.SetGate), world.net.control.hold(transport.Close)
    reply = world.peers.track(2, {world.carol: B})
    simulation.settle()
    gates.pop().set(2)
    simulation.settle()
    assert not reply.done
    closes.pop(peer=world.bob).set(None)
    reply.get(timeout=1)


def test_tracker_tells_a_subscriber_only_the_kinds_it_asked_for(world: World) -> None:
    world.hear(tracker.PeerBlocked)
    world.track(1, {world.bob: A})
    world.peers.block(world.bob, 10.0).get(timeout=1)
    assert world.heard() == [tracker.PeerBlocked(world.bob, WALL_AT_START + 10.0)]


def test_subscribe_without_a_handler_is_refused_at_the_caller(simulation: Any, world: World) -> None:
    listener = simulation.start(Listener)
    world.peers.subscribe(listener, tracker.PeerSetUpdate)
    with pytest.raises(UnhandledMessage, match="DialableChanged"):
        world.peers.subscribe(listener, tracker.DialableChanged)


def test_subscribe_to_what_is_no_event_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="tracker has no event Track; it has PeerSetUpdate"):
        world.peers.subscribe(world.listener, tracker.Track)


def test_tracker_drops_a_subscriber_that_is_gone(world: World) -> None:
    world.hear()
    world.listener.control.close()
    world.track(1, {world.bob: A})
    world.track(2, {world.bob: A})
    assert world.listener.control.received() == []
    assert world.simulation.engines[0]._subscribers._kinds == {}


# The dialling side ---------------------------------------------------------------------------------------------------


def test_T1_every_change_that_may_make_a_peer_dialable_wakes_the_dialling_side(world: World) -> None:
    world.hear(tracker.DialableChanged)
    world.track(1, {world.bob: A})
    assert len(world.heard()) == 1
    world.peers.overwrite({world.bob: B})
    assert len(world.heard()) == 2
    ticket = world.connect("bob")
    assert len(world.heard()) == 2
    world.peers.released(ticket, Reason.LOST)
    assert len(world.heard()) == 3
    world.peers.block(world.bob)
    before = len(world.heard())
    world.peers.unblock(world.bob)
    assert len(world.heard()) == before + 1


def test_T1_end_of_a_block_by_time_wakes_the_dialling_side(world: World) -> None:
    world.track(1, {world.bob: A})
    world.peers.block(world.bob, 10.0).get(timeout=1)
    world.hear(tracker.DialableChanged)
    world.simulation.run(for_=10.0)
    assert world.heard() == [tracker.DialableChanged()]


def test_dial_reserves_tells_transport_where_to_and_answers_when_the_link_opens(world: World) -> None:
    world.track(1, {world.bob: A})
    reply = world.peers.dial(world.bob)
    ticket = world.dialled()
    assert world.net.control.received(transport.Dial) == [transport.Dial(ticket, A)]
    assert (ticket.peer, ticket.direction) == (world.bob, Direction.OUT)
    assert world.candidates() == ()
    assert not reply.done
    admitted = world.claim("bob", "10.0.0.1", direction=Direction.OUT, ticket=ticket)
    assert admitted == Admitted(ticket, Role.PRIMARY, world.gates[-1].version)
    world.peers.tell(transport.Opened(world.link("bob")))
    assert reply.get(timeout=1) == tracker.Dialled(world.bob)
    assert world.metric("tracker_connected") == world.metric("tracker_reserved") == 1


def test_dial_that_fails_answers_with_the_reason_and_backs_off(world: World) -> None:
    world.track(1, {world.bob: A})
    reply = world.peers.dial(world.bob)
    world.peers.released(world.dialled(), Reason.UNREACHABLE)
    assert reply.get(timeout=1) == tracker.Failed(Reason.UNREACHABLE)
    waiting = world.peers.dialable(10).get(timeout=1)
    assert waiting.peers == ()
    world.simulation.run(for_=waiting.next_at - world.simulation.now())
    assert world.candidates() == (world.bob,)
    assert world.metric("tracker_dials_total", "unreachable") == 1


def test_dial_of_a_peer_that_may_not_be_dialled_is_refused_and_counted(world: World) -> None:
    assert world.peers.dial(world.bob).get(timeout=1) == tracker.Refused(Reason.NOT_TRACKED)
    assert world.net.control.received(transport.Dial) == []
    assert world.metric("tracker_refusals_total", "out", "not_tracked") == 1


def test_dial_that_transport_does_not_take_gives_the_reservation_back_at_once(world: World) -> None:
    world.track(1, {world.bob: A})
    world.net.control.feedback(Feedback.REJECTED, transport.Dial, times=1)
    assert world.peers.dial(world.bob).get(timeout=1) == tracker.Refused(Reason.LIMIT)
    assert world.metric("tracker_reserved") == 0


def test_dial_superseded_by_the_peers_own_is_answered_by_that_link(world: World) -> None:
    world.track(1, {world.bob: A})
    reply = world.peers.dial(world.bob)
    dial = world.dialled()
    admitted = world.claim("bob", "10.0.0.1", supersedes=dial)
    assert isinstance(admitted, Admitted)
    world.peers.released(dial, Reason.SUPERSEDED)
    world.simulation.settle()
    assert not reply.done
    world.peers.tell(transport.Opened(world.link("bob", Direction.IN)))
    assert reply.get(timeout=1) == tracker.Dialled(world.bob)
    assert world.metric("tracker_void_releases_total") == 1


def test_dial_goes_on_when_the_claim_that_superseded_it_dies(world: World) -> None:
    world.track(1, {world.bob: A})
    reply = world.peers.dial(world.bob)
    dial = world.dialled()
    claimed = world.claim("bob", "10.0.0.1", supersedes=dial).ticket
    world.peers.released(claimed, Reason.TIMEOUT)
    world.simulation.settle()
    assert not reply.done
    world.peers.released(dial, Reason.UNREACHABLE)
    assert reply.get(timeout=1) == tracker.Failed(Reason.UNREACHABLE)


def test_dialable_leaves_out_who_is_excluded_and_gives_no_more_than_asked_for(world: World) -> None:
    world.track(1, {world.bob: A, world.carol: B, world.dave: C})
    found = world.peers.dialable(1, exclude=(world.bob, world.carol)).get(timeout=1)
    assert found == tracker.Candidates((world.dave,), None)


# Log -----------------------------------------------------------------------------------------------------------------


def test_lines_about_blocks_are_limited_counted_and_the_rest_is_told_in_one(
    simulation: Any, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A new key for each cheat costs nothing: it is blocked, and the block ends."""
    subnet = ip_network("2001:db8:7::/48")
    with caplog.at_level(logging.INFO, "rookery"):
        for _ in range(70):
            world.peers.block(subnet, 10.0)
            world.peers.unblock(subnet)
        world.peers.block(world.bob, 1.0)
        simulation.run(for_=11)
    lines = [record.getMessage() for record in caplog.records]
    assert (lines.count("blocked"), lines.count("unblocked")) == (64 + 1, 64 + 1)
    assert world.metric("tracker_log_lines_left_out_total") == 6 + 6
    told = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "log lines left out"]
    assert told == [{"lines": 12, "most_of": "2001:db8:7::/64", "of_it": 12}]
