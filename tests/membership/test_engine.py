"""One member: how it joins, what it hears, whose records it believes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import membership, tracker
from rookery.actors.membership import (
    Joined,
    MemberProved,
    MemberUp,
    MemberUpdated,
)
from rookery.actors.membership.core.envelope import Envelope
from rookery.actors.membership.swim.codec import encode_header, encode_packet
from rookery.actors.membership.swim.messages import Ack, Announce, Feed, Gossip, Header, Ping, PingReq
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from rookery.transport.record import PeerRecord

from .worlds import CONFIG, Member, World

# Coming ----------------------------------------------------------------------------------------------------------


def test_engine_at_start_takes_packets_and_hears_of_blocks_and_sends_nothing(world: World) -> None:
    (subscribe,) = world.peers.control.received(runtime.Subscribe)
    assert subscribe.subscriber == world.members
    assert set(subscribe.kinds) == {
        tracker.PeerBlocked,
        tracker.PeerUnblocked,
        tracker.IpBlocked,
        tracker.IpUnblocked,
    }
    world.simulation.run(for_=10)
    assert world.net.control.received(transport.SendPacket) == []


def test_engine_that_cannot_take_packets_fails_the_node(simulation: Any) -> None:
    net, peers = simulation.mock(transport.Mailbox), simulation.mock(tracker.Mailbox)
    net.control.answer(transport.ReceivePackets, runtime.Declined("packets have a receiver already"))
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
    addresses = [message.address for message in world.net.control.received(transport.SendPacket)]
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
    world.net.control.answer(transport.GetRecord, world.owned(nowhere))
    with pytest.raises(membership.NoAddress, match=r"transport\.advertise"):
        world.members.join().get(timeout=1)
    assert world.members.members().get(timeout=1).own is None


def test_join_when_transport_has_no_record_fails_with_its_error(world: World) -> None:
    world.net.control.answer(transport.GetRecord, runtime.Declined("not listening"))
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
    bob = world.peer("bob")
    assert world.heard() == [MemberUp(bob, world.record("bob")), MemberProved(bob), Joined()]
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
    world.join("bob").packet("bob", Feed(), *(Member(world.id(name)) for name in names))
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


def test_record_of_a_peer_that_is_no_member_is_not_kept(world: World) -> None:
    world.join().packet("bob", Gossip(), records=[world.record("bob"), world.record("carol")])
    world.packet("bob", Gossip(), Member(world.id("carol")))
    assert world.visible() == [world.peer("bob")]


def test_newer_record_of_a_member_is_an_event(world: World) -> None:
    world.join().meet("bob").packet("bob", Gossip(), generation=2)
    assert world.heard()[-1] == MemberUpdated(world.peer("bob"), world.record("bob", 2))
    assert [info.record.generation for info in world.members.members().get(timeout=1).others] == [2]


def test_dead_member_does_not_come_back_by_hearsay(world: World) -> None:
    world.join().meet("bob", "carol").packet("bob", Gossip(), world.left("carol"))
    world.packet("bob", Gossip(), Member(world.id("carol", 2)))
    assert world.visible() == [world.peer("bob")]
    world.packet("bob", records=[world.record("carol", 2)])
    carol = world.peer("carol")
    assert world.heard()[-2:] == [MemberUp(carol, world.record("carol", 2)), MemberProved(carol)]
