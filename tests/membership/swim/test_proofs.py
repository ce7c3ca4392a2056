"""What is believed of whom: only what its owner has shown (membership: members)."""

from collections.abc import Callable
from typing import Any

import pytest

from rookery.actors.membership.swim import (
    Answered,
    Cheated,
    ForgedProofError,
    Member,
    MemberDown,
    MemberId,
    Rejoin,
    UnknownLife,
    UnknownLifeError,
)
from rookery.actors.membership.swim.effects import ProbeRandomMember, SendIndirectProbe
from rookery.actors.membership.swim.messages import (
    Ack,
    ForwardedAck,
    Gossip,
    IndirectAck,
    IndirectPing,
    Message,
    Ping,
    PingReq,
    TurnUndead,
)

from .chains import Chains, answer, proved
from .rig import ANN, BOB, CAROL, US, Rig, alive, down, left, next_life, probing, suspect

FALSE = b"\x01" * 16


def forged(update: Member, proof: bytes = FALSE) -> Member:
    return Member(update.id, update.incarnation, update.state, update.accusers, proof)


@pytest.mark.parametrize("proof", [b"", FALSE], ids=["none", "false"])
@pytest.mark.parametrize(
    "update",
    [alive(ANN, 1), suspect(ANN, 1), down(ANN, 1), left(ANN), down(US, 1), suspect(US, 1), left(US)],
    ids=str,
)
def test_update_without_the_owners_proof_is_not_applied_and_names_who_passed_it_on(
    update: Member, proof: bytes
) -> None:
    rig = Rig(knows=[ANN, BOB, CAROL], proofs=Chains())
    rig.receive(BOB, updates=[forged(update, proof), suspect(CAROL)])
    assert [rig.held(ANN), rig.held(CAROL)] == [alive(ANN), suspect(CAROL)]
    assert (rig.swim.identity, rig.swim.incarnation) == (US, 0)
    assert [note for note in rig.take_notes() if isinstance(note, Cheated)] == [
        Cheated(BOB.key, "a false proof", update)
    ]
    assert rig.swim.counters.forged_proofs == 1


def test_update_about_its_sender_without_proof_spoils_its_packet() -> None:
    rig = Rig(knows=[ANN, BOB], proofs=Chains())
    with pytest.raises(ForgedProofError):
        rig.receive(BOB, updates=[suspect(ANN), forged(left(BOB))])
    assert [rig.held(ANN), rig.held(BOB)] == [alive(ANN), alive(BOB)]
    assert rig.take_notes() == [Cheated(BOB.key, "a false proof", left(BOB))]
    assert rig.take_packets() == []


@pytest.mark.parametrize("accusation", [suspect, down], ids=lambda accusation: accusation.__name__)
def test_accusation_at_the_held_incarnation_does_not_change_the_proof_that_was_checked(accusation: Any) -> None:
    rig = Rig(knows=[BOB], proofs=Chains())
    rig.learn(proved(alive(ANN, 3)))
    rig.blocked.add(ANN.key)  # so that it cannot be checked
    rig.receive(BOB, updates=[forged(accusation(ANN, 3))])
    held = rig.held(ANN)
    assert held is not None
    assert (held, held.proof) == (accusation(ANN, 3), proved(alive(ANN, 3)).proof)
    rig.blocked.clear()
    rig.receive(ANN, incarnation=4, proof=proved(alive(ANN, 4)).proof)
    assert rig.held(ANN) == alive(ANN, 4)
    assert rig.swim.counters.forged_proofs == 0


@pytest.mark.parametrize("update", [alive(ANN, 3), suspect(ANN, 3), down(ANN, 3), left(ANN)], ids=str)
def test_update_with_the_owners_proof_is_believed_and_passed_on_with_it(update: Member) -> None:
    rig = Rig(knows=[ANN, BOB], proofs=Chains())
    rig.blocked.add(ANN.key)  # so that it cannot be checked
    rig.receive(BOB, updates=[proved(update)])
    assert rig.held(ANN) == update
    rig.swim.gossip(rig.outbox)
    rig.drain()
    ((_, packet),) = rig.take_packets()
    assert [(said, said.proof) for said in packet.updates] == [(update, proved(update).proof)]


