"""What members say of lives, through the engine: believed with the owner's proof, kept waiting without a record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rookery import transport
from rookery.actors import tracker
from rookery.actors.membership import MemberCheats, MemberUp, MemberUpdated, Rejoined
from rookery.actors.membership.core.envelope import Envelope
from rookery.actors.membership.parts.misconduct import CHEAT_BLOCK, CHEATS_TO_SHOW
from rookery.actors.membership.swim import Member, State
from rookery.actors.membership.swim.codec import decode_packet, encode_header, encode_packet
from rookery.actors.membership.swim.messages import (
    Ack,
    Feed,
    ForwardedAck,
    Gossip,
    Header,
    IndirectAck,
    IndirectPing,
    Ping,
    PingReq,
)
from rookery.transport import PeerRecord, Reason
from rookery.transport.identity.life import verify_answer, verify_farewell, verify_link

from .nodes import Cluster
from .worlds import Announce, World


def incarnations(world: World) -> dict[str, int]:
    named = {world.peer(name): name for name in ("bob", "carol", "dave")}
    return {named[info.peer]: info.incarnation for info in world.members.members().get(timeout=1).others}


def cheats(world: World) -> list[MemberCheats]:
    return [event for event in world.heard() if isinstance(event, MemberCheats)]


@pytest.fixture
def punished(world: World) -> list[transport.Close | tracker.Block]:
    """Whom transport was asked to close, and the tracker to block."""
    asked: list[transport.Close | tracker.Block] = []

    def block(message: tracker.Block) -> tracker.Blocked:
        asked.append(message)
        return tracker.Blocked(0.0)

    world.net.control.answer(transport.Close, asked.append)
    world.peers.control.answer(tracker.Block, block)
    return asked


def test_incarnation_that_others_tell_of_is_believed_with_its_owners_link_and_passed_on_with_it(world: World) -> None:
    world.join().meet("bob", "carol").packet("carol", Gossip(), world.proved("bob", 700))
    assert incarnations(world)["bob"] == 700
    world.simulation.run(for_=1)
    told = [update for packet in world.said("carol", Gossip) for update in packet.updates]
    proofs = {update.proof for update in told if update == Member(world.id("bob"), 700)}
    assert proofs <= {world.simulation.known.life("bob").link(700)}


@pytest.mark.parametrize("state", [State.ALIVE, State.SUSPECT, State.DOWN, State.LEFT])
def test_false_proof_of_another_life_has_no_effect_and_is_told_but_nobody_is_blocked_for_it(
    world: World, punished: list[object], state: State
) -> None:
    """The owner may have signed two records of one life."""
    world.join().meet("bob", "carol")
    world.packet("carol", Gossip(), Member(world.id("bob"), 5, state, (), bytes(16)))
    assert incarnations(world)["bob"] == 0
    assert world.peer("bob") in world.visible()
    assert cheats(world) == [MemberCheats(world.peer("carol"), "a false proof", world.peer("bob"))]
    assert world.metric("cheats_total", "passed_on") == 1
    assert punished == []


def test_farewell_without_the_secret_is_not_believed(world: World) -> None:
    world.join().meet("bob", "carol").packet("carol", Gossip(), Member(world.id("bob"), 0, State.LEFT))
    assert world.peer("bob") in world.visible()
    world.packet("carol", Gossip(), world.left("bob"))
    assert world.peer("bob") not in world.visible()


def raised(world: World, name: str, incarnation: int, proof: bytes) -> None:
    """A packet of a member that says so of itself."""
    header = Header(world.id(name), incarnation, world.id("me"), Gossip(), proof)
    world.deliver(name, world.envelope(encode_packet(encode_header(header), [])))


def test_member_with_a_false_link_of_its_own_is_closed_blocked_and_named_once(
    world: World, punished: list[object]
) -> None:
    world.join().meet("bob", "carol")
    for _ in range(3):
        raised(world, "carol", 3, bytes(16))
    carol = world.peer("carol")
    assert carol not in world.visible()
    assert cheats(world) == [MemberCheats(carol, "a false proof of its own incarnation", carol)]
    assert world.metric("cheats_total", "own") == 1  # of a stranger nothing else is looked at
    assert punished == [transport.Close(carol, Reason.PROTOCOL), tracker.Block(carol, CHEAT_BLOCK, at_least=True)]


def test_member_that_cheats_is_none_for_as_long_as_it_is_blocked_whatever_others_tell_of_it(
    world: World, punished: list[object]
) -> None:
    world.join().meet("bob", "carol")
    raised(world, "carol", 3, bytes(16))
    carol = world.peer("carol")
    assert carol not in world.visible()
    assert punished

    for teller, seconds in (("bob", 0.0), ("dave", CHEAT_BLOCK)):
        world.simulation.run(for_=seconds)
        world.meet(teller)
        world.packet(teller, Gossip(), Member(world.id("carol")), records=[world.record("carol")])
        assert (carol in world.visible()) is (teller == "dave")
        assert world.metric("newcomers_total", "shunned") == 1  # what bob told


def test_cheat_that_is_still_blocked_after_a_restart_is_no_member_until_the_block_ends(world: World) -> None:
    """The tracker tells of the blocks in its address book before this node joins."""
    world.members.tell(tracker.PeerBlocked(world.peer("carol"), CHEAT_BLOCK))
    world.join().meet("bob").introduce("bob", "carol")
    world.simulation.run(for_=1)
    assert world.peer("carol") not in world.visible()
    assert not [event for event in world.heard() if isinstance(event, MemberUp) and event.peer == world.peer("carol")]
    assert (world.said("carol", Ping), world.metric("newcomers_total", "blocked")) == ([], 1)
    world.members.tell(tracker.PeerUnblocked(world.peer("carol")))
    world.simulation.run(for_=11)
    assert world.said("carol", Ping)
    world.meet("carol")
    assert world.peer("carol") in world.visible()


def test_peer_that_is_blocked_while_this_node_runs_is_a_member_when_others_tell_of_it(world: World) -> None:
    world.join().meet("bob")
    world.members.tell(tracker.PeerBlocked(world.peer("carol"), float("inf")))
    world.introduce("bob", "carol")
    assert world.peer("carol") in world.visible()


def other_life(world: World, name: str) -> PeerRecord:
    """A record of generation 1 with another chain than the one that follows from the key."""
    record = replace(world.record(name), chain=b"x" * 16)
    return replace(record, signature=world.simulation.known.identity(name).sign(record._signed_bytes()))


@pytest.mark.parametrize("bringer", ["bob", "carol"])
def test_member_that_has_signed_two_lives_of_one_generation_is_blocked_whoever_brings_the_second(
    world: World, punished: list[object], bringer: str
) -> None:
    world.join().meet("bob", "carol")
    beside = [world.record("bob")] if bringer == "bob" else []
    world.packet(bringer, Gossip(), records=[*beside, other_life(world, "carol")])
    world.packet("bob", Ping(3))
    carol = world.peer("carol")
    assert cheats(world) == [MemberCheats(carol, "two records of one life", carol)]
    assert punished == [transport.Close(carol, Reason.PROTOCOL), tracker.Block(carol, CHEAT_BLOCK, at_least=True)]
    assert (world.metric("cheats_total", "own"), world.metric("records_total", "contradicts")) == (1, 1)
    assert world.said("bob", Ack)  # who brought it is not at fault


def test_member_that_has_signed_two_lives_of_a_generation_before_its_present_one_is_blocked(
    world: World, punished: list[object]
) -> None:
    world.join().meet("bob", "carol")
    other = other_life(world, "carol")
    world.packet("bob", Gossip(), records=[world.record("bob"), world.record("carol", 2)])
    assert cheats(world) == []
    world.packet("bob", Gossip(), records=[world.record("bob"), other])
    assert [each.peer for each in cheats(world)] == [world.peer("carol")]
    assert world.metric("records_total", "contradicts") == 1


def test_earlier_record_of_a_member_that_is_shown_again_is_no_cheat(world: World, punished: list[object]) -> None:
    world.join().meet("bob", "carol")
    world.packet("bob", Gossip(), records=[world.record("bob"), world.record("carol", 2)])
    world.packet("bob", Gossip(), records=[world.record("bob"), world.record("carol", 1)])
    assert cheats(world) == []


def test_both_records_of_a_cheat_are_shown_to_the_others_once(world: World, punished: list[object]) -> None:
    world.join().meet("bob", "carol", "dave")
    records = [world.record("carol"), other_life(world, "carol")]
    for bringer in ("bob", "dave"):
        world.packet(bringer, Gossip(), records=[world.record(bringer), records[1]])
    for name in ("bob", "dave"):
        shown = [data for envelope in world.sent(name) for data in envelope.records]
        assert [shown.count(record.encode()) for record in records] == [1, 1]
        assert all(
            len(envelope.records) <= 1 for envelope in world.sent(name) if records[1].encode() in envelope.records
        )
    assert all(records[1].encode() not in envelope.records for envelope in world.sent("carol"))


def shown_to_bob(world: World, records: list[PeerRecord]) -> int:
    said = {data for envelope in world.sent("bob") for data in envelope.records}
    return sum(record.encode() in said for record in records)


def test_cheats_that_are_many_are_shown_to_the_others_four_at_once_and_then_one_in_five_seconds(
    world: World, punished: list[object]
) -> None:
    names = [f"cheat {number}" for number in range(7)]
    world.join().meet("bob", "carol", *names)
    others = [other_life(world, name) for name in names]
    for other in others:
        world.packet("carol", Gossip(), records=[world.record("carol"), other])
    assert len(cheats(world)) == 7
    assert shown_to_bob(world, others) == 4
    shown = []
    for _ in range(3):
        world.simulation.run(for_=5.1)
        for name in ("bob", "carol"):
            world.packet(name, Gossip(), records=[world.record(name)])
        shown.append(shown_to_bob(world, others))
    assert shown == [5, 6, 7]
    assert world.metric("cheats_not_shown_total") == 0


def test_cheat_for_which_too_many_wait_to_be_shown_is_counted(world: World, punished: list[object]) -> None:
    names = [f"cheat {number}" for number in range(4 + CHEATS_TO_SHOW + 3)]
    world.join().meet("bob", *names)
    for name in names:
        world.packet("bob", Gossip(), records=[world.record("bob"), other_life(world, name)])
    assert world.metric("cheats_not_shown_total") == 3


def test_cheat_is_blocked_by_who_was_shown_one_record_and_is_shown_both_by_another() -> None:
    cluster = Cluster("two lives")
    nodes = cluster.start_joined()
    carol = cluster.nodes["carol"]
    other = replace(carol.record, chain=b"x" * 16)
    other = replace(other, signature=cluster.known.identity("carol").sign(other._signed_bytes()))
    bob, alice = cluster.nodes["bob"], cluster.nodes["alice"]
    payload = Envelope(records=(other.encode(),)).encode()
    alice.mailbox.tell(transport.Packet(bob.peer, payload))
    cluster.run(2)
    for node in nodes:
        if node is not carol:
            assert [event.peer for event in node.heard(MemberCheats)] == [carol.peer], node.name


def test_second_record_of_one_life_whose_signature_is_false_shows_nothing(world: World, punished: list[object]) -> None:
    world.join().meet("bob", "carol")
    forged = replace(world.record("carol"), chain=b"x" * 16)
    world.packet("bob", Gossip(), records=[world.record("bob"), forged])
    assert cheats(world) == []
    assert world.metric("records_total", "refused") == 1
    assert punished == []


def test_member_at_another_address_or_with_other_tags_in_one_generation_has_restarted_and_is_no_cheat(
    world: World, punished: list[object]
) -> None:
    """Without a data folder, and with a clock that begins at the same second each time, the generation may repeat."""
    world.join().meet("bob", "carol")
    moved = world.simulation.known.record("carol", "tcp://10.9.9.9:7000")
    world.packet("carol", Gossip(), records=[moved])
    world.packet("bob", Gossip(), records=[world.record("bob"), world.tagged("carol", {"zone": "b"})])
    assert cheats(world) == []
    assert punished == []
    (carol,) = [info for info in world.members.members().get(timeout=1).others if info.peer == world.peer("carol")]
    assert carol.record == moved


def test_record_is_asked_for_at_who_passes_on_a_false_proof_and_shows_whose_lie_it_was(
    world: World, punished: list[object]
) -> None:
    world.join().meet("bob", "carol").packet("bob", Gossip(), Member(world.id("carol"), 5, State.ALIVE, (), bytes(16)))
    bob, carol = world.peer("bob"), world.peer("carol")
    assert [envelope.wanted for envelope in world.sent("bob") if envelope.wanted] == [(carol,)]
    world.packet("bob", records=[other_life(world, "carol")])
    assert [event.peer for event in cheats(world)] == [bob, carol]
    assert tracker.Block(carol, CHEAT_BLOCK, at_least=True) in punished
    world.packet("carol", Gossip(), Member(world.id("carol"), 6, State.ALIVE, (), bytes(16)))
    assert [event.peer for event in cheats(world)] == [bob, carol]


def test_member_that_was_named_for_what_it_passed_on_is_blocked_at_once_for_a_lie_of_its_own(
    world: World, punished: list[object]
) -> None:
    world.join().meet("bob", "carol").packet("carol", Gossip(), Member(world.id("bob"), 5, State.DOWN, (), bytes(16)))
    assert punished == []
    raised(world, "carol", 3, bytes(16))
    assert tracker.Block(world.peer("carol"), CHEAT_BLOCK, at_least=True) in punished


def test_presented_records_that_are_not_newer_are_checked_within_the_senders_budget(world: World) -> None:
    world.join().meet("bob")
    for number in range(140):
        moved = world.simulation.known.record("bob", f"tcp://10.9.9.9:{7000 + number}")
        world.packet("bob", Gossip() if number % 2 else None, records=[moved])  # of two kinds: each has its own limit
    assert world.metric("records_total", "over_limit") > 0


def test_member_that_raises_its_incarnation_with_its_link_is_believed(world: World) -> None:
    world.join().meet("carol")
    raised(world, "carol", 3, world.simulation.known.life("carol").link(3))
    assert incarnations(world)["carol"] == 3
    assert cheats(world) == []


def test_later_life_of_a_member_waits_for_its_record_which_is_asked_for(world: World) -> None:
    world.join().meet("bob", "carol").packet("carol", Gossip(), Member(world.id("bob", 5)))
    assert world.metric("waiting_keys") == 1
    asked = [envelope for envelope in world.sent("carol") if envelope.wanted]
    assert [envelope.wanted for envelope in asked] == [(world.peer("bob"),)]
    assert not [event for event in world.heard() if isinstance(event, MemberUpdated)]
    world.packet("carol", records=[world.record("bob", 5)])
    assert MemberUpdated(world.peer("bob"), world.record("bob", 5)) in world.heard()
    world.packet("bob", Ping(4), generation=5)
    assert [packet.header.dst for packet in world.said("bob", Ack)] == [world.id("bob", 5)]


def test_later_life_whose_record_comes_beside_is_believed_at_once(world: World) -> None:
    world.join().meet("bob", "carol")
    world.packet("carol", Gossip(), Member(world.id("bob", 5)), records=[world.record("carol"), world.record("bob", 5)])
    assert MemberUpdated(world.peer("bob"), world.record("bob", 5)) in world.heard()
    assert world.metric("waiting_keys") == 0


def test_packet_of_a_life_whose_record_is_not_here_is_dropped_and_the_sender_asked(world: World) -> None:
    world.join().meet("bob").packet("bob", Gossip(), generation=5, records=())
    assert world.dropped("UnknownLifeError") == 1
    assert [envelope.wanted for envelope in world.sent("bob") if envelope.wanted] == [(world.peer("bob"),)]


def test_record_of_a_new_life_goes_along_with_what_is_told_of_it_for_some_seconds(world: World) -> None:
    world.join().meet("bob", "carol").introduce("bob", "dave")
    world.simulation.run(for_=5.5)  # nobody is told of it before it has answered
    world.meet("dave")
    world.simulation.run(for_=1)
    told = [envelope for envelope in world.sent("carol") if envelope.swim and names(envelope.swim, world, "dave")]
    assert told
    assert all(world.record("dave").encode() in envelope.records for envelope in told)


def names(packet: bytes, world: World, name: str) -> bool:
    decoded = decode_packet(packet)
    others = not isinstance(decoded.header.message, Announce | Feed)
    return others and any(update.id == world.id(name) for update in decoded.updates)


def test_refutation_shows_our_link_and_a_farewell_our_secret(world: World) -> None:
    world.join().meet("bob", "carol").packet("carol", Gossip(), Member(world.id("me"), 0, State.SUSPECT))
    world.packet("carol", Ping(7))
    header = world.said("carol", Ack)[-1].header
    assert header.src_incarnation == 1
    assert verify_link(world.me.chain, 1, header.src_proof)
    world.members.leave().get(timeout=1)
    left = [update for packet in world.said("bob", Gossip) for update in packet.updates if update.state is State.LEFT]
    assert left
    assert all(verify_farewell(world.me.farewell, update.proof) for update in left)


def test_answer_for_a_helper_is_signed_and_bound_to_prober_and_number(world: World) -> None:
    world.join().meet("bob", "carol").packet("carol", IndirectPing(world.id("bob"), 11))
    (packet,) = world.said("carol", IndirectAck)
    message = packet.header.message
    assert isinstance(message, IndirectAck)
    assert verify_answer(world.me.peer, 1, world.peer("bob"), 1, 11, message.answer)
    assert not verify_answer(world.me.peer, 1, world.peer("bob"), 1, 12, message.answer)


def test_helper_with_a_false_answer_is_blocked(world: World, punished: list[object]) -> None:
    """Bob does not answer; carol says he does."""
    world.join().meet("bob", "carol")

    def asked() -> list[int]:
        heads = [packet.header.message for packet in world.said("carol", PingReq)]
        return [each.number for each in heads if isinstance(each, PingReq) and each.target == world.id("bob")]

    world.simulation.run_until(asked, timeout=20)
    world.packet("carol", ForwardedAck(world.id("bob"), asked()[-1], bytes(64)))
    carol = world.peer("carol")
    assert MemberCheats(carol, "a false answer to a probe", carol) in cheats(world)
    assert tracker.Block(carol, CHEAT_BLOCK, at_least=True) in punished


def test_first_packets_of_a_new_life_wait_for_its_record_and_bring_it(world: World) -> None:
    world.join().meet("bob", "carol")
    held = world.net.control.hold(transport.Renew)
    before = len(world.net.control.received(transport.SendPacket))
    world.packet("bob", Gossip(), world.left("me"))
    world.packet("bob", Ping(3), to=2)
    assert len(world.net.control.received(transport.SendPacket)) == before
    held.pop().set(world.owned(world.record("me", 2)))
    later = [each for name in ("bob", "carol") for each in world.sent(name) if of_life(each.swim, 2)]
    assert later
    assert all(world.record("me", 2).encode() in each.records for each in later)
    assert [event for event in world.heard() if isinstance(event, Rejoined)] == [Rejoined(world.record("me", 2))]


def test_renewal_that_transport_fails_is_asked_for_again_ever_later_until_the_record_is_there(world: World) -> None:
    world.join().meet("bob", "carol")
    began, asked = world.simulation.time, list[float]()

    def refuse(_message: transport.Renew) -> Exception:
        asked.append(world.simulation.time - began)
        return OSError("no disk")

    world.net.control.answer(transport.Renew, refuse)
    world.packet("bob", Gossip(), world.left("me"))
    world.simulation.run(for_=200)
    assert asked == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert world.metric("renewals_total", "failed") == len(asked)
    world.net.control.answer(transport.Renew, lambda message: world.owned(world.record("me", message.generation + 3)))
    world.simulation.run(for_=60)
    assert [event for event in world.heard() if isinstance(event, Rejoined)] == [Rejoined(world.record("me", 4))]
    assert world.metric("renewals_total", "signed") == 1
    world.packet("bob", Ping(3), to=4)
    assert of_life(world.sent("bob")[-1].swim, 4)
    world.simulation.run(for_=120)
    assert world.metric("renewals_total", "signed") == 1


def test_renewal_that_failed_is_not_asked_for_again_once_the_node_has_left(world: World) -> None:
    world.join().meet("bob")
    world.net.control.answer(transport.Renew, OSError("no disk"))
    world.packet("bob", Gossip(), world.left("me"))
    world.members.leave()
    world.simulation.run(for_=60)
    assert world.metric("renewals_total", "failed") == 1


def of_life(packet: bytes, generation: int) -> bool:
    return bool(packet) and decode_packet(packet).header.src.generation == generation
