from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # runtime_kit.py, shared by the tests of this folder

from runtime_kit import Host, RealHost, SimulatedHost

from rookery.runtime import LoopRuntime, Simulation, ThreadRuntime


@pytest.fixture(params=["threads", "loop", "simulation"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """Every runtime: what holds for one must hold for all."""
    made: Host
    if request.param == "simulation":
        made = SimulatedHost(request.node.nodeid)
    else:
        made = RealHost(ThreadRuntime if request.param == "threads" else LoopRuntime)
    yield made
    made.close()


@pytest.fixture(params=["threads", "loop"])
def real(request: pytest.FixtureRequest) -> Iterator[RealHost]:
    """The runtimes of real time."""
    made = RealHost(ThreadRuntime if request.param == "threads" else LoopRuntime)
    yield made
    made.close()


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """A bare simulation."""
    with Simulation(request.node.nodeid) as world:
        yield world
