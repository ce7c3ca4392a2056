"""Long sequences: two members meet, one receives every kind of update, timers of ended lives come."""

import pickle
from dataclasses import replace

import pytest
from msgspec import structs

from rookery.actors.membership.swim import (
    Active,
    ConnectionState,
    Defunct,
    Idle,
    MemberDown,
    MemberId,
    MemberUp,
    NotUndeadError,
    Refuted,
    Rejoin,
    Rename,
    SameIdentityError,
    Suspected,
    Timer,
)
from rookery.actors.membership.swim import errors as swim_errors
from rookery.actors.membership.swim.effects import ProbeRandomMember, RemoveDown, SendIndirectProbe
from rookery.actors.membership.swim.messages import Announce, Feed, Message, Ping

from .rig import ANN, BOB, CAROL, QUIET, US, Rig, alive, down, left, next_life, suspect


def deliver(source: Rig, target: Rig) -> list[Message]:
    """Hand over what the source has sent; what that was."""
    sent = source.take_packets()
    for _, packet in sent:
        header = packet.header
        target.receive(header.src, header.message, packet.updates, header.src_incarnation, header.dst)
    return [packet.header.message for _, packet in sent]


def test_announce_and_feed_make_two_members_know_each_other_and_begin_to_probe() -> None:
    ours, theirs = Rig(), Rig(me=next_life(ANN))
    ours.swim.announce(ANN, ours.outbox)
    ours.drain()
    assert (ours.notes, ours.timers, ours.swim.num_members) == ([], [], 0)
    assert deliver(ours, theirs) == [Announce()]
    assert theirs.take_notes() == [MemberUp(US), Active()]
    assert deliver(theirs, ours) == [Feed()]
    assert ours.take_notes() == [MemberUp(next_life(ANN)), Active()]
    for rig, other in ((ours, next_life(ANN)), (theirs, US)):
        assert rig.waiting(ProbeRandomMember) == [QUIET.probe_period]
        rig.fire(ProbeRandomMember)
        assert rig.take_messages() == [(other, Ping(1))]


def test_each_change_of_a_member_is_notified_once_and_in_order() -> None:
    rig = Rig(renew=lambda identity: None)
    told = []
    for update in (
        alive(ANN),
        alive(ANN),
        suspect(ANN),
        suspect(ANN),
        alive(ANN, 1),
        down(BOB),
        alive(BOB),
        alive(CAROL),
        down(CAROL),
        down(CAROL),
        alive(next_life(CAROL)),
        alive(CAROL, 5),
        down(next_life(CAROL)),
        down(ANN, 1),
        alive(next_life(ANN)),
        left(US),
        left(US),
        alive(next_life(BOB)),
    ):
        rig.swim.apply_many([update], True, rig.now, rig.outbox)
        rig.drain()
        told += rig.take_notes()
    assert told == [
        MemberUp(ANN),
        Active(),
        Suspected(ANN),
        Refuted(ANN),
        MemberUp(CAROL),
        MemberDown(CAROL),
        Rename(CAROL, next_life(CAROL)),
        MemberUp(next_life(CAROL)),
        MemberDown(next_life(CAROL)),
        MemberDown(ANN),
        Idle(),
        Rename(ANN, next_life(ANN)),
        MemberUp(next_life(ANN)),
        Active(),
        Defunct(),
        Rename(BOB, next_life(BOB)),
        MemberUp(next_life(BOB)),
    ]
    rig.swim.reuse_down_identity(rig.now, rig.outbox)
    rig.drain()
    assert rig.take_notes() == [Active()]
    assert rig.swim.connection_state is ConnectionState.CONNECTED


def test_probe_timer_while_isolated_does_nothing_and_raises_nothing() -> None:
    rig = Rig(knows=[ANN])
    rig.learn(down(ANN))
    rig.fire(ProbeRandomMember)
    assert rig.take_packets() == []
    rig.hand_back(ProbeRandomMember(10**6))
    assert (rig.take_packets(), rig.waiting(ProbeRandomMember)) == ([], [])


def test_renewal_during_a_probe_leaves_its_timers_without_effect() -> None:
    rig = Rig(knows=[ANN, BOB])
    rig.fire(ProbeRandomMember)
    old: list[Timer] = [timer for timer, _ in rig.timers]
    rig.timers.clear()
    rig.swim.apply_many([left(US)], True, rig.now, rig.outbox)
    rig.drain()
    assert Rejoin(next_life(US)) in rig.take_notes()
    rig.take_packets()
    for timer in old:
        rig.hand_back(timer)
    assert rig.take_packets() == []
    assert rig.swim.counters.incomplete_probe_cycles == 0
    assert [rig.held(ANN), rig.held(BOB)] == [alive(ANN), alive(BOB)]
    rig.fire(ProbeRandomMember)
    rig.fire(SendIndirectProbe)
    rig.fire(ProbeRandomMember)
    assert rig.swim.counters.incomplete_probe_cycles == 0


def test_timer_of_an_old_life_is_never_taken_for_a_new_one_however_many_lives_lie_between() -> None:
    rig = Rig(knows=[ANN])
    old = [timer for timer, _ in rig.timers if not isinstance(timer, RemoveDown)]
    for generation in range(2, 602):
        rig.timers.clear()
        rig.swim.change_identity(MemberId(US.key, generation), rig.now, rig.outbox)
        rig.drain()
    rig.take_packets()
    for timer in old:
        rig.hand_back(timer)
    assert rig.take_packets() == []
    assert len(rig.waiting(ProbeRandomMember)) == 1


