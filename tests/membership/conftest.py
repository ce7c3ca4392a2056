from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .nodes import Cluster
from .worlds import World


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """An empty world, seeded with the test's name."""
    made = Cluster(request.node.nodeid)
    with made.simulation:
        yield made


@pytest.fixture
def world(simulation: Any) -> World:
    """A lone engine that has not joined."""
    return World(simulation)
