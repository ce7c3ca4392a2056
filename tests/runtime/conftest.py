from __future__ import annotations

from collections.abc import Iterator

import pytest

from rookery.runtime import LoopRuntime, Simulation, ThreadRuntime
from tests.runtime.runtime_kit import Host, RealHost, SimulatedHost


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