def test_change_of_identity_restarts_the_timers_and_probes_under_the_new_one() -> None:
    rig = Rig(knows=[ANN])
    (before,) = [timer for timer, _ in rig.timers]
    rig.timers.clear()
    rig.swim.change_identity(next_life(US), rig.now, rig.outbox)
    rig.drain()
    rig.take_packets()
    assert [timer for timer, _ in rig.timers] != [before]
    rig.fire(ProbeRandomMember)
    ((_, packet),) = rig.take_packets()
    assert packet.header.src == next_life(US)


@pytest.mark.parametrize("loses", [US, MemberId(US.key, 0), MemberId(ANN.key, 7)], ids=["same", "earlier", "other"])
def test_renewal_that_is_no_later_life_of_ours_is_refused_for_good(loses: MemberId) -> None:
    rig = Rig(knows=[ANN], renew=lambda identity: loses)
    rig.receive(ANN, updates=[left(US)])
    assert rig.swim.identity == US
    assert rig.swim.connection_state is ConnectionState.UNDEAD
    assert rig.take_notes() == [Defunct()]


def among_the_dead(me: MemberId = US, *, now: float = 0.0) -> Rig:
    """Far more members are dead than active, as where keys come once and die. now: of the first of them."""
    rig = Rig(me=me)
    rig.now = now
    rig.learn(alive(BOB), *(down(MemberId(bytes([number]) * 32, 1)) for number in range(100, 120)))
    return rig


@pytest.mark.parametrize(
    ("came", "died", "forgotten_after"),
    [(1000.0, 1001.0, 60.0), (1000.0, 1030.0, 300.0), (1000.0, 1200.0, 86400.0), (0.0, 1.0, 86400.0)],
    ids=["moment", "short time", "tenth of our time", "as long as we"],
)
def test_who_was_a_member_for_a_short_time_is_remembered_for_a_short_time_among_many_dead(
    came: float, died: float, forgotten_after: float
) -> None:
    rig = among_the_dead()
    rig.now = came
    rig.learn(alive(ANN))
    rig.now = died
    rig.learn(down(ANN))
    assert rig.waiting(RemoveDown)[-1] == forgotten_after
    rig.fire_newest(RemoveDown)
    assert rig.held(ANN) is None


def test_who_was_a_member_for_a_short_time_is_remembered_for_long_where_few_are_dead() -> None:
    """As of two old clusters that meet for a moment: else nobody would ever look for the others again."""
    rig = Rig(knows=[BOB])
    rig.now = 1000.0
    others = [MemberId(bytes([number]) * 32, 1) for number in range(100, 116)]
    rig.learn(*map(alive, others))
    rig.now = 1030.0
    rig.learn(*map(down, others))
    assert rig.waiting(RemoveDown) == [QUIET.remove_down_after] * 16


def test_who_was_dead_when_it_was_told_of_is_remembered_for_long() -> None:
    """As who was so before a restart."""
    rig = among_the_dead()
    rig.now = 1000.0
    rig.learn(down(ANN))
    assert rig.waiting(RemoveDown)[-1] == QUIET.remove_down_after


def test_member_that_came_back_and_died_again_is_remembered_from_then_on() -> None:
    rig = among_the_dead()
    rig.now = 1000.0
    rig.learn(alive(ANN), down(ANN))
    rig.now = 1050.0
    rig.learn(alive(ANN, 1), down(ANN, 1))
    rig.fire_newest(RemoveDown)
    assert rig.held(ANN) == down(ANN, 1)
    rig.fire_newest(RemoveDown)
    assert (rig.held(ANN), rig.now) == (None, 1050.0 + 500.0)


def test_member_that_dies_in_each_of_many_lives_is_waited_for_by_one_timer() -> None:
    rig = Rig(knows=[BOB])
    for generation in range(1, 50):
        rig.learn(alive(structs.replace(ANN, generation=generation)), down(structs.replace(ANN, generation=generation)))
    assert rig.waiting(RemoveDown) == [QUIET.remove_down_after]


def test_of_two_members_that_lose_each_other_the_younger_one_remembers_the_other() -> None:
    old, young = among_the_dead(), among_the_dead(ANN, now=100_000.0)
    old.now = young.now = 100_000.0
    old.learn(alive(ANN))
    young.learn(alive(US))
    old.now = young.now = 100_030.0
    old.learn(down(ANN))
    young.learn(down(US))
    assert (old.waiting(RemoveDown)[-1], young.waiting(RemoveDown)[-1]) == (300.0, QUIET.remove_down_after)


def test_forgotten_member_that_returns_is_new() -> None:
    rig = Rig(replace(QUIET, remove_down_after=5.0), knows=[ANN, BOB])
    rig.learn(down(ANN))
    assert rig.waiting(RemoveDown) == [5.0]
    rig.fire(RemoveDown)
    assert rig.held(ANN) is None
    rig.take_notes()
    rig.receive(ANN)
    assert rig.take_notes() == [MemberUp(ANN)]


@pytest.mark.parametrize(
    "error",
    [
        kind
        for name in sorted(set(swim_errors.__all__) - {"Counters", "CustomBroadcastError"})
        if (kind := getattr(swim_errors, name))
    ],
)
def test_error_says_whether_anything_had_changed_and_can_be_sent_to_another_process(
    error: type[swim_errors.SwimError],
) -> None:
    again = pickle.loads(pickle.dumps(error("why")))
    assert (type(again), str(again)) == (error, "why")
    assert again.touched is (error is swim_errors.IndirectForOurselvesError)


def test_errors_of_identities_are_refused_before_anything_changes() -> None:
    rig = Rig(knows=[ANN])
    with pytest.raises(NotUndeadError):
        rig.swim.reuse_down_identity(rig.now, rig.outbox)
    with pytest.raises(SameIdentityError):
        rig.swim.change_identity(US, rig.now, rig.outbox)
    assert rig.outbox.drain() == []
    assert rig.swim.connection_state is ConnectionState.CONNECTED
