"""A death is seen and not heard: own evidence, own checks, verdicts (membership: how a death is noticed)."""

from dataclasses import replace

import pytest

from rookery.actors.membership.swim import Config, Member, MemberDown, MemberId, MemberUp, Refuted, State, Suspected
from rookery.actors.membership.swim.effects import (
    BeginCheck,
    ChangeSuspectToDown,
    CheckSuspect,
    ProbeRandomMember,
    SendIndirectProbe,
)
from rookery.actors.membership.swim.member import ACCUSER_BYTES
from rookery.actors.membership.swim.messages import (
    Ack,
    ForwardedAck,
    Gossip,
    Ping,
    PingReq,
    SyncRequest,
    TurnUndead,
)

from ..chains import Chains, answer
from ..rig import ANN, BOB, CAROL, DAVE, QUIET, US, Rig, alive, down, name, next_life, probing, suspect

LAN = replace(QUIET, suspicion_confirmations=2, suspect_to_down_after=8.0, suspicion_max_factor=6.0, buddy=True)
CROWD = [name(number) for number in range(1, 9)]


def accused(member: MemberId, *accusers: MemberId) -> Member:
    return Member(member, 0, State.SUSPECT, tuple(each.key[-ACCUSER_BYTES:] for each in accusers))


def pinged(rig: Rig) -> list[MemberId]:
    """Whom we have pinged, and take them."""
    return [to for to, message in rig.take_messages() if isinstance(message, Ping)]


# A death that others tell of ------------------------------------------------------------------------------------------


def test_death_that_is_told_is_checked_at_once_and_believed_when_the_check_has_failed() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    rig.receive(BOB, updates=[down(ANN)])
    assert rig.held(ANN) == suspect(ANN)
    assert rig.take_notes() == [Suspected(ANN)]
    assert rig.swim.updates_backlog() == 0
    assert rig.waiting(BeginCheck) == [0.0]
    started = rig.now
    number = rig.pass_check()
    asked = [(to, message) for to, message in rig.take_messages() if isinstance(message, PingReq)]
    assert {to for to, _ in asked} == {BOB, CAROL}
    assert all(message == PingReq(ANN, number) for _, message in asked)
    assert rig.now - started == QUIET.probe_period
    assert rig.held(ANN) == down(ANN)
    assert rig.take_notes() == [MemberDown(ANN)]
    assert rig.swim.updates_backlog() == 1


@pytest.mark.parametrize("how", ["ack", "gossip", "connection"])
def test_death_that_is_told_of_a_member_that_answers_the_check_is_not_believed(how: str) -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    rig.receive(BOB, updates=[down(ANN)])
    ((told, packet),) = rig.take_packets()
    assert (told, packet.updates) == (ANN, (down(ANN),))  # so that it can refute that before its turn comes
    rig.fire(BeginCheck)
    ((to, ping),) = [(to, message) for to, message in rig.take_messages() if isinstance(message, Ping)]
    if how == "connection":
        rig.swim.alive(ANN.key, rig.now, rig.outbox)
        rig.drain()
    else:
        rig.receive(ANN, Ack(ping.number) if how == "ack" else Gossip())
    assert to == ANN
    assert rig.held(ANN) == alive(ANN)
    assert rig.take_notes() == [Suspected(ANN), Refuted(ANN)]
    assert rig.waiting(BeginCheck) == []


@pytest.mark.parametrize("true", [True, False])
def test_answer_through_a_helper_counts_for_a_check_with_the_targets_own_proof(true: bool) -> None:
    rig = Rig(knows=[ANN, BOB, CAROL], proofs=Chains())
    rig.receive(BOB, updates=[down(ANN)])
    rig.fire(BeginCheck)
    number = next(message.number for _, message in rig.messages() if isinstance(message, Ping))
    rig.fire(CheckSuspect)
    rig.receive(CAROL, ForwardedAck(ANN, number, answer(ANN, US, number) if true else b"\x01" * 64))
    rig.receive(DAVE, ForwardedAck(ANN, number, answer(ANN, US, number)))  # which was not asked
    rig.fire(CheckSuspect)
    assert rig.held(ANN) == (alive(ANN) if true else down(ANN))


def test_death_that_is_told_of_a_member_that_we_hear_is_not_believed_nor_passed_on_and_told_to_it_alone() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    rig.receive(ANN)
    rig.now += 1.0
    rig.receive(BOB, updates=[down(ANN)])
    assert rig.held(ANN) == alive(ANN)
    assert rig.take_notes() == []
    assert [(to, packet.updates) for to, packet in rig.take_packets()] == [(ANN, (down(ANN),))]
    assert rig.swim.updates_backlog() == 0
    assert rig.swim.counters.disbelieved == 1


