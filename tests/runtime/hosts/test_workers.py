"""The pool by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from rookery.runtime import EngineGone
from rookery.runtime.hosts import workers
from rookery.runtime.hosts.workers import WorkerPool


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool("pool", 2)
    yield made
    assert made.stop(time.monotonic() + 10) == []


def test_pool_starts_no_thread_before_there_is_work(pool: WorkerPool) -> None:
    assert pool._threads == []
    assert pool.submit(len, ("abc",)).get(timeout=10) == 3
    assert len(pool._threads) == 1


def test_pool_runs_as_many_at_once_as_it_has_threads(pool: WorkerPool) -> None:
    together = threading.Barrier(2)
    replies = [pool.submit(together.wait, (10,)) for _ in range(2)]
    assert sorted(reply.get(timeout=10) for reply in replies) == [0, 1]


def test_pool_never_has_more_threads_than_its_size(pool: WorkerPool) -> None:
    replies = [pool.submit(len, ("abc",)) for _ in range(100)]
    assert [reply.get(timeout=10) for reply in replies] == [3] * 100
    assert len(pool._threads) <= 2


def test_thread_without_work_ends_and_another_does_what_comes_later(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "IDLE", 0.01)
    before = pool.submit(threading.current_thread, ()).get(timeout=10)
    before.join(10)
    assert pool._threads == []
    after = pool.submit(threading.current_thread, ()).get(timeout=10)
    assert after is not before
    assert after.name == before.name


def test_pool_that_stops_fails_what_waits_and_names_what_runs() -> None:
    pool = WorkerPool("pool", 1)
    entered, release = threading.Event(), threading.Event()

    def hold() -> str:
        entered.set()
        release.wait(10)
        return "done"

    running = pool.submit(hold, ())
    waiting = pool.submit(len, ("abc",))
    assert entered.wait(10)
    (named,) = pool.stop(time.monotonic())
    assert named.startswith("pool-1 running <function")
    with pytest.raises(EngineGone, match="pool has stopped"):
        waiting.get(timeout=10)
    release.set()
    assert running.get(timeout=10) == "done"
    assert pool.stop(time.monotonic() + 10) == []


def test_pool_whose_work_is_abandoned_stops_without_waiting_for_it() -> None:
    pool = WorkerPool("pool", 1, abandon=True)
    entered, release = threading.Event(), threading.Event()

    def hold() -> str:
        entered.set()
        release.wait(30)
        return "done"

    running, waiting = pool.submit(hold, ()), pool.submit(len, ("abc",))
    assert entered.wait(10)
    assert pool.stop(time.monotonic() + 3600) == []
    with pytest.raises(EngineGone, match="pool has stopped"):
        waiting.get(timeout=10)
    assert not running.done
    release.set()
    assert running.get(timeout=10) == "done"
    pool._threads[0].join(10)
