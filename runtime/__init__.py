"""What an actor is: an engine behind a typed mailbox, on threads or in a simulation.

::

    Mailbox ──tell/ask──▶ Inbox ──▶ Engine        one of: ThreadRuntime, LoopRuntime, Simulation
       ▲                                │
       └── Feedback, Reply ◀────────────┘

Read `message.py` for what may be said, `mailbox.py` and `engine.py` for how to write an actor, `base.py` for what a
runtime gives to its engines, `testing.py` for mock mailboxes.
"""

from .base import Runtime, Terminated
from .engine import Engine, Handlers
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
from .events import EventMailbox, Subscribe, Subscribers
from .loop import LoopRuntime
from .mailbox import Mailbox
from .message import Feedback, Lane, Limit, Message, Overflow, Request
from .metrics import Counter, Gauge, Registry, Sample
from .network import Link, Network
from .reply import Reply, Waits
from .simulation import SimulatedNode, Simulation
from .slices import Slices
from .threads import ThreadRuntime
from .timers import Timer
from .waiter import Waiter

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
