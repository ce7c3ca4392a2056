"""The test kit as pytest sees it: the fixtures `simulation`, `mock_mailbox` and `no_leaks`.

Installed as a pytest plugin (entry point `pytest11`), for users' tests as much as for ours::

    def test_counter_when_told_twice_counts_two(simulation):
        counter = simulation.start(Engine, Config())
        counter.add(1)
        counter.add(1)
        assert counter.total().get(timeout=1) == 2

When a test fails, the last messages of its simulation are printed, with the seed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..runtime import Mailbox, Simulation
    from .identity import Identity, PeerId
    from .record import PeerRecord

_simulation_key: pytest.StashKey[Simulation] = pytest.StashKey()

NETWORK = "test"  # the network name of simulated records


class Peers:
    """Identities made from names, the same in every run."""

    def __init__(self) -> None:
        """Keys are derived at first use."""
        self._identities: dict[str, Identity] = {}

    def identity(self, name: str) -> Identity:
        """The key of the peer called `name`."""
        import hashlib

        from .identity import Identity

        identity = self._identities.get(name)
        if identity is None:
            seed = hashlib.sha256(f"rookery simulation {name}".encode()).digest()
            identity = self._identities[name] = Identity.from_seed(seed)
        return identity

    def add(self, name: str, identity: Identity) -> None:
        """From now on the peer called `name` has this key."""
        self._identities[name] = identity

    def record(self, name: str, address: str = "tcp://10.0.0.1:7000", *, generation: int = 1) -> PeerRecord:
        """A signed record of the peer called `name`."""
        from .address import Address
        from .record import PeerRecord

        return PeerRecord.sign(
            self.identity(name), network=NETWORK, address=Address.parse(address), generation=generation
        )


def _simulation(seed: int | str) -> Any:
    from ..runtime import Simulation
    from ..runtime.testing import mock

    class PeerSimulation(Simulation):
        """A simulation that also makes peers and mock mailboxes."""

        def __init__(self, seed: int | str) -> None:
            super().__init__(seed)
            self.known = Peers()

        def peers(self, *names: str) -> tuple[PeerId, ...]:
            """The ids of the peers called so."""
            return tuple(self.known.identity(name).peer for name in names)

        def mock(self, kind: type[Mailbox], name: str | None = None) -> Any:
            """A mock of this mailbox whose replies step this simulation."""
            return mock(kind, name, waits=self)

    return PeerSimulation(seed)


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A fresh `Simulation` with `peers(*names)`, `known` and `mock(Kind)`; seeded with the test's name."""
    world = _simulation(request.node.nodeid)
    request.node.stash[_simulation_key] = world
    with world:
        yield world


@pytest.fixture
def mock_mailbox() -> Any:
    """`mock_mailbox(Kind)` makes a mock mailbox outside a simulation, for tests on threads."""
    from ..runtime.testing import mock

    return mock


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail the test if it leaves a thread or a file descriptor behind."""
    import gc

    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(timeout=5)
    if _descriptors() - descriptors:
        gc.collect()  # slow; only what a cycle still holds needs it
    left = [thread.name for thread in set(threading.enumerate()) - threads]
    opened = sorted(_descriptors() - descriptors)
    assert not left, f"threads left running: {left}"
    assert not opened, f"descriptors left open: {[(number, _target(number)) for number in opened]}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the simulation's last messages to the report of a failed test."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy's Result
    world = item.stash.get(_simulation_key, None)
    if report.when == "call" and report.failed and world is not None:
        report.sections.append(("simulation", world.trace()))


def _descriptors() -> set[int]:
    try:
        return {int(name) for name in os.listdir("/dev/fd")} - {_dir_descriptor()}
    except OSError:
        return set()


def _dir_descriptor() -> int:
    """The number that listing /dev/fd itself uses."""
    number = os.open("/dev/fd", os.O_RDONLY)
    os.close(number)
    return number


def _target(number: int) -> str:
    try:
        return os.readlink(f"/dev/fd/{number}")
    except OSError:
        return "gone"
