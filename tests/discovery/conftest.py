"""One real discovery engine between a mocked transport and a mocked tracker, with sources that a test scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import discovery, membership, tracker
from rookery.actors.discovery.parts.sources import LookupResult
from rookery.testing import Peers
from rookery.transport import PeerRecord
from rookery.transport import mailbox as transport


class Script:
    """A source that gives what the test put there, one result or error a lookup, the last again and again."""

    def __init__(self, *results: LookupResult | Exception, name: str = "script") -> None:
        self.name = name
        self.results = list(results)
        self.lookups: list[PeerRecord] = []
        self.heard: Callable[[bytes], object] = lambda _encoded: None
        self.closed = False

    def listen(self, heard: Callable[[bytes], object]) -> None:
        self.heard = heard

    def lookup(self, own: PeerRecord) -> LookupResult:
        self.lookups.append(own)
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        self.closed = True


class World:
    """A node called "me"; the records of others are of the same network."""

    def __init__(self, simulation: Any, *sources: Script, transport_is_slow: bool = False, **settings: Any) -> None:
        self.simulation = simulation
        self.me = self.record("me")
        self.net = simulation.mock(transport.Mailbox)
        if transport_is_slow:
            self.net.control.hold(transport.GetRecord)
        else:
            self.net.control.answer(transport.GetRecord, lambda _message: simulation.known.own(self.me))
        self.peers = simulation.mock(tracker.Mailbox)
        self.members = simulation.mock(membership.Mailbox)
        self.listener = simulation.mock(runtime.Mailbox, "listener")
        self.discovery = simulation.start(
            discovery.Engine,
            discovery.Config(**settings),
            transport=self.net,
            tracker=self.peers,
            membership=self.members,
            sources=sources or None,
        )
        self.discovery.subscribe(self.listener)
        simulation.settle()

    def record(self, name: str, **changes: Any) -> PeerRecord:
        record: PeerRecord = self.simulation.known.record(name, f"tcp://10.0.0.{len(name)}:7000", **changes)
        return record

    def hinted(self) -> list[PeerRecord]:
        return [record for hint in self.peers.control.received(tracker.Hint) for record in hint.records]

    def events(self, kind: type) -> list[Any]:
        found: list[Any] = self.listener.control.received(kind)
        return found

    def counted(self, name: str, *labels: str) -> float:
        value: float = self.simulation.registry.value(f"discovery_{name}_total", *labels)
        return value


@pytest.fixture
def world(simulation: Any) -> Callable[..., World]:
    """Makes a `World`."""
    return lambda *sources, **settings: World(simulation, *sources, **settings)


@pytest.fixture
def known_record() -> PeerRecord:
    """The record of somebody."""
    return Peers().record("alice", "tcp://10.0.0.1:7000")
