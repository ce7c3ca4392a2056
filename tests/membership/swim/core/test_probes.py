"""Ping, helpers, suspicion, Down (membership: how a death is noticed)."""

from dataclasses import replace
from itertools import pairwise

import pytest

from rookery.actors.membership.swim import IndirectForOurselvesError, MemberDown, MemberId, ProbeFailed, Suspected
from rookery.actors.membership.swim.effects import ChangeSuspectToDown, ProbeRandomMember, RemoveDown, SendIndirectProbe
from rookery.actors.membership.swim.messages import (
    Ack,
    ForwardedAck,
    IndirectAck,
    IndirectPing,
    Message,
    Ping,
    PingReq,
    TurnUndead,
)

from ..rig import ANN, BOB, CAROL, DAVE, QUIET, US, Rig, alive, down, name, next_life, probing, suspect


def probing_only(rig: Rig, target: object) -> int:
    """Begin probes until it is this member's turn, every other answering."""
    while True:
        probed, number = probing(rig)
        if probed == target:
            return number
        rig.receive(probed, Ack(number))
        rig.fire(SendIndirectProbe)


def test_probe_sends_a_ping_and_schedules_both_stages() -> None:
    rig = Rig(knows=[ANN])
    rig.fire(ProbeRandomMember)
    assert rig.take_messages() == [(ANN, Ping(1))]
    assert rig.waiting(SendIndirectProbe) == [0.5]
    assert rig.waiting(ProbeRandomMember) == [1.5]


def test_probe_with_a_timely_ack_asks_no_helper_and_suspects_nobody() -> None:
    rig = Rig(knows=[ANN, BOB])
    target, number = probing(rig)
    rig.receive(target, Ack(number))
    rig.fire(SendIndirectProbe)
    assert rig.take_messages() == []
    rig.fire(ProbeRandomMember)
    assert all(held.state.name == "ALIVE" for held in rig.swim.iter_members())


@pytest.mark.parametrize("wrong", ["number", "sender"])
def test_probe_with_a_wrong_ack_goes_on_to_helpers(wrong: str) -> None:
    rig = Rig(knows=[ANN, BOB])
    number = probing_only(rig, ANN)
    rig.receive(*(ANN, Ack(number + 1)) if wrong == "number" else (BOB, Ack(number)))
    rig.take_packets()
    rig.fire(SendIndirectProbe)
    assert rig.take_messages() == [(BOB, PingReq(ANN, number))]


def test_probe_asks_exactly_the_configured_helpers_never_the_target() -> None:
    rig = Rig(knows=[name(number) for number in range(1, 10)])
    number = probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    asked = rig.take_messages()
    assert [message for _, message in asked] == [PingReq(ANN, number)] * 3
    assert len({to for to, _ in asked} - {ANN, US}) == 3


def test_indirect_stage_handed_back_twice_asks_helpers_once() -> None:
    rig = Rig(knows=[ANN, BOB])
    number = probing_only(rig, ANN)
    rig.hand_back(rig.fire(SendIndirectProbe))
    assert rig.take_messages() == [(BOB, PingReq(ANN, number))]


def test_probe_saved_by_any_one_helper_suspects_nobody() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    number = probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.receive(BOB, ForwardedAck(ANN, number))
    rig.fire(ProbeRandomMember)
    assert rig.held(ANN) == alive(ANN)


@pytest.mark.parametrize(
    ("sender", "origin", "step"), [(DAVE, ANN, 0), (BOB, CAROL, 0), (BOB, ANN, 1)], ids=["outsider", "other", "number"]
)
def test_probe_with_a_forwarded_ack_that_does_not_fit_still_fails(sender: object, origin: object, step: int) -> None:
    rig = Rig(replace(QUIET, num_indirect_probes=1), knows=[ANN, BOB])
    number = probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.receive(sender, ForwardedAck(origin, number + step))  # type: ignore[arg-type]
    rig.fire(ProbeRandomMember)
    assert rig.held(ANN) == suspect(ANN)


def test_probe_without_any_answer_suspects_then_declares_down_and_tells_it() -> None:
    rig = Rig(knows=[ANN, BOB])
    probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    assert rig.held(ANN) == suspect(ANN)
    assert rig.waiting(ChangeSuspectToDown) == [QUIET.suspect_to_down_after]
    assert rig.take_notes()[-2:] == [ProbeFailed(ANN), Suspected(ANN)]
    rig.take_packets()
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == down(ANN)
    assert rig.take_notes() == [MemberDown(ANN)]
    ((to, message),) = rig.take_messages()
    assert to == ANN
    assert isinstance(message, TurnUndead)
    assert message.held == down(ANN)
    assert rig.waiting(RemoveDown) == [QUIET.remove_down_after]


