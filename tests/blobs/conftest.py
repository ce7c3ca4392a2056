"""A store in memory for the blocks of a test, and an engine beside a mock resolver."""

from typing import Any

import pytest

from rookery.actors.blobs.stores.memory import MemoryStore

from .rig import Rig


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def rig(simulation: Any) -> Rig:
    return Rig(simulation)