def test_having_heard_a_member_long_ago_is_no_evidence() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    rig.receive(ANN)
    rig.now += 2 * QUIET.probe_period
    rig.receive(BOB, updates=[down(ANN)])
    assert rig.held(ANN) == suspect(ANN)


def test_having_heard_an_earlier_life_is_no_evidence_for_a_later_one() -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.receive(ANN)
    rig.receive(BOB, updates=[down(next_life(ANN))])
    assert rig.held(ANN) == suspect(next_life(ANN))


@pytest.mark.parametrize("said", [suspect(ANN), down(ANN)])
def test_nothing_that_is_told_of_a_connected_member_is_believed(said: Member) -> None:
    rig = Rig(LAN, knows=[ANN, *CROWD])
    rig.connected.add(ANN.key)
    rig.receive(BOB, updates=[said])
    assert rig.held(ANN) == alive(ANN)
    assert rig.take_notes() == []
    assert [(to, packet.updates) for to, packet in rig.take_packets()] == [(ANN, (said,))]
    assert rig.swim.updates_backlog() == 0


def test_connected_member_is_never_accused_by_us() -> None:
    rig = Rig(knows=[ANN])
    rig.connected.add(ANN.key)
    for kind in (ProbeRandomMember, SendIndirectProbe, ProbeRandomMember):
        rig.fire(kind)
    assert rig.held(ANN) == alive(ANN)


def test_target_that_was_heard_during_its_probe_is_not_accused() -> None:
    rig = Rig(knows=[ANN])
    probing(rig)
    rig.now += 0.1
    rig.receive(ANN)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    assert rig.held(ANN) == alive(ANN)


def test_death_that_is_told_of_a_member_that_we_cannot_check_is_believed() -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.blocked.add(ANN.key)
    rig.receive(BOB, updates=[down(ANN)])
    assert rig.held(ANN) == down(ANN)


def test_death_that_is_told_of_a_member_nobody_had_named_is_held_and_it_is_asked() -> None:
    rig = Rig(knows=[BOB])
    rig.receive(BOB, updates=[down(ANN)])
    assert rig.held(ANN) == down(ANN)
    assert rig.take_notes() == []
    ((to, message),) = rig.take_messages()
    assert to == ANN
    assert isinstance(message, TurnUndead)
    rig.receive(ANN, Ack(message.number))
    assert rig.take_notes() == [MemberUp(ANN)]


def test_member_that_we_hold_down_and_others_name_alive_is_told_so_that_it_can_refute() -> None:
    rig = Rig(knows=[BOB])
    rig.learn(down(ANN))
    rig.receive(BOB, updates=[alive(ANN)])
    assert rig.held(ANN) == down(ANN)
    assert [(to, type(message)) for to, message in rig.take_messages()] == [(ANN, TurnUndead)]


def test_refutation_ends_a_check_and_a_death() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    rig.receive(BOB, updates=[down(ANN)])
    rig.receive(CAROL, updates=[alive(ANN, 1)])
    assert rig.held(ANN) == alive(ANN, 1)
    rig.fire(BeginCheck)
    assert pinged(rig) == []
    rig.learn(down(ANN, 1))
    rig.receive(CAROL, updates=[alive(ANN, 2)])
    assert rig.held(ANN) == alive(ANN, 2)


# Before our own verdict -----------------------------------------------------------------------------------------------


def test_suspect_is_checked_in_the_last_two_periods_of_its_shortest_time() -> None:
    config = replace(LAN, probe_period=1.0)
    for seed in range(6):
        rig = Rig(config, knows=[ANN, *CROWD], seed=seed)
        rig.receive(BOB, updates=[accused(ANN, BOB)])
        (wait,) = rig.waiting(CheckSuspect)
        assert 6.0 <= wait <= 7.0  # it takes one period, and 8 is the shortest time


def test_suspect_is_checked_before_the_last_confirmation_comes_so_that_the_verdict_is_not_late() -> None:
    rig = Rig(LAN, knows=[ANN, *CROWD])
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.pass_check_in_time()
    rig.receive(CAROL, updates=[accused(ANN, BOB, CAROL, DAVE)])
    rig.fire_newest(ChangeSuspectToDown)
    assert rig.now == LAN.suspect_to_down_after
    assert rig.held(ANN) == down(ANN)


