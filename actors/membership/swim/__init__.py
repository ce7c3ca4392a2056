"""SWIM as a pure state machine: who in a cluster is alive, without clock, socket or thread.

Every member probes one other per period; a silent one is probed through helpers, then suspected, then declared Down
unless it refutes. News travels on the probes themselves. The rules stand at the head of each module:

    precedence     which word about a member replaces which
    probing        probe, helpers, Down; how well we are ourselves
    suspicion      how long a suspect has
    sync           exchange of all we know
    applying       what an update does to others, to ourselves, to our connection
    receiving      what happens to a packet
    periodic       tasks that repeat
    backlog        what is passed on, and how often
    broadcasts     the application's own news; by name: `named`
    codec          the bytes

The package imports nothing of Rookery and can be used alone; `swim` shows how.
"""

from .broadcasts import BroadcastHandler, BroadcastKey
from .config import Config, Periodic
from .core import ConnectionState
from .counters import Counters
from .errors import (
    CustomBroadcastError,
    DataFromOurselvesError,
    DataTooBigError,
    DecodeError,
    EmptyBroadcastError,
    ForgedSenderError,
    IndirectForOurselvesError,
    InvalidConfigError,
    NotUndeadError,
    SameIdentityError,
    SwimError,
)
from .member import Member, MemberId, State
from .named import NamedBroadcast, NamedBroadcasts
from .notifications import (
    Active,
    AddressInUse,
    Defunct,
    Idle,
    MemberDown,
    MemberUp,
    Notification,
    ProbeFailed,
    Refuted,
    Rejoin,
    Rename,
    RoundTrip,
    Suspected,
)
from .outbox import Effect, Notify, Outbox, Schedule, Send
from .swim import Swim
from .timers import Timer

__all__ = [
    "Active",
    "AddressInUse",
    "BroadcastHandler",
    "BroadcastKey",
    "Config",
    "ConnectionState",
    "Counters",
    "CustomBroadcastError",
    "DataFromOurselvesError",
    "DataTooBigError",
    "DecodeError",
    "Defunct",
    "Effect",
    "EmptyBroadcastError",
    "ForgedSenderError",
    "Idle",
    "IndirectForOurselvesError",
    "InvalidConfigError",
    "Member",
    "MemberDown",
    "MemberId",
    "MemberUp",
    "NamedBroadcast",
    "NamedBroadcasts",
    "NotUndeadError",
    "Notification",
    "Notify",
    "Outbox",
    "Periodic",
    "ProbeFailed",
    "Refuted",
    "Rejoin",
    "Rename",
    "RoundTrip",
    "SameIdentityError",
    "Schedule",
    "Send",
    "State",
    "Suspected",
    "Swim",
    "SwimError",
    "Timer",
]
