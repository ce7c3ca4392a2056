"""The tracker and its address book: what is answered when the disk fails, and clocks that are set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery.actors.tracker import BookFailed, BookRecovered, NotStored
from rookery.actors.tracker.address_book.storage import Batch
from rookery.runtime.simulation import WALL_AT_START
from rookery.transport.identity import curve_key
from tests.tracker.address_book.books import entry, peer
from tests.tracker.address_book.disk import ADA, BOB, CAROL, A, World, dialable, hint


@pytest.fixture
def world(simulation: Any) -> World:
    return World(simulation)


# answers


def test_block_is_answered_only_when_it_is_stored(world: World) -> None:
    mine = world.start()
    reply = mine.block(ADA, 100.0)
    world.simulation.settle()
    assert world.gates[-1].blocked == {curve_key(ADA)}  # memory first
    assert not reply.done
    reply.get(timeout=1)
    assert set(world.disk.blocks) == {str(ADA)}
    assert world.disk.batches[-1].durable


def test_C28_blocks_and_unblocks_at_once_leave_store_and_memory_alike(world: World) -> None:
    mine = world.start()
    replies = [
        mine.block(ADA, 100.0),
        mine.unblock(ADA),
        mine.block(BOB, 50.0),
        mine.block(ADA, 7.0),
        mine.unblock(BOB),
    ]
    for reply in replies:
        reply.get(timeout=1)
    assert set(world.disk.blocks) == {str(ADA)}
    assert world.disk.blocks[str(ADA)].until == WALL_AT_START + 7.0
    assert world.gates[-1].blocked == {curve_key(ADA)}


def test_block_that_cannot_be_stored_fails_is_in_force_and_is_stored_later(world: World) -> None:
    mine = world.start()
    world.disk.broken = {"write"}
    with pytest.raises(NotStored, match="in force, but not stored, .*: the disk cannot write"):
        mine.block(ADA, 100.0).get(timeout=1)
    assert world.gates[-1].blocked == {curve_key(ADA)}
    assert world.heard() == [BookFailed("the disk cannot write")]
    world.disk.broken = set()
    world.simulation.run(for_=3)
    assert set(world.disk.blocks) == {str(ADA)}
    assert world.heard()[-1] == BookRecovered()


def test_block_whose_disk_does_not_answer_is_told_so_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = world.start(effect_timeout=3.0)
    monkeypatch.setattr("rookery.actors.tracker.address_book.book.WRITE_COST", 20.0)
    asked = world.simulation.now()
    with pytest.raises(NotStored, match="in force, but the disk does not answer"):
        mine.block(ADA, 100.0).get(timeout=10)
    assert world.simulation.now() - asked == pytest.approx(3.0)
    assert world.gates[-1].blocked == {curve_key(ADA)}
    world.simulation.run(for_=20)
    assert set(world.disk.blocks) == {str(ADA)}


def test_disk_that_hangs_counts_as_failed_after_a_minute(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = world.start()
    monkeypatch.setattr("rookery.actors.tracker.address_book.book.WRITE_COST", 90.0)
    hint(world, mine, "ada")
    world.simulation.run(for_=62)
    assert world.heard() == [BookFailed("no answer within 60 s")]
    monkeypatch.undo()
    world.simulation.run(for_=150)
    assert set(world.disk.entries) == {ADA}
    assert world.heard()[-1] == BookRecovered()


@pytest.mark.parametrize(
    "change",
    [
        lambda mine: mine.block(BOB, 5.0),
        lambda mine: mine.unblock(ADA),
        lambda mine: mine.trust(ADA),
        lambda mine: mine.distrust(CAROL),
    ],
)
def test_no_answer_is_lost_while_the_disk_fails(world: World, change: Callable[[Any], Any]) -> None:
    mine = world.start(trusted=(CAROL,))
    mine.block(ADA, 100.0).get(timeout=1)
    world.disk.broken = {"write"}
    for _ in range(3):
        with pytest.raises(NotStored):
            mine.block(peer("another"), 1.0).get(timeout=1)
        with pytest.raises(NotStored):
            change(mine).get(timeout=1)
        world.simulation.run(for_=2)
    assert world.metric("tracker_book_failures_total", "write") >= 6


def test_disk_that_stays_broken_is_tried_ever_more_seldom_told_once_and_nothing_is_lost(world: World) -> None:
    mine = world.start()
    world.disk.broken = {"write"}
    hint(world, mine, "ada")
    world.simulation.run(for_=600)
    assert 10 <= world.metric("tracker_book_failures_total", "write") <= 20
    assert world.metric("tracker_book_unwritten") == 1
    assert world.heard() == [BookFailed("the disk cannot write")]
    world.disk.broken = set()
    world.simulation.run(for_=61)
    assert set(world.disk.entries) == {ADA}
    assert world.heard()[1:] == [BookRecovered()]
    assert world.metric("tracker_book_unwritten") == 0


def test_what_is_noted_for_a_broken_disk_stays_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rookery.actors.tracker.address_book.book.FORGOTTEN_LIMIT", 5)
    mine = world.start(tracked_peer_sets=1)
    world.disk.broken = {"write"}
    for id in range(1, 100):
        mine.track(id, {peer(f"peer {id}"): A}).get(timeout=1)
        world.simulation.run(for_=60)
    assert world.metric("tracker_book_unwritten") < 20


@pytest.mark.parametrize("what", ["head", "peers", "read"])
def test_book_that_cannot_be_read_does_not_stop_the_node_and_is_read_later(world: World, what: str) -> None:
    mine = world.start()
    hint(world, mine, "ada")
    mine.block(BOB, 1000.0).get(timeout=1)
    world.simulation.run(for_=1)
    world.disk.broken = {what}
    mine = world.restart()
    world.simulation.run(for_=1)
    assert dialable(mine) == set()
    assert world.heard() == [BookFailed(f"the disk cannot {what}")]
    assert world.metric("tracker_book_failures_total", "read") == 1
    hint(world, mine, "carol")
    world.simulation.run(for_=1)
    assert set(world.disk.entries) == {ADA, CAROL}
    world.disk.broken = set()
    world.simulation.run(for_=61)
    assert dialable(mine) == {ADA, CAROL}
    assert world.gates[-1].blocked == {curve_key(BOB)}
    assert world.heard()[-1] == BookRecovered()


def test_book_that_is_read_late_does_not_undo_what_was_said_meanwhile(world: World) -> None:
    mine = world.start()
    mine.block(ADA, 1000.0).get(timeout=1)
    mine.trust(BOB).get(timeout=1)
    world.disk.broken = {"head", "write"}
    mine = world.restart()
    for change in (mine.block(ADA, 5.0), mine.unblock(ADA), mine.trust(BOB), mine.distrust(BOB)):
        with pytest.raises(NotStored):
            change.get(timeout=1)
    world.disk.broken = {"write"}
    world.simulation.run(for_=61)
    assert world.gates[-1].blocked == frozenset()
    assert mine.trusted().get(timeout=1) == ()
    world.disk.broken = set()
    world.simulation.run(for_=61)
    assert (world.disk.blocks, world.disk.trust) == ({}, {})


def test_node_that_stops_while_its_disk_is_broken_stops(world: World) -> None:
    hint(world, world.start(), "ada")
    world.disk.broken = {"write"}
    world.node.stop()
    assert world.disk.closed
    assert world.metric("tracker_book_failures_total", "write") == 1


def test_entry_that_cannot_be_read_is_counted_and_deleted(world: World) -> None:
    world.disk.write(Batch(peers=(entry("ada"), entry("bob"))))
    world.disk.corrupt = {ADA}
    mine = world.start()
    world.simulation.run(for_=40)
    assert dialable(mine) == {BOB}
    assert set(world.disk.entries) == {BOB}
    assert world.metric("tracker_book_read_total", "corrupt") == 1


def test_damaged_book_that_was_quarantined_is_counted(world: World) -> None:
    world.disk.quarantined = "peers.db.damaged"
    world.start()
    assert world.metric("tracker_book_quarantined_total") == 1


# clocks


def test_wall_clock_that_is_set_while_the_node_runs_does_not_change_how_long_a_block_lasts(world: World) -> None:
    mine = world.start()
    hint(world, mine, "ada")
    mine.block(BOB, 10_000.0).get(timeout=1)
    world.simulation.run(for_=100)
    world.node.skew = -86_400.0 * 365
    world.simulation.run(for_=100)
    assert world.metric("tracker_book_clock_jumps_total") == 1
    assert world.disk.blocks[str(BOB)].until == pytest.approx(world.node.wall() + 9800.0)
    skew = world.node.skew
    world.node.crash()
    world.gates.clear()
    world.simulation.node("me").skew = skew
    world.start()
    world.simulation.run(for_=9700)
    assert world.gates[-1].blocked == {curve_key(BOB)}
    world.simulation.run(for_=200)
    assert world.gates[-1].blocked == frozenset()


def test_wall_clock_that_drifts_a_little_costs_no_writing(world: World) -> None:
    hint(world, world.start(), "ada")
    world.simulation.run(for_=100)
    written = len(world.disk.batches)
    world.node.skew = 1.5
    world.simulation.run(for_=100)
    assert len(world.disk.batches) == written
    assert world.metric("tracker_book_clock_jumps_total") == 0


def test_clock_set_back_before_a_restart_does_not_lengthen_a_block(world: World) -> None:
    world.start().block(ADA, 100.0).get(timeout=1)
    world.node.crash()
    world.simulation.node("me").skew = -1e6
    world.gates.clear()
    world.start()
    world.simulation.run(for_=101)
    assert world.gates[-1].blocked == frozenset()
