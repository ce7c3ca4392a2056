"""The operator's view of a running node, and the socket that the command line talks to.

::

    rookery status ─┐                                       ┌─▶ tracker      block, unblock
    a script ───────┼─ Client ═════ node.sock ═════▶ Engine ┼─▶ blobs        put, get, cancel
    Cluster ────────┘                                ▲      └─▶ connections  what is open
                                                     └── Mailbox: status, peers, connections, members, wait

* The socket can be opened by its owner alone (`socket_path`).
* Its frames are versioned, bounded and checked (`protocol`).
* `commands` has the table of all commands. Those of one part of the node stand together, beside what a client offers of
  that part.
* What a command cannot do is answered with the kind of error and a message; the node goes on.
* A `get` is followed by its progress, at most 20 times a second.
* At most `max_calls` commands are under way, of one client half of what others leave; more are refused. A `wait` ends
  with its client, and a `status`, `stop` or `cancel` always has a place.
* `stop` is answered, and then the node stops.
"""

from .client import Client
from .command import Context
from .engine import About, Engine, NotReached
from .errors import CallTimeout, CommandFailed, ControlError, NoNode
from .mailbox import GetConnections, GetMembers, GetPeers, GetStatus, Mailbox, WaitFor
from .socket_path import SocketTaken

__all__ = [
    "About",
    "CallTimeout",
    "Client",
    "CommandFailed",
    "Context",
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
