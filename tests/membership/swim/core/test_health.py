"""How well we are ourselves: local health, Nacks, and clocks that stood still (membership: lifeguard)."""

from dataclasses import replace

import pytest

from rookery.actors.membership.swim import IndirectForOurselvesError, ProbeFailed, RoundTrip
from rookery.actors.membership.swim.effects import ProbeRandomMember, SendIndirectProbe, SendNack
from rookery.actors.membership.swim.messages import Ack, ForwardedAck, IndirectAck, IndirectPing, Nack, PingReq

from ..rig import ANN, BOB, CAROL, DAVE, QUIET, US, Rig, alive, name, probing, suspect

CAREFUL = replace(QUIET, awareness_max_multiplier=8, nack=True)
MANY = [name(number) for number in range(1, 10)]


def fail(rig: Rig, nacks: int = 0) -> None:
    """One probe without an answer, so many of its helpers sending a Nack."""
    target, number = probing(rig)
    rig.fire(SendIndirectProbe)
    helpers = [to for to, message in rig.take_messages() if isinstance(message, PingReq)]
    for helper in helpers[:nacks]:
        rig.receive(helper, Nack(target, number))
    rig.fire(ProbeRandomMember)


def test_health_gets_worse_by_the_helpers_that_did_not_even_send_a_nack() -> None:
    for nacks, score in [(3, 0), (2, 1), (0, 3)]:
        rig = Rig(CAREFUL, knows=MANY)
        fail(rig, nacks)
        assert rig.swim.health == score


@pytest.mark.parametrize("config", [CAREFUL, replace(CAREFUL, nack=False)])
def test_health_gets_worse_by_one_where_no_nack_can_come(config: object) -> None:
    rig = Rig(config, knows=[ANN] if config is CAREFUL else MANY)  # type: ignore[arg-type]
    fail(rig)
    assert rig.swim.health == 1


def test_health_gets_better_by_one_with_each_probe_that_succeeds_and_has_bounds() -> None:
    rig = Rig(CAREFUL, knows=MANY)
    target, number = probing(rig)
    for score in (3, 6, 7, 7):
        rig.fire(SendIndirectProbe)
        target, number = probing(rig)
        assert rig.swim.health == score
    for score in (6, 5, 4, 3, 2, 1, 0, 0):
        rig.receive(target, Ack(number))
        rig.fire(SendIndirectProbe)
        target, number = probing(rig)
        assert rig.swim.health == score


def test_health_that_is_bad_makes_probes_rarer_and_waits_longer() -> None:
    rig = Rig(CAREFUL, knows=MANY)
    fail(rig, nacks=1)
    assert rig.waiting(ProbeRandomMember) == [3 * CAREFUL.probe_period]
    assert rig.waiting(SendIndirectProbe) == [3 * CAREFUL.probe_rtt]


def test_health_is_no_concern_of_plain_swim() -> None:
    rig = Rig(QUIET, knows=MANY)
    fail(rig)
    assert rig.swim.health == 0
    assert rig.waiting(ProbeRandomMember) == [QUIET.probe_period]


def test_health_gets_worse_by_having_to_refute() -> None:
    rig = Rig(CAREFUL, knows=MANY)
    rig.receive(ANN, updates=[suspect(US)])
    assert rig.swim.health == 1
    rig.receive(ANN, updates=[suspect(US)])  # an old accusation
    assert rig.swim.health == 1


def test_health_gets_worse_by_refuting_once_in_a_while_only() -> None:
    rig = Rig(CAREFUL, knows=MANY)
    for incarnation in range(8):
        rig.receive(ANN, updates=[suspect(US, incarnation)])
    assert (rig.swim.incarnation, rig.swim.health) == (8, 1)
    rig.now += 30
    rig.receive(ANN, updates=[suspect(US, 8)])
    assert rig.swim.health == 2


def test_nack_that_does_not_fit_the_probe_counts_for_nothing() -> None:
    rig = Rig(CAREFUL, knows=MANY)
    target, number = probing(rig)
    rig.fire(SendIndirectProbe)
    asked = [to for to, message in rig.take_messages() if isinstance(message, PingReq)]
    others = [member for member in MANY if member not in (*asked, target)]
    rig.receive(others[0], Nack(target, number))
    rig.receive(asked[0], Nack(others[0], number))
    rig.receive(asked[0], Nack(target, number + 1))
    for _ in range(2):
        rig.receive(asked[1], Nack(target, number))
    rig.fire(ProbeRandomMember)
    assert rig.swim.health == 2


