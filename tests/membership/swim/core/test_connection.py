"""Tasks that repeat, each with its own frequency and its own members (membership: swim without rookery)."""

from dataclasses import replace

import pytest

from rookery.actors.membership.swim import Config, MemberId, Periodic
from rookery.actors.membership.swim.effects import (
    AnnounceToSeeds,
    ChangeSuspectToDown,
    PeriodicAnnounce,
    PeriodicAnnounceDown,
    PeriodicGossip,
    PeriodicSync,
    ProbeRandomMember,
    RemoveDown,
    SendIndirectProbe,
    Timer,
)
from rookery.actors.membership.swim.messages import Announce, Gossip, Message

from ..rig import ANN, BOB, CAROL, DAVE, QUIET, US, Rig, alive, down, left, name

EVERY = Periodic(7.0, 2)
TASKS: list[tuple[str, type[Timer], Message, set[MemberId]]] = [
    ("periodic_announce", PeriodicAnnounce, Announce(), {ANN, BOB}),
    ("periodic_announce_to_down_members", PeriodicAnnounceDown, Announce(), {CAROL, DAVE}),
    ("periodic_gossip", PeriodicGossip, Gossip(), {ANN, BOB}),
]


def with_task(field: str) -> Rig:
    rig = Rig(replace(QUIET, **{field: EVERY}), knows=[ANN, BOB])  # type: ignore[arg-type]
    rig.swim.apply_many([down(CAROL), down(DAVE)], True, rig.now, rig.outbox)
    rig.drain()
    return rig


@pytest.mark.parametrize(("field", "timer", "message", "members"), TASKS)
def test_periodic_task_arms_itself_again_and_reaches_its_members(
    field: str, timer: type[Timer], message: Message, members: set[MemberId]
) -> None:
    rig = with_task(field)
    for _ in range(3):
        assert rig.waiting(timer) == [EVERY.frequency]
        rig.fire(timer)
        sent = rig.take_messages()
        assert {to for to, _ in sent} == members
        assert {kind for _, kind in sent} == {message}


@pytest.mark.parametrize(("field", "timer", "message", "members"), TASKS)
def test_periodic_task_that_was_ended_does_not_come_again(
    field: str, timer: type[Timer], message: Message, members: set[MemberId]
) -> None:
    rig = with_task(field)
    rig.swim.set_config(QUIET)
    rig.fire(timer)
    assert rig.waiting(timer) == []
    assert rig.take_messages() == []


@pytest.mark.parametrize(("field", "timer", "message", "members"), TASKS)
def test_periodic_timer_handed_back_twice_does_not_double_the_task(
    field: str, timer: type[Timer], message: Message, members: set[MemberId]
) -> None:
    rig = with_task(field)
    again = rig.fire(timer)
    rig.take_packets()
    rig.hand_back(again)
    assert rig.take_packets() == []
    assert rig.waiting(timer) == [EVERY.frequency]


def test_periodic_gossip_with_nothing_waiting_sends_nothing() -> None:
    rig = Rig(replace(QUIET, periodic_gossip=EVERY), knows=[ANN])
    rig.fire(PeriodicGossip)
    assert rig.take_messages() == []
    assert rig.waiting(PeriodicGossip) == [EVERY.frequency]


def test_lan_preset_arms_its_tasks_on_connecting_and_syncs_in_place_of_announcing() -> None:
    rig = Rig(replace(Config.new_lan(5), jitter=False), knows=[ANN])
    assert [rig.waiting(timer) for _, timer, _, _ in TASKS] == [[], [65.0], [0.2]]
    assert rig.waiting(PeriodicSync) == [30 / 8]


@pytest.mark.parametrize(("field", "timer", "message", "members"), TASKS)
def test_periodic_task_with_jitter_comes_first_at_any_time_within_its_period(
    field: str, timer: type[Timer], message: Message, members: set[MemberId]
) -> None:
    config = replace(QUIET, jitter=True, **{field: EVERY})  # type: ignore[arg-type]
    waits = [Rig(config, knows=[ANN], seed=seed).waiting(timer)[0] for seed in range(20)]
    assert 0 <= min(waits) < 1.5
    assert 5.5 < max(waits) <= EVERY.frequency


def test_join_announces_to_every_seed_but_ourselves_and_again_with_doubling_waits() -> None:
    rig = Rig()
    rig.swim.join([US, ANN, BOB], rig.now, rig.outbox)
    rig.drain()
    waits = []
    for _ in range(6):
        assert rig.take_messages() == [(ANN, Announce()), (BOB, Announce())]
        waits += rig.waiting(AnnounceToSeeds)
        rig.fire(AnnounceToSeeds)
    assert waits == [2.0, 4.0, 8.0, 16.0, 16.0, 16.0]


def test_join_stops_announcing_once_connected_and_every_seed_was_heard_of() -> None:
    rig = Rig()
    rig.swim.join([US, ANN, CAROL], rig.now, rig.outbox)
    rig.receive(ANN, updates=[alive(CAROL)])
    rig.take_packets()
    rig.fire(AnnounceToSeeds)
    assert rig.take_packets() == []
    assert rig.waiting(AnnounceToSeeds) == []


