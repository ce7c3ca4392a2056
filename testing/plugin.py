"""The pytest plugin: the fixtures `simulation`, `mock_mailbox` and `no_leaks`.

Installed by an entry point (`pytest11`), for users' tests as much as for ours. Whoever has Rookery installed loads this
with each run of pytest, so it imports the rest at first use. ::

    def test_counter_when_told_twice_counts_two(simulation: PeerSimulation) -> None:
        counter = simulation.start(Engine, Config())
        counter.add(1)
        counter.add(1)
        assert counter.total().get(timeout=1) == 2

When a test fails, the last messages of its simulation are printed, with the seed.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .mocks import MakeMock
    from .peers import PeerSimulation

_simulation_key: pytest.StashKey[PeerSimulation] = pytest.StashKey()


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> Iterator[PeerSimulation]:
    """A fresh `Simulation` with `peers(*names)`, `known` and `mock(Kind)`; seeded with the test's name."""
    from .peers import PeerSimulation

    world = PeerSimulation(request.node.nodeid)
    request.node.stash[_simulation_key] = world
    with world:
        yield world


@pytest.fixture
def mock_mailbox() -> MakeMock:
    """`mock_mailbox(Kind)` makes a mock mailbox outside a simulation, for tests on threads."""
    from .mocks import mock

    return mock


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail the test if it leaves a thread or a file descriptor behind.

    The pool of a runtime that was there before may have more threads than before, or others: they come and go.
    """
    import gc

    began = time.monotonic()
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    for thread in begun_threads(threads, began):
        thread.join(timeout=5)
    if _descriptors() - descriptors:
        gc.collect()  # slow; only what a cycle still holds needs it
    left = [thread.name for thread in begun_threads(threads, began)]
    opened = sorted(_descriptors() - descriptors)
    assert not left, f"threads left running: {left}"
    assert not opened, f"descriptors left open: {[(number, _target(number)) for number in opened]}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the simulation's last messages to the report of a failed test."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy's Result
    world = item.stash.get(_simulation_key, None)
    if report.when == "call" and report.failed and world is not None:
        report.sections.append(("simulation", world.trace()))


def begun_threads(before: set[threading.Thread], since: float) -> list[threading.Thread]:
    """Threads that were not there before, unless they are of a pool that was. since: when `before` was looked at."""
    begun = set(threading.enumerate()) - before
    return [thread for thread in begun if getattr(thread, "pool_since", math.inf) >= since]


def _descriptors() -> set[int]:
    try:
        return {int(name) for name in os.listdir("/dev/fd")} - {_dir_descriptor()}
    except OSError:
        return set()


def _dir_descriptor() -> int:
    """The number that listing /dev/fd itself uses."""
    number = os.open("/dev/fd", os.O_RDONLY)
    os.close(number)
    return number


def _target(number: int) -> str:
    try:
        return os.readlink(f"/dev/fd/{number}")
    except OSError:
        return "gone"
