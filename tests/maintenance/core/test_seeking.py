"""Connections with peers of the set count, those with others only while nobody of the set can be dialled."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest

from rookery.actors import connections, maintenance, tracker
from rookery.actors.maintenance import Bounds
from rookery.actors.maintenance.core.goal import Goal
from rookery.actors.maintenance.core.planner import Planner
from rookery.actors.maintenance.core.seek import MOST, TRIES, Room, Seek
from rookery.actors.maintenance.core.steps import Ask, Dial, Done, Trim, Wait
from rookery.actors.tracker.core.peer_sets import PeerSet
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason
from tests.maintenance.neighbours import Neighbours

from .plans import FAILED, NOBODY, OPENED, PACING, REFUSED, A, B, C, D, floor_of, planner, steps

SET = frozenset({A, B, C})


def seeking(open: int = 4, *, listed: int = 0, absent: int = 3, maximum: int = 7, **goal: Any) -> Planner:
    """A planner (2, 3, 5, 6) of which some connections are with others than A, B and C."""
    plan = Planner(Goal(Bounds(2, 3, 5, 6), maximum=maximum, dial_all=False, **goal), PACING, random.Random(1))
    plan.listing(SET)
    plan.counted(open, listed=listed, others=open - listed, absent=absent)
    return plan


# The planner ---------------------------------------------------------------------------------------------------------


def test_planner_in_the_band_with_others_asks_for_peers_of_the_set_and_dials_up_to_the_lower_target() -> None:
    plan = seeking()
    assert steps(plan, 0.0) == [Ask(3, NOBODY, urgent=True, listed=True), Wait(None)]
    plan.candidates((A, B, C), None, 0.0)
    assert steps(plan, 0.0) == [Dial(A), Dial(B), Dial(C), Wait(None)]


def test_planner_with_enough_peers_of_the_set_rests_whoever_the_others_are() -> None:
    plan = seeking(6, listed=2, absent=1)
    assert steps(plan, 0.0) == [Done(in_band=True), Wait(120.0)]


def test_planner_that_is_connected_with_all_of_a_small_set_rests() -> None:
    plan = seeking(4, listed=1, absent=0)
    assert steps(plan, 0.0) == [Done(in_band=True), Wait(120.0)]


def test_planner_with_too_few_connections_asks_for_anybody_first() -> None:
    plan = seeking(1)
    assert steps(plan, 0.0) == [Ask(4, NOBODY, urgent=True), Wait(None)]


def test_planner_of_which_nobody_of_the_set_can_be_dialled_counts_the_others_and_seeks_more_and_more_rarely() -> None:
    plan, now, asked = seeking(), 0.0, list[float]()
    while now < 3000:
        step = plan.next(now)
        if isinstance(step, Ask):
            assert step.listed
            asked.append(now)
            plan.candidates((), None, now)
        elif isinstance(step, Done):
            assert step.in_band
        elif isinstance(step, Wait):
            now = floor_of(step)
    assert asked == pytest.approx([0.0, 5.0, 15.0, 35.0, 75.0, 155.0, 275.0, 395.0])
    plan.listing(SET - {A})
    assert not [step for step in steps(plan, now) if isinstance(step, Ask)]
    plan.listing(SET | {D})  # somebody new
    assert isinstance(steps(plan, now + 2)[-2], Ask)


def test_planner_whose_dials_of_the_set_fail_counts_the_others() -> None:
    plan = seeking()
    steps(plan, 0.0)
    plan.candidates((A,), None, 0.0)
    assert steps(plan, 0.0) == [Dial(A), Wait(None)]
    plan.dial_ended(A, FAILED, 1.0)
    again = floor_of(steps(plan, 1.0)[-1])
    assert steps(plan, again)[0] == Ask(3, frozenset({A}), urgent=True, listed=True)
    plan.candidates((), None, again)
    assert steps(plan, again) == [Done(in_band=True), Wait(again + 5.0)]


def test_planner_dials_a_peer_of_the_set_above_the_band_up_to_the_maximum() -> None:
    plan = seeking(6)
    steps(plan, 0.0)
    plan.candidates((A, B), None, 0.0)
    assert steps(plan, 0.0)[0] == Dial(A)


def test_planner_above_the_band_trims_others_first_and_waits_for_the_young_among_them() -> None:
    plan = seeking(7, listed=2, absent=1)
    assert steps(plan, 0.0) == [Trim(5, spare=True), Wait(None)]
    plan.trimmed(0, short=True, now=0.1, passing=True)
    assert steps(plan, 0.1) == [Done(in_band=False), Wait(5.1)]


def test_planner_above_the_band_that_cannot_close_others_closes_peers_of_the_set() -> None:
    plan = seeking(7, listed=6, absent=0)
    steps(plan, 0.0)
    plan.counted(6, listed=6, others=0)
    plan.trimmed(1, short=True, now=0.1)
    again = floor_of(steps(plan, 0.1)[-1])
    assert steps(plan, again) == [Trim(5), Wait(None)]  # down to where trims end
    plan.counted(5, listed=5)
    plan.trimmed(1, short=False, now=again)
    assert steps(plan, again)[0] == Done(in_band=True)


def test_planner_with_more_of_the_set_than_it_may_have_waits_for_no_stranger_to_age() -> None:
    plan = seeking(9, listed=7, absent=0, maximum=9)
    steps(plan, 0.0)
    plan.trimmed(0, short=True, now=0.1, passing=True)
    assert steps(plan, floor_of(steps(plan, 0.1)[-1])) == [Trim(5), Wait(None)]


def test_planner_that_can_trim_nobody_seeks_all_the_same() -> None:
    plan = seeking(7, maximum=8)
    assert steps(plan, 0.0) == [Trim(5, spare=True), Wait(None)]
    plan.trimmed(0, short=True, now=0.1, passing=True)
    assert steps(plan, 0.1) == [Ask(3, NOBODY, urgent=True, listed=True), Wait(None)]
    plan.candidates((A, B), None, 0.1)
    assert steps(plan, 0.1) == [Dial(A), Trim(6, spare=True), Wait(None)]


def test_planner_at_the_maximum_closes_one_other_for_each_peer_of_the_set() -> None:
    plan = Planner(Goal(Bounds(2, 2, 2, 2), maximum=2, dial_all=False), PACING, random.Random(1))
    plan.listing(SET)
    plan.counted(2, listed=0, others=2, absent=3)
    steps(plan, 0.0)
    plan.candidates((A, B), None, 0.0)
    assert steps(plan, 0.0) == [Trim(1, spare=True), Wait(None)]
    plan.counted(1, listed=0, others=1, absent=3)
    plan.trimmed(1, short=False, now=0.1)
    assert steps(plan, 0.1) == [Dial(A), Trim(0, spare=True), Wait(None)]


def test_planner_at_the_maximum_that_can_close_nobody_ends_the_repair() -> None:
    plan = Planner(Goal(Bounds(1, 1, 1, 1), maximum=1, dial_all=False), PACING, random.Random(1))
    plan.listing(SET)
    plan.counted(1, listed=0, others=1, absent=3)
    steps(plan, 0.0)
    plan.candidates((A,), None, 0.0)
    assert steps(plan, 0.0) == [Trim(0, spare=True), Wait(None)]
    plan.trimmed(0, short=True, now=0.1)
    assert steps(plan, 0.1) == [Done(in_band=True), Wait(5.1)]


@pytest.mark.parametrize(("open", "dialled"), [(6, True), (7, False)])
def test_planner_dials_a_wanted_peer_of_the_set_in_the_place_of_others(open: int, dialled: bool) -> None:
    plan = seeking(open, trims=False)
    steps(plan, 0.0)
    plan.candidates((), None, 0.0)
    steps(plan, 0.0)
    plan.wanted(A)
    assert (Dial(A) in steps(plan, 2.0)) is dialled


def test_planner_full_of_others_closes_one_for_a_wanted_peer_of_the_set() -> None:
    plan = Planner(Goal(Bounds(0, 0, 1, 1), maximum=1, dial_all=False), PACING, random.Random(1))
    plan.listing(SET)
    plan.counted(1, listed=0, others=1, absent=3)
    steps(plan, 0.0)
    plan.wanted(D)  # nobody of the set
    assert steps(plan, 2.0)[0] == Done(in_band=True)
    plan.wanted(A)
    assert steps(plan, 4.0) == [Trim(0, spare=True), Wait(None)]
    plan.counted(0, absent=3)
    plan.trimmed(1, short=False, now=4.1)
    assert steps(plan, 4.1)[0] == Dial(A)


def test_planner_whose_peer_of_the_set_gives_it_up_soon_does_not_call_on_it_at_once() -> None:
    plan = seeking(4)
    steps(plan, 0.0)
    plan.candidates((A,), None, 0.0)
    steps(plan, 0.0)
    plan.dial_ended(A, OPENED, 0.1)
    plan.counted(6, listed=3, others=3, absent=0)
    assert steps(plan, 2.0)[0] == Done(in_band=True)
    plan.lost(A, 3.0, broken=False)
    plan.counted(4, listed=0, others=4, absent=3)
    assert steps(plan, 3.0) == [Done(in_band=True), Wait(5.0)]


@pytest.mark.parametrize("liar", ["severs", "severs later", "says it is replaced", "fails", "refuses"])
def test_planner_at_the_maximum_makes_room_ever_more_rarely_for_wanted_peers_that_do_not_stay(liar: str) -> None:
    trims = trims_for_wanted_peers(liar)
    gaps = [later - sooner for sooner, later in itertools.pairwise(trims)]
    waits = [5.0, 10.0, 20.0, 40.0, 80.0] + [120.0] * len(gaps)
    assert [gap for gap, wait in zip(gaps, waits, strict=False) if gap < wait] == []
    assert 10 <= len(trims) <= 15  # it never gives up


def trims_for_wanted_peers(liar: str) -> list[float]:
    """When room was made in 20 minutes in which A is wanted every 10 s; a stranger takes the place again each time."""
    plan = Planner(Goal(Bounds(0, 0, 1, 1), maximum=1, dial_all=False), PACING, random.Random(1))
    plan.listing(SET)
    trims: list[float] = []
    lost_at = math.inf
    for second in range(1200):
        now = float(second)
        if now >= lost_at:
            plan.lost(A, now, broken=liar != "says it is replaced")
            lost_at = math.inf
        if lost_at == math.inf:
            plan.counted(1, listed=0, others=1, absent=3)
        if second % 10 == 0:
            plan.wanted(A)
        if Trim(0, spare=True) not in steps(plan, now):
            continue
        trims.append(now)
        plan.counted(0, absent=3)
        plan.trimmed(1, short=False, now=now)
        assert steps(plan, now)[0] == Dial(A)
        ends = {"fails": FAILED, "refuses": REFUSED}
        plan.dial_ended(A, ends.get(liar, OPENED), now)
        if liar not in ends:
            plan.found(A, now)
            plan.counted(1, listed=1, absent=2)
            lost_at = now + (6 if liar == "severs later" else 1)
    return trims


def test_planner_of_policy_all_never_seeks() -> None:
    plan = planner(every=True)
    plan.listing(SET)
    plan.counted(4, listed=0, others=4, absent=3)
    assert steps(plan, 0.0) == [Ask(3, NOBODY, urgent=False), Wait(None)]


# When ----------------------------------------------------------------------------------------------------------------


def test_seek_that_found_enough_for_the_idle_time_begins_again_at_the_first_pace() -> None:
    seek = Seek(PACING)
    for now in (0.0, 5.0, 15.0):
        assert seek.next_at <= now
        seek.began(now)
    seek.see(True, 20.0)
    seek.see(False, 139.0)
    assert seek.next_at == 35.0
    seek.see(True, 140.0)
    seek.see(False, 261.0)
    assert seek.next_at == -math.inf
    seek.began(261.0)
    assert seek.next_at == 266.0


def test_seek_ends_after_some_tries() -> None:
    seek = Seek(PACING)
    for number in range(TRIES):
        assert seek.next_at < math.inf
        seek.began(1000.0 * number)
        seek.ended(1000.0 * number)
    assert seek.next_at == math.inf
    seek.start_over()
    assert seek.next_at == -math.inf


def let_in(room: Room, peer: PeerId, now: float) -> None:
    room.made(now)
    room.dialled(peer, now)
    room.found(peer, now)


def test_room_is_made_at_once_for_each_of_several_peers_that_stay() -> None:
    room = Room(PACING)
    for peer in (A, B, C):
        assert room.is_due(0.0)
        let_in(room, peer, 0.0)
    room.lost(A, 120.0)
    assert room.is_due(120.0)


def test_room_is_made_at_once_again_when_a_peer_that_got_some_stayed_for_the_idle_time_not_sooner() -> None:
    room = Room(PACING)
    let_in(room, A, 0.0)
    room.lost(A, 0.0)
    assert (room.is_due(4.9), room.is_due(5.0)) == (False, True)
    let_in(room, B, 5.0)
    assert (room.is_due(9.9), room.is_due(10.0)) == (False, True)  # B may still go
    let_in(room, C, 124.9)
    assert (room.is_due(124.9), room.is_due(125.0)) == (False, True)


def test_room_that_several_leave_at_once_waits_as_for_one() -> None:
    room = Room(PACING)
    for peer in (A, B, C):
        let_in(room, peer, 0.0)
    for peer in (A, B, C):
        room.lost(peer, 1.0)
    assert (room.is_due(5.9), room.is_due(6.0)) == (False, True)


def test_room_that_nobody_was_dialled_into_or_whose_link_was_never_told_of_is_wasted() -> None:
    room = Room(PACING)
    room.made(0.0)
    room.unused(0.0)
    assert (room.is_due(4.9), room.is_due(5.0)) == (False, True)
    for _ in range(2):
        room.made(5.0)
        room.dialled(A, 5.0)
    assert (room.is_due(14.9), room.is_due(15.0)) == (False, True)


def test_room_remembers_a_limited_number_of_peers() -> None:
    room = Room(PACING)
    for number in range(MOST + 1):
        let_in(room, PeerId(number.to_bytes(32)), 0.0)
    room.lost(PeerId(bytes(32)), 1.0)  # forgotten
    assert room.is_due(1.0)
    room.lost(PeerId((1).to_bytes(32)), 1.0)
    assert not room.is_due(1.0)


# The engine ----------------------------------------------------------------------------------------------------------

NARROW = maintenance.Config(min_connections=1, expected_connections=1, max_connections=8)


class Around(Neighbours):
    """The tracker has a set, and offers only whom it was asked for."""

    index = 0

    def listing(self, *primary: PeerId, secondary: tuple[PeerId, ...] = ()) -> None:
        self.index += 1
        latest = PeerSet.of(primary, secondary)
        self.upkeep.tell(tracker.PeerSetUpdate(self.index, latest, latest))
        self.simulation.settle()

    def connect(self, *peers: PeerId) -> None:
        for peer in peers:
            self.upkeep.tell(connections.PeerConnected(peer))
        self.count(len(peers))

    def candidates(self, message: tracker.Dialable) -> tracker.Candidates:
        self.asked.append(message)
        free = (peer for peer in self.dialable if peer not in message.exclude)
        asked_for = [peer for peer in free if message.among is None or peer in message.among]
        return tracker.Candidates(tuple(asked_for[: message.limit]), None)


def test_maintenance_connected_with_strangers_alone_dials_a_peer_of_the_set(simulation: Any) -> None:
    around = Around(simulation, NARROW)
    bob, carol, dave = simulation.peers("bob", "carol", "dave")
    around.dialable = (carol, bob)
    around.connect(dave)
    around.upkeep.activate()
    asked = len(around.asked)
    simulation.run(for_=200)
    assert len(around.asked) - asked <= 1  # without a set everybody counts
    around.listing(bob)
    simulation.run(for_=3)
    assert around.asked[-1].among == frozenset({bob})
    assert around.dials.waiting == [tracker.Dial(bob)]


@pytest.mark.parametrize(("secondary", "asks"), [(True, False), (False, True)])
def test_maintenance_counts_secondary_peers_where_they_are_asked_for_data(
    simulation: Any, secondary: bool, asks: bool
) -> None:
    around = Around(simulation, NARROW, secondary=secondary)
    bob, carol = simulation.peers("bob", "carol")
    around.upkeep.activate()
    around.listing(bob, secondary=(carol,))
    around.connect(carol)
    around.asked.clear()
    simulation.run(for_=3)
    assert bool(around.asked) is asks


def test_maintenance_trims_strangers_and_spares_the_set(simulation: Any) -> None:
    around = Around(simulation, NARROW)
    trims = around.conns.control.hold(connections.Trim)
    peers = simulation.peers(*(f"peer-{number}" for number in range(7)))
    around.upkeep.activate()
    around.listing(peers[0])
    around.connect(*peers)
    simulation.run(for_=2)
    assert trims.waiting == [connections.Trim(4, spare=frozenset({peers[0]}))]


def test_maintenance_that_seeks_or_makes_room_with_the_right_number_tells_no_event(simulation: Any) -> None:
    around = Around(simulation, maintenance.Config(min_connections=1, expected_connections=1, max_connections=1))
    trims: list[connections.Trim] = []

    def trim(message: connections.Trim) -> connections.TrimReport:
        trims.append(message)
        return connections.TrimReport(closed=(), short_by=1)

    around.conns.control.answer(connections.Trim, trim)
    bob, carol = simulation.peers("bob", "carol")
    around.dialable = (bob,)
    around.connect(carol)
    around.upkeep.activate()
    around.listing(bob)
    simulation.run(for_=100)
    assert around.asked[-1].among == frozenset({bob})
    assert set(trims) == {connections.Trim(0, spare=frozenset({bob}))}
    assert around.events() == []


def test_maintenance_told_the_same_set_again_does_nothing(simulation: Any) -> None:
    around = Around(simulation, NARROW)
    bob, carol = simulation.peers("bob", "carol")
    around.upkeep.activate()
    around.listing(bob)
    around.connect(carol)
    simulation.run(for_=2000)
    asked = len(around.asked)
    around.listing(bob)
    simulation.run(for_=2000)
    assert len(around.asked) == asked
    around.listing(bob, carol)
    around.upkeep.tell(connections.PeerDisconnected(carol, Reason.LOST))
    around.count(0)
    simulation.run(for_=3)
    assert len(around.asked) > asked
