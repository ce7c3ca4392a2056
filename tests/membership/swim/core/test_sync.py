"""Anti-entropy: two members exchange all they know."""

from dataclasses import replace

import pytest

from rookery.actors.membership.swim import Member, MemberId
from rookery.actors.membership.swim.effects import PeriodicSync, SendSyncPart
from rookery.actors.membership.swim.messages import Announce, DecodedPacket, Gossip, SyncPart, SyncRequest, TurnUndead

from ..rig import ANN, BOB, CAROL, DAVE, QUIET, US, Rig, alive, down, name, next_life, suspect

SYNCING = replace(QUIET, sync=32.0)
CROWD = [name(number) for number in range(10, 600)]


def parts(rig: Rig) -> list[tuple[MemberId, DecodedPacket]]:
    """Everything that is sent until no part waits."""
    while rig.waiting(SendSyncPart):
        rig.fire(SendSyncPart)
    return rig.take_packets()


def listed(packets: list[tuple[MemberId, DecodedPacket]]) -> list[Member]:
    return [update for _, packet in packets for update in packet.updates]


def test_sync_asks_one_member_with_the_digest_of_what_is_held_and_nothing_else() -> None:
    rig = Rig(SYNCING, knows=[ANN, BOB])
    rig.fire(PeriodicSync)
    ((_, packet),) = rig.take_packets()
    assert isinstance(packet.header.message, SyncRequest)
    assert packet.updates == ()


def test_sync_between_two_that_hold_the_same_active_members_costs_one_packet() -> None:
    ours, theirs = Rig(SYNCING, knows=[ANN, BOB]), rig_of(ANN, US, BOB)
    ours.learn(suspect(BOB, 3), down(DAVE), alive(CAROL))
    theirs.learn(alive(CAROL), suspect(BOB, 3))
    ours.receive(ANN, SyncRequest(asked_by(theirs)))
    assert parts(ours) == []
    theirs.learn(alive(BOB, 4))
    ours.receive(ANN, SyncRequest(asked_by(theirs)))
    assert parts(ours) != []


def asked_by(rig: Rig) -> int:
    """The digest with which this member asks."""
    rig.take_packets()
    rig.fire(PeriodicSync)
    (message,) = [message for _, message in rig.take_messages() if isinstance(message, SyncRequest)]
    return message.digest


def rig_of(me: MemberId, *others: MemberId) -> Rig:
    """Another member than the usual one."""
    rig = Rig(SYNCING)
    rig.swim.change_identity(me, rig.now, rig.outbox)
    rig.drain()
    rig.learn(*map(alive, others))
    rig.take_packets()
    return rig


def test_sync_request_of_another_digest_is_answered_in_as_many_packets_as_it_takes_and_asks_back() -> None:
    rig = Rig(replace(QUIET, max_packet_size=1_400), knows=[ANN, *CROWD])
    rig.receive(ANN, SyncRequest(0))
    assert len(rig.packets) == 1
    assert rig.waiting(SendSyncPart) == [0.02]
    sent = parts(rig)
    assert {to for to, _ in sent} == {ANN}
    assert [packet.header.message for _, packet in sent] == [SyncPart(1)] + [SyncPart(0)] * (len(sent) - 1)
    assert sorted(update.id for update in listed(sent)) == sorted(CROWD)
    assert len(sent) > 10


def test_sync_lets_both_know_what_either_knew() -> None:
    ours, theirs = Rig(SYNCING, knows=[ANN, BOB]), rig_of(ANN, US, CAROL)
    ours.receive(ANN, SyncRequest(asked_by(theirs)))
    for source, me, target in ((ours, US, theirs), (theirs, ANN, ours)):
        for to, packet in parts(source):
            assert to == target.swim.identity
            target.receive(me, packet.header.message, packet.updates)
    assert ours.is_active(CAROL)
    assert theirs.is_active(BOB)
    assert (parts(ours), parts(theirs)) == ([], [])


def test_sync_tells_the_other_whom_it_wrongly_lists_as_active_and_lists_no_other_down_members() -> None:
    rig = Rig(SYNCING, knows=[ANN])
    rig.learn(down(BOB), down(next_life(CAROL)), down(DAVE))
    rig.receive(ANN, SyncPart(1), updates=[alive(BOB), suspect(CAROL, 2)])
    assert set(listed(parts(rig))) == {down(BOB), down(next_life(CAROL))}


def test_sync_part_that_lists_somebody_we_hold_down_is_answered_with_that_alone() -> None:
    rig = Rig(SYNCING, knows=[ANN, name(9)])
    rig.learn(down(BOB))
    rig.receive(ANN, SyncPart(), updates=[alive(BOB)])
    (to_bob, told), (to, packet) = parts(rig)
    assert (to_bob, told.header.message) == (BOB, TurnUndead(down(BOB), 1))
    assert (to, packet.header.message, packet.updates) == (ANN, SyncPart(), (down(BOB),))
    rig.receive(ANN, SyncPart(), updates=[alive(CAROL)])
    assert parts(rig) == []
    rig.receive(ANN, SyncPart(), updates=[down(DAVE)])
    assert [to for to, _ in parts(rig)] == [DAVE]


