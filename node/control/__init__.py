"""The operator's view of a running node, and the door to it: the socket that the command line talks to.

::

    rookery status ─┐                                       ┌─▶ tracker      block, unblock
    a script ───────┼─ Client ══ ipc://node.sock ══▶ Engine ┼─▶ blobs        put, get, cancel
    Cluster ────────┘                                ▲      └─▶ connections  what is open
                                                     └── Mailbox: status, peers, connections, members, wait

* The socket can be opened by its owner alone (`place`); its frames are versioned, bounded and checked (`protocol`).
* Commands: status, peers, members, connections, metrics, wait, put, get, cancel, block, unblock, stop.
* What a command cannot do is answered with the kind of error and a message; the node goes on.
* A `get` is followed by its progress, at most 20 times a second.
* At most `max_calls` commands are under way; more are refused.
* `stop` is answered, and then the node stops.
"""

from .client import CallTimeout, Client, CommandFailed, ControlError, NoNode
from .engine import About, Engine
from .mailbox import GetConnections, GetMembers, GetPeers, GetStatus, Mailbox, WaitFor
from .place import SocketTaken
from .waiting import NotReached

__all__ = [
    "About",
    "CallTimeout",
    "Client",
    "CommandFailed",
    "ControlError",
    "Engine",
    "GetConnections",
    "GetMembers",
    "GetPeers",
    "GetStatus",
    "Mailbox",
    "NoNode",
    "NotReached",
    "SocketTaken",
    "WaitFor",
]
