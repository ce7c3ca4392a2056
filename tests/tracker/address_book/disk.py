"""A tracker with an address book that a test can break."""

from __future__ import annotations

from typing import Any

from rookery import runtime
from rookery.actors import tracker
from rookery.actors.tracker import BookFailed, BookRecovered, MemoryStorage, StorageError
from rookery.actors.tracker.address_book.book import READ_SLICE
from rookery.actors.tracker.address_book.storage import Batch, Read
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Gate
from tests.tracker.address_book.books import peer

ADA, BOB, CAROL = peer("ada"), peer("bob"), peer("carol")
A, B = (Address.parse(f"tcp://10.0.0.{number}:7000") for number in (1, 2))


class Disk(MemoryStorage):
    """A book that fails as long as a test wants, and remembers its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.batches: list[Batch] = []
        self.closed = False
        self.corrupt: set[Any] = set()

    def _check(self, what: str) -> None:
        if what in self.broken:
            raise StorageError(f"the disk cannot {what}")

    def head(self) -> Any:
        self._check("head")
        return super().head()

    def peers(self) -> Any:
        self._check("peers")
        return super().peers()

    def read(self, peers: Any) -> Read:
        self._check("read")
        assert len(peers) <= READ_SLICE
        read = super().read([each for each in peers if each not in self.corrupt])
        return Read(read.peers, tuple(each for each in peers if each in self.corrupt))

    def write(self, batch: Batch) -> None:
        self._check("write")
        self.batches.append(batch)
        super().write(batch)

    def close(self) -> None:
        self.closed = True


class World:
    """Nodes with a tracker each, one after another on the same disk."""

    def __init__(self, simulation: Any) -> None:
        self.simulation = simulation
        self.disk = Disk()
        self.gates: list[Gate] = []
        self.listener = simulation.mock(runtime.Mailbox, "listener")
        self.node: Any = None
        self.net: Any = None

    def start(self, *, trusted: tuple[Any, ...] = (), **settings: Any) -> Any:
        config = tracker.Config(**{"source": "application", "trusted": trusted, **settings})
        net = self.net = self.simulation.mock(transport.Mailbox)
        net.control.answer(transport.SetGate, self.set_gate)
        net.control.answer(transport.Close, None)
        self.node = self.simulation.node("me")
        mine = self.node.start(tracker.Engine, config, transport=net, me=peer("me"), storage=self.disk)
        mine.subscribe(self.listener, BookFailed, BookRecovered, tracker.PeerUnblocked)
        self.simulation.settle()
        return mine

    def set_gate(self, message: transport.SetGate) -> int:
        self.gates.append(message.gate)
        return message.gate.version

    def restart(self, **settings: Any) -> Any:
        """As after `kill -9`."""
        self.node.crash()
        self.gates.clear()
        return self.start(**settings)

    def heard(self) -> list[Any]:
        self.simulation.settle()
        received: list[Any] = self.listener.control.received()
        return received

    def metric(self, name: str, *labels: str) -> float:
        value: float = self.node.registry.value(name, *labels)
        return value


def hint(world: World, mine: Any, *names: str) -> None:
    mine.hint([world.simulation.known.record(name) for name in names])
    world.simulation.settle()


def dialable(mine: Any) -> set[Any]:
    return set(mine.dialable(1000).get(timeout=1).peers)
