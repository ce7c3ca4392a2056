"""How long a suspect has: the dynamic suspicion of Lifeguard (membership: lifeguard)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.membership.swim import Member, MemberDown, MemberId, Refuted, State, Suspected
from rookery.actors.membership.swim.core.suspicion import suspicion_timeout
from rookery.actors.membership.swim.effects import ChangeSuspectToDown, ProbeRandomMember, SendIndirectProbe
from rookery.actors.membership.swim.member import ACCUSER_BYTES
from rookery.actors.membership.swim.messages import Gossip, Ping

from ..rig import ANN, BOB, CAROL, DAVE, QUIET, US, Rig, alive, down, name, next_life, suspect

SHORTEST, FACTOR = 4.0, 6.0
DYNAMIC = replace(
    QUIET, suspicion_confirmations=2, suspect_to_down_after=SHORTEST, suspicion_max_factor=FACTOR, buddy=False
)
MANY = [name(number) for number in range(1, 10)]


def accused(member: MemberId, *accusers: MemberId, incarnation: int = 0) -> Member:
    return Member(member, incarnation, State.SUSPECT, tuple(each.key[-ACCUSER_BYTES:] for each in accusers))


def crowd(config: object = DYNAMIC) -> Rig:
    return Rig(config, knows=MANY)  # type: ignore[arg-type]


def last_wait(rig: Rig) -> float:
    """From now on, of the newest timer."""
    return rig.waiting(ChangeSuspectToDown)[-1]


@pytest.mark.parametrize(("confirmations", "seconds"), [(0, 30.0), (1, 16.0), (2, 7.81), (3, 2.0), (4, 2.0)])
def test_suspicion_time_has_the_published_values(confirmations: int, seconds: float) -> None:
    assert suspicion_timeout(confirmations, 3, 2.0, 30.0) == pytest.approx(seconds, abs=0.01)


def test_suspicion_time_without_expected_confirmations_is_the_shortest() -> None:
    assert suspicion_timeout(0, 0, 2.0, 30.0) == 2.0


@given(st.integers(1, 7), st.floats(0.1, 100), st.floats(1, 10))
def test_suspicion_time_never_grows_with_confirmations_and_stays_within_its_bounds(
    expected: int, shortest: float, factor: float
) -> None:
    times = [suspicion_timeout(count, expected, shortest, shortest * factor) for count in range(expected + 2)]
    assert times == sorted(times, reverse=True)
    assert times[0] == pytest.approx(shortest * factor)
    assert times[-1] == shortest


def test_suspicion_heard_from_others_runs_for_the_longest_time_by_one_accuser() -> None:
    rig = crowd()
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    assert rig.waiting(ChangeSuspectToDown) == [SHORTEST * FACTOR]
    assert rig.take_notes()[-1] == Suspected(ANN)
    rig.take_notes()
    rig.pass_check_in_time()
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == down(ANN)
    assert rig.take_notes() == [MemberDown(ANN)]


def test_suspicion_is_shortened_by_each_distinct_accuser_from_its_beginning_on() -> None:
    rig = crowd()
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.now = 1.0
    rig.receive(CAROL, updates=[accused(ANN, CAROL)])
    assert last_wait(rig) == pytest.approx(suspicion_timeout(1, 2, SHORTEST, SHORTEST * FACTOR) - 1.0)
    rig.now = 2.0
    rig.receive(DAVE, updates=[accused(ANN, DAVE)])
    assert last_wait(rig) == pytest.approx(SHORTEST - 2.0)
    for _ in range(2):  # the timers that do not count any more
        rig.fire(ChangeSuspectToDown)
        assert rig.held(ANN) == suspect(ANN)
        rig.now = 2.0
    rig.pass_check_in_time()
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == down(ANN)


def test_suspicion_by_the_same_accuser_again_changes_nothing() -> None:
    rig = crowd()
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.swim.gossip(rig.outbox)
    backlog = rig.swim.updates_backlog()
    for sender in (BOB, CAROL):
        rig.receive(sender, updates=[accused(ANN, BOB)])
    assert len(rig.waiting(ChangeSuspectToDown)) == 1
    assert rig.swim.updates_backlog() == backlog


def test_suspicion_confirmed_late_runs_out_at_once() -> None:
    rig = crowd()
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.now = 15.0
    rig.receive(CAROL, updates=[accused(ANN, CAROL, DAVE)])
    assert last_wait(rig) == 0.0


def test_suspicion_counts_no_more_accusers_than_are_expected() -> None:
    rig = crowd(replace(DYNAMIC, max_transmissions=1))
    rig.receive(BOB, updates=[accused(ANN, *MANY[1:8])])
    assert rig.waiting(ChangeSuspectToDown) == [SHORTEST]
    rig.swim.gossip(rig.outbox)
    rig.receive(CAROL, updates=[accused(ANN, MANY[8])])
    assert len(rig.waiting(ChangeSuspectToDown)) == 1
    assert rig.swim.updates_backlog() == 0  # nor are they passed on


def test_suspicion_of_ours_names_us_and_confirms_that_of_others() -> None:
    rig = crowd()
    target = _failed_probe(rig)
    rig.swim.gossip(rig.outbox)
    rig.drain()
    said = {update.accusers for _, packet in rig.take_packets() for update in packet.updates if update.id == target}
    assert said == {(US.key[-ACCUSER_BYTES:],)}
    rig.receive(next(each for each in MANY if each != target), updates=[accused(target, CAROL)])
    assert last_wait(rig) == pytest.approx(suspicion_timeout(1, 2, SHORTEST, SHORTEST * FACTOR))


def test_suspicion_with_a_new_accuser_is_passed_on_with_all_of_them() -> None:
    rig = Rig(replace(DYNAMIC, max_transmissions=1), knows=MANY)
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.swim.gossip(rig.outbox)
    rig.receive(CAROL, updates=[accused(ANN, CAROL)])
    rig.take_packets()
    rig.swim.gossip(rig.outbox)
    rig.drain()
    (update,) = [update for _, packet in rig.take_packets() for update in packet.updates]
    assert update.accusers == accused(ANN, BOB, CAROL).accusers


@pytest.mark.parametrize(("others", "wait"), [(2, SHORTEST), (3, SHORTEST * FACTOR)])
def test_suspicion_waits_for_confirmations_only_where_enough_can_give_them(others: int, wait: float) -> None:
    rig = Rig(DYNAMIC, knows=MANY[:others])
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    assert rig.waiting(ChangeSuspectToDown) == [wait]


@pytest.mark.parametrize("answer", [alive(ANN, 1), alive(next_life(ANN))], ids=["refuted", "renewed"])
def test_suspicion_that_was_answered_is_over(answer: Member) -> None:
    rig = crowd()
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.receive(BOB, updates=[answer])
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == answer
    assert (Refuted(ANN) in rig.take_notes()) == (answer.id == ANN)


def test_suspicion_at_a_higher_incarnation_begins_anew() -> None:
    rig = crowd()
    rig.receive(BOB, updates=[accused(ANN, BOB, CAROL, DAVE)])
    rig.now = 3.0
    rig.receive(BOB, updates=[alive(ANN, 1), accused(ANN, BOB, incarnation=1)])
    assert last_wait(rig) == SHORTEST * FACTOR
    rig.now = 0.0
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == suspect(ANN, 1)


def test_suspicion_at_a_lower_incarnation_is_no_confirmation() -> None:
    rig = crowd()
    rig.receive(BOB, updates=[alive(ANN, 5), accused(ANN, BOB, incarnation=5)])
    rig.receive(CAROL, updates=[accused(ANN, CAROL, DAVE, incarnation=4)])
    assert len(rig.waiting(ChangeSuspectToDown)) == 1


def test_suspicion_of_a_member_first_heard_of_as_suspect_runs_too_also_when_it_makes_us_connected() -> None:
    rig = Rig(DYNAMIC)
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.pass_check_in_time()
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == down(ANN)


def test_suspicion_of_a_blocked_member_ends_without_our_verdict() -> None:
    rig = crowd()
    rig.blocked.add(ANN.key)
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.fire(ChangeSuspectToDown)
    assert rig.held(ANN) == suspect(ANN)


def test_suspicion_whose_timer_comes_late_gives_one_more_period_each_time() -> None:
    rig = crowd(replace(DYNAMIC, distrust_late_timers=True))
    rig.receive(BOB, updates=[accused(ANN, *MANY[1:4])])
    for _ in range(2):
        rig.fire(ChangeSuspectToDown, late=DYNAMIC.probe_rtt + 0.1)
        assert rig.held(ANN) == suspect(ANN)
        assert rig.waiting(ChangeSuspectToDown) == [pytest.approx(DYNAMIC.probe_period)]
    assert rig.swim.counters.late_timers == 2
    rig.pass_check_in_time()
    rig.fire(ChangeSuspectToDown, late=DYNAMIC.probe_rtt)
    assert rig.held(ANN) == down(ANN)


def test_suspicion_whose_timer_comes_late_ends_all_the_same_without_that_switch() -> None:
    rig = crowd()
    rig.receive(BOB, updates=[accused(ANN, BOB)])
    rig.pass_check_in_time()
    rig.fire(ChangeSuspectToDown, late=60.0)
    assert rig.held(ANN) == down(ANN)


def test_suspicion_follows_the_size_of_the_cluster_unless_fixed() -> None:
    free = replace(DYNAMIC, suspect_to_down_after=None, suspicion_mult=3.0, probe_period=1.5, suspicion_max_factor=1.0)
    few, many = Rig(free, knows=MANY), Rig(free, knows=[name(number) for number in range(1, 100)])
    for rig in (few, many):
        rig.receive(BOB, updates=[accused(ANN, BOB)])
    assert few.waiting(ChangeSuspectToDown) == [4.5]
    assert many.waiting(ChangeSuspectToDown) == [9.0]


def test_buddy_tells_a_suspect_first_whatever_it_is_sent_and_nobody_else() -> None:
    rig = Rig(replace(DYNAMIC, buddy=True, max_transmissions=1), knows=[ANN, BOB])
    rig.learn(accused(ANN, BOB))
    rig.swim.apply_many([alive(CAROL)], True, rig.now, rig.outbox)
    rig.drain()
    rig.receive(ANN, Ping(1))
    rig.receive(BOB, Ping(1))
    (_, warning), (_, to_ann), (_, to_bob) = rig.take_packets()
    assert (warning.header.message, warning.updates) == (Gossip(), (suspect(ANN),))
    assert to_ann.updates == (suspect(ANN), alive(CAROL))
    assert to_bob.updates == ()


def test_buddy_that_is_off_tells_a_suspect_nothing() -> None:
    rig = Rig(DYNAMIC, knows=[ANN])
    rig.learn(accused(ANN, BOB))
    rig.receive(ANN, Ping(1))
    assert rig.take_packets()[-1][1].updates == ()


def test_suspect_that_is_told_refutes_at_once() -> None:
    rig = crowd()
    rig.receive(BOB, Ping(1), updates=[accused(US, BOB)])
    assert rig.swim.incarnation == 1
    headers = [packet.header for _, packet in rig.take_packets()]
    assert {header.src_incarnation for header in headers} == {1}
    assert [header.message for header in headers].count(Gossip()) == 3


def _failed_probe(rig: Rig) -> MemberId:
    rig.fire(ProbeRandomMember)
    ((target, _),) = rig.take_messages()
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    rig.take_packets()
    return target
