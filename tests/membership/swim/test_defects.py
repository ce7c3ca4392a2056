"""Foca's defects, each shown to be absent (defects: D1 to D12); that of the copies is in `test_config`."""

from dataclasses import replace

import pytest

from rookery.actors.membership.swim import (
    Active,
    ConnectionState,
    Defunct,
    ForgedSenderError,
    Idle,
    MemberId,
    Periodic,
    Rejoin,
)
from rookery.actors.membership.swim.effects import (
    AnnounceToSeeds,
    ChangeSuspectToDown,
    PeriodicAnnounceDown,
    ProbeRandomMember,
    SendIndirectProbe,
)
from rookery.actors.membership.swim.messages import Ack, Announce, Gossip, Ping, TurnUndead

from .rig import ANN, BOB, CAROL, QUIET, US, Rig, alive, down, encode, left, next_life, suspect

DOWN_TASK = Periodic(65.0, 2)


def suspecting_ann() -> Rig:
    """Ann did not answer; her time to refute runs."""
    rig = Rig(knows=[ANN])
    rig.fire(ProbeRandomMember)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    assert rig.held(ANN) == suspect(ANN)
    rig.take_packets()
    return rig


@pytest.mark.parametrize("answer", ["refuted", "renewed"])
def test_D1_healthy_member_gets_no_turn_undead_when_its_suspicion_ends(answer: str) -> None:
    rig = suspecting_ann()
    rig.receive(*(ANN, Gossip(), (), 1) if answer == "refuted" else (next_life(ANN),))
    rig.take_packets()
    rig.fire(ChangeSuspectToDown)
    assert rig.take_messages() == []
    assert rig.is_active(ANN if answer == "refuted" else next_life(ANN))


def test_D1_member_already_held_down_gets_no_turn_undead_when_its_suspicion_ends() -> None:
    rig = suspecting_ann()
    rig.learn(down(ANN))
    rig.take_packets()
    rig.fire(ChangeSuspectToDown)
    assert rig.take_messages() == []


def test_D3_echo_of_our_own_leave_does_not_make_us_rejoin() -> None:
    rig = Rig(knows=[ANN])
    rig.swim.leave_cluster(rig.outbox)
    rig.drain()
    rig.receive(ANN, updates=[left(US)])
    rig.receive(ANN, TurnUndead(left(US)))
    assert rig.swim.identity == US
    assert rig.swim.connection_state is ConnectionState.UNDEAD
    assert not [note for note in rig.notes if isinstance(note, Rejoin)]
    rig.swim.change_identity(next_life(US), rig.now, rig.outbox)
    rig.receive(ANN, TurnUndead(left(next_life(US))))
    assert rig.swim.identity == next_life(next_life(US))


def test_D4_rejoin_after_turn_undead_probes_at_once() -> None:
    rig = Rig(knows=[ANN])
    rig.timers.clear()
    rig.receive(ANN, TurnUndead(left(US)))
    assert rig.swim.connection_state is ConnectionState.CONNECTED
    assert rig.take_notes() == [Rejoin(next_life(US)), Active()]
    rig.take_packets()
    rig.fire(ProbeRandomMember)
    assert rig.take_messages() == [(ANN, Ping(1))]


def test_D4_rejoin_after_a_turn_undead_of_a_dead_sender_probes_at_once() -> None:
    rig = Rig(knows=[ANN])
    rig.learn(down(BOB))
    rig.timers.clear()
    rig.receive(BOB, TurnUndead(left(US)))
    assert rig.swim.connection_state is ConnectionState.CONNECTED
    rig.take_packets()
    rig.fire(ProbeRandomMember)
    assert [type(message) for _, message in rig.take_messages()] == [Ping]


def test_D6_probe_timer_handed_back_twice_does_not_double_the_probes() -> None:
    rig = Rig(knows=[ANN, BOB])
    first = rig.fire(ProbeRandomMember)
    for _ in range(3):
        rig.hand_back(first)
    assert len(rig.take_packets()) == 1
    assert rig.waiting(ProbeRandomMember) == [QUIET.probe_period]
    assert rig.swim.counters.incomplete_probe_cycles == 0


def test_D7_cycle_without_its_indirect_stage_is_counted_suspects_nobody_and_the_next_goes_on() -> None:
    rig = Rig(knows=[ANN])
    rig.fire(ProbeRandomMember)
    rig.take_packets()
    rig.fire(ProbeRandomMember)
    assert rig.swim.counters.incomplete_probe_cycles == 1
    assert rig.held(ANN) == alive(ANN)
    assert rig.take_messages() == [(ANN, Ping(2))]
    assert rig.waiting(ProbeRandomMember) == [QUIET.probe_period]
    late = rig.fire(SendIndirectProbe)
    assert len(rig.waiting(SendIndirectProbe)) == 1
    rig.hand_back(late)
    rig.receive(ANN, Ack(2))
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    assert rig.swim.counters.incomplete_probe_cycles == 1
    assert rig.held(ANN) == alive(ANN)


