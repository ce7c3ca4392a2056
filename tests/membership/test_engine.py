"""One member: what it says to others, what it tells, and what it does not believe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery import runtime
from rookery.actors import membership, tracker
from rookery.actors.membership import (
    Isolated,
    Joined,
    MemberDown,
    MemberRefuted,
    MemberSuspected,
    MemberUp,
    MemberUpdated,
    Rejoined,
)
from rookery.actors.membership.envelope import Envelope
from rookery.actors.membership.swim.codec import encode_header, encode_packet, encode_update
from rookery.actors.membership.swim.messages import Ack, Announce, Feed, Gossip, Header, Ping, PingReq, TurnUndead
from rookery.runtime import Feedback, UnhandledMessage
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from rookery.transport.record import PeerRecord

from .worlds import CONFIG, Member, State, World

# Coming ----------------------------------------------------------------------------------------------------------


def test_engine_at_start_takes_packets_and_hears_of_blocks_and_sends_nothing(world: World) -> None:
    (subscribe,) = world.peers.received(tracker.Subscribe)
    assert subscribe.mailbox == world.members
    assert set(subscribe.kinds) == {
        tracker.PeerBlocked,
        tracker.PeerUnblocked,
        tracker.IpBlocked,
        tracker.IpUnblocked,
    }
    world.simulation.run(for_=10)
    assert world.net.received(transport.SendPacket) == []


def test_engine_that_cannot_take_packets_fails_the_node(simulation: Any) -> None:
    net, peers = simulation.mock(transport.Mailbox), simulation.mock(tracker.Mailbox)
    net.answer(transport.ReceivePackets, runtime.Declined("packets have a receiver already"))
    simulation.start(membership.Engine, CONFIG, transport=net, tracker=peers)
    with pytest.raises(runtime.EngineFailed, match="does not give its packets"):
        simulation.settle()


def test_packet_before_join_is_dropped_and_counted(world: World) -> None:
    world.packet("bob", Announce())
    assert world.dropped("not_joined") == 1
    assert world.members.members().get(timeout=1) == membership.Members()


def test_join_announces_to_the_seeds_with_our_record(world: World) -> None:
    world.join("bob", "carol")
    for name in ("bob", "carol"):
        (envelope,) = world.sent(name)
        assert envelope.records == (world.me.encode(),)
        assert len(world.said(name, Announce)) == 1
    addresses = [message.address for message in world.net.received(transport.SendPacket)]
    assert addresses == [world.record("bob").address, world.record("carol").address]


def test_join_without_seeds_takes_those_of_the_config_and_ignores_ourselves_among_them(simulation: Any) -> None:
    bob, me = (simulation.known.record(name) for name in ("bob", "me"))
    seeds = tuple(membership.Seed(record.peer, record.address) for record in (bob, me))
    world = World(simulation, membership.Config(seeds=seeds))
    world.members.join().get(timeout=1)
    assert len(world.said("bob", Announce)) == 1
    assert world.sent("me") == []


def test_join_of_a_node_without_an_address_fails_and_says_why(world: World) -> None:
    nowhere = PeerRecord.sign(world.simulation.known.identity("me"), network="test", address=None, generation=1)
    world.net.answer(transport.GetRecord, nowhere)
    with pytest.raises(membership.NoAddress, match=r"transport\.advertise"):
        world.members.join().get(timeout=1)
    assert world.members.members().get(timeout=1).own is None


def test_join_when_transport_has_no_record_fails_with_its_error(world: World) -> None:
    world.net.answer(transport.GetRecord, runtime.Declined("not listening"))
    with pytest.raises(runtime.Declined, match="not listening"):
        world.members.join().get(timeout=1)


def test_join_with_a_record_without_an_address_raises_at_the_caller(world: World) -> None:
    nowhere = PeerRecord.sign(world.simulation.known.identity("bob"), network="test", address=None, generation=1)
    with pytest.raises(ValueError, match="has no address"):
        world.members.join([nowhere])


def test_join_again_replaces_the_seeds(world: World) -> None:
    world.join("bob").join("carol")
    world.simulation.run(for_=5)
    assert len(world.said("bob", Announce)) == 1
    assert len(world.said("carol", Announce)) > 1


def test_isolated_member_goes_on_announcing_to_its_seeds(world: World) -> None:
    world.join("bob")
    world.simulation.run(for_=7)
    assert len(world.said("bob", Announce)) == 3  # now, after 2 s, after 4 s more


# Hearing ---------------------------------------------------------------------------------------------------------


def test_announce_of_a_stranger_makes_it_a_member_and_is_answered_with_a_feed(world: World) -> None:
    world.join().packet("bob", Announce())
    assert world.heard() == [MemberUp(world.peer("bob"), world.record("bob")), Joined()]
    (feed,) = world.said("bob", Feed)
    assert feed.header.dst == world.id("bob")
    assert world.sent("bob")[-1].records == (world.me.encode(),)


def test_feed_carries_the_records_of_the_members_it_names(world: World) -> None:
    world.join().meet("carol", "dave").packet("bob", Announce())
    (feed,) = world.said("bob", Feed)
    named = [update.id.key for update in feed.updates]
    assert sorted(named) == sorted([world.peer("carol"), world.peer("dave")])
    own, *others = world.sent("bob")[-1].records
    assert own == world.me.encode()
    assert [PeerRecord.decode(record, network="test").peer for record in others] == named


def test_packet_without_its_senders_record_is_not_listened_to(world: World) -> None:
    world.join().packet("bob", Announce(), records=[])
    assert world.heard() == []
    assert world.sent("bob") == []
    assert world.dropped("stranger") == 1


def test_packet_that_is_no_envelope_is_dropped_and_counted(world: World) -> None:
    world.join().deliver("bob", b"\xc1")
    assert world.dropped("malformed") == 1


def test_packet_in_the_name_of_another_is_dropped_and_counted(world: World) -> None:
    world.join().meet("bob", "carol")
    header = encode_header(Header(world.id("carol"), 0, world.id("me"), Gossip()))
    world.deliver("bob", Envelope(encode_packet(header, [])).encode())
    assert world.dropped("ForgedSenderError") == 1


def test_forged_record_of_the_sender_is_refused_with_its_packet(world: World) -> None:
    record = replace(world.record("bob"), generation=7)
    world.join().packet("bob", Announce(), records=[record])
    assert world.heard() == []
    assert (world.dropped("malformed"), world.metric("records_total", "refused")) == (1, 1)


def test_record_without_an_address_makes_nobody_a_member(world: World) -> None:
    nowhere = PeerRecord.sign(world.simulation.known.identity("bob"), network="test", address=None, generation=1)
    world.join().packet("bob", Announce(), records=[nowhere])
    assert world.heard() == []


def test_record_of_another_network_makes_nobody_a_member(world: World) -> None:
    address = Address.parse("tcp://10.0.0.9:7000")
    foreign = PeerRecord.sign(world.simulation.known.identity("bob"), network="other", address=address, generation=1)
    world.join().packet("bob", Announce(), records=[foreign])
    assert (world.heard(), world.dropped("malformed")) == ([], 1)


def test_error_after_effects_still_carries_these_out(world: World) -> None:
    world.join().meet("bob")
    world.packet("bob", PingReq(world.id("me"), 1), Member(world.id("carol")))
    assert world.dropped("IndirectForOurselvesError") == 1
    assert world.sent("bob")[-1].wanted == (world.peer("carol"),)


# Records ---------------------------------------------------------------------------------------------------------


def test_own_record_goes_along_until_the_other_has_been_heard(world: World) -> None:
    world.join("bob")
    assert [bool(envelope.records) for envelope in world.sent("bob")] == [True]
    world.meet("bob").packet("bob", Ping(1))
    assert len(world.said("bob", Ack)) == 1
    assert world.sent("bob")[-1].records == ()


def test_member_known_by_hearsay_is_invisible_and_its_record_is_asked_for(world: World) -> None:
    world.join().packet("bob", Gossip(), Member(world.id("carol")))
    assert world.visible() == [world.peer("bob")]
    assert world.sent("bob")[-1].wanted == (world.peer("carol"),)
    world.packet("bob", records=[world.record("carol")])
    assert world.heard()[-1] == MemberUp(world.peer("carol"), world.record("carol"))


def test_records_that_are_still_missing_are_asked_for_again(world: World) -> None:
    world.join().packet("bob", Gossip(), Member(world.id("carol")))
    world.simulation.run(for_=3.5)
    asked = [envelope for envelope in world.sent("bob") if envelope.wanted]
    assert len(asked) == 4
    world.packet("bob", records=[world.record("carol")])
    world.simulation.run(for_=3)
    assert len([envelope for envelope in world.sent("bob") if envelope.wanted]) == 4


def test_many_missing_records_are_asked_for_in_turns_as_answers_come(world: World) -> None:
    names = [f"peer {number}" for number in range(70)]
    world.join().packet("bob", Feed(), *(Member(world.id(name)) for name in names))
    for _ in range(3):
        wanted = [set(envelope.wanted) for envelope in world.sent("bob") if envelope.wanted][-1]
        assert len(wanted) <= 32
        world.packet("bob", records=[world.record(name) for name in names if world.peer(name) in wanted])
    assert len(world.visible()) == 71


def test_wanted_records_are_sent_as_far_as_they_are_held(world: World) -> None:
    world.join().meet("bob", "carol").packet("bob", wanted=["carol", "nobody", "me"])
    assert world.sent("bob")[-1] == Envelope(records=(world.me.encode(), world.record("carol").encode()))


def test_wanting_unknown_records_is_not_answered(world: World) -> None:
    world.join().meet("bob")
    before = len(world.sent("bob"))
    world.packet("bob", wanted=["nobody"])
    assert len(world.sent("bob")) == before


def test_record_of_somebody_who_is_no_member_is_not_kept(world: World) -> None:
    world.join().packet("bob", Gossip(), records=[world.record("bob"), world.record("carol")])
    world.packet("bob", Gossip(), Member(world.id("carol")))
    assert world.visible() == [world.peer("bob")]


def test_newer_record_of_a_member_is_told(world: World) -> None:
    world.join().meet("bob").packet("bob", Gossip(), generation=2)
    assert world.heard()[-1] == MemberUpdated(world.peer("bob"), world.record("bob", 2))
    assert [info.record.generation for info in world.members.members().get(timeout=1).others] == [2]


def test_dead_member_does_not_come_back_by_hearsay(world: World) -> None:
    world.join().meet("bob", "carol").packet("bob", Gossip(), world.down("carol"))
    world.packet("bob", Gossip(), Member(world.id("carol", 2)))
    assert world.visible() == [world.peer("bob")]
    world.packet("bob", records=[world.record("carol", 2)])
    assert world.heard()[-1] == MemberUp(world.peer("carol"), world.record("carol", 2))


# Living, dying, leaving ------------------------------------------------------------------------------------------


def test_silent_member_is_down_after_probe_and_suspicion_and_still_listed(world: World) -> None:
    world.join().meet("bob")
    timing = CONFIG.protocol
    world.simulation.run(for_=2 * timing.probe_period + timing.shortest_suspicion(2))
    bob = world.peer("bob")
    assert world.heard()[2:] == [MemberSuspected(bob), MemberDown(bob), Isolated()]
    (info,) = world.members.members().get(timeout=1).others
    assert (info.peer, info.state, info.record) == (world.peer("bob"), State.DOWN, world.record("bob"))
    assert info.since == pytest.approx(world.simulation.wall(), abs=timing.probe_period)


def test_suspected_member_that_shows_that_it_lives_is_told_of_and_stays_visible(world: World) -> None:
    world.join().meet("bob", "carol")
    bob = world.id("bob")
    world.packet("carol", Gossip(), Member(bob, 0, State.SUSPECT))
    assert world.heard()[-1] == MemberSuspected(world.peer("bob"))
    assert world.peer("bob") in world.visible()
    world.packet("carol", Gossip(), Member(bob, 1))
    assert world.heard()[-1] == MemberRefuted(world.peer("bob"))


def test_suspicion_of_a_member_whose_record_is_missing_is_not_told(world: World) -> None:
    world.join().meet("bob")
    world.packet("bob", Gossip(), Member(world.id("carol")))
    world.packet("bob", Gossip(), Member(world.id("carol"), 0, State.SUSPECT))
    assert not any(isinstance(event, MemberSuspected) for event in world.heard())


def test_time_of_direct_answers_is_in_the_members_info_and_counted(world: World) -> None:
    world.join().meet("bob")
    assert world.members.members().get(timeout=1).active[0].rtt is None
    world.simulation.run_until(lambda: world.said("bob", Ping), within=2)
    ping = world.said("bob", Ping)[-1].header.message
    assert isinstance(ping, Ping)
    world.simulation.run(for_=0.1)
    world.packet("bob", Ack(ping.number))
    (bob,) = world.members.members().get(timeout=1).active
    assert bob.rtt == pytest.approx(0.1, abs=0.06)
    assert world.metric("round_trips_total") == 1
    assert world.metric("round_trip_seconds_total") == bob.rtt


def test_dead_member_is_forgotten_with_its_record_after_remove_down_after(simulation: Any) -> None:
    world = World(simulation, membership.Config(cluster_size=5, remove_down_after=30.0)).join().meet("bob", "carol")
    world.packet("bob", Gossip(), world.down("carol"))
    world.simulation.run(for_=31)
    assert world.peer("carol") not in {info.peer for info in world.members.members().get(timeout=1).others}
    before = len(world.sent("bob"))
    world.packet("bob", wanted=["carol"])
    assert len(world.sent("bob")) == before


def test_blocked_member_is_neither_probed_nor_accused(world: World) -> None:
    world.join().meet("bob")
    world.members.tell(tracker.PeerBlocked(world.peer("bob"), float("inf")))
    world.simulation.run(for_=60)
    assert world.said("bob", Ping) == []
    assert world.visible() == [world.peer("bob")]
    world.members.tell(tracker.PeerUnblocked(world.peer("bob")))
    world.simulation.run(for_=2)
    assert len(world.said("bob", Ping)) > 0


def test_packet_that_waits_when_its_sender_is_blocked_is_dropped_and_counted(world: World) -> None:
    world.join().meet("bob")
    own = Envelope(swim=b"", records=(world.record("bob").encode(),)).encode()
    for _ in range(3):
        world.members.tell(transport.Packet(world.peer("bob"), own))
    world.members.tell(tracker.PeerBlocked(world.peer("bob"), float("inf")))  # control: handled before the packets
    world.simulation.settle()
    assert world.metric("packets_total", "blocked") == 3


def test_member_without_a_known_address_is_neither_probed_nor_accused(world: World) -> None:
    world.join().meet("bob").packet("bob", Gossip(), Member(world.id("carol")))
    world.simulation.run(for_=60)
    assert world.heard()[-1] == MemberDown(world.peer("bob"))
    assert world.sent("carol") == []
    assert world.metric("missing_records") == 1  # active all the same


def test_closed_connection_makes_that_member_the_next_to_be_probed(world: World) -> None:
    names = [f"peer {number}" for number in range(20)]
    world.join().meet(*names)
    world.simulation.run(for_=1.5)
    last = next(name for name in names if not world.said(name, Ping))
    world.close(last)
    assert not any(isinstance(event, MemberDown) for event in world.heard())
    others = [name for name in names if name != last]
    before = sum(len(world.said(name, Ping)) for name in others)
    world.simulation.run_until(lambda: world.said(last, Ping), within=9)  # none answers, so probes are slow
    assert sum(len(world.said(name, Ping)) for name in others) == before


def test_connection_to_a_stranger_is_announced_on(world: World) -> None:
    world.join().open("bob")
    assert len(world.said("bob", Announce)) == 1
    world.packet("bob", Feed(), records=[])
    assert world.visible() == [world.peer("bob")]
    world.open("bob")
    assert len(world.said("bob", Announce)) == 1


def test_connection_to_a_peer_that_cannot_be_a_member_is_ignored(world: World) -> None:
    identity = world.simulation.known.identity("bob")
    nowhere = PeerRecord.sign(identity, network="test", address=None, generation=1)
    endless = PeerRecord.sign(identity, network="test", address=world.me.address, generation=2**64 - 1)
    world.join()
    for record in (nowhere, endless):
        world.open("bob", record)
    assert world.sent("bob") == []


def test_stranger_that_disconnects_is_forgotten(world: World) -> None:
    world.join().open("bob")
    world.close("bob")
    world.packet("bob", Gossip(), records=[])
    assert world.dropped("stranger") == 1


def test_member_that_is_held_dead_goes_on_under_the_record_that_transport_signs(world: World) -> None:
    world.join().meet("bob").packet("bob", TurnUndead())
    assert [event for event in world.heard() if isinstance(event, Rejoined)] == [Rejoined(world.record("me", 2))]
    assert world.members.members().get(timeout=1).own == world.record("me", 2)
    world.packet("bob", Ping(3), to=2)
    (ack,) = world.said("bob", Ack)
    assert ack.header.src == world.id("me", 2)


def test_leave_tells_the_members_three_times_and_then_resolves(world: World) -> None:
    world.join().meet("bob")
    started = world.simulation.now()
    world.members.leave().get(timeout=1)
    assert world.simulation.now() - started == pytest.approx(0.2)
    left = replace(world.down("me"), state=membership.State.LEFT)
    told = [packet for packet in world.said("bob", Gossip) if left in packet.updates]
    assert len(told) == 3


def test_leave_before_join_or_alone_resolves_at_once(world: World) -> None:
    started = world.simulation.now()
    world.members.leave().get(timeout=1)
    world.join().members.leave().get(timeout=1)
    assert world.simulation.now() == started


def test_leave_while_leaving_resolves_with_the_first(world: World) -> None:
    world.join().meet("bob")
    first, second = world.members.leave(), world.members.leave()
    second.get(timeout=1)
    assert first.done


def test_member_that_left_neither_probes_nor_answers(world: World) -> None:
    world.join().meet("bob").members.leave().get(timeout=1)
    before = len(world.sent("bob"))
    world.packet("bob", Ping(1))
    world.open("carol")
    world.simulation.run(for_=60)
    assert len(world.sent("bob")) == before
    assert world.sent("carol") == []


def test_join_after_leave_announces_under_a_newer_generation(world: World) -> None:
    world.join().meet("bob").members.leave().get(timeout=1)
    world.join("carol")
    (announce,) = world.said("carol", Announce)
    assert announce.header.src == world.id("me", 2)
    assert world.members.members().get(timeout=1).own == world.record("me", 2)


def test_join_during_a_leave_resolves_the_leave(world: World) -> None:
    world.join().meet("bob")
    leaving = world.members.leave()
    world.simulation.settle()
    world.join()
    leaving.get(timeout=1)


# Subscribers -----------------------------------------------------------------------------------------------------


def test_late_subscriber_is_told_of_the_present_members(world: World) -> None:
    world.join().meet("bob", "carol")
    late = world.simulation.mock(runtime.Mailbox, "late")
    world.members.subscribe(late, MemberUp)
    world.simulation.settle()
    assert [event.peer for event in late.received()] == [world.peer("bob"), world.peer("carol")]


def test_subscriber_hears_only_the_kinds_it_named(world: World) -> None:
    picky = world.simulation.mock(runtime.Mailbox, "picky")
    world.members.subscribe(picky, MemberDown)
    world.join().meet("bob", "carol").packet("bob", Gossip(), world.down("carol"))
    assert picky.received() == [MemberDown(world.peer("carol"))]


def test_subscriber_whose_engine_is_gone_is_dropped(world: World) -> None:
    world.listener.close()
    world.join().meet("bob")
    world.listener.feedback(Feedback.OK)
    assert world.metric("changes_total", "MemberUp") == 1
    assert world.listener.received() == []


def test_subscribing_to_what_is_no_event_raises_at_the_caller(world: World) -> None:
    with pytest.raises(ValueError, match=r"Join is no event of the membership; allowed are MemberUp"):
        world.members.subscribe(world.listener, membership.Join)


def test_subscriber_without_handlers_raises_at_the_caller(world: World) -> None:
    with pytest.raises(UnhandledMessage, match="MemberUp"):
        world.members.subscribe(world.members, MemberUp)


def test_packet_that_transport_does_not_take_is_counted(world: World) -> None:
    world.net.feedback(Feedback.REJECTED, transport.SendPacket, times=1)
    world.join("bob")
    assert (world.metric("packets_total", "not_sent"), world.metric("packets_total", "sent")) == (1, 0)


# Hostile input ---------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
def test_damaged_packets_are_dropped_and_harm_nobody(
    simulation: Any, damage: list[tuple[int, int]], inside: bool
) -> None:
    world = World(type(simulation)(repr(damage))).join().meet("bob")
    envelope = _gossip_of_bob(world)
    data = bytearray(envelope.swim if inside else envelope.encode())
    for place, value in damage:
        data[place % len(data)] = value
    packet = replace(envelope, swim=bytes(data)).encode() if inside else bytes(data)
    world.deliver("bob", packet)
    world.packet("carol", Announce())
    assert world.peer("carol") in world.visible()
    assert len(world.said("carol", Feed)) == 1


def _gossip_of_bob(world: World) -> Envelope:
    header = encode_header(Header(world.id("bob"), 0, world.id("me"), Gossip()))
    updates = [encode_update(Member(world.id("dave"))), encode_update(world.down("erin"))]
    return Envelope(encode_packet(header, updates), (world.record("bob").encode(),), (world.peer("bob"),))
