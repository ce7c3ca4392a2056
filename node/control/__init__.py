"""The operator's view of a running node, and the door to it: the socket that the command line talks to.

::

    rookery status ─┐                                       ┌─▶ tracker      block, unblock
    a script ───────┼─ Client ═════ node.sock ═════▶ Engine ┼─▶ blobs        put, get, cancel
    Cluster ────────┘                                ▲      └─▶ connections  what is open
                                                     └── Mailbox: status, peers, connections, members, wait

* The socket can be opened by its owner alone (`place`); its frames are versioned, bounded and checked (`protocol`).
* `commands` is the table of all commands; those of one part of the node stand together in `topics`, and what a client
  offers of that part in `remote`.
* What a command cannot do is answered with the kind of error and a message; the node goes on.
* A `get` is followed by its progress, at most 20 times a second.
* At most `max_calls` commands are under way, of one client half of what others leave; more are refused.
* `stop` is answered, and then the node stops.
"""

from .client import Client
from .engine import About, Engine
from .errors import CallTimeout, CommandFailed, ControlError, NoNode
from .mailbox import GetConnections, GetMembers, GetPeers, GetStatus, Mailbox, WaitFor
from .parts import Parts
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
    "Parts",
    "SocketTaken",
    "WaitFor",
]
