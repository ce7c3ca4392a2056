"""How many members there may be: of one introducer, of one subnet and in all, and who goes for whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rookery.actors import membership
from rookery.actors.membership import MemberDown, MemberUp
from rookery.actors.membership.core.envelope import Envelope
from rookery.actors.membership.core.newcomers import PER_INTRODUCER

from .worlds import CONFIG, Gossip, State, World, ghosts


def full(config: membership.Config, members: int) -> membership.Config:
    """As `config`, of a node that holds so many members."""

    class Few(membership.Config):
        @property
        def protocol(self) -> Any:
            return replace(super().protocol, max_members=members)

    return Few(cluster_size=config.cluster_size)


def test_oldest_unproved_member_of_an_introducer_goes_first_and_no_proved_one(world: World) -> None:
    names = ghosts(PER_INTRODUCER)
    world.join().meet("bob", "carol").introduce("carol", "dave")
    world.introduce("bob", "erin")
    world.meet("erin")  # answers, so it counts no more
    world.introduce("bob", *names[:-1])
    world.simulation.run(for_=3)  # some turns are there again
    world.meet("bob", "carol", "erin")
    world.introduce("bob", "ghost 98", "ghost 99")
    visible = world.visible()
    assert world.peer("ghost 0") not in visible
    for name in ("bob", "carol", "dave", "erin", "ghost 1", "ghost 99"):
        assert world.peer(name) in visible, name
    assert MemberDown(world.peer("ghost 0")) in world.heard()
    assert world.newcomers("pushed_out") == 1


def test_introducer_brings_no_more_than_its_pace_allows(world: World) -> None:
    """Each is an address that this node would probe and dial."""
    world.join().meet("bob")
    for begin in range(0, 620, 31):
        world.introduce("bob", *ghosts(31, begin))
    assert len([event for event in world.heard() if isinstance(event, MemberUp)]) == 1 + PER_INTRODUCER
    assert world.newcomers("too_many") > 0
    assert world.metric("records_total", "over_limit") > 0
    world.simulation.run(for_=10)
    world.meet("bob")
    world.introduce("bob", *ghosts(31, 1000))
    ups = len([event for event in world.heard() if isinstance(event, MemberUp)])
    assert ups <= 1 + PER_INTRODUCER + 1 + 10 * PER_INTRODUCER // 60


def test_real_newcomer_is_tracked_although_a_liar_has_filled_its_share(world: World) -> None:
    world.join().meet("bob").introduce("bob", *ghosts(300))
    world.meet("carol")
    world.simulation.run(for_=1)
    listed = world.tracked[-1].peers.primary
    assert world.peer("carol") in listed
    assert len(listed) == 2 + PER_INTRODUCER


def test_member_that_was_pushed_out_and_shows_itself_is_a_member_again(world: World) -> None:
    world.join().meet("bob").introduce("bob", *ghosts(PER_INTRODUCER))
    world.simulation.run(for_=3)
    world.meet("bob").introduce("bob", "ghost 99")
    assert world.peer("ghost 0") not in world.visible()
    world.meet("ghost 0")
    assert world.peer("ghost 0") in world.visible()


def test_unproved_member_makes_room_for_one_that_shows_itself_where_no_more_are_held(simulation: Any) -> None:
    config = full(CONFIG, 4)
    world = World(simulation, config)
    world.join().meet("bob", "carol").introduce("bob", "dave", "erin")
    world.introduce("bob", "ghost 1")  # refused: nobody goes for an unproved one
    assert world.peer("ghost 1") not in world.visible()
    world.meet("frank")
    assert set(world.visible()) == {world.peer(name) for name in ("bob", "carol", "erin", "frank")}


@pytest.mark.parametrize("told_by", ["dave", "bob"])
def test_newcomer_takes_the_place_of_who_is_dead_for_the_longest_time_which_is_forgotten_altogether(
    simulation: Any, told_by: str
) -> None:
    world = World(simulation, full(CONFIG, 3))
    world.join().meet("bob", "carol", "erin")
    for name, seconds in (("carol", 30), ("erin", 61)):
        world.packet(name, Gossip(), world.left(name))
        for _ in range(seconds):
            world.simulation.run(for_=1)
            world.meet("bob", "erin")
    world.introduce(told_by, "dave")
    if told_by == "bob":  # it is unproved, and takes a place when it answers
        assert world.peer("dave") in world.visible()
        world.meet("dave")
    world.simulation.run(for_=0.1)
    infos = {info.peer: info.state for info in world.members.members().get(timeout=1).others}
    assert infos == {world.peer("bob"): State.ALIVE, world.peer("erin"): State.LEFT, world.peer("dave"): State.ALIVE}
    before = len(world.sent("bob"))
    world.packet("bob", wanted=("carol", "dave"))
    assert world.sent("bob")[before:] == [Envelope(records=(world.record("dave").encode(),))]


def test_newcomer_finds_no_place_where_all_are_alive_or_have_died_just_now(simulation: Any) -> None:
    world = World(simulation, full(CONFIG, 2))
    world.join().meet("bob", "carol").packet("carol", Gossip(), world.left("carol"))
    world.simulation.run(for_=3)
    world.meet("bob").introduce("bob", "dave").meet("dave")
    assert world.peer("dave") not in world.visible()
    assert world.newcomers("too_many") == 1


def test_subnet_has_a_share_of_the_unproved_where_room_is_scarce(simulation: Any) -> None:
    """All the records of this world are in 10.0.0.0/24."""
    world = World(simulation, full(CONFIG, 100))
    world.join().meet("bob", "carol").introduce("bob", *ghosts(64)).introduce("carol", *ghosts(30, 100))
    assert world.metric("unproved_members") == 64
    assert world.newcomers("pushed_out") == 30


def test_subnet_has_no_share_where_there_is_room(simulation: Any) -> None:
    world = World(simulation, full(CONFIG, 1000))
    world.join().meet("bob", "carol").introduce("bob", *ghosts(64)).introduce("carol", *ghosts(30, 100))
    assert world.metric("unproved_members") == 94