def test_nack_does_not_end_the_wait_for_that_helper() -> None:
    rig = Rig(CAREFUL, knows=[ANN, BOB])
    target, number = probing(rig)
    helper = ANN if target == BOB else BOB
    rig.fire(SendIndirectProbe)
    rig.receive(helper, Nack(target, number))
    rig.receive(helper, ForwardedAck(target, number))
    rig.fire(ProbeRandomMember)
    assert rig.held(target) == alive(target)


def test_helper_sends_a_nack_if_the_target_is_silent_before_the_prober_judges() -> None:
    rig = Rig(CAREFUL, knows=[ANN, BOB])
    rig.receive(ANN, PingReq(BOB, 5))
    assert rig.take_messages() == [(BOB, IndirectPing(ANN, 5))]
    (wait,) = rig.waiting(SendNack)
    assert 0 < wait < CAREFUL.probe_period - CAREFUL.probe_rtt
    rig.fire(SendNack)
    assert rig.take_messages() == [(ANN, Nack(BOB, 5))]


def test_helper_sends_no_nack_after_the_target_has_answered_and_only_one_for_a_doubled_request() -> None:
    rig = Rig(CAREFUL, knows=[ANN, BOB])
    for _ in range(2):
        rig.receive(ANN, PingReq(BOB, 5))
    assert len(rig.waiting(SendNack)) == 1
    rig.receive(BOB, IndirectAck(ANN, 5))
    rig.take_packets()
    rig.fire(SendNack)
    assert rig.take_messages() == []


def test_helper_that_blocks_the_target_says_at_least_that_it_is_well_itself() -> None:
    rig = Rig(CAREFUL, knows=[ANN, BOB])
    rig.blocked.add(BOB.key)
    rig.receive(ANN, PingReq(BOB, 5))
    assert rig.take_messages() == []
    rig.fire(SendNack)
    assert rig.take_messages() == [(ANN, Nack(BOB, 5))]


def test_helper_without_that_switch_sends_no_nack() -> None:
    rig = Rig(QUIET, knows=[ANN, BOB])
    rig.receive(ANN, PingReq(BOB, 5))
    rig.take_packets()
    rig.fire(SendNack)
    assert rig.take_messages() == []


def test_helper_remembers_a_bounded_number_of_requests_and_counts_the_others() -> None:
    rig = Rig(CAREFUL, knows=[ANN, BOB])
    for number in range(300):
        rig.receive(ANN, PingReq(BOB, number))
    assert len(rig.waiting(SendNack)) == 256
    assert rig.swim.counters.refused_relays == 44


def test_nack_about_ourselves_is_an_error() -> None:
    rig = Rig(CAREFUL, knows=[ANN])
    with pytest.raises(IndirectForOurselvesError):
        rig.receive(ANN, Nack(US, 1))


def test_probe_whose_period_ends_late_gives_no_verdict_and_makes_health_worse() -> None:
    rig = Rig(replace(CAREFUL, distrust_late_timers=True), knows=MANY)
    target, _ = probing(rig)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember, late=CAREFUL.probe_rtt + 0.1)
    assert rig.held(target) == alive(target)
    assert rig.swim.health == 1
    assert rig.swim.counters.late_timers == 1
    assert rig.swim.counters.failed_probes == 0


def test_probe_whose_period_ends_a_little_late_is_judged() -> None:
    rig = Rig(replace(CAREFUL, distrust_late_timers=True), knows=MANY)
    target, _ = probing(rig)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember, late=CAREFUL.probe_rtt)
    assert rig.held(target) == suspect(target)


def test_probe_answered_directly_tells_the_round_trip_once() -> None:
    rig = Rig(QUIET, knows=[ANN])
    _, number = probing(rig)
    rig.now += 0.125
    for _ in range(2):
        rig.receive(ANN, Ack(number))
    assert [note for note in rig.take_notes() if isinstance(note, RoundTrip)] == [RoundTrip(ANN, 0.125)]


def test_probe_answered_through_a_helper_tells_no_round_trip_and_a_failed_one_tells_that() -> None:
    rig = Rig(QUIET, knows=[ANN, BOB])
    target, number = probing(rig)
    helper = ANN if target == BOB else BOB
    rig.fire(SendIndirectProbe)
    rig.receive(helper, ForwardedAck(target, number))
    rig.fire(ProbeRandomMember)
    assert rig.take_notes() == []
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    assert [type(note) for note in rig.take_notes()][:1] == [ProbeFailed]


@pytest.mark.parametrize("unused", [CAROL, DAVE])
def test_nack_for_a_probe_of_somebody_else_is_ignored_without_a_probe(unused: object) -> None:
    rig = Rig(CAREFUL, knows=[ANN])
    rig.receive(ANN, Nack(unused, 1))  # type: ignore[arg-type]
    assert rig.take_messages() == []
