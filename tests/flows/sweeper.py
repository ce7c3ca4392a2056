"""One fault at one step of a flow, and what must hold afterwards, whatever flow and fault it was.

The flow runs once undisturbed, and every message that is handled from its beginning to its end is a step. Then it runs
again for a step and a fault: up to that step it is the same, because the seed is; then the fault strikes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rookery.runtime import Engine, Reply, Simulation
from rookery.testing import SimulatedNodes
from tests.flows.flows import Flow

SEED = 7
LONGEST_ASK = 70.0
"""Seconds after which whoever asked another engine has its answer or has given up."""


@dataclass(frozen=True)
class Fault:
    """strike: what goes wrong; gets the nodes and the engine whose turn it was. lasts: seconds until `mend`."""

    name: str
    strike: Callable[[SimulatedNodes, str], object]
    lasts: float
    mend: Callable[[SimulatedNodes, str], object] = lambda _nodes, _engine: None


def _engine(nodes: SimulatedNodes, urn: str) -> Engine[Any] | None:
    name, _, _ = urn.partition("/")
    node = nodes.all.get(name)
    engines = [] if node is None or node.ended else node.runtime.engines
    return next((engine for engine in engines if engine.actor_urn == urn), None)


def _hold(nodes: SimulatedNodes, urn: str) -> None:
    """The engine handles nothing: whoever asks it waits."""
    engine = _engine(nodes, urn)
    if engine is not None:
        engine.mailbox.inbox.parked = False
        nodes.simulation.unready(engine)


def _let_go(nodes: SimulatedNodes, urn: str) -> None:
    engine = _engine(nodes, urn)
    if engine is not None:
        nodes.simulation.settle_engine(engine)


def _cut(nodes: SimulatedNodes, _urn: str) -> None:
    alice = nodes.all["alice"]
    nodes.partition([alice], [node for node in nodes.all.values() if node is not alice])


def _crash(name: str) -> Callable[[SimulatedNodes, str], None]:
    def strike(nodes: SimulatedNodes, _urn: str) -> None:
        nodes.all[name].crash()

    return strike


def _restart(name: str) -> Callable[[SimulatedNodes, str], None]:
    def mend(nodes: SimulatedNodes, _urn: str) -> None:
        nodes.restart(nodes.all[name])

    return mend


def _change_gate(name: str, other: str) -> Callable[[SimulatedNodes, str], None]:
    def strike(nodes: SimulatedNodes, _urn: str) -> None:
        nodes.all[name].tracker.block(nodes.all[other].peer, 3.0)

    return strike


FAULTS = (
    Fault("its answer comes late", _hold, 2.0, _let_go),
    Fault("what it is asked times out", _hold, LONGEST_ASK, _let_go),
    Fault("the links of alice stall", _cut, 2.0, lambda nodes, _urn: nodes.heal()),
    Fault("the links of alice are gone", _cut, 40.0, lambda nodes, _urn: nodes.heal()),
    Fault("alice restarts", _crash("alice"), 1.0, _restart("alice")),
    Fault("bob restarts", _crash("bob"), 1.0, _restart("bob")),
    Fault("alice's gate changes", _change_gate("alice", "bob"), 5.0),
    Fault("bob's gate changes", _change_gate("bob", "alice"), 5.0),
)


def steps_of(flow: Flow) -> list[str]:
    """Who handles a message, for each from the beginning of the flow to its end."""
    turns: list[str] = []
    with Simulation(SEED) as simulation:
        nodes = _prepared(flow, simulation)
        simulation.observe(lambda engine, _item: turns.append(str(engine.actor_urn)))
        replies = flow.act(nodes)
        nodes.run_until(lambda: _is_over(flow, nodes, replies), timeout=30)
    return turns


def run(flow: Flow, step: int, whose: str, fault: Fault) -> None:
    """The flow with the fault at this step. Raises AssertionError, or whatever an engine failed with."""
    with Simulation(SEED) as simulation:
        nodes = _prepared(flow, simulation)
        begun = simulation.handled
        replies = flow.act(nodes)
        simulation.step_until(lambda: simulation.handled - begun >= step, timeout=30)
        fault.strike(nodes, whose)
        simulation.run(for_=fault.lasts)
        fault.mend(nodes, whose)
        nodes.run(1)
        flow.again(nodes)
        nodes.run_until(lambda: flow.is_recovered(nodes), timeout=240, every=1.0)
        nodes.run(LONGEST_ASK)
        nodes.invariants.check_answered([node.runtime for node in nodes.running], LONGEST_ASK)
        assert all(reply.done for reply in replies), "whoever began the flow still waits"
        assert flow.is_recovered(nodes), "it did not last"


def _prepared(flow: Flow, simulation: Simulation) -> SimulatedNodes:
    nodes = SimulatedNodes(simulation)
    flow.prepare(nodes)
    nodes.run(2)
    return nodes


def _is_over(flow: Flow, nodes: SimulatedNodes, replies: Any) -> bool:
    waits: list[Reply[Any]] = [reply for reply in replies if not reply.done]
    return not waits and flow.done(nodes)