def test_seed_that_has_never_answered_is_announced_to_again_though_others_have() -> None:
    rig = Rig()
    rig.swim.join([ANN, BOB, CAROL], rig.now, rig.outbox)
    rig.drain()
    rig.timers.clear()  # that of the isolated member
    rig.receive(ANN)
    rig.take_packets()
    waits = []
    for _ in range(5):
        waits += rig.waiting(AnnounceToSeeds)
        rig.fire(AnnounceToSeeds)
        assert dict(rig.take_messages()) == {BOB: Announce(), CAROL: Announce()}
    assert waits == [2.0, 4.0, 8.0, 16.0, 16.0]
    rig.receive(CAROL)
    rig.take_packets()
    rig.fire(AnnounceToSeeds)
    assert rig.take_messages() == [(BOB, Announce())]
    rig.swim.join([ANN, BOB], rig.now, rig.outbox)
    rig.drain()
    rig.take_packets()
    rig.receive(BOB)
    rig.take_packets()
    rig.fire(AnnounceToSeeds)
    assert rig.take_messages() == []
    assert rig.waiting(AnnounceToSeeds) == []


def test_member_that_is_not_isolated_tries_a_few_silent_seeds_at_a_time() -> None:
    rig = Rig(knows=[ANN])
    seeds = [name(number) for number in range(10, 30)]
    rig.swim.join(seeds, rig.now, rig.outbox)
    rig.drain()
    assert len(rig.take_packets()) == 20
    tried = set()
    for _ in range(60):
        rig.fire(AnnounceToSeeds)
        sent = [to for to, _ in rig.take_messages()]
        assert len(set(sent)) == len(sent) == 3
        tried.update(sent)
    assert tried == set(seeds)


def test_blocked_seed_that_never_answered_is_not_announced_to() -> None:
    rig = Rig(knows=[ANN])
    rig.blocked.add(BOB.key)
    rig.swim.join([BOB], rig.now, rig.outbox)
    rig.drain()
    assert (rig.take_packets(), rig.waiting(AnnounceToSeeds)) == ([], [])


def test_member_that_is_isolated_again_begins_with_the_first_wait() -> None:
    rig = Rig(knows=[ANN])
    rig.swim.join([BOB], rig.now, rig.outbox)
    rig.drain()
    for _ in range(4):
        rig.fire(AnnounceToSeeds)
    rig.timers.clear()
    rig.learn(down(ANN))
    assert rig.waiting(AnnounceToSeeds) == [2.0]
    rig.fire(AnnounceToSeeds)
    assert rig.waiting(AnnounceToSeeds) == [4.0]


def test_join_again_starts_with_the_first_wait() -> None:
    rig = Rig()
    rig.swim.join([ANN], rig.now, rig.outbox)
    rig.drain()
    rig.fire(AnnounceToSeeds)
    rig.swim.join([BOB], rig.now, rig.outbox)
    rig.drain()
    rig.fire(AnnounceToSeeds)
    assert rig.waiting(AnnounceToSeeds) == [4.0]
    assert rig.take_messages()[-1] == (BOB, Announce())


def test_seed_that_is_not_with_us_is_tried_each_time_and_one_that_is_with_us_is_not() -> None:
    rig = Rig(replace(QUIET, periodic_announce_to_down_members=EVERY), knows=[BOB])
    rig.swim.join([US, ANN, BOB], rig.now, rig.outbox)
    rig.drain()
    rig.take_packets()
    rig.fire(PeriodicAnnounceDown)
    assert rig.take_messages() == [(ANN, Announce())]
    rig.receive(ANN)
    rig.take_packets()
    rig.fire(PeriodicAnnounceDown)
    assert rig.take_messages() == []


def test_seed_that_has_left_is_tried_again_for_it_may_come_back_knowing_nobody() -> None:
    rig = Rig(replace(QUIET, periodic_announce_to_down_members=EVERY), knows=[ANN, BOB])
    rig.swim.join([ANN], rig.now, rig.outbox)
    rig.learn(left(ANN), left(CAROL))
    rig.take_packets()
    rig.fire(PeriodicAnnounceDown)
    assert rig.take_messages() == [(ANN, Announce())]


def test_join_does_not_announce_to_a_blocked_seed() -> None:
    rig = Rig()
    rig.blocked.add(ANN.key)
    rig.swim.join([ANN, BOB], rig.now, rig.outbox)
    rig.drain()
    assert rig.take_messages() == [(BOB, Announce())]


def test_join_with_seed_announcing_off_announces_only_once() -> None:
    rig = Rig(replace(QUIET, announce_to_seeds=None))
    rig.swim.join([ANN], rig.now, rig.outbox)
    rig.drain()
    assert rig.take_messages() == [(ANN, Announce())]
    assert rig.timers == []


def test_member_started_with_well_known_peers_as_down_finds_them_by_announcing() -> None:
    rig = Rig(replace(QUIET, periodic_announce_to_down_members=EVERY))
    rig.learn(down(ANN), down(BOB))
    rig.fire(PeriodicAnnounceDown)
    assert {to for to, _ in rig.take_messages()} == {ANN, BOB}


def test_timers_due_together_have_the_ranks_of_the_table() -> None:
    """The indirect stage comes before the next probe: in the other order a stall would leave the probe unjudged."""
    order: list[type[Timer]] = [
        SendIndirectProbe,
        ProbeRandomMember,
        ChangeSuspectToDown,
        PeriodicAnnounce,
        PeriodicGossip,
        RemoveDown,
        PeriodicAnnounceDown,
        AnnounceToSeeds,
    ]
    assert [timer.rank for timer in order] == list(range(8))


def test_fan_out_never_repeats_a_member() -> None:
    rig = Rig(replace(QUIET, num_indirect_probes=5))
    rig.learn(*(alive(name(number)) for number in range(1, 8)))
    for _ in range(20):
        rig.swim.gossip(rig.outbox)
        rig.drain()
        sent = [to for to, _ in rig.take_packets()]
        assert len(set(sent)) == len(sent) == 5
