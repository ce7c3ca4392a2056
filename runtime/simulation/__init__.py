"""The runtime of virtual time: a `world` with its `network`, in it each `node`, and the `guard` of the real clock."""

from .network import Link, Network
from .node import WALL_AT_START, SimulatedNode
from .world import Simulation

__all__ = ["WALL_AT_START", "Link", "Network", "SimulatedNode", "Simulation"]
