"""What an actor is: an engine behind a typed mailbox, on threads or in a simulation.

::

    Mailbox ──tell/ask──▶ Inbox ──▶ Engine        one of: ThreadRuntime, LoopRuntime, Simulation
       ▲                                │
       └── Feedback, Reply ◀────────────┘

Read `actor/message.py` for what may be said, `actor/mailbox.py` and `actor/engine.py` for how to write an actor,
`hosts/base.py` for what a runtime gives to its engines, `testing.py` for mock mailboxes.
"""

from .actor.engine import Engine, Handlers
from .actor.events import EventMailbox, Subscribe, Subscribers
from .actor.mailbox import Mailbox, Terminated
from .actor.message import Feedback, Lane, Limit, Message, Overflow, Request
from .actor.reply import Reply, Waits
from .actor.slices import Slices
from .actor.timers import Timer
from .actor.waiter import Waiter
from .errors import (
    Declined,
    EngineFailed,
    EngineGone,
    MailboxFull,
    NoEventLoop,
    NotSimulated,
    ReplyCancelled,
    ReplyDropped,
    ReplyTimeout,
    RuntimeFault,
    SimulationStuck,
    StopTimeout,
    UnhandledMessage,
    WouldDeadlock,
)
from .hosts.base import Runtime
from .hosts.loop import LoopRuntime
from .hosts.threads import ThreadRuntime
from .metrics import Counter, Gauge, Registry, Sample
from .simulation import Link, Network, SimulatedNode, Simulation

__all__ = [
    "Counter",
    "Declined",
    "Engine",
    "EngineFailed",
    "EngineGone",
    "EventMailbox",
    "Feedback",
    "Gauge",
    "Handlers",
    "Lane",
    "Limit",
    "Link",
    "LoopRuntime",
    "Mailbox",
    "MailboxFull",
    "Message",
    "Network",
    "NoEventLoop",
    "NotSimulated",
    "Overflow",
    "Registry",
    "Reply",
    "ReplyCancelled",
    "ReplyDropped",
    "ReplyTimeout",
    "Request",
    "Runtime",
    "RuntimeFault",
    "Sample",
    "SimulatedNode",
    "Simulation",
    "SimulationStuck",
    "Slices",
    "StopTimeout",
    "Subscribe",
    "Subscribers",
    "Terminated",
    "ThreadRuntime",
    "Timer",
    "UnhandledMessage",
    "Waiter",
    "Waits",
    "WouldDeadlock",
]
