"""Every store the contract is tested on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rookery.node.stores import Store
from rookery.node.stores.files import FileStore
from rookery.node.stores.memory import MemoryStore


@pytest.fixture(params=["memory", "files"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")
    yield opened
    opened.close()
