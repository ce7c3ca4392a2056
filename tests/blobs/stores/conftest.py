"""Every store the contract is tested on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rookery.actors.blobs.stores import Store
from rookery.actors.blobs.stores.files import FileStore
from rookery.actors.blobs.stores.memory import MemoryStore


@pytest.fixture(params=["memory", "files"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")
    yield opened
    opened.close()
