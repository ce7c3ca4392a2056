"""One member: how others come and go, which events follow, and what hostile input does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from rookery import runtime
from rookery.actors import membership, tracker
from rookery.actors.membership import (
    Isolated,
    MemberDown,
    MemberProved,
    MemberRefuted,
    MemberSuspected,
    MemberUp,
    Rejoined,
)
from rookery.actors.membership.core.envelope import Envelope
from rookery.actors.membership.swim.codec import encode_header, encode_packet, encode_update
from rookery.actors.membership.swim.messages import Ack, Announce, Feed, Gossip, Header, Ping, TurnUndead
from rookery.runtime import Feedback, UnhandledMessage
from rookery.transport import mailbox as transport
from rookery.transport.record import PeerRecord

from .worlds import CONFIG, Member, State, World

# Living, dying, leaving ------------------------------------------------------------------------------------------


def test_silent_member_is_down_after_probe_and_suspicion_and_still_listed(world: World) -> None:
    world.join().meet("bob")
    timing = CONFIG.protocol
    world.simulation.run(for_=2 * timing.probe_period + timing.shortest_suspicion(2))
    bob = world.peer("bob")
    assert world.heard()[3:] == [MemberSuspected(bob), MemberDown(bob), Isolated()]
    (info,) = world.members.members().get(timeout=1).others
    assert (info.peer, info.state, info.record) == (world.peer("bob"), State.DOWN, world.record("bob"))
    assert info.since == pytest.approx(world.simulation.wall(), abs=timing.probe_period)


def test_refutation_of_a_suspected_member_is_an_event_and_it_stays_visible(world: World) -> None:
    world.join().meet("bob", "carol")
    bob = world.id("bob")
    world.packet("carol", Gossip(), Member(bob, 0, State.SUSPECT))
    assert world.heard()[-1] == MemberSuspected(world.peer("bob"))
    assert world.peer("bob") in world.visible()
    world.packet("carol", Gossip(), world.proved("bob", 1))
    assert world.heard()[-1] == MemberRefuted(world.peer("bob"))


def test_suspicion_of_a_member_whose_record_is_missing_is_no_event(world: World) -> None:
    world.join().meet("bob")
    world.packet("bob", Gossip(), Member(world.id("carol")))
    world.packet("bob", Gossip(), Member(world.id("carol"), 0, State.SUSPECT))
    assert not any(isinstance(event, MemberSuspected) for event in world.heard())


def test_time_of_direct_answers_is_in_the_members_info_and_counted(world: World) -> None:
    world.join().meet("bob")
    assert world.members.members().get(timeout=1).active[0].rtt is None
    world.simulation.run_until(lambda: world.said("bob", Ping), timeout=2)
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
    world.packet("bob", Gossip(), world.left("carol"))
    world.simulation.run(for_=31)
    assert world.peer("carol") not in {info.peer for info in world.members.members().get(timeout=1).others}
    before = len(world.sent("bob"))
    world.packet("bob", wanted=["carol"])
    assert len(world.sent("bob")) == before


def test_members_that_come_once_are_forgotten_with_their_records_within_minutes_but_for_a_few(world: World) -> None:
    world.join()
    for number in range(40):
        world.meet("bob", f"passer-by {number}").packet("bob", Gossip(), world.left(f"passer-by {number}"))
        world.simulation.run(for_=3)
    assert len(world.members.members().get(timeout=1).others) > 20
    world.simulation.run(for_=300)
    remembered = {info.peer for info in world.members.members().get(timeout=1).others}
    forgotten = [number for number in range(40) if world.peer(f"passer-by {number}") not in remembered]
    assert forgotten == list(range(16, 40))
    for number in forgotten:
        world.packet(f"passer-by {number}", Gossip(), records=[])
    assert world.dropped("stranger") == len(forgotten)


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
    assert MemberDown(world.peer("bob")) in world.heard()
    assert world.sent("carol") == []
    assert world.visible() == []


def test_closed_connection_makes_that_member_the_next_to_be_probed(world: World) -> None:
    names = [f"peer {number}" for number in range(20)]
    world.join().meet(*names)
    world.simulation.run(for_=1.5)
    last = next(name for name in names if not world.said(name, Ping))
    world.close(last)
    assert not any(isinstance(event, MemberDown) for event in world.heard())
    others = [name for name in names if name != last]

    def probes_of_others() -> float:
        return sum(len(world.said(name, Ping)) for name in others) - world.metric("protocol_events", "checks")

    before = probes_of_others()
    world.simulation.run_until(lambda: world.said(last, Ping), timeout=9)  # none answers, so probes are slow
    assert probes_of_others() == before


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
    world.join().meet("bob").packet("bob", TurnUndead(world.left("me")))
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
    left = world.left("me")
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


def test_late_subscriber_gets_events_of_the_present_members(world: World) -> None:
    world.join().meet("bob", "carol")
    late = world.simulation.mock(runtime.Mailbox, "late")
    world.members.subscribe(late, MemberUp)
    world.simulation.settle()
    assert [event.peer for event in late.control.received()] == [world.peer("bob"), world.peer("carol")]


def test_member_that_others_tell_of_is_up_and_proved_only_when_it_has_answered(world: World) -> None:
    world.join().meet("bob").introduce("bob", "dave", records=False)
    world.packet("bob", records=[world.record("dave")])
    dave = world.peer("dave")
    assert MemberUp(dave, world.record("dave")) in world.heard()
    assert MemberProved(dave) not in world.heard()
    early = world.simulation.mock(runtime.Mailbox, "early")
    world.members.subscribe(early, MemberProved)
    world.simulation.settle()
    assert early.control.received() == [MemberProved(world.peer("bob"))]
    world.packet("dave", Gossip())
    assert world.heard().count(MemberProved(dave)) == 1
    assert early.control.received() == [MemberProved(world.peer("bob")), MemberProved(dave)]


def test_subscriber_hears_only_the_kinds_it_named(world: World) -> None:
    picky = world.simulation.mock(runtime.Mailbox, "picky")
    world.members.subscribe(picky, MemberDown)
    world.join().meet("bob", "carol").packet("bob", Gossip(), world.left("carol"))
    assert picky.control.received() == [MemberDown(world.peer("carol"))]


def test_subscriber_whose_engine_is_gone_is_dropped(world: World) -> None:
    world.listener.control.close()
    world.join().meet("bob")
    world.listener.control.feedback(Feedback.OK)
    assert world.metric("changes_total", "MemberUp") == 1
    assert world.listener.control.received() == []


def test_subscribing_to_what_is_no_event_raises_at_the_caller(world: World) -> None:
    with pytest.raises(ValueError, match=r"membership has no event Join; it has MemberUp"):
        world.members.subscribe(world.listener, membership.Join)


def test_subscriber_without_handlers_raises_at_the_caller(world: World) -> None:
    with pytest.raises(UnhandledMessage, match="MemberUp"):
        world.members.subscribe(world.members, MemberUp)


def test_packet_that_transport_does_not_take_is_counted(world: World) -> None:
    world.net.control.feedback(Feedback.REJECTED, transport.SendPacket, times=1)
    world.join("bob")
    assert (world.metric("packets_total", "not_sent"), world.metric("packets_total", "sent")) == (1, 0)


# Hostile input ---------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
def test_corrupt_packets_are_dropped_and_harm_nobody(
    simulation: Any, damage: list[tuple[int, int]], inside: bool
) -> None:
    world = World(type(simulation)(repr(damage))).join().meet("bob")
    envelope = _gossip_of_bob(world)
    data = bytearray(envelope.swim if inside else envelope.encode())
    for place, value in damage:
        data[place % len(data)] = value
    packet = structs.replace(envelope, swim=bytes(data)).encode() if inside else bytes(data)
    world.deliver("bob", packet)
    world.packet("carol", Announce())
    assert world.peer("carol") in world.visible()
    assert len(world.said("carol", Feed)) == 1


def _gossip_of_bob(world: World) -> Envelope:
    header = encode_header(Header(world.id("bob"), 0, world.id("me"), Gossip()))
    updates = [encode_update(Member(world.id("dave"))), encode_update(world.down("erin"))]
    return Envelope(encode_packet(header, updates), (world.record("bob").encode(),), (world.peer("bob"),))