def test_update_that_says_no_more_than_is_known_needs_no_proof() -> None:
    proofs = Chains()
    rig = Rig(knows=[BOB], proofs=proofs)
    rig.learn(proved(alive(ANN, 3)))
    rig.receive(BOB, updates=[forged(alive(ANN, 3)), forged(alive(ANN, 2)), forged(suspect(ANN, 3))])
    assert proofs.checked == []
    assert rig.held(ANN) == suspect(ANN, 3)


def test_update_about_a_life_that_nothing_proves_is_given_back_and_not_applied() -> None:
    proofs = Chains(unknown=[CAROL, next_life(ANN)])
    rig = Rig(knows=[ANN, BOB], proofs=proofs)
    rig.receive(BOB, updates=[alive(CAROL), down(next_life(ANN)), suspect(ANN)])
    assert [rig.held(CAROL), rig.held(ANN)] == [None, suspect(ANN)]
    waiting = [note for note in rig.take_notes() if isinstance(note, UnknownLife)]
    assert waiting == [UnknownLife(alive(CAROL), BOB.key), UnknownLife(down(next_life(ANN)), BOB.key)]
    assert rig.swim.counters.unknown_lives == 2
    proofs.unknown.clear()
    for each in waiting:
        rig.swim.apply_many([each.update], True, rig.now, rig.outbox, source=each.source)
    rig.drain()
    assert rig.held(CAROL) == alive(CAROL)
    assert rig.held(ANN) == suspect(next_life(ANN))  # first we look ourselves


def test_update_that_was_given_back_and_turns_out_false_is_not_applied_and_names_the_cheat() -> None:
    rig = Rig(knows=[ANN, BOB], proofs=Chains())
    rig.swim.apply_many([forged(alive(CAROL, 1)), alive(CAROL)], True, rig.now, rig.outbox, source=BOB.key)
    rig.drain()
    assert rig.held(CAROL) == alive(CAROL)  # the other update
    assert Cheated(BOB.key, "a false proof", alive(CAROL, 1)) in rig.take_notes()


@pytest.mark.parametrize("known", [True, False])
def test_sender_that_does_not_prove_its_incarnation_is_refused_and_named(known: bool) -> None:
    rig = Rig(knows=[ANN] if known else [], proofs=Chains())
    with pytest.raises(ForgedProofError):
        rig.receive(ANN, incarnation=1, proof=FALSE, updates=[alive(BOB)])
    assert rig.held(ANN) == (alive(ANN) if known else None)
    assert rig.held(BOB) is None
    (note,) = rig.take_notes()
    assert isinstance(note, Cheated)
    assert (note.peer, note.about) == (ANN.key, alive(ANN, 1))


def test_sender_that_proves_its_incarnation_is_passed_on_with_the_proof() -> None:
    rig = Rig(knows=[BOB], proofs=Chains())
    proof = proved(alive(ANN, 1)).proof
    rig.receive(ANN, incarnation=1, proof=proof)
    rig.swim.gossip(rig.outbox)
    rig.drain()
    said = [update for _, packet in rig.take_packets() for update in packet.updates]
    assert {(update, update.proof) for update in said} == {(alive(ANN, 1), proof)}


def test_sender_of_a_life_that_nothing_proves_is_refused_until_its_record_is_there() -> None:
    proofs = Chains(unknown=[ANN])
    rig = Rig(knows=[BOB], proofs=proofs)
    with pytest.raises(UnknownLifeError):
        rig.receive(ANN, updates=[alive(CAROL)])
    assert [rig.held(ANN), rig.held(CAROL)] == [None, None]
    proofs.unknown.clear()
    rig.receive(ANN, updates=[alive(CAROL)])
    assert [rig.held(ANN), rig.held(CAROL)] == [alive(ANN), alive(CAROL)]


