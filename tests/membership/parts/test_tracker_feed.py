"""From members to the tracker's peer sets (flows: membership change)."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.actors import membership, tracker
from rookery.actors.membership import MembersLeftOut
from rookery.actors.membership.swim import State
from rookery.actors.membership.swim.messages import Ping
from rookery.actors.tracker.errors import NotInEffect, PeerSetTooLarge, SourceIsStatic, StaleSetId
from rookery.runtime import MailboxFull
from rookery.transport import PeerId
from rookery.transport import mailbox as transport

from ..worlds import Gossip, Member, World


def names(track: tracker.Track, world: World, *known: str) -> set[str]:
    assert not track.peers.secondary
    return {name for name in known if world.peer(name) in track.peers.primary}


def answer(world: World, answers: list[Exception | None]) -> list[int]:
    """The tracker answers these, one after the other; the ids it was asked to track."""
    asked: list[int] = []

    def track(message: tracker.Track) -> Exception | None:
        asked.append(message.id)
        return answers.pop(0)

    world.peers.control.answer(tracker.Track, track)
    return asked


def test_members_become_the_first_peer_set_after_a_time_without_changes(world: World) -> None:
    world.join().meet("bob", "carol")
    world.simulation.run(for_=0.249)
    assert world.tracked == []
    world.simulation.run(for_=0.002)
    (track,) = world.tracked
    bob, carol = world.record("bob"), world.record("carol")
    assert track == tracker.Track(1, tracker.TrackedPeers({bob.peer: bob, carol.peer: carol}))


def test_nobody_is_tracked_before_the_first_member(world: World) -> None:
    world.join("bob")
    world.simulation.run(for_=10)
    assert world.tracked == []


def test_change_before_the_set_is_due_starts_the_delay_again(world: World) -> None:
    world.join().meet("bob")
    world.simulation.run(for_=0.2)
    world.meet("carol")
    world.simulation.run(for_=0.2)
    assert world.tracked == []
    world.simulation.run(for_=0.1)
    assert len(world.tracked) == 1


def test_restless_members_are_tracked_a_second_after_the_first_change(world: World) -> None:
    world.join()
    for number in range(20):
        world.meet(f"peer {number}")
        world.simulation.run(for_=0.15)
        if number == 5:
            assert world.tracked == []
    assert [len(track.peers.primary) for track in world.tracked] == [7, 14]


def takes(world: World, limit: int) -> list[set[PeerId]]:
    """The tracker takes so many peers, this node included; the sets that it took."""
    taken: list[set[PeerId]] = []

    def track(message: tracker.Track) -> Exception | None:
        size = message.peers.size(world.me.peer)
        if size > limit:
            return PeerSetTooLarge(size, limit)
        taken.append({*message.peers.primary, *message.peers.secondary})
        return None

    world.peers.control.answer(tracker.Track, track)
    return taken


def test_set_that_is_too_large_is_sent_again_with_those_known_longest(world: World) -> None:
    taken = takes(world, 3)
    world.join().meet("bob", "carol", "dave", "erin")
    world.simulation.run(for_=0.5)
    assert taken == [{world.peer("bob"), world.peer("carol")}]
    assert world.peers.control.received(tracker.Hint) == []  # not the records of the others either


def test_record_of_a_member_that_is_left_out_is_not_hinted(world: World) -> None:
    takes(world, 3)
    world.join().meet("bob", "carol", "dave")
    world.simulation.run(for_=1)
    world.introduce("bob", "erin")
    world.simulation.run(for_=1)
    assert world.peers.control.received(tracker.Hint) == []


def test_member_that_answers_is_tracked_in_place_of_invented_ones(world: World) -> None:
    taken = takes(world, 3)
    world.join().meet("bob").introduce("bob", "ghost 1", "ghost 2", "ghost 3", "carol")
    world.simulation.run(for_=0.5)
    assert taken == [{world.peer("bob"), world.peer("ghost 1")}]
    world.meet("carol")
    world.simulation.run(for_=0.5)
    assert taken[1:] == [{world.peer("bob"), world.peer("carol")}]


def test_member_that_connects_is_tracked_in_place_of_invented_ones(world: World) -> None:
    taken = takes(world, 3)
    world.join().meet("bob").introduce("bob", "ghost 1", "carol")
    world.simulation.run(for_=0.5)
    world.open("carol")
    world.simulation.run(for_=0.5)
    assert taken[-1] == {world.peer("bob"), world.peer("carol")}


def test_number_of_members_left_out_is_told_once_for_each_change(world: World) -> None:
    takes(world, 3)
    world.join().meet("bob", "carol", "dave")
    world.simulation.run(for_=1)
    link = world.simulation.known.life("bob").link(1)
    world.packet("bob", Gossip(), Member(world.id("bob"), 1, State.ALIVE, (), link))  # nothing changes for the tracker
    world.meet("erin")
    world.simulation.run(for_=1)
    assert world.metric("left_out") == 2
    world.packet("bob", Gossip(), world.left("erin"), world.left("dave"))
    world.simulation.run(for_=1)
    told = [event for event in world.heard() if isinstance(event, MembersLeftOut)]
    assert told == [MembersLeftOut(1, 3), MembersLeftOut(2, 3), MembersLeftOut(0, 3)]


def test_tracker_that_calls_a_set_of_the_size_it_allows_too_large_is_not_asked_again_and_again(world: World) -> None:
    asked = answer(world, [PeerSetTooLarge(3, 2), PeerSetTooLarge(2, 2)])
    world.join().meet("bob", "carol")
    world.simulation.run(for_=1)
    assert asked == [1, 2]


def test_dead_member_is_not_in_the_next_set(world: World) -> None:
    world.join().meet("bob", "carol").packet("bob", Gossip(), world.left("carol"))
    world.simulation.run(for_=1)
    assert names(world.tracked[-1], world, "bob", "carol") == {"bob"}


def test_last_dead_member_leaves_an_empty_set(world: World) -> None:
    world.join().meet("bob")
    world.simulation.run(for_=30)
    assert [names(track, world, "bob") for track in world.tracked] == [{"bob"}, set()]


def test_member_that_moved_is_tracked_at_its_new_address(world: World) -> None:
    world.join().meet("bob")
    world.simulation.run(for_=1)
    moved = world.simulation.known.record("bob", "tcp://10.9.9.9:7000", generation=2)
    world.packet("bob", Gossip(), records=[moved], generation=2)
    world.simulation.run(for_=1)
    assert [track.peers.primary[world.peer("bob")] for track in world.tracked] == [world.record("bob"), moved]


@pytest.mark.parametrize("how", ["packet", "link"])
def test_member_that_shows_another_record_of_its_generation_is_tracked_and_answered_where_that_says(
    world: World, how: str
) -> None:
    world.join().meet("bob")
    world.simulation.run(for_=1)
    moved = world.simulation.known.record("bob", "tcp://10.9.9.9:7000")
    assert moved.generation == world.record("bob").generation
    if how == "packet":
        world.packet("bob", Gossip(), records=[moved])
    else:
        world.open("bob", moved)
    world.simulation.run(for_=1)
    assert [track.peers.primary[world.peer("bob")] for track in world.tracked] == [world.record("bob"), moved]
    before = len(world.net.control.received(transport.SendPacket))
    world.packet("bob", Ping(1), records=())
    sent = world.net.control.received(transport.SendPacket)[before:]
    assert {(packet.peer, packet.address) for packet in sent} == {(moved.peer, moved.address)}


def test_record_of_the_generation_that_is_held_moves_nobody_if_somebody_else_passes_it_on(world: World) -> None:
    world.join().meet("bob", "carol")
    moved = world.simulation.known.record("bob", "tcp://10.9.9.9:7000")
    world.packet("carol", Gossip(), records=[moved])
    world.simulation.run(for_=1)
    assert world.tracked[-1].peers.primary[world.peer("bob")] == world.record("bob")


def test_member_with_a_new_record_of_the_same_content_makes_no_other_set(world: World) -> None:
    world.join().meet("bob")
    world.simulation.run(for_=1)
    bob = world.record("bob")
    newer = world.simulation.known.record("bob", str(bob.address), generation=2)
    world.packet("bob", Gossip(), records=[newer], generation=2)
    world.simulation.run(for_=1)
    assert [hint.records for hint in world.peers.control.received(tracker.Hint)] == [(newer,)]
    assert len(world.tracked) == 1
    world.meet("carol")
    world.simulation.run(for_=1)
    assert [track.id for track in world.tracked] == [1, 2]


def test_stale_set_id_is_answered_with_the_newest_and_one(world: World) -> None:
    asked = answer(world, [StaleSetId(1, 41), None, None])
    world.join().meet("bob")
    world.simulation.run(for_=0.3)
    assert asked == [1, 42]
    world.meet("carol")
    world.simulation.run(for_=0.3)
    assert asked == [1, 42, 43]


@pytest.mark.parametrize("error", [NotInEffect("late"), SourceIsStatic("static")])
def test_set_that_was_answered_with_a_final_error_is_not_sent_again(world: World, error: Exception) -> None:
    asked = answer(world, [error])
    world.join().meet("bob")
    world.simulation.run(for_=1.5)
    assert asked == [1]
    assert world.metric("peer_sets_total", type(error).__name__) == 1


def test_set_without_an_answer_is_sent_again(world: World) -> None:
    asked = answer(world, [MailboxFull("full"), None])
    world.join().meet("bob")
    world.simulation.run(for_=1.5)
    assert asked == [1, 2]


def test_change_while_a_set_is_under_way_makes_another_one_afterwards(world: World) -> None:
    held = world.peers.control.hold(tracker.Track)
    world.join().meet("bob")
    world.simulation.run(for_=0.5)
    world.meet("carol")
    world.simulation.run(for_=0.5)
    (first,) = held.waiting
    held.pop(id=1).set(None)
    world.simulation.settle()
    (second,) = held.waiting
    assert [len(track.peers.primary) for track in (first, second)] == [1, 2]


def test_membership_that_does_not_feed_the_tracker_leaves_it_alone(simulation: Any) -> None:
    world = World(simulation, membership.Config(cluster_size=5, feeds_tracker=False)).join().meet("bob")
    simulation.run(for_=30)
    assert (world.tracked, world.peers.control.received(tracker.Hint)) == ([], [])


def test_member_with_the_role_secondary_is_tracked_as_secondary(world: World) -> None:
    world.join().meet("bob")
    carol = world.tagged("carol", {"role": "secondary"})
    world.packet("carol", Gossip(), records=[carol])
    world.simulation.run(for_=0.3)
    bob = world.record("bob")
    assert world.tracked[-1].peers == tracker.TrackedPeers({bob.peer: bob}, {carol.peer: carol})


def test_member_that_changes_its_role_is_tracked_anew(world: World) -> None:
    world.join().meet("carol")
    world.simulation.run(for_=0.3)
    carol = world.tagged("carol", {"role": "secondary"}, generation=2)
    world.packet("carol", Gossip(), records=[carol], generation=2)
    world.simulation.run(for_=0.3)
    assert [set(track.peers.secondary) for track in world.tracked] == [set(), {carol.peer}]
