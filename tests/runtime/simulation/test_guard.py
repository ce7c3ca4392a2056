"""Inside a simulated handler the real clock, real randomness and threads are errors that name the alternative."""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
import uuid
from collections.abc import Callable

import pytest

from rookery.runtime import EngineFailed, NotSimulated, Simulation
from tests.runtime.runtime_kit import Recorder

REAL: list[tuple[str, Callable[[], object], str]] = [
    ("time.time", lambda: time.time(), r"self\.wall\(\)"),
    ("time.time_ns", lambda: time.time_ns(), r"self\.wall\(\)"),
    ("time.monotonic", lambda: time.monotonic(), r"self\.now\(\)"),
    ("time.perf_counter", lambda: time.perf_counter(), r"self\.now\(\)"),
    ("time.sleep", lambda: time.sleep(0), r"self\.after\(seconds, message\)"),
    ("random.random", lambda: random.random(), r"self\.rng"),
    ("random.choice", lambda: random.choice([1]), r"self\.rng"),
    ("random.shuffle", lambda: random.shuffle([1]), r"self\.rng"),
    ("os.urandom", lambda: os.urandom(1), r"self\.rng"),
    ("os.urandom", lambda: uuid.uuid4(), r"self\.rng"),
    ("random._urandom", lambda: secrets.token_bytes(1), r"self\.rng"),
    ("Thread.start", lambda: threading.Thread(target=len).start(), r"self\.work\(function"),
]


@pytest.mark.parametrize(("name", "call", "instead"), REAL)
def test_handler_that_reaches_for_the_real_world_fails(
    simulated: Simulation, name: str, call: Callable[[], object], instead: str
) -> None:
    simulated.start(Recorder).do(lambda _engine: call())
    with pytest.raises(EngineFailed, match=rf"recorder called {name}\(\) in a simulation; use {instead}") as failure:
        simulated.settle()
    assert isinstance(failure.value.__cause__, NotSimulated)


@pytest.mark.parametrize("hook", ["starting", "stopping"])
def test_start_and_stop_are_guarded_as_handlers_are(hook: str) -> None:
    seen: list[str] = []

    def look(_engine: object) -> None:
        with pytest.raises(NotSimulated):
            time.time()
        seen.append(hook)

    with Simulation(1) as world:
        world.start(Recorder, **{hook: look})
    assert seen == [hook]


def test_tests_themselves_may_use_the_real_world(simulated: Simulation) -> None:
    recorder = simulated.start(Recorder)
    recorder.note("something to do")
    simulated.run_until(lambda: time.time() > 0 and random.random() < 1, timeout=1)
    assert simulated.handled == 0


def test_work_and_other_threads_may_use_the_real_world(simulated: Simulation) -> None:
    elsewhere: list[float] = []
    thread = threading.Thread(target=lambda: elsewhere.append(time.time()))

    def condition() -> bool:
        thread.start()
        thread.join()
        return True

    simulated.run_until(condition, timeout=1)
    assert simulated.work(time.time).get(timeout=1) >= elsewhere[0]


def test_logging_in_a_handler_may_read_the_clock(simulated: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    recorder = simulated.start(Recorder)
    recorder.run(lambda engine: engine.log.warning("look", here=1)).get(timeout=1)
    assert "look" in caplog.text


def test_functions_are_as_before_once_the_simulation_rests(simulated: Simulation) -> None:
    before = [time.time, time.sleep, random.random, os.urandom, threading.Thread.start]
    recorder = simulated.start(Recorder)
    assert recorder.run(lambda _engine: 1).get(timeout=1) == 1
    assert [time.time, time.sleep, random.random, os.urandom, threading.Thread.start] == before