def test_probe_without_answer_does_not_tell_the_down_member_when_that_is_off() -> None:
    rig = Rig(replace(QUIET, notify_down_members=False), knows=[ANN, BOB])
    probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    rig.take_packets()
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == down(ANN)
    assert rig.take_messages() == []


def test_suspicion_heard_from_others_starts_no_timer_but_our_own_failed_probe_does() -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.receive(BOB, updates=[suspect(ANN)])
    assert rig.waiting(ChangeSuspectToDown) == []
    probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    assert len(rig.waiting(ChangeSuspectToDown)) == 1


@pytest.mark.parametrize("answers", [True, False])
def test_suspicion_of_a_member_that_answers_is_told_to_it_and_passed_on_no_more(answers: bool) -> None:
    rig = Rig(replace(QUIET, max_transmissions=9), knows=[ANN, BOB])
    number = probing_only(rig, ANN)
    rig.receive(BOB, updates=[suspect(ANN)])
    assert rig.swim.updates_backlog() == 1
    if answers:
        rig.receive(ANN, Ack(number))
    told = [packet.updates for to, packet in rig.take_packets() if to == ANN]
    assert told == ([(suspect(ANN),)] if answers else [])
    assert rig.swim.updates_backlog() == (0 if answers else 1)
    assert rig.held(ANN) == suspect(ANN)  # until it refutes, or the time is over


def test_suspect_that_speaks_with_a_higher_incarnation_is_cleared_and_not_declared_down() -> None:
    rig = Rig(knows=[ANN, BOB])
    probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    rig.receive(ANN, incarnation=0)
    assert rig.held(ANN) == suspect(ANN)
    rig.receive(ANN, incarnation=1)
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == alive(ANN, 1)


def test_suspicion_of_an_earlier_epoch_of_ours_declares_nobody_down_until_a_new_probe_fails() -> None:
    rig = Rig(knows=[ANN])
    probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    rig.swim.change_identity(next_life(US), rig.now, rig.outbox)
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == suspect(ANN)
    del rig.timers[:-1]
    for kind in (ProbeRandomMember, SendIndirectProbe, ProbeRandomMember, ChangeSuspectToDown):
        rig.fire(kind)
    assert rig.held(ANN) == down(ANN)


def test_suspect_that_renews_before_the_timer_is_not_declared_down() -> None:
    rig = Rig(knows=[ANN, BOB])
    probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    rig.receive(next_life(ANN))
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == alive(next_life(ANN))


@pytest.mark.parametrize("renewed", [True, False], ids=["renewed", "refuted"])
def test_target_that_changed_during_its_probe_is_not_suspected(renewed: bool) -> None:
    rig = Rig(knows=[ANN, BOB])
    probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.receive(*(next_life(ANN),) if renewed else (ANN,), incarnation=0 if renewed else 1)
    rig.fire(ProbeRandomMember)
    assert rig.held(ANN) == (alive(next_life(ANN)) if renewed else alive(ANN, 1))
    assert rig.waiting(ChangeSuspectToDown) == []


@pytest.mark.parametrize("update", [down(ANN), alive(next_life(ANN))], ids=["down", "renewed"])
def test_helpers_are_not_asked_about_a_target_that_went_away(update: object) -> None:
    rig = Rig(knows=[ANN, BOB])
    probing_only(rig, ANN)
    rig.learn(update)  # type: ignore[arg-type]
    rig.take_packets()
    rig.fire(SendIndirectProbe)
    assert rig.take_messages() == []


@pytest.mark.parametrize(
    ("received", "to", "answer"),
    [
        (Ping(7), ANN, Ack(7)),
        (PingReq(BOB, 7), BOB, IndirectPing(ANN, 7)),
        (IndirectPing(BOB, 7), ANN, IndirectAck(BOB, 7)),
        (IndirectAck(BOB, 7), BOB, ForwardedAck(ANN, 7)),
    ],
)
def test_probe_message_gets_the_answer_of_the_table(received: Message, to: object, answer: Message) -> None:
    rig = Rig(knows=[ANN, BOB])
    if isinstance(received, IndirectAck):
        rig.receive(BOB, PingReq(ANN, 7))
        rig.take_packets()
    rig.receive(ANN, received)
    assert rig.take_messages() == [(to, answer)]


@pytest.mark.parametrize("kind", [PingReq, IndirectPing, IndirectAck, ForwardedAck])
def test_indirect_message_about_ourselves_is_an_error_after_its_sender_was_learned(
    kind: type[PingReq | IndirectPing | IndirectAck | ForwardedAck],
) -> None:
    rig = Rig()
    with pytest.raises(IndirectForOurselvesError) as caught:
        rig.receive(ANN, kind(US, 1), updates=[alive(BOB)])
    assert caught.value.touched
    assert rig.is_active(ANN)
    assert rig.is_active(BOB)
    assert rig.take_packets() == []


