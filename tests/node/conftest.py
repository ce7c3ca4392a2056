"""Nodes in this process, on loopback, each in a folder of its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rookery.config import load
from rookery.node import Client, Node, new

MakeFolder = Callable[..., Path]
WORKERS = 4
ALONE = "tracker: {source: static}\n"
DEFAULTS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGTERM: signal.SIG_DFL,
}


@pytest.fixture(scope="session", autouse=True)
def no_signal_is_ignored() -> Iterator[None]:
    """Processes inherit what is ignored: SIGINT where tests run in the background of a script, SIGHUP under `nohup`."""
    before = {number: signal.getsignal(number) for number in DEFAULTS}
    heed_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_signal_stays_ignored(no_signal_is_ignored: None) -> Iterator[None]:
    """Nor after a test that runs a node here: a node that has ended in order ignores signals, as its process ends."""
    yield
    heed_signals()


def heed_signals() -> None:
    for number, handler in DEFAULTS.items():
        signal.signal(number, handler)


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """`make_folder("a", yaml)`: a folder with a key and that `node.yaml`."""

    def make(name: str = "node", yaml: str = ALONE) -> Path:
        new.make_node(tmp_path / name, yaml)
        return tmp_path / name

    return make


def start_threads(node: Node) -> None:
    """All threads of a shared node's pool are there before a test counts."""
    together = threading.Barrier(WORKERS)
    for each in [node.runtime.work(together.wait) for _ in range(WORKERS)]:
        each.get(timeout=5)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A running node without peers, shared by the tests of a file."""
    folder = tmp_path_factory.mktemp("shared") / "node"
    new.make_node(folder, ALONE + "control: {max_calls: 3}\n")
    with Node(load(folder)) as node:
        start_threads(node)
        node.blobs.get(node.blobs.put(folder / "node.yaml"), folder / "copy")
        yield node


@pytest.fixture
def client(node: Node) -> Iterator[Client]:
    """The command line's way to that node."""
    with Client(node.config.control.socket) as client:
        yield client
