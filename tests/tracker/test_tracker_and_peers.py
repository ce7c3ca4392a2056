"""The tracker as an actor: who is let in, who is blocked, and what peers are told."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from rookery.actors import tracker
from rookery.runtime import Feedback, ReplyTimeout
from rookery.runtime.simulation import WALL_AT_START
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Admitted, NotAdmitted, Role
from rookery.transport.identity import curve_key
from rookery.transport.reasons import Reason
from tests.tracker.world import CONFIG, A, B, C, World


@pytest.fixture
def world(simulation: Any) -> World:
    return World(simulation)


# Inbound -------------------------------------------------------------------------------------------------------------


def test_admit_of_a_stranger_is_refused_with_the_reason_and_counted(world: World) -> None:
    assert world.claim("bob", "10.0.0.1") == NotAdmitted(Reason.NOT_TRACKED)
    assert world.metric("tracker_refusals_total", "in", "not_tracked") == 1


def test_admit_of_a_secondary_gives_its_role(world: World) -> None:
    world.track(1, {}, {world.bob: A})
    assert world.claim("bob", "10.0.0.1").role is Role.SECONDARY


def test_admit_gives_one_ticket_until_it_is_released(world: World) -> None:
    world.track(1, {world.bob: A})
    ticket = world.claim("bob", "10.0.0.1").ticket
    assert world.claim("bob", "10.0.0.1") == NotAdmitted(Reason.DUPLICATE)
    world.peers.released(ticket, Reason.TIMEOUT)
    assert world.claim("bob", "10.0.0.1") == NotAdmitted(Reason.COOLDOWN)
    world.simulation.run(for_=1.0)
    assert isinstance(world.claim("bob", "10.0.0.1"), Admitted)


def test_link_that_opened_for_a_peer_that_may_not_connect_any_more_is_closed(world: World) -> None:
    world.track(1, {world.bob: A})
    world.peers.dial(world.bob)
    world.dialled()
    world.peers.block(world.bob).get(timeout=1)
    world.peers.tell(transport.Opened(world.link("bob")))
    world.simulation.settle()
    assert world.closed == [(world.bob, Reason.BLOCKED)] * 2


# Blocks --------------------------------------------------------------------------------------------------------------


def test_T4_block_resolves_only_when_transport_delivers_nothing_more_of_the_peer(world: World) -> None:
    world.track(1, {world.bob: A})
    gates, closes = world.net.control.hold(transport.SetGate), world.net.control.hold(transport.Close)
    reply = world.peers.block(world.bob, 60.0)
    world.simulation.settle()
    assert closes.waiting == [transport.Close(world.bob, Reason.BLOCKED)]
    closes.pop().set(None)
    world.simulation.settle()
    assert not reply.done
    gate = gates.waiting[0].gate
    assert gate.blocked == {curve_key(world.bob)}
    gates.pop().set(gate.version)
    assert reply.get(timeout=1) == tracker.Blocked(WALL_AT_START + 60.0)


def test_block_that_transport_does_not_confirm_in_time_fails_and_stays_in_force(world: World) -> None:
    world.net.control.hold(transport.Close)
    world.track(1, {world.bob: A})
    reply = world.peers.block(world.bob)
    with pytest.raises(tracker.NotInEffect):
        reply.get(timeout=CONFIG.effect_timeout + 1)
    assert world.peers.dial(world.bob).get(timeout=1) == tracker.Refused(Reason.BLOCKED)
    assert world.metric("tracker_not_in_effect_total") == 1


def test_block_repeated_has_its_new_end_and_moves_no_gate(world: World) -> None:
    world.hear(tracker.PeerBlocked)
    first = world.peers.block(world.bob, 60.0).get(timeout=1)
    world.simulation.run(for_=10.0)
    again = world.peers.block(world.bob, 60.0).get(timeout=1)
    assert again.until == first.until + 10.0
    assert world.heard() == [tracker.PeerBlocked(world.bob, first.until), tracker.PeerBlocked(world.bob, again.until)]
    assert len(world.gates) == 2
    world.simulation.run(for_=59.9)
    assert len(world.peers.blocks().get(timeout=1)) == 1
    world.simulation.run(for_=0.1)
    assert world.peers.blocks().get(timeout=1) == ()


def test_block_for_good_stays_when_somebody_blocks_by_rule(world: World) -> None:
    world.peers.block(world.bob, float("inf")).get(timeout=1)
    for reply in (world.peers.block(world.bob), world.peers.block(world.bob, 5.0, at_least=True)):
        assert reply.get(timeout=1) == tracker.Blocked(float("inf"))
    assert world.peers.block(world.bob, 5.0).get(timeout=1) != tracker.Blocked(float("inf"))


def test_P14_block_that_expires_opens_the_gate_and_is_told(world: World) -> None:
    world.hear(tracker.PeerUnblocked)
    world.track(1, {world.bob: A})
    world.peers.block(world.bob, 60.0).get(timeout=1)
    world.peers.block(world.carol, 30.0).get(timeout=1)
    world.simulation.run(for_=29.9)
    assert world.heard() == []
    world.simulation.run(for_=0.1)
    assert world.heard() == [tracker.PeerUnblocked(world.carol)]
    world.simulation.run(for_=30.0)
    assert world.heard() == [tracker.PeerUnblocked(world.carol), tracker.PeerUnblocked(world.bob)]
    assert world.gates[-1].blocked == frozenset()
    assert world.gates[-1].registered_ips == frozenset({"10.0.0.1"})
    assert world.candidates() == (world.bob,)


def test_unblock_ends_a_block_and_says_whether_there_was_one(world: World) -> None:
    world.hear(tracker.PeerUnblocked)
    world.peers.block(world.bob, float("inf")).get(timeout=1)
    assert world.peers.unblock(world.bob).get(timeout=1) is True
    assert world.peers.unblock(world.bob).get(timeout=1) is False
    assert world.heard() == [tracker.PeerUnblocked(world.bob)]


def test_unblock_leaves_no_timer_behind(world: World) -> None:
    world.peers.block(world.bob, 60.0).get(timeout=1)
    assert len(world.simulation.timers) == 1
    world.peers.unblock(world.bob).get(timeout=1)
    assert len(world.simulation.timers) == 0


def test_block_of_this_node_is_declined(world: World) -> None:
    with pytest.raises(tracker.CannotBlock):
        world.peers.block(world.me).get(timeout=1)


# Addresses -----------------------------------------------------------------------------------------------------------


def test_T13_overwrite_is_told_counted_and_no_peer_set_update(world: World) -> None:
    world.track(1, {world.bob: A, world.carol: B})
    world.hear(tracker.PeerSetUpdate, tracker.AddressChanged)
    before = len(world.heard())
    answer = world.peers.overwrite({world.bob: C, world.carol: B, world.dave: A}).get(timeout=1)
    assert answer == tracker.Overwritten((world.bob,), (world.carol,), (world.dave,))
    assert world.heard()[before:] == [tracker.AddressChanged((world.bob,))]
    assert world.metric("tracker_address_changes_total", "overwrite") == 1


def test_overwrite_resolves_only_when_the_link_to_the_old_address_is_closed(world: World) -> None:
    world.track(1, {world.bob: A})
    ticket = world.connect("bob")
    closes = world.net.control.hold(transport.Close)
    reply = world.peers.overwrite({world.bob: B})
    world.simulation.settle()
    assert closes.waiting == [transport.Close(world.bob, Reason.ADDRESS_CHANGED)]
    assert not reply.done
    world.peers.tell(transport.Closed(1, world.bob, Reason.ADDRESS_CHANGED))
    world.peers.released(ticket, Reason.ADDRESS_CHANGED)
    closes.pop().set(None)
    assert reply.get(timeout=1).changed == (world.bob,)
    assert world.candidates() == (world.bob,)
    assert world.metric("tracker_connected") == 0


def test_overwrite_that_changes_nothing_resolves_without_asking_transport_anything(world: World) -> None:
    world.track(1, {world.bob: A})
    gates = len(world.gates)
    assert world.peers.overwrite({world.bob: A}).get(timeout=1).unchanged == (world.bob,)
    assert (len(world.gates), world.closed) == (gates, [])


def test_hint_with_a_forged_record_is_counted_and_ignored(simulation: Any) -> None:
    world = World(simulation, replace(CONFIG, admission="open"))
    genuine = simulation.known.record("bob", "tcp://10.0.0.2:7000")
    forged = replace(simulation.known.record("carol", "tcp://10.0.0.3:7000"), address=A)
    world.peers.hint([genuine, forged])
    simulation.settle()
    assert world.candidates() == (world.bob,)
    assert world.metric("tracker_hints_total", "forged") == 1
    assert world.metric("tracker_hints_total", "learned") == 1


def test_hint_flood_is_bounded(world: World) -> None:
    feedback = [world.peers.hint([]) for _ in range(100)]
    assert feedback.count(Feedback.OK) == 64
    assert feedback[-1] is Feedback.REJECTED


def test_trust_and_distrust_say_whether_they_changed_anything(simulation: Any) -> None:
    world = World(simulation, replace(CONFIG, admission="private"))
    world.track(1, {world.bob: A})
    assert world.candidates() == ()
    assert world.peers.trust(world.bob).get(timeout=1) is True
    assert world.peers.trust(world.bob).get(timeout=1) is False
    world.connect("bob")
    assert world.peers.distrust(world.bob).get(timeout=1) is True
    assert world.closed == [(world.bob, Reason.PRIVATE)]


def test_dial_without_an_end_leaves_its_asker_to_its_own_time_limit(world: World) -> None:
    world.track(1, {world.bob: A})
    with pytest.raises(ReplyTimeout):
        world.peers.dial(world.bob).get(timeout=5)


# IPs and networks ----------------------------------------------------------------------------------------------------


def test_block_of_a_network_is_told_and_resolves_when_the_gate_has_taken_effect(world: World) -> None:
    network = ip_network("10.0.0.0/24")
    world.hear(tracker.IpBlocked, tracker.IpUnblocked)
    gates = world.net.control.hold(transport.SetGate)
    reply = world.peers.block(network, 60.0)
    world.simulation.settle()
    assert not reply.done
    gates.pop().set(2)
    assert reply.get(timeout=1) == tracker.Blocked(WALL_AT_START + 60.0)
    assert world.heard() == [tracker.IpBlocked(network, WALL_AT_START + 60.0)]
    world.net.control.answer(transport.SetGate, world.set_gate)
    world.simulation.run(for_=60.0)
    assert world.heard()[1:] == [tracker.IpUnblocked(network)]
    assert list(world.gates[-1].blocked_subnets) == []


def test_blocks_and_trusted_tell_what_is_in_force(simulation: Any) -> None:
    world = World(simulation, replace(CONFIG, trusted=simulation.peers("carol")))
    ip, network = ip_address("10.0.0.1"), ip_network("10.0.0.0/24")
    for target in (network, ip, world.bob):
        world.peers.block(target, 60.0).get(timeout=1)
    until = WALL_AT_START + 60.0
    in_force = tuple(tracker.BlockInForce(target, until) for target in (world.bob, ip, network))
    assert world.peers.blocks().get(timeout=1) == in_force
    assert world.peers.unblock(ip).get(timeout=1) is True
    assert world.peers.unblock(ip).get(timeout=1) is False
    assert len(world.peers.blocks().get(timeout=1)) == 2
    assert world.peers.trusted().get(timeout=1) == (world.carol,)


def test_block_without_disconnect_lets_open_connections_end_by_themselves(world: World) -> None:
    world.track(1, {world.bob: A})
    world.connect("bob")
    world.peers.block(world.bob, disconnect=False).get(timeout=1)
    assert world.closed == []
    assert [message.disconnect for message in world.set_gates if message.gate.blocked] == [False]
    assert world.claim("bob", "10.0.0.1") == NotAdmitted(Reason.BLOCKED)


@pytest.mark.parametrize("named", ["10.0.0.1", "10.0.0.0/30", "bob"])
def test_block_that_is_repeated_with_disconnect_ends_what_the_first_left_open(world: World, named: str) -> None:
    world.track(1, {world.bob: A, world.carol: Address.parse("tcp://10.0.0.9:7000")})
    world.connect("bob")
    world.connect("carol", id=2, ip="10.0.0.9")
    target = world.bob if named == "bob" else ip_network(named) if "/" in named else ip_address(named)
    world.peers.block(target, 60.0, disconnect=False).get(timeout=1)
    assert world.closed == []
    for again in (1, 2):
        world.peers.block(target, 60.0, disconnect=True).get(timeout=1)
        assert world.closed == [(world.bob, Reason.BLOCKED)] * again


# What peers are told -------------------------------------------------------------------------------------------------


def test_T10_gate_is_told_who_has_to_wait_once_for_many(world: World) -> None:
    world.track(1, {world.bob: A, world.carol: B})
    gates = len(world.gates)
    for name, ip in (("bob", "10.0.0.1"), ("carol", "10.0.0.2")):
        world.claim(name, ip)
    world.simulation.settle()
    until = world.simulation.now() + CONFIG.cooldown
    assert world.gates[-1].cooling == {world.bob: until, world.carol: until}
    assert len(world.gates) <= gates + 2
    world.simulation.run(for_=1.0)
    world.peers.block(world.dave).get(timeout=1)
    assert world.gates[-1].cooling == {}


def test_gate_names_who_was_connected_to_lately_to_those_that_are_turned_away(world: World) -> None:
    world.track(1, {world.bob: A, world.carol: B})
    world.connect("bob")
    world.simulation.settle()
    (named,) = world.gates[-1].alternatives
    assert named.peer == world.bob
    world.claim("carol", "10.0.0.2")
    world.peers.released(world.claim_ticket("carol"), Reason.TIMEOUT)
    refused = world.claim("carol", "10.0.0.2")
    assert refused == NotAdmitted(Reason.COOLDOWN, (named,))
    world.peers.block(world.bob).get(timeout=1)
    assert world.gates[-1].alternatives == ()


def test_private_node_names_nobody_to_those_that_are_turned_away(simulation: Any) -> None:
    bob, carol = simulation.peers("bob", "carol")
    world = World(simulation, replace(CONFIG, admission="private", trusted=(bob, carol)))
    world.track(1, {world.bob: A, world.carol: B})
    world.connect("bob")
    world.claim("carol", "10.0.0.2")
    world.peers.released(world.claim_ticket("carol"), Reason.TIMEOUT)
    assert world.claim("carol", "10.0.0.2") == NotAdmitted(Reason.COOLDOWN)
    assert {gate.alternatives for gate in world.gates} == {()}


def test_hints_are_counted_by_what_became_of_each(simulation: Any) -> None:
    world = World(simulation, replace(CONFIG, admission="open", max_hinted_per_source=1))
    records = [simulation.known.record(f"peer {number}", f"tcp://10.0.{number}.2:7000") for number in range(3)]
    world.peers.hint([*records, records[0]], world.bob)
    simulation.settle()
    counts = {result: world.metric("tracker_hints_total", result) for result in ("learned", "source_full", "old")}
    assert counts == {"learned": 1, "source_full": 2, "old": 1}


def test_dialable_leaves_out_the_networks_to_be_avoided_except_for_trusted_peers(simulation: Any) -> None:
    bob, carol, dave = simulation.peers("bob", "carol", "dave")
    world = World(simulation, replace(CONFIG, trusted=(bob,)))
    world.track(1, {bob: A, carol: B, dave: Address.parse("tcp://10.9.9.9:7000")})
    found = world.peers.dialable(10, avoid=[ip_network("10.0.0.0/24")]).get(timeout=1)
    assert found.peers == (bob, dave)
    with pytest.raises(ValueError, match="allowed are /24"):
        world.peers.dialable(10, avoid=[ip_network("10.0.0.0/8")])


# Metrics -------------------------------------------------------------------------------------------------------------


def test_metrics_show_what_there_is_and_nothing_of_a_peer_remains(simulation: Any) -> None:
    world = World(simulation, replace(CONFIG, trusted=simulation.peers("dave"), tracked_peer_sets=1))
    world.track(4, {world.bob: A, world.carol: B}, {world.dave: C})
    names = ("tracker_peers", "tracker_trusted", "tracker_newest_set", "tracker_reserved", "tracker_connected")
    assert [world.metric(name) for name in names] == [3, 1, 4, 0, 0]
    ticket = world.connect("bob")
    assert [world.metric(name) for name in names] == [3, 1, 4, 1, 1]
    for target in (world.carol, ip_address("10.0.0.9"), ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16")):
        world.peers.block(target, 60.0).get(timeout=1)
    assert [world.metric("tracker_blocked", kind) for kind in ("peer", "ip", "subnet")] == [1, 1, 2]
    world.simulation.run(for_=60.0)
    assert [world.metric("tracker_blocked", kind) for kind in ("peer", "ip", "subnet")] == [0, 0, 0]
    world.track(5, {})
    world.peers.tell(transport.Closed(1, world.bob, Reason.NOT_TRACKED))
    world.peers.released(ticket, Reason.NOT_TRACKED)
    simulation.settle()
    assert [world.metric(name) for name in names] == [0, 1, 5, 0, 0]


def test_metrics_count_refusals_closes_and_changes_of_address_by_their_reason(simulation: Any) -> None:
    world = World(simulation, replace(CONFIG, tracked_peer_sets=1))
    world.track(1, {world.bob: A}, {world.carol: B})
    world.track(2, {world.bob: A}, {world.carol: C})
    assert world.metric("tracker_address_changes_total", "track") == 1  # a secondary's; first ones are no change
    world.claim("bob", "10.9.9.9")
    world.claim("bob", "10.0.0.1")
    world.claim("bob", "10.0.0.1")
    world.peers.dial(world.carol).get(timeout=1)
    counted = [("in", "egress_ip"), ("in", "duplicate"), ("out", "not_tracked")]
    assert [world.metric("tracker_refusals_total", *labels) for labels in counted] == [1, 1, 1]
    world.track(3, {world.bob: B})
    assert world.metric("tracker_closes_total", "address_changed") == 1


def test_metrics_count_who_was_pushed_out_of_the_book(simulation: Any) -> None:
    world = World(simulation, replace(CONFIG, admission="open", max_hinted_peers=1))
    world.peers.hint([simulation.known.record("bob", "tcp://10.0.1.2:7000")])
    simulation.settle()
    world.peers.dial(world.bob)
    world.peers.released(world.dialled(), Reason.UNREACHABLE)
    world.peers.hint([simulation.known.record("carol", "tcp://10.0.2.2:7000")])
    simulation.settle()
    assert world.metric("tracker_pushed_out_total", "address_book_full") == 1
    assert world.metric("tracker_hinted_peers") == 1