def test_D8_earlier_life_of_ours_never_gets_a_packet_of_ours() -> None:
    rig = Rig(replace(QUIET, periodic_announce_to_down_members=DOWN_TASK), knows=[ANN])
    rig.receive(ANN, TurnUndead(left(US)))
    rig.receive(ANN, updates=[alive(US), down(US)])
    for _ in range(5):
        rig.swim.gossip(rig.outbox)
        rig.fire(PeriodicAnnounceDown)
    assert {to.key for to, _ in rig.take_packets()} == {ANN.key}


def test_D8_key_that_becomes_ours_leaves_the_member_list() -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.swim.change_identity(next_life(BOB), rig.now, rig.outbox)
    rig.drain()
    rig.swim.gossip(rig.outbox)
    rig.drain()
    assert [held.id for held in rig.swim.iter_membership_state()] == [ANN]
    assert {to for to, _ in rig.take_packets()} == {ANN}


def test_D9_defunct_is_notified_once() -> None:
    rig = Rig(knows=[ANN], renew=lambda identity: None)
    for _ in range(3):
        rig.receive(ANN, TurnUndead(left(US)), updates=[])
        rig.receive(ANN, updates=[left(US)])
    rig.swim.leave_cluster(rig.outbox)
    rig.drain()
    assert rig.take_notes() == [Defunct()]


def test_D10_reused_identity_does_not_gossip_its_own_death() -> None:
    rig = Rig(knows=[ANN], renew=lambda identity: None)
    rig.swim.leave_cluster(rig.outbox)
    rig.drain()
    assert left(US) in rig.take_packets()[0][1].updates
    rig.swim.reuse_down_identity(rig.now, rig.outbox)
    rig.swim.gossip(rig.outbox)
    rig.drain()
    assert [packet.updates for _, packet in rig.take_packets()] == [()]
    assert rig.swim.connection_state is ConnectionState.CONNECTED
    assert rig.swim.identity == US


@pytest.mark.parametrize("new", [next_life(US), BOB], ids=["same key", "other key"])
def test_D10_identity_taken_after_leaving_gossips_nothing_old_about_its_key(new: MemberId) -> None:
    rig = Rig(knows=[ANN])
    rig.receive(ANN, updates=[suspect(BOB)])
    rig.swim.leave_cluster(rig.outbox)
    rig.drain()
    rig.take_packets()
    rig.swim.change_identity(new, rig.now, rig.outbox)
    rig.drain()
    sent = [update for _, packet in rig.take_packets() for update in packet.updates]
    assert sent
    assert new.key not in [update.id.key for update in sent]


def test_D11_isolated_member_goes_on_announcing_to_members_it_holds_down() -> None:
    rig = Rig(replace(QUIET, periodic_announce_to_down_members=DOWN_TASK), knows=[ANN])
    rig.timers.clear()
    rig.learn(down(ANN))
    assert rig.take_notes()[-1] == Idle()
    for _ in range(3):
        rig.fire(PeriodicAnnounceDown)
        assert rig.take_messages() == [(ANN, Announce())]
        assert rig.waiting(PeriodicAnnounceDown) == [DOWN_TASK.frequency]


def test_D11_isolated_member_goes_on_announcing_to_its_seeds() -> None:
    rig = Rig()
    rig.swim.join([CAROL], rig.now, rig.outbox)
    rig.drain()
    rig.fire(AnnounceToSeeds)
    rig.fire(AnnounceToSeeds)
    rig.receive(ANN)
    rig.timers.clear()
    rig.take_packets()
    rig.learn(down(ANN))
    for wait in (2.0, 4.0):
        assert rig.waiting(AnnounceToSeeds) == [wait]
        rig.fire(AnnounceToSeeds)
        assert rig.take_messages() == [(CAROL, Announce())]


def test_D12_packet_in_another_members_name_is_refused_when_the_transport_knows_better() -> None:
    rig = Rig(knows=[ANN])
    forged = encode(ANN, US, Gossip(), [down(ANN)])
    with pytest.raises(ForgedSenderError):
        rig.swim.handle_data(forged, 0.0, rig.outbox, sender=BOB.key)
    assert rig.held(ANN) == alive(ANN)