def test_suspect_whose_time_is_longer_is_checked_again_in_its_last_part() -> None:
    rig = Rig(LAN, knows=[ANN, *CROWD])
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.pass_check_in_time()
    rig.fire_newest(CheckSuspect)
    assert 48.0 - 2 * LAN.probe_period <= rig.now <= 48.0 - LAN.probe_period


def test_suspect_that_was_heard_lately_when_its_time_is_over_is_alive_and_told_what_is_said() -> None:
    rig = Rig(LAN, knows=[ANN, *CROWD])
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.now = 47.0
    rig.receive(ANN)
    assert [(to, packet.updates) for to, packet in rig.take_packets()] == [(ANN, (suspect(ANN),))]
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == alive(ANN)
    assert rig.take_notes() == [Suspected(ANN), Refuted(ANN)]
    assert rig.swim.counters.disbelieved == 1


def test_suspect_that_was_not_checked_when_its_time_is_over_is_checked_first() -> None:
    rig = Rig(LAN, knows=[ANN, *CROWD])
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == suspect(ANN)
    rig.pass_check()
    assert rig.held(ANN) == down(ANN)


def test_suspect_of_our_own_failed_probe_needs_no_other_check() -> None:
    rig = Rig(LAN, knows=[ANN, *CROWD])
    target, _ = probing(rig)
    for kind in (SendIndirectProbe, ProbeRandomMember, ChangeSuspectToDown):
        rig.fire(kind)
    assert rig.held(target) == down(target)


def test_checks_begin_at_most_two_a_second_and_in_the_order_in_which_they_were_wanted() -> None:
    rig = Rig(knows=CROWD)
    rig.receive(BOB, updates=[down(member) for member in CROWD if member != BOB])
    began = []
    for _ in range(len(CROWD) - 1):
        rig.fire(BeginCheck)
        began.append((rig.now, *pinged(rig)))
    assert began == [(0.5 * place, member) for place, member in enumerate(each for each in CROWD if each != BOB)]
    assert rig.swim.counters.checks == len(CROWD) - 1


def test_check_is_begun_again_after_a_stall_instead_of_judged() -> None:
    rig = Rig(replace(QUIET, distrust_late_timers=True), knows=[ANN, BOB])
    rig.receive(BOB, updates=[down(ANN)])
    rig.fire(BeginCheck)
    rig.fire(CheckSuspect)
    rig.take_packets()
    rig.fire(CheckSuspect, late=5.0)
    assert rig.held(ANN) == suspect(ANN)
    assert pinged(rig) == [ANN]
    for _ in range(2):
        rig.fire(CheckSuspect)
    assert rig.held(ANN) == down(ANN)


def test_check_tells_the_accused_what_is_said_of_it() -> None:
    rig = Rig(LAN, knows=[ANN, *CROWD])
    rig.receive(BOB, updates=[down(ANN)])
    rig.take_packets()
    rig.fire(BeginCheck)
    (ping,) = [packet for to, packet in rig.take_packets() if to == ANN]
    assert ping.updates[0] == down(ANN)


def test_member_blocked_before_its_check_begins_is_judged_by_what_others_say() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    rig.receive(BOB, updates=[down(ANN)])
    rig.blocked.add(ANN.key)
    rig.fire(BeginCheck)
    assert pinged(rig) == []
    assert rig.held(ANN) == down(ANN)


def test_member_that_we_vouch_for_and_that_fails_our_next_probe_is_down_at_once_as_the_others_know_already() -> None:
    rig = Rig(knows=[ANN])
    rig.receive(ANN)
    rig.receive(BOB, updates=[down(ANN)])
    assert rig.held(ANN) == alive(ANN)
    rig.blocked.add(BOB.key)
    rig.now += 60.0
    for kind in (ProbeRandomMember, SendIndirectProbe, ProbeRandomMember):
        rig.fire(kind)
    assert rig.held(ANN) == down(ANN)


def test_what_is_said_of_a_member_that_we_vouch_for_is_in_the_digest_and_what_we_hold_in_the_feed() -> None:
    config = replace(Config.simple(), jitter=False, sync=30.0)
    ours, theirs = Rig(config, knows=[ANN, BOB]), Rig(config, knows=[ANN, BOB])
    theirs.learn(down(ANN))
    ours.receive(ANN)
    ours.receive(BOB, updates=[down(ANN)])
    assert (ours.held(ANN), theirs.held(ANN)) == (alive(ANN), down(ANN))
    digests = []
    for rig in (ours, theirs):
        rig.take_packets()
        rig.receive(BOB, SyncRequest(0))
        rig.take_packets()
        digests.append(rig.swim._core.members.digest)
    assert digests[0] == digests[1]
