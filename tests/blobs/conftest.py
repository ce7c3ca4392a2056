"""A store in memory for the blocks of a test."""

import pytest

from rookery.node.stores.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()
