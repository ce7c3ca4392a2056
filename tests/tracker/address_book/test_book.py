"""The tracker and its address book, in simulated time: what survives a restart."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import tracker
from rookery.actors.tracker.address_book.book import FLUSH_AFTER, READ_SLICE, WRITE_COST
from rookery.actors.tracker.address_book.storage import Batch
from rookery.runtime.simulation import WALL_AT_START
from rookery.transport import mailbox as transport
from rookery.transport.gatekeeper import Direction, Link, Role
from rookery.transport.identity import curve_key
from rookery.transport.reasons import Reason
from tests.tracker.address_book.books import entry
from tests.tracker.address_book.disk import ADA, BOB, A, B, World, dialable, hint


@pytest.fixture
def world(simulation: Any) -> World:
    return World(simulation)


# what survives


def test_P15_what_a_node_has_learned_is_stored_while_it_runs(world: World) -> None:
    mine = world.start()
    hint(world, mine, "ada", "bob")
    assert world.disk.entries == {}
    world.simulation.run(for_=FLUSH_AFTER + 0.1)
    assert set(world.disk.entries) == {ADA, BOB}
    mine = world.restart()
    world.simulation.run(for_=0.1)
    assert dialable(mine) == {ADA, BOB}


def test_node_that_is_stopped_in_order_loses_nothing(world: World) -> None:
    hint(world, world.start(), "ada")
    world.node.stop()
    assert set(world.disk.entries) == {ADA}
    assert world.disk.closed


def test_node_that_is_stopped_while_it_writes_loses_nothing(world: World) -> None:
    hint(world, world.start(), "ada")
    world.simulation.run(for_=FLUSH_AFTER + WRITE_COST / 2)
    assert world.disk.entries == {}
    world.node.stop()
    assert set(world.disk.entries) == {ADA}


def test_blocks_that_come_from_the_book_are_told_to_who_subscribes_and_are_not_written_again(world: World) -> None:
    world.start().block(ADA, 100.0).get(timeout=1)
    world.disk.batches.clear()
    mine = world.restart()
    told = world.simulation.mock(runtime.Mailbox, "told")
    mine.subscribe(told, tracker.PeerBlocked)
    world.simulation.run(for_=5)
    assert told.control.received() == [tracker.PeerBlocked(ADA, WALL_AT_START + 100)]
    assert world.disk.batches == []


def test_blocks_are_in_the_first_gate_of_a_restarted_node_and_end_when_they_should(world: World) -> None:
    world.start().block(ADA, 100.0).get(timeout=1)
    world.simulation.run(for_=60)
    world.restart()
    assert world.gates[0].blocked == {curve_key(ADA)}
    world.simulation.run(for_=39)
    assert world.gates[-1].blocked == {curve_key(ADA)}
    world.simulation.run(for_=2)
    assert world.gates[-1].blocked == frozenset()
    assert world.heard() == [tracker.PeerUnblocked(ADA)]
    world.simulation.run(for_=1)
    assert world.disk.blocks == {}


def test_block_whose_time_was_over_while_the_node_was_down_is_gone(world: World) -> None:
    world.start().block(ADA, 100.0).get(timeout=1)
    world.node.crash()
    world.simulation.run(for_=200)
    world.restart()
    assert world.gates[-1].blocked == frozenset()
    world.simulation.run(for_=1)
    assert world.disk.blocks == {}


def test_block_for_good_is_stored_for_good(world: World) -> None:
    world.start().block(ADA, math.inf).get(timeout=1)
    world.simulation.run(for_=1e7)
    world.restart()
    assert world.gates[0].blocked == {curve_key(ADA)}


def test_trust_given_and_taken_by_hand_survives_and_agreeing_with_the_configuration_again_leaves_no_trace(
    world: World,
) -> None:
    mine = world.start(trusted=(BOB,), admission="private")
    assert mine.trust(ADA).get(timeout=1)
    assert mine.distrust(BOB).get(timeout=1)
    assert world.disk.trust == {ADA: True, BOB: False}
    mine = world.restart(trusted=(BOB,), admission="private")
    assert world.gates[0].packets == frozenset({curve_key(ADA)})
    mine.distrust(ADA).get(timeout=1)
    mine.trust(BOB).get(timeout=1)
    assert world.disk.trust == {}


def test_backoff_survives_a_restart_and_goes_on_growing(world: World) -> None:
    mine = world.start()
    hint(world, mine, "ada")
    delays = []
    for _ in range(2):
        for _ in range(5):
            world.simulation.run(for_=60)
            reply = mine.dial(ADA)
            world.simulation.settle()
            ticket = world.net.control.received(transport.Dial)[-1].ticket
            mine.released(ticket, Reason.TIMEOUT)
            assert isinstance(reply.get(timeout=1), tracker.Failed)
        world.simulation.run(for_=1)
        stored = world.disk.entries[ADA]
        assert stored.failed_at == stored.missed_at == pytest.approx(world.node.wall() - 1, abs=0.1)
        delays.append(stored.delay)
        mine = world.restart()
    assert delays == [pytest.approx(1.2**4), pytest.approx(1.2**9)]


def test_peer_that_was_connected_is_stored_as_seen(world: World) -> None:
    mine = world.start()
    hint(world, mine, "ada")
    mine.dial(ADA)
    world.simulation.run(for_=10)
    link = Link(1, ADA, Direction.OUT, Role.PRIMARY, "10.0.0.1", 0.0, world.simulation.known.record("ada"))
    mine.tell(transport.Opened(link))
    world.simulation.run(for_=1)
    assert world.disk.entries[ADA].seen_at == WALL_AT_START + 10


def test_peer_that_is_forgotten_is_forgotten_on_disk(world: World) -> None:
    mine = world.start()
    mine.track(1, {ADA: A}).get(timeout=1)
    world.simulation.run(for_=1)
    assert set(world.disk.entries) == {ADA}
    for id in range(2, 7):
        mine.track(id, {BOB: B}).get(timeout=1)
    world.simulation.run(for_=1)
    assert set(world.disk.entries) == {BOB}


def test_book_larger_than_the_bound_is_collected(world: World) -> None:
    hint(world, world.start(), *(f"peer {number}" for number in range(40)))
    world.simulation.run(for_=1)
    assert len(world.disk.entries) == 40
    mine = world.restart(max_hinted_peers=10)
    world.simulation.run(for_=2)
    assert len(dialable(mine)) == 10
    assert len(world.disk.entries) == 10
    assert world.metric("tracker_book_read_total", "dropped") == 30


def test_many_peers_are_taken_in_by_slices_and_written_by_none(world: World) -> None:
    count = 5 * READ_SLICE + 1
    world.disk.write(Batch(peers=tuple(entry(f"peer {number}", missed_at=None) for number in range(count))))
    world.disk.batches.clear()
    mine = world.start()
    assert dialable(mine) == set()
    world.simulation.run(for_=200)
    assert len(mine.known().get(timeout=1)) == count
    assert world.metric("tracker_book_read_total", "kept") == count
    assert world.disk.batches == []


def test_changes_while_the_book_is_read_are_not_undone_by_it(world: World) -> None:
    world.disk.write(Batch(peers=(entry("ada"), entry("bob"))))
    mine = world.start()
    mine.track(1, {ADA: B}).get(timeout=1)
    world.simulation.run(for_=1)
    assert world.disk.entries[ADA].address == B
    assert mine.peer_set(1).get(timeout=1) == tracker.PeerSet((ADA,))


def test_tracker_without_a_storage_keeps_nothing_and_answers_as_ever(world: World) -> None:
    world.disk = None  # type: ignore[assignment]
    mine = world.start()
    assert mine.block(ADA, 100.0).get(timeout=1).until == WALL_AT_START + 100
    world.restart()
    assert world.gates[0].blocked == frozenset()
