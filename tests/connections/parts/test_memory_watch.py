"""The memory watch: gives up a few connections at a time while too much memory is in use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rookery.actors.connections.parts import memory_watch
from tests.connections.worlds import Around, make_link, peer_of

LIMIT = 1000


Watched = Callable[..., Around]


@pytest.fixture
def watched(simulation: Any, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Starts connections that read the memory in use like this."""

    def start(read: Callable[[], int], **settings: Any) -> Around:
        monkeypatch.setattr(memory_watch, "resident", read)
        around = Around(simulation, **{"memory_limit": LIMIT, "memory_interval": 10.0} | settings)
        around.open(*(make_link(number) for number in range(20)))
        return around

    return start


@pytest.mark.parametrize(("used", "closed"), [(LIMIT, 0), (LIMIT + 1, 2)])
def test_memory_watch_gives_up_a_share_while_more_than_the_limit_is_in_use(
    simulation: Any, watched: Watched, used: int, closed: int
) -> None:
    around = watched(lambda: used)
    simulation.run(for_=10.0)
    assert len(around.closings()) == closed
    assert around.counted("memory_alarms_total") == (closed > 0)
    assert around.counted("trims_total", "memory") == (closed > 0)


def test_memory_watch_goes_on_until_the_memory_suffices(simulation: Any, watched: Watched) -> None:
    readings = iter([2000, 1500, 900, 900])
    around = watched(lambda: next(readings))
    simulation.run(for_=40.0)
    assert len(around.closings()) == 4  # a tenth of 20, a tenth of 18


def test_memory_watch_heeds_no_grace_and_closes_no_protected_peer(simulation: Any, watched: Watched) -> None:
    around = watched(lambda: 2000, grace_period=1000.0, memory_share=1.0)
    around.conns.protect(peer_of(3), "friend")
    simulation.run(for_=10.0)
    assert sorted(around.closings()) == [number for number in range(20) if number != 3]


def test_memory_watch_does_not_go_below_low_water(simulation: Any, watched: Watched) -> None:
    around = watched(lambda: 2000, low_water=15, high_water=25, memory_share=1.0)
    simulation.run(for_=10.0)
    assert len(around.closings()) == 5


def test_memory_watch_that_cannot_read_says_so_and_tries_again(simulation: Any, watched: Watched) -> None:
    readings = iter([None, 2000])

    def read() -> int:
        used = next(readings)
        if used is None:
            raise OSError("no /proc")
        return used

    around = watched(read)
    simulation.run(for_=20.0)
    assert around.counted("application_failures_total", "memory") == 1
    assert len(around.closings()) == 2


def test_without_a_limit_memory_is_not_read(simulation: Any, watched: Watched) -> None:
    around = watched(lambda: 1 // 0, memory_limit=None)
    simulation.run(for_=100.0)
    assert around.counted("application_failures_total", "memory") == 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell")
def test_resident_memory_of_this_process_is_some_megabytes() -> None:
    assert 2**20 < memory_watch.resident() < 2**40