def test_what_we_say_of_ourselves_carries_our_proofs() -> None:
    rig = Rig(knows=[ANN], proofs=Chains())
    rig.receive(ANN, updates=[suspect(US)])
    assert {packet.header.src_proof for _, packet in rig.take_packets()} == {proved(alive(US, 1)).proof}
    rig.swim.leave_cluster(rig.outbox)
    rig.drain()
    ((_, packet),) = rig.take_packets()
    assert [(update, update.proof) for update in packet.updates] == [(left(US, 1), proved(left(US)).proof)]


@pytest.mark.parametrize("said", [suspect, down])
def test_our_own_chain_from_a_former_process_of_the_same_life_is_gone_on_with(
    said: Callable[[MemberId, int], Member],
) -> None:
    rig = Rig(knows=[ANN], proofs=Chains())
    rig.receive(ANN, updates=[proved(said(US, 40))])
    assert (rig.swim.identity, rig.swim.incarnation) == (US, 41)


@pytest.mark.parametrize("message", [Gossip(), TurnUndead(proved(left(US)))])
def test_our_own_farewell_coming_back_begins_a_new_life(message: Message) -> None:
    rig = Rig(knows=[ANN], proofs=Chains())
    rig.receive(ANN, message, updates=[proved(left(US))] if message.updates else [])
    assert rig.swim.identity == next_life(US)
    assert Rejoin(next_life(US)) in rig.take_notes()


def test_answer_to_a_helper_is_signed_and_forwarded_as_it_is() -> None:
    ann = Rig(knows=[US, BOB], proofs=Chains(), me=ANN)
    ann.receive(BOB, IndirectPing(US, 5))
    assert ann.take_messages() == [(BOB, IndirectAck(US, 5, answer(ANN, US, 5)))]
    bob = Rig(knows=[US, ANN], proofs=Chains(), me=BOB)
    bob.receive(US, PingReq(ANN, 5))
    bob.take_packets()
    bob.receive(ANN, IndirectAck(US, 5, answer(ANN, US, 5)))
    assert bob.take_messages() == [(US, ForwardedAck(ANN, 5, answer(ANN, US, 5)))]


@pytest.mark.parametrize("given", [b"", b"\x01" * 64, answer(ANN, US, 6), answer(ANN, BOB, 5), answer(BOB, US, 5)])
def test_helper_forwards_no_false_answer_and_names_who_gave_it(given: bytes) -> None:
    rig = Rig(knows=[US, ANN], proofs=Chains(), me=BOB)
    rig.receive(US, PingReq(ANN, 5))
    rig.take_packets()
    rig.receive(ANN, IndirectAck(US, 5, given))
    assert rig.take_packets() == []
    assert rig.take_notes() == [Cheated(ANN.key, "a false answer to a probe")]


def test_helper_forwards_and_checks_nothing_that_it_was_not_asked_for() -> None:
    rig = Rig(knows=[US, ANN], proofs=Chains(), me=BOB)
    rig.receive(ANN, IndirectAck(US, 5, answer(ANN, US, 5)))
    rig.receive(ANN, IndirectAck(US, 5, b""))
    assert (rig.take_packets(), rig.take_notes()) == ([], [])


@pytest.mark.parametrize("honest", [True, False])
def test_probe_is_saved_by_a_helper_only_with_the_targets_own_answer(honest: bool) -> None:
    rig = Rig(knows=[ANN, BOB], proofs=Chains())
    target, number = probing(rig)
    helper = ANN if target == BOB else BOB
    rig.fire(SendIndirectProbe)
    rig.take_packets()
    rig.receive(helper, ForwardedAck(target, number, answer(target, US, number + (not honest))))
    cheats = [note for note in rig.take_notes() if isinstance(note, Cheated)]
    assert cheats == ([] if honest else [Cheated(helper.key, "a false answer to a probe")])
    rig.fire(ProbeRandomMember)
    assert rig.held(target) == (alive(target) if honest else suspect(target))