def test_blocked_peer_is_neither_probed_nor_asked_to_help_nor_gossiped_to() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    rig.blocked.add(BOB.key)
    for _ in range(12):
        rig.fire(ProbeRandomMember)
        rig.fire(SendIndirectProbe)
    rig.swim.gossip(rig.outbox)
    rig.drain()
    assert {to for to, _ in rig.take_packets()} == {ANN, CAROL}
    assert rig.held(BOB) == alive(BOB)


def test_peer_blocked_during_its_probe_is_not_accused() -> None:
    rig = Rig(knows=[ANN, BOB])
    probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.blocked.add(ANN.key)
    rig.fire(ProbeRandomMember)
    assert rig.held(ANN) == alive(ANN)


def test_peer_blocked_during_its_suspicion_is_not_declared_down() -> None:
    rig = Rig(knows=[ANN, BOB])
    probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    rig.blocked.add(ANN.key)
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == suspect(ANN)
    assert MemberDown(ANN) not in rig.take_notes()


def test_blocked_peer_is_not_pinged_for_somebody_else() -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.blocked.add(BOB.key)
    rig.receive(ANN, PingReq(BOB, 3))
    assert rig.take_messages() == []


def test_requested_member_is_the_next_target() -> None:
    rig = Rig(knows=[name(number) for number in range(1, 30)])
    rig.swim.probe_next(DAVE.key)
    assert probing(rig)[0] == DAVE


def test_first_probe_falls_anywhere_in_the_period_with_jitter() -> None:
    config = replace(QUIET, jitter=True)
    rigs = [Rig(config, knows=[ANN], seed=seed) for seed in range(8)]
    waits = [rig.waiting(ProbeRandomMember)[0] for rig in rigs]
    assert all(0 <= wait <= config.probe_period for wait in waits)
    assert len(set(waits)) == 8


def test_removed_down_member_may_come_back() -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.learn(down(ANN))
    rig.receive(ANN)
    assert not rig.is_active(ANN)
    rig.fire(RemoveDown)
    rig.receive(ANN)
    assert rig.is_active(ANN)


# Those who have not settled ------------------------------------------------------------------------------------------


def many_new(rig: Rig, count: int) -> list[MemberId]:
    """So many members that have not settled."""
    new = [name(number) for number in range(100, 100 + count)]
    rig.newly |= {member.key for member in new}
    rig.learn(*map(alive, new))
    return new


def test_members_that_have_not_settled_get_every_second_probe_at_most() -> None:
    rig = Rig(knows=[ANN, BOB])
    new = many_new(rig, 20)
    probed = []
    for _ in range(80):
        target, number = probing(rig)
        rig.receive(target, Ack(number))
        rig.fire(SendIndirectProbe)
        probed.append(target)
    assert set(probed) == {ANN, BOB, *new}
    settled = [number for number, target in enumerate(probed) if target in (ANN, BOB)]
    assert all(later - earlier <= 2 for earlier, later in pairwise(settled))
    assert min(probed.count(ANN), probed.count(BOB)) >= 10


def test_members_that_have_not_settled_get_no_more_probes_by_closing_their_connections() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    new = many_new(rig, 20)
    probed = []
    for turn in range(80):
        rig.swim.probe_next(new[turn % 20].key)
        if turn == 40:
            rig.swim.probe_next(ANN.key)
        target, number = probing(rig)
        rig.receive(target, Ack(number))
        rig.fire(SendIndirectProbe)
        probed.append(target)
    settled = [target for target in probed if target in (ANN, BOB, CAROL)]
    assert len(settled) == 40
    assert min(map(settled.count, (ANN, BOB, CAROL))) >= 5
    assert ANN in probed[40:43]


def test_round_of_probes_is_as_ever_where_all_or_none_have_settled() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL, DAVE])
    for _ in range(5):
        probed = set()
        for _ in range(4):
            target, number = probing(rig)
            rig.receive(target, Ack(number))
            rig.fire(SendIndirectProbe)
            probed.add(target)
        assert probed == {ANN, BOB, CAROL, DAVE}


@pytest.mark.parametrize("is_new", [False, True])
def test_silence_of_a_member_that_has_not_settled_says_nothing_of_our_health(is_new: bool) -> None:
    rig = Rig(replace(QUIET, awareness_max_multiplier=8), knows=[ANN, BOB])
    rig.newly = {ANN.key} if is_new else {CAROL.key}
    probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    assert rig.held(ANN) == suspect(ANN)
    assert rig.swim.health == (0 if is_new else 1)


def test_members_that_have_settled_are_asked_for_help_first() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    new = many_new(rig, 20)
    number = probing_only(rig, ANN)
    rig.fire(SendIndirectProbe)
    helpers = [to for to, message in rig.take_messages() if message == PingReq(ANN, number)]
    assert set(helpers[:2]) == {BOB, CAROL}
    assert len(helpers) == 3
    assert helpers[2] in new
