"""The seven flows of a node, each as a scene: who is there before, what begins it, and what holds at its end.

The nodes are alice, bob and whoever else the flow needs. `again` does what an application does after a restart: it
tracks its peers once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rookery.runtime import Reply
from rookery.testing import SimulatedNodes, WholeNode
from rookery.transport import Address

VALUE = b"what bob wants" * 100
KEY = hashlib.sha256(VALUE).digest()
NOWHERE = Address.parse("tcp://10.99.99.99:7000")
CALM: dict[str, Any] = {"min_connections": 2, "expected_connections": 2, "max_connections": 8}
Nodes = SimulatedNodes


class Larder:
    """Produces VALUE."""

    def produce(self, key: bytes) -> bytes | None:
        return VALUE if key == KEY else None


@dataclass(frozen=True)
class Flow:
    """One flow. act: begins it; gives the replies that its beginner waits for."""

    name: str
    prepare: Callable[[Nodes], object]
    act: Callable[[Nodes], Sequence[Reply[Any]]]
    done: Callable[[Nodes], bool]
    again: Callable[[Nodes], object] = field(default=lambda _nodes: None)
    recovered: Callable[[Nodes], bool] | None = None

    def is_recovered(self, nodes: Nodes) -> bool:
        return (self.recovered or self.done)(nodes)


def start(nodes: Nodes, *names: str, **options: Any) -> list[WholeNode]:
    """Nodes whose application tracks their peers, and which are no members."""
    alone: dict[str, Any] = {"tracker": {"source": "application"}, "maintenance": CALM, "member": False}
    return [nodes.start(name, **(alone | options)) for name in names]


def track(nodes: Nodes, who: str, *whom: str) -> list[Reply[None]]:
    """`who` tracks the others as its first set, unless it has one."""
    node, others = nodes.all[who], [nodes.all[name] for name in whom]
    if node.ended or node.tracker.peer_set(1).get(timeout=100) is not None:
        return []
    return [node.tracker.track(1, {other.peer: other.address for other in others})]


def connected(nodes: Nodes, *pairs: tuple[str, str]) -> bool:
    """Whether each pair is, by the word of both."""
    return all(
        nodes.all[one].is_connected_to(nodes.all[other]) and nodes.all[other].is_connected_to(nodes.all[one])
        for one, other in pairs
    )


def apart(nodes: Nodes, one: str, other: str) -> bool:
    return not (nodes.all[one].is_connected_to(nodes.all[other]) or nodes.all[other].is_connected_to(nodes.all[one]))


def pair(nodes: Nodes, **options: Any) -> None:
    """bob has dialled alice."""
    start(nodes, "alice", **options)
    start(nodes, "bob")
    track(nodes, "bob", "alice")
    nodes.run_until(lambda: connected(nodes, ("alice", "bob")), timeout=10)


# (flows: dial) --------------------------------------------------------------------------------------------------------

OUTBOUND_DIAL = Flow(
    "outbound dial",
    prepare=lambda nodes: start(nodes, "alice", "bob"),
    act=lambda nodes: track(nodes, "bob", "alice"),
    done=lambda nodes: connected(nodes, ("alice", "bob")),
    again=lambda nodes: track(nodes, "bob", "alice"),
)

# (flows: ties): two that dial each other at once, so that one of the dials is superseded ------------------------------


def dial_each_other(nodes: Nodes) -> list[Reply[None]]:
    return [*track(nodes, "bob", "alice"), *track(nodes, "alice", "bob")]


INBOUND_ACCEPT = Flow(
    "inbound accept",
    prepare=lambda nodes: start(nodes, "alice", "bob"),
    act=dial_each_other,
    done=lambda nodes: connected(nodes, ("alice", "bob")),
    again=dial_each_other,
)

# (flows: block) -------------------------------------------------------------------------------------------------------

BLOCK = Flow(
    "block of a live peer",
    prepare=pair,
    act=lambda nodes: [nodes.all["alice"].tracker.block(nodes.all["bob"].peer, 20.0)],
    done=lambda nodes: apart(nodes, "alice", "bob"),
    again=lambda nodes: track(nodes, "bob", "alice"),
    recovered=lambda nodes: connected(nodes, ("alice", "bob")),
)

# (flows: overwrite) ---------------------------------------------------------------------------------------------------


def overwrite_back(nodes: Nodes) -> None:
    track(nodes, "bob", "alice")
    alice, bob = nodes.all["alice"], nodes.all["bob"]
    if not bob.ended:
        bob.tracker.overwrite({alice.peer: alice.address})


OVERWRITE = Flow(
    "overwrite of an address",
    prepare=pair,
    act=lambda nodes: [nodes.all["bob"].tracker.overwrite({nodes.all["alice"].peer: NOWHERE})],
    done=lambda nodes: apart(nodes, "alice", "bob"),
    again=overwrite_back,
    recovered=lambda nodes: connected(nodes, ("alice", "bob")),
)

# (flows: trim) --------------------------------------------------------------------------------------------------------


def prepare_trim(nodes: Nodes) -> None:
    start(nodes, "alice", connections={"grace_period": 0.0})
    start(nodes, "bob", "carol")
    for name in ("bob", "carol"):
        track(nodes, name, "alice")
    nodes.run_until(lambda: connected(nodes, ("alice", "bob"), ("alice", "carol")), timeout=10)


TRIM = Flow(
    "trim",
    prepare=prepare_trim,
    act=lambda nodes: [nodes.all["alice"].connections.trim_open_connections(target=1)],
    done=lambda nodes: len(nodes.all["alice"].connected()) == 1,
    again=lambda nodes: [track(nodes, name, "alice") for name in ("bob", "carol")],
    recovered=lambda nodes: connected(nodes, ("alice", "bob"), ("alice", "carol")),
)

# (flows: membership change) -------------------------------------------------------------------------------------------


def prepare_members(nodes: Nodes) -> None:
    alice = nodes.start("alice", maintenance=CALM)
    nodes.start("bob", seeds=[alice], maintenance=CALM)
    nodes.run_until(lambda: connected(nodes, ("alice", "bob")), timeout=30)


def join(nodes: Nodes) -> list[Reply[Any]]:
    nodes.start("carol", seeds=[nodes.all["alice"]], maintenance=CALM)
    return []


MEMBERSHIP = Flow(
    "membership change",
    prepare=prepare_members,
    act=join,
    done=lambda nodes: connected(nodes, ("alice", "carol"), ("bob", "carol"), ("alice", "bob")),
)

# (flows: fetch) -------------------------------------------------------------------------------------------------------

FETCH = Flow(
    "fetch",
    prepare=lambda nodes: pair(nodes, producer=Larder()),
    act=lambda nodes: [nodes.all["bob"].resolver.get(KEY, timeout=60.0)],
    done=lambda nodes: connected(nodes, ("alice", "bob")),
    again=lambda nodes: track(nodes, "bob", "alice"),
)

FLOWS = (OUTBOUND_DIAL, INBOUND_ACCEPT, BLOCK, OVERWRITE, TRIM, MEMBERSHIP, FETCH)