def test_lies_about_generations_end_no_life_and_begin_none() -> None:
    far = MemberId(ANN.key, 2**62)
    rig = Rig(knows=[ANN, BOB], proofs=Chains(unknown=[far, MemberId(US.key, 2**62)]))
    rig.receive(BOB, updates=[left(far), down(far), alive(MemberId(US.key, 2**62)), down(MemberId(US.key, 2**62))])
    assert rig.held(ANN) == alive(ANN)
    assert rig.swim.identity == US
    assert MemberDown(ANN) not in rig.take_notes()
    rig.receive(ANN, Ping(1))
    assert rig.is_active(ANN)


# Who is no member ----------------------------------------------------------------------------------------------------


def greet(rig: Rig, by: MemberId | None = None) -> int:
    """Greet Ann; the number of that."""
    rig.swim.greet(ANN, rig.now, rig.outbox, by=None if by is None else by.key)
    rig.drain()
    to, packet = rig.packets[0]
    assert isinstance(packet.header.message, Ping)
    assert (to, packet.updates) == (ANN, ())
    return packet.header.message.number


def test_who_is_no_member_is_greeted_without_news_and_a_member_when_it_answers() -> None:
    rig = Rig(knows=[BOB], proofs=Chains())
    rig.receive(BOB, updates=[alive(CAROL)])  # news
    rig.take_notes()
    number = greet(rig)
    assert rig.held(ANN) is None
    rig.receive(ANN, Ack(number))
    assert rig.held(ANN) == alive(ANN)
    assert rig.swim.health == 0


def test_greetings_through_helpers_leave_them_room_for_our_probes() -> None:
    rig = Rig(knows=[BOB, CAROL], proofs=Chains())
    for number in range(100, 140):
        rig.swim.greet(MemberId(bytes([number]) * 32, 1), rig.now, rig.outbox, by=CAROL.key)
    rig.drain()
    asked = [to for to, message in rig.take_messages() if isinstance(message, PingReq)]
    assert (asked.count(BOB), asked.count(CAROL)) == (8, 40)  # who has told of them pays for it


@pytest.mark.parametrize("honest", [True, False])
def test_answer_of_who_is_no_member_through_a_helper_is_notified_only_with_its_proof(honest: bool) -> None:
    rig = Rig(knows=[BOB, CAROL], proofs=Chains())
    number = greet(rig, CAROL)
    assert dict(rig.take_messages()) == {ANN: Ping(number), BOB: PingReq(ANN, number), CAROL: PingReq(ANN, number)}
    for _ in range(2):  # the second is to nothing that was asked
        rig.receive(CAROL, ForwardedAck(ANN, number, answer(ANN, US, number + (not honest))))
    cheat = Cheated(CAROL.key, "a false answer to a probe")
    assert rig.take_notes() == ([Answered(ANN)] if honest else [cheat, cheat])
    assert rig.held(ANN) is None


def test_answer_about_who_is_no_member_counts_only_of_a_helper_that_was_asked_and_not_after_it_is_forgotten() -> None:
    rig = Rig(knows=[BOB, CAROL], proofs=Chains())
    number = greet(rig)
    rig.receive(BOB, ForwardedAck(ANN, number, answer(ANN, US, number)))
    assert greet(rig, BOB) == number
    rig.swim.forget(ANN.key, rig.now, rig.outbox)
    rig.receive(BOB, ForwardedAck(ANN, number, answer(ANN, US, number)))
    assert rig.take_notes() == []


def test_new_life_of_ours_waits_for_no_answer_to_the_last_one() -> None:
    rig = Rig(knows=[BOB, CAROL], proofs=Chains())
    number = greet(rig, BOB)
    rig.swim.change_identity(next_life(US), rig.now, rig.outbox)
    rig.receive(BOB, ForwardedAck(ANN, number, answer(ANN, US, number)))
    assert [note for note in rig.take_notes() if isinstance(note, Answered | Cheated)] == []
