"""Anti-entropy: two members exchange all they know."""

from dataclasses import replace

import pytest

from rookery.actors.membership.swim import Member, MemberId
from rookery.actors.membership.swim.messages import Announce, Gossip, Packet, SyncPart, SyncRequest
from rookery.actors.membership.swim.timers import PeriodicSync, SendSyncPart

from .rig import ANN, BOB, CAROL, DAVE, QUIET, US, Rig, alive, down, name, next_life, suspect

SYNCING = replace(QUIET, sync=32.0)
CROWD = [name(number) for number in range(10, 600)]


def parts(rig: Rig) -> list[tuple[MemberId, Packet]]:
    """Everything that is sent until no part waits."""
    while rig.waiting(SendSyncPart):
        rig.fire(SendSyncPart)
    return rig.take_packets()


def listed(packets: list[tuple[MemberId, Packet]]) -> list[Member]:
    return [update for _, packet in packets for update in packet.updates]


def test_sync_pushes_every_active_member_but_the_other_one_and_asks_for_theirs() -> None:
    rig = Rig(SYNCING, knows=[ANN, BOB])
    rig.learn(suspect(CAROL, 3), down(DAVE))
    rig.fire(PeriodicSync)
    ((to, packet),) = rig.take_packets()
    assert packet.header.message == SyncRequest()
    expected = {alive(ANN), alive(BOB), suspect(CAROL, 3)} - {held for held in rig.swim.iter_members() if held.id == to}
    assert set(packet.updates) == expected


def test_sync_request_is_answered_with_everything_in_as_many_packets_as_it_takes_a_little_apart() -> None:
    rig = Rig(replace(QUIET, max_packet_size=1_400), knows=[ANN, *CROWD])
    rig.receive(ANN, SyncRequest())
    assert len(rig.packets) == 1
    assert rig.waiting(SendSyncPart) == [0.02]
    sent = parts(rig)
    assert {to for to, _ in sent} == {ANN}
    assert {packet.header.message for _, packet in sent} == {SyncPart()}
    assert sorted(update.id for update in listed(sent)) == sorted(CROWD)
    assert len(sent) > 10


def test_sync_lets_both_know_what_either_knew() -> None:
    ours, theirs = Rig(SYNCING, knows=[ANN, BOB]), Rig(SYNCING, knows=[CAROL])
    theirs.swim.change_identity(ANN, theirs.now, theirs.outbox)
    theirs.learn(alive(US))
    theirs.take_packets()
    ours.receive(ANN, SyncRequest(), updates=[alive(CAROL)])
    for to, packet in parts(ours):
        assert to == ANN
        theirs.receive(US, packet.header.message, packet.updates)
    assert ours.is_active(CAROL)
    assert theirs.is_active(BOB)


def test_sync_tells_the_other_whom_it_wrongly_lists_as_active_and_lists_no_other_down_members() -> None:
    rig = Rig(SYNCING, knows=[ANN])
    rig.learn(down(BOB), down(next_life(CAROL)), down(DAVE))
    rig.receive(ANN, SyncRequest(), updates=[alive(BOB), suspect(CAROL, 2)])
    assert set(listed(parts(rig))) == {down(BOB), down(next_life(CAROL))}


def test_sync_part_that_lists_somebody_we_hold_down_is_answered_with_that_alone() -> None:
    rig = Rig(SYNCING, knows=[ANN, name(9)])
    rig.learn(down(BOB))
    rig.receive(ANN, SyncPart(), updates=[alive(BOB)])
    ((to, packet),) = parts(rig)
    assert (to, packet.header.message, packet.updates) == (ANN, SyncPart(), (down(BOB),))
    rig.receive(ANN, SyncPart(), updates=[alive(CAROL)])
    rig.receive(ANN, SyncPart(), updates=[down(DAVE)])
    assert parts(rig) == []


def test_sync_of_a_member_that_is_long_forgotten_does_not_bring_its_death_back() -> None:
    rig = Rig(SYNCING, knows=[ANN])
    rig.receive(ANN, SyncRequest(), updates=[])
    assert rig.held(BOB) is None
    rig.learn(down(BOB))
    rig.receive(ANN, SyncRequest(), updates=[alive(CAROL)])
    assert down(BOB) not in listed(parts(rig))


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
    rig.receive(ANN, SyncRequest())
    assert [message for _, message in rig.take_messages()] == [SyncPart()]


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
        rig.receive(ANN, SyncRequest())
    assert len(rig.packets) == 1
    assert rig.swim.counters.refused_syncs == 4


def test_sync_serves_a_bounded_number_of_members_in_turn() -> None:
    rig = Rig(replace(QUIET, max_packet_size=1_400), knows=CROWD)
    for asking in CROWD[:12]:
        rig.receive(asking, SyncRequest())
    assert rig.swim.counters.refused_syncs == 4
    assert [to for to, _ in parts(rig)][1:17] == [*CROWD[:8], *CROWD[:8]]


def test_sync_under_way_ends_when_we_are_isolated() -> None:
    rig = Rig(replace(QUIET, max_packet_size=512), knows=CROWD[:40])
    rig.receive(CROWD[0], SyncRequest())
    rig.learn(*(down(member) for member in CROWD[:40]))
    rig.take_packets()
    rig.fire(SendSyncPart)
    assert rig.take_packets() == []


@pytest.mark.parametrize("message", [SyncRequest(), SyncPart()])
def test_sync_message_of_a_member_that_we_hold_down_is_not_listened_to(message: SyncRequest | SyncPart) -> None:
    rig = Rig(SYNCING, knows=[ANN])
    rig.learn(down(BOB))
    rig.receive(BOB, message, updates=[alive(CAROL)])
    assert rig.held(CAROL) is None


def test_feed_goes_on_being_the_answer_to_announce() -> None:
    rig = Rig(SYNCING, knows=[ANN, BOB])
    rig.receive(ANN, Announce())
    ((_, packet),) = rig.take_packets()
    assert packet.updates == (alive(BOB),)
