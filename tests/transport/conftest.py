from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.transport.worlds import RealWorld, SimulatedWorld, World


@pytest.fixture(params=["simulated", "zmq"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Both wires: what holds for one must hold for the other."""
    made: World
    if request.param == "simulated":
        made = SimulatedWorld(request.node.nodeid)
    else:
        request.getfixturevalue("no_leaks")
        made = RealWorld()
    yield made
    made.close()


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> Iterator[SimulatedWorld]:
    """The simulated network only, for faults and schedules."""
    made = SimulatedWorld(request.node.nodeid)
    yield made
    made.close()


@pytest.fixture
def real(no_leaks: None) -> Iterator[RealWorld]:
    """ZeroMQ only, for what peers made of pyzmq or other processes do."""
    made = RealWorld()
    yield made
    made.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], list[tuple[Any, ...]]]]:
    """What the resolver says of a name."""
    known: dict[str, Callable[[], list[tuple[Any, ...]]]] = {}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_args, **_options: known[host]())
    return known
