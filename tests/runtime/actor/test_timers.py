"""The heap of timers by itself."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.runtime import Simulation, Timer
from rookery.runtime.actor.timers import TimerHeap
from tests.runtime.runtime_kit import Note, RealHost, Recorder


class Nowhere:
    def urgent(self, item: object) -> None:
        raise AssertionError(f"nothing is fired here, not {item}")


def timer(deadline: float, rank: int = 0, interval: float | None = None) -> Timer:
    return Timer(deadline, rank, Note(f"{deadline}/{rank}"), Nowhere(), interval)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=400),
    st.sets(st.integers(0, 399)),
    st.integers(0, 6),
)
def test_heap_gives_live_timers_by_deadline_rank_and_age(
    added: list[tuple[int, int]], cancelled: set[int], now: int
) -> None:
    heap = TimerHeap()
    timers = [timer(float(deadline), rank) for deadline, rank in added]
    for index, each in enumerate(timers):
        heap.add(each)
        if index in cancelled:
            each.cancel()
    wanted = sorted((each for each in timers if each.live), key=lambda each: (each.deadline, each.rank))
    due = [each for each in wanted if each.deadline <= now]
    assert [heap.pop_due(float(now)) for _ in due] == due
    assert heap.pop_due(float(now)) is None
    assert len(heap) == len(wanted) - len(due)
    assert heap.next_deadline() == (wanted[len(due)].deadline if len(wanted) > len(due) else None)


def test_heap_does_not_grow_with_timers_that_were_cancelled() -> None:
    heap = TimerHeap()
    for number in range(10_000):
        made = timer(float(number))
        heap.add(made)
        made.cancel()
    assert len(heap._heap) <= 128


def test_heap_forgets_the_timers_of_one_target_only() -> None:
    heap = TimerHeap()
    mine, other = timer(1.0), timer(2.0)
    heap.add(mine)
    heap.add(other)
    heap.discard(mine.target)
    assert heap.pop_due(5.0) is other


def test_large_heap_forgets_the_timers_of_targets_that_ended_before_and_after_it_is_swept() -> None:
    heap = TimerHeap()
    kept = [timer(float(number)) for number in range(300)]
    gone = [timer(float(number)) for number in range(300)]
    for each in (*kept, *gone):
        heap.add(each)
    for each in gone:
        heap.discard(each.target)
    assert len(heap) == 300
    assert heap.next_deadline() == 0.0
    assert [heap.pop_due(1e3) for _ in range(100)] == kept[:100]
    late = [timer(1e3 + number) for number in range(1000)]
    for each in late:
        heap.add(each)  # which sweeps
    assert [heap.pop_due(1e4) for _ in range(1200)] == kept[100:] + late
    assert heap.pop_due(1e4) is None


@pytest.mark.parametrize(("now", "next_deadline"), [(10.0, 11.0), (10.9, 11.0), (11.0, 12.0), (13.5, 14.0)])
def test_repeated_timer_keeps_its_rhythm_and_skips_what_it_missed(now: float, next_deadline: float) -> None:
    assert timer(10.0, interval=1.0).next(now).deadline == next_deadline


@given(st.floats(0, 1e6), st.floats(1e-3, 1e3), st.floats(0, 1e6))
def test_repeated_timer_is_next_due_after_now(deadline: float, interval: float, late: float) -> None:
    now = deadline + late
    again = timer(deadline, interval=interval).next(now).deadline
    assert now < again <= now + 2 * interval


def test_hundred_thousand_pending_timers_cost_no_thread_each(real: RealHost) -> None:
    recorder = real.recorder()
    before = threading.active_count()
    recorder.run(lambda engine: [engine.after(1000, Note("later")) for _ in range(100_000)] and None).get(timeout=150)
    assert threading.active_count() <= before + 1


def test_twenty_thousand_timers_fire_in_order_in_a_simulation() -> None:
    world = Simulation(1)
    journal: list[object] = []
    recorder = world.start(Recorder, journal)
    recorder.do(lambda engine: [engine.after(n * 7919 % 1000, Note(f"{n * 7919 % 1000:03}")) for n in range(20_000)])
    world.run(for_=1000)
    assert [note.text for note in journal] == sorted(note.text for note in journal)  # type: ignore[attr-defined]
    assert len(journal) == 20_000
