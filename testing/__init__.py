"""What tests need: mock mailboxes, simulated peers, whole nodes in a simulation. For users' tests as much as for ours.

    def test_cache_asks_its_origin_once(simulation: PeerSimulation) -> None:
        origin = simulation.mock(OriginMailbox)
        held = origin.control.hold(Fetch)
        cache = simulation.start(CacheEngine, Config(), origin=origin)
        ...

`mocks.py` has mailboxes without engines, `peers.py` peers from names, `nodes.py` whole nodes, `invariants.py` what must
hold in each of them, and `plugin.py` the fixtures `simulation`, `mock_mailbox` and `no_leaks`, which pytest finds by
itself. docs/testing.md shows them at work.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .invariants import InvariantBroken, Invariants
    from .mocks import Held, MakeMock, MockControl, MockMailbox, mock
    from .nodes import Plan, SimulatedNodes, WholeNode, settings
    from .peers import NETWORK, Peers, PeerSimulation

__all__ = [
    "NETWORK",
    "Held",
    "InvariantBroken",
    "Invariants",
    "MakeMock",
    "MockControl",
    "MockMailbox",
    "PeerSimulation",
    "Peers",
    "Plan",
    "SimulatedNodes",
    "WholeNode",
    "mock",
    "settings",
]
_HOMES = {
    "invariants": ("InvariantBroken", "Invariants"),
    "mocks": ("Held", "MakeMock", "MockControl", "MockMailbox", "mock"),
    "nodes": ("Plan", "SimulatedNodes", "WholeNode", "settings"),
    "peers": ("NETWORK", "PeerSimulation", "Peers"),
}

if not TYPE_CHECKING:  # or any name would be one for the type checker

    def __getattr__(name: str) -> object:
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f".{home}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