def test_sync_of_a_member_that_is_long_forgotten_does_not_bring_its_death_back() -> None:
    rig = Rig(SYNCING, knows=[ANN])
    rig.learn(down(BOB))
    rig.receive(ANN, SyncPart(1), updates=[alive(CAROL)])
    assert set(listed(parts(rig))) == {alive(CAROL)}


def test_sync_waits_short_at_first_then_doubles_up_to_its_period() -> None:
    rig = Rig(SYNCING, knows=[ANN])
    waits = []
    for _ in range(6):
        waits += rig.waiting(PeriodicSync)
        rig.fire(PeriodicSync)
    assert waits == [4.0, 4.0, 8.0, 16.0, 32.0, 32.0]


def test_sync_that_teaches_something_makes_the_next_one_come_soon_and_one_that_does_not_leaves_it() -> None:
    rig = Rig(SYNCING, knows=[ANN])
    for _ in range(6):
        rig.fire(PeriodicSync)
    assert rig.waiting(PeriodicSync) == [32.0]
    rig.receive(ANN, SyncPart(), updates=[alive(ANN)])
    rig.receive(ANN, Gossip(), updates=[alive(BOB)])
    assert rig.waiting(PeriodicSync) == [32.0]
    rig.receive(ANN, SyncPart(), updates=[alive(CAROL)])
    stale, fresh = (timer for timer, _ in rig.timers if isinstance(timer, PeriodicSync))
    assert rig.waiting(PeriodicSync) == [32.0, 4.0]
    rig.take_packets()
    rig.hand_back(stale)
    assert rig.take_packets() == []
    rig.hand_back(fresh)
    assert [type(message) for _, message in rig.take_messages()] == [SyncRequest]


def test_sync_is_rarer_in_a_large_cluster() -> None:
    rig = Rig(SYNCING, knows=CROWD)
    for _ in range(12):
        rig.fire(PeriodicSync)
    assert rig.waiting(PeriodicSync)[-1] == 32.0 * 6


def test_sync_with_jitter_comes_first_at_any_time_within_the_first_wait() -> None:
    waits = [Rig(replace(SYNCING, jitter=True), knows=[ANN], seed=seed).waiting(PeriodicSync)[0] for seed in range(20)]
    assert 0 <= min(waits) < 1 < 3 < max(waits) <= 4


def test_sync_that_is_off_sends_none_but_answers_those_of_others() -> None:
    rig = Rig(QUIET, knows=[ANN, BOB])
    assert rig.waiting(PeriodicSync) == []
    rig.receive(ANN, SyncRequest(0))
    assert [message for _, message in rig.take_messages()] == [SyncPart(1)]


def test_sync_that_was_ended_does_not_come_again() -> None:
    rig = Rig(SYNCING, knows=[ANN])
    rig.swim.set_config(QUIET)
    rig.fire(PeriodicSync)
    assert (rig.take_packets(), rig.waiting(PeriodicSync)) == ([], [])


def test_sync_is_not_begun_with_a_blocked_member() -> None:
    rig = Rig(SYNCING, knows=[ANN])
    rig.blocked.add(ANN.key)
    rig.fire(PeriodicSync)
    assert rig.take_packets() == []


def test_sync_asked_for_again_and_again_is_sent_once_at_a_time_and_the_rest_counted() -> None:
    rig = Rig(replace(QUIET, max_packet_size=1_400), knows=[ANN, *CROWD])
    for _ in range(5):
        rig.receive(ANN, SyncRequest(0))
    assert len(rig.packets) == 1
    assert rig.swim.counters.refused_syncs == 4


def test_sync_serves_a_bounded_number_of_members_in_turn() -> None:
    rig = Rig(replace(QUIET, max_packet_size=1_400), knows=CROWD)
    for asking in CROWD[:12]:
        rig.receive(asking, SyncRequest(0))
    assert rig.swim.counters.refused_syncs == 4
    assert [to for to, _ in parts(rig)][1:17] == [*CROWD[:8], *CROWD[:8]]


def test_sync_under_way_ends_when_we_are_isolated() -> None:
    rig = Rig(replace(QUIET, max_packet_size=512), knows=CROWD[:40])
    rig.receive(CROWD[0], SyncRequest(0))
    rig.learn(*(down(member) for member in CROWD[:40]))
    rig.take_packets()
    rig.fire(SendSyncPart)
    assert rig.take_packets() == []


@pytest.mark.parametrize("message", [SyncRequest(0), SyncPart(1)])
def test_sync_message_of_a_member_that_we_hold_down_is_not_listened_to(message: SyncRequest | SyncPart) -> None:
    rig = Rig(SYNCING, knows=[ANN])
    rig.learn(down(BOB))
    rig.receive(BOB, message, updates=[alive(CAROL)] if message.updates else [])
    assert rig.held(CAROL) is None
    assert [kind for _, kind in rig.take_messages()] == [TurnUndead(down(BOB), 1)]


def test_feed_goes_on_being_the_answer_to_announce() -> None:
    rig = Rig(SYNCING, knows=[ANN, BOB])
    rig.receive(ANN, Announce())
    ((_, packet),) = rig.take_packets()
    assert packet.updates == (alive(BOB),)
