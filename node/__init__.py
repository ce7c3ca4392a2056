"""A whole node: the actors composed, the control socket and its client, clusters of processes, the command line.

::

    with Node(load("node.yaml")) as node:                       # in this process
        key = node.blobs.put("model.bin")

    with Cluster.launch("cluster/*/node.yaml") as cluster:      # each node a process of its own
        cluster.wait(connected=4, timeout=20)
        cluster["e"].blobs.get(key, "copy.bin", timeout=60)

`composition.py` is the text to copy for a node of your own; `testing.py` runs it in a simulation. Importing this loads
neither click nor rich, and the rest at the first use of a name: the command `rookery` has to catch signals before.
"""

# Nothing is imported here, not even what is small: the command `rookery` has to handle Ctrl-C before.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cluster import Cluster, ClusterError
    from .control import CallTimeout, Client, CommandFailed, ControlError, NoNode
    from .control.status import BlockRow, ConnectionRow, MemberRow, PeerRow, Status
    from .errors import CannotStart
    from .node import Node

__all__ = [
    "BlockRow",
    "CallTimeout",
    "CannotStart",
    "Client",
    "Cluster",
    "ClusterError",
    "CommandFailed",
    "ConnectionRow",
    "ControlError",
    "MemberRow",
    "NoNode",
    "Node",
    "PeerRow",
    "Status",
]
_HOMES = {
    "cluster": ("Cluster", "ClusterError"),
    "control": ("CallTimeout", "Client", "CommandFailed", "ControlError", "NoNode"),
    "errors": ("CannotStart",),
    "node": ("Node",),
    "control.status": ("BlockRow", "ConnectionRow", "MemberRow", "PeerRow", "Status"),
}

if not TYPE_CHECKING:  # or any name would be one for the type checker

    def __getattr__(name: str) -> object:
        from importlib import import_module

        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f".{home}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
