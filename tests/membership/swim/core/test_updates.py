"""What updates do to others, to ourselves and to the connection (membership: states of a member)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from rookery.actors.membership.swim import (
    Active,
    AddressInUse,
    ConnectionState,
    Defunct,
    Idle,
    MemberDown,
    MemberId,
    MemberUp,
    NotUndeadError,
    Periodic,
    Rename,
    SameIdentityError,
    Suspected,
)
from rookery.actors.membership.swim.effects import (
    PeriodicAnnounceDown,
    ProbeRandomMember,
    RemoveDown,
    SendIndirectProbe,
)
from rookery.actors.membership.swim.member import MAX_INCARNATION, Member
from rookery.actors.membership.swim.messages import Ack, Announce, Feed, Gossip, Message, Ping, TurnUndead

from ..rig import ANN, BOB, CAROL, QUIET, US, Rig, alive, down, encode, left, name, next_life, suspect


def no_renewal(identity: MemberId) -> None:
    return None


def test_fresh_member_knows_nobody_and_has_asked_for_nothing() -> None:
    rig = Rig()
    rig.drain()
    assert rig.swim.connection_state is ConnectionState.DISCONNECTED
    assert (rig.swim.num_members, rig.swim.updates_backlog(), list(rig.swim.iter_membership_state())) == (0, 0, [])
    assert (rig.packets, rig.timers, rig.notes) == ([], [], [])
    with pytest.raises(NotUndeadError):
        rig.swim.reuse_down_identity(rig.now, rig.outbox)


def test_packet_tells_the_sender_first_then_its_updates_then_the_connection() -> None:
    rig = Rig()
    rig.receive(ANN, updates=[alive(BOB), down(CAROL), suspect(BOB)])
    assert rig.take_notes() == [MemberUp(ANN), MemberUp(BOB), Suspected(BOB), Active()]
    assert [held.id for held in rig.swim.iter_members()] == [ANN, BOB]
    assert rig.swim.num_members == 2
    assert len(list(rig.swim.iter_membership_state())) == 3


def test_last_active_member_gone_makes_idle_and_leaves_no_probe_behind() -> None:
    rig = Rig(knows=[ANN])
    rig.fire(ProbeRandomMember)
    rig.learn(down(ANN))
    assert rig.take_notes() == [MemberDown(ANN), Idle()]
    rig.take_packets()
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    assert rig.take_packets() == []
    rig.receive(BOB)
    rig.fire(ProbeRandomMember)
    assert rig.take_messages() == [(BOB, Ping(2))]
    assert rig.swim.counters.incomplete_probe_cycles == 0


def test_down_member_is_scheduled_for_removal_once() -> None:
    rig = Rig(knows=[ANN, BOB])
    for _ in range(2):
        rig.learn(down(BOB), down(CAROL))
    assert rig.waiting(RemoveDown) == [QUIET.remove_down_after] * 2


def test_apply_without_broadcast_queues_nothing() -> None:
    rig = Rig()
    rig.swim.apply_many([alive(ANN)], False, 0.0, rig.outbox)
    assert rig.swim.updates_backlog() == 0
    rig.swim.apply_many([alive(BOB)], True, 0.0, rig.outbox)
    assert rig.swim.updates_backlog() == 1


@pytest.mark.parametrize(
    ("held", "update", "notes"),
    [
        (alive(ANN), alive(next_life(ANN)), [Rename(ANN, next_life(ANN))]),
        (alive(ANN), down(next_life(ANN)), [Rename(ANN, next_life(ANN)), MemberDown(next_life(ANN))]),
        (down(ANN), alive(next_life(ANN)), [Rename(ANN, next_life(ANN)), MemberUp(next_life(ANN))]),
        (down(ANN), down(next_life(ANN)), [Rename(ANN, next_life(ANN))]),
        (alive(next_life(ANN)), down(ANN), []),
        (alive(next_life(ANN)), suspect(ANN), []),
    ],
)
def test_newer_generation_replaces_and_an_older_one_is_silent(
    held: object, update: object, notes: list[object]
) -> None:
    rig = Rig(knows=[BOB])
    rig.learn(held)  # type: ignore[arg-type]
    rig.take_notes()
    rig.learn(update)  # type: ignore[arg-type]
    assert rig.take_notes() == notes


@pytest.mark.parametrize(("accused_at", "then"), [(0, 1), (4, 5), (900, 901)])
def test_suspicion_of_us_raises_our_incarnation_above_it_and_gossips(accused_at: int, then: int) -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.receive(ANN, updates=[suspect(US, accused_at)])
    assert rig.swim.incarnation == then
    sent = rig.take_packets()
    assert {to for to, _ in sent} == {ANN, BOB}
    assert all((packet.header.src_incarnation, packet.header.message) == (then, Gossip()) for _, packet in sent)
    assert rig.swim.counters.refutations == 1


def test_stale_suspicion_of_us_raises_nothing_but_gossips_again() -> None:
    rig = Rig(knows=[ANN])
    rig.receive(ANN, updates=[suspect(US, 3)])
    rig.take_packets()
    rig.receive(ANN, updates=[suspect(US, 3)])
    assert rig.swim.incarnation == 4
    assert rig.take_messages() == [(ANN, Gossip())]


def test_many_suspicions_in_one_packet_cause_one_round_of_gossip() -> None:
    rig = Rig(knows=[ANN])
    rig.receive(ANN, updates=[suspect(US, number) for number in range(10)])
    assert rig.swim.incarnation == 10
    assert len(rig.take_packets()) == 1


@pytest.mark.parametrize("said", [suspect, down])
def test_accusation_at_the_last_incarnation_cannot_be_refuted_and_begins_a_new_life(
    said: Callable[[MemberId, int], Member],
) -> None:
    rig = Rig(knows=[ANN])
    rig.receive(ANN, updates=[said(US, MAX_INCARNATION - 1)])
    assert rig.swim.incarnation == MAX_INCARNATION
    rig.receive(ANN, updates=[said(US, MAX_INCARNATION)])
    assert rig.swim.identity == next_life(US)
    assert rig.swim.incarnation == 0


def test_accusations_without_end_raise_our_incarnation_at_a_bounded_rate() -> None:
    rig = Rig(knows=[ANN])
    for _ in range(1_000):
        rig.receive(ANN, updates=[suspect(US, rig.swim.incarnation)])
        rig.now += 0.1
    assert 16 + 24 <= rig.swim.incarnation <= 16 + 26
    assert rig.swim.counters.withheld_refutations == 1_000 - rig.swim.incarnation


def test_alive_about_us_changes_nothing() -> None:
    rig = Rig(knows=[ANN])
    rig.receive(ANN, updates=[alive(US, 50)])
    assert rig.swim.incarnation == 0
    assert rig.take_packets() == []


def test_owner_itself_may_have_raised_its_incarnation_by_any_amount() -> None:
    rig = Rig(knows=[ANN])
    rig.receive(ANN, incarnation=1_000)
    assert rig.held(ANN) == alive(ANN, 1_000)


@pytest.mark.parametrize("message", [Gossip(), TurnUndead(down(US, 2))])
def test_down_about_us_is_refuted_by_a_higher_incarnation_of_the_same_life(message: Message) -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.receive(ANN, message, updates=[down(US, 2)] if message.updates else [])
    assert (rig.swim.identity, rig.swim.incarnation) == (US, 3)
    assert rig.take_notes() == []
    sent = rig.take_packets()
    assert {to for to, packet in sent if packet.header.message == Gossip()} == {ANN, BOB}
    assert all(packet.header.src_incarnation == 3 for _, packet in sent)


def test_turn_undead_is_answered_by_its_number_so_that_its_sender_knows_that_we_hear_it() -> None:
    rig = Rig(knows=[ANN])
    rig.receive(ANN, TurnUndead(down(US), 7))
    assert (ANN, Ack(7)) in rig.take_messages()


def test_accused_member_shows_its_incarnation_without_spending_copies_of_its_updates() -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.receive(ANN, updates=[alive(CAROL)])
    rig.take_packets()
    for _ in range(3):
        rig.receive(ANN, updates=[down(US)])
    shown = [packet for _, packet in rig.take_packets() if packet.header.src_incarnation == 1]
    assert len(shown) == 3 * 3  # to all three members, each time
    assert {packet.updates for packet in shown} == {()}
    assert rig.swim.updates_backlog() == 1


def test_member_that_is_accused_all_the_time_below_its_incarnation_floods_nobody() -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.receive(ANN, updates=[down(US)])
    rig.take_packets()
    for _ in range(1000):
        rig.receive(ANN, updates=[suspect(US)])
        rig.now += 0.01
    shown = [packet for to, packet in rig.take_packets() if to == BOB and isinstance(packet.header.message, Gossip)]
    assert 50 <= len(shown) <= 60  # five a second, and some at once
    assert rig.swim.counters.withheld_refutations == 1000 - len(shown)


@pytest.mark.parametrize("change", [0, -1, None], ids=["same", "losing", "none"])
def test_renewal_that_does_not_win_makes_us_undead(change: int | None) -> None:
    def renew(identity: MemberId) -> MemberId | None:
        return None if change is None else MemberId(identity.key, identity.generation + change)

    rig = Rig(knows=[ANN], renew=renew)
    rig.receive(ANN, TurnUndead(left(rig.swim.identity)))
    assert rig.swim.connection_state is ConnectionState.UNDEAD
    assert rig.swim.identity == US
    assert rig.take_notes() == [Defunct()]


def test_renewal_to_another_key_makes_us_undead() -> None:
    rig = Rig(knows=[ANN], renew=lambda identity: next_life(CAROL))
    rig.receive(ANN, TurnUndead(left(rig.swim.identity)))
    assert rig.swim.connection_state is ConnectionState.UNDEAD


def test_undead_member_still_learns_but_neither_answers_nor_probes() -> None:
    rig = Rig(knows=[ANN], renew=no_renewal)
    rig.receive(ANN, TurnUndead(left(rig.swim.identity)))
    rig.take_notes()
    rig.receive(BOB, Ping(1), updates=[suspect(US)])
    rig.fire(ProbeRandomMember)
    assert rig.take_notes() == [MemberUp(BOB)]
    assert rig.take_packets() == []
    rig.swim.announce(ANN, rig.outbox)
    rig.swim.gossip(rig.outbox)
    rig.drain()
    assert len(rig.take_packets()) == 3


def test_declared_down_too_often_says_so_once_and_stops_renewing_until_the_minute_is_over() -> None:
    rig = Rig(replace(QUIET, max_rejoins_per_minute=2), knows=[ANN])
    for _ in range(4):
        rig.receive(ANN, TurnUndead(left(rig.swim.identity)))
    third = next_life(next_life(US))
    assert rig.swim.identity == third
    assert [note for note in rig.take_notes() if isinstance(note, AddressInUse)] == [AddressInUse(third)]
    assert rig.swim.counters.withheld_rejoins == 2
    assert rig.swim.connection_state is ConnectionState.CONNECTED
    rig.now = 60.0
    for _ in range(3):
        rig.receive(ANN, TurnUndead(left(rig.swim.identity)))
    fifth = next_life(next_life(third))
    assert rig.swim.identity == fifth
    assert [note for note in rig.take_notes() if isinstance(note, AddressInUse)] == [AddressInUse(fifth)]


def test_talk_about_another_life_of_ours_never_makes_it_a_member() -> None:
    rig = Rig(knows=[ANN])
    rig.swim.change_identity(next_life(US), rig.now, rig.outbox)
    rig.drain()
    rig.receive(ANN, updates=[alive(US), suspect(US, 1), down(US), down(MemberId(US.key, 9))])
    assert [held.id for held in rig.swim.iter_membership_state()] == [ANN]
    assert (rig.swim.identity, rig.swim.incarnation) == (next_life(US), 0)
    assert rig.swim.counters.foreign_generations == 4


def test_change_identity_shows_the_new_one_at_once_and_probes_again() -> None:
    rig = Rig(knows=[ANN])
    stale = rig.timers[0][0]
    rig.swim.change_identity(next_life(US), rig.now, rig.outbox)
    rig.drain()
    assert rig.take_notes() == [Active()]
    ((to, packet),) = rig.take_packets()
    assert (to, packet.header.src, packet.updates) == (ANN, next_life(US), ())
    rig.hand_back(stale)
    assert rig.take_packets() == []
    rig.timers = [(timer, delay) for timer, delay in rig.timers if timer != stale]
    rig.fire(ProbeRandomMember)
    assert rig.take_messages() == [(ANN, Ping(1))]


def test_change_to_another_key_says_that_the_old_one_has_left() -> None:
    rig = Rig(knows=[ANN])
    rig.swim.change_identity(BOB, rig.now, rig.outbox)
    rig.drain()
    ((to, packet),) = rig.take_packets()
    assert (to, packet.header.src, packet.updates) == (ANN, BOB, (left(US),))


@pytest.mark.parametrize("new", [US, MemberId(US.key, 0)])
def test_change_identity_to_the_same_or_an_earlier_life_is_refused(new: MemberId) -> None:
    rig = Rig(knows=[ANN])
    with pytest.raises(SameIdentityError):
        rig.swim.change_identity(new, rig.now, rig.outbox)
    assert rig.swim.identity == US


def test_leave_gossips_that_we_left_to_distinct_members_and_makes_us_undead() -> None:
    rig = Rig(knows=[name(number) for number in range(1, 9)])
    rig.swim.leave_cluster(rig.outbox)
    rig.drain()
    sent = rig.take_packets()
    assert len({to for to, _ in sent}) == len(sent) == 3
    assert all(left(US) in packet.updates for _, packet in sent)
    assert rig.take_notes() == [Defunct()]
    assert rig.swim.connection_state is ConnectionState.UNDEAD


def test_reused_identity_starts_again_at_incarnation_zero() -> None:
    rig = Rig(knows=[ANN], renew=no_renewal)
    rig.receive(ANN, updates=[suspect(US, 4)])
    rig.receive(ANN, TurnUndead(left(rig.swim.identity)))
    rig.swim.reuse_down_identity(rig.now, rig.outbox)
    assert rig.swim.incarnation == 0


def test_member_that_hears_a_leave_passes_it_on_and_looks_for_the_leaver_no_more() -> None:
    rig = Rig(replace(QUIET, periodic_announce_to_down_members=Periodic(9.0, 3)), knows=[ANN, BOB, CAROL])
    rig.learn(down(CAROL))
    rig.receive(ANN, Feed(), updates=[left(ANN)])
    assert rig.take_notes() == [MemberDown(CAROL), MemberDown(ANN, left=True)]
    assert rig.held(ANN) == left(ANN)
    assert len(rig.waiting(RemoveDown)) == 2
    rig.receive(BOB, updates=[down(ANN, 9), alive(ANN, 9)])
    assert rig.held(ANN) == left(ANN)
    rig.fire(PeriodicAnnounceDown)
    ((to, packet),) = rig.take_packets()
    assert (to, packet.header.message) == (CAROL, Announce())
    rig.receive(next_life(ANN))
    assert rig.take_notes()[-1] == MemberUp(next_life(ANN))


def test_member_said_to_have_left_that_is_here_goes_on_under_its_next_life() -> None:
    rig = Rig(knows=[ANN])
    rig.receive(ANN, updates=[left(US)])
    assert rig.swim.identity == next_life(US)


def test_effects_keep_the_order_in_which_they_were_caused() -> None:
    rig = Rig()
    rig.swim.handle_data(_announce_from(ANN), 0.0, rig.outbox)
    kinds = [type(effect).__name__ for effect in rig.outbox.drain()]
    assert kinds == ["Notify", "Schedule", "Notify", "Send"]


def test_outbox_shows_what_waits_by_kind_without_draining_it() -> None:
    rig = Rig()
    rig.swim.handle_data(_announce_from(ANN), 0.0, rig.outbox)
    assert rig.outbox.to_notify == [MemberUp(ANN), Active()]
    assert [send.to for send in rig.outbox.to_send] == [ANN]
    assert [schedule.delay for schedule in rig.outbox.to_schedule] == [QUIET.probe_period]
    assert len(rig.outbox.drain()) == 4
    assert rig.outbox.drain() == []


def _announce_from(member: MemberId) -> bytes:
    return encode(member, US, Announce())
