"""The tracker and its address book, in simulated time: restarts, failing disks, clocks that are set."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import tracker
from rookery.actors.tracker import BookFailed, BookRecovered, MemoryStorage, NotStored, StorageError
from rookery.actors.tracker.entries import Batch, Read
from rookery.actors.tracker.keeper import FLUSH_AFTER, WRITE_COST
from rookery.actors.tracker.reader import READ_SLICE
from rookery.runtime.simulation import WALL_AT_START
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Direction, Gate, Role
from rookery.transport.identity import curve_key
from rookery.transport.reasons import Reason
from tests.tracker.books import entry, peer

ADA, BOB, CAROL = peer("ada"), peer("bob"), peer("carol")
A, B = (Address.parse(f"tcp://10.0.0.{number}:7000") for number in (1, 2))


class Disk(MemoryStorage):
    """A book that fails as long as a test wants, and remembers its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.batches: list[Batch] = []
        self.closed = False
        self.spoiled: set[Any] = set()

    def _check(self, what: str) -> None:
        if what in self.broken:
            raise StorageError(f"the disk cannot {what}")

    def head(self) -> Any:
        self._check("head")
        return super().head()

    def peers(self) -> Any:
        self._check("peers")
        return super().peers()

    def read(self, peers: Any) -> Read:
        self._check("read")
        assert len(peers) <= READ_SLICE
        read = super().read([each for each in peers if each not in self.spoiled])
        return Read(read.peers, tuple(each for each in peers if each in self.spoiled))

    def write(self, batch: Batch) -> None:
        self._check("write")
        self.batches.append(batch)
        super().write(batch)

    def close(self) -> None:
        self.closed = True


class World:
    """Nodes with a tracker each, one after another on the same disk."""

    def __init__(self, simulation: Any) -> None:
        self.simulation = simulation
        self.disk = Disk()
        self.gates: list[Gate] = []
        self.listener = simulation.mock(runtime.Mailbox, "listener")
        self.node: Any = None
        self.net: Any = None

    def start(self, *, trusted: tuple[Any, ...] = (), **settings: Any) -> Any:
        config = tracker.Config(**{"source": "application", "trusted": trusted, **settings})
        net = self.net = self.simulation.mock(transport.Mailbox)
        net.answer(transport.SetGate, self.set_gate)
        net.answer(transport.Close, None)
        self.node = self.simulation.node("me")
        mine = self.node.start(tracker.Engine, config, transport=net, me=peer("me"), storage=self.disk)
        mine.subscribe(self.listener, BookFailed, BookRecovered, tracker.PeerUnblocked)
        self.simulation.settle()
        return mine

    def set_gate(self, message: transport.SetGate) -> int:
        self.gates.append(message.gate)
        return message.gate.version

    def restart(self, **settings: Any) -> Any:
        """As after `kill -9`."""
        self.node.crash()
        self.gates.clear()
        return self.start(**settings)

    def heard(self) -> list[Any]:
        self.simulation.settle()
        received: list[Any] = self.listener.received()
        return received

    def metric(self, name: str, *labels: str) -> float:
        value: float = self.node.registry.value(name, *labels)
        return value


@pytest.fixture
def world(simulation: Any) -> World:
    return World(simulation)


def hint(world: World, mine: Any, *names: str) -> None:
    mine.hint([world.simulation.known.record(name) for name in names])
    world.simulation.settle()


def dialable(mine: Any) -> set[Any]:
    return set(mine.dialable(1000).get(timeout=1).peers)


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
    assert told.received() == [tracker.PeerBlocked(ADA, WALL_AT_START + 100)]
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
            ticket = world.net.received(transport.Dial)[-1].ticket
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
    link = transport.Link(1, ADA, Direction.OUT, Role.PRIMARY, "10.0.0.1", 0.0, world.simulation.known.record("ada"))
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
    monkeypatch.setattr("rookery.actors.tracker.keeper.WRITE_COST", 20.0)
    asked = world.simulation.now()
    with pytest.raises(NotStored, match="in force, but the disk does not answer"):
        mine.block(ADA, 100.0).get(timeout=10)
    assert world.simulation.now() - asked == pytest.approx(3.0)
    assert world.gates[-1].blocked == {curve_key(ADA)}
    world.simulation.run(for_=20)
    assert set(world.disk.blocks) == {str(ADA)}


def test_disk_that_hangs_counts_as_failed_after_a_minute(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = world.start()
    monkeypatch.setattr("rookery.actors.tracker.keeper.WRITE_COST", 90.0)
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
    monkeypatch.setattr("rookery.actors.tracker.keeper.MOST_FORGOTTEN", 5)
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
    world.disk.spoiled = {ADA}
    mine = world.start()
    world.simulation.run(for_=40)
    assert dialable(mine) == {BOB}
    assert set(world.disk.entries) == {BOB}
    assert world.metric("tracker_book_read_total", "spoiled") == 1


def test_damaged_book_that_was_set_aside_is_counted(world: World) -> None:
    world.disk.aside = "peers.db.damaged"
    world.start()
    assert world.metric("tracker_book_set_aside_total") == 1


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
