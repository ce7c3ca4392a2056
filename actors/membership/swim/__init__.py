"""SWIM as a pure state machine: who in a cluster is alive, without clock, socket or thread.

In each period every member probes one other. A member that does not answer is probed through helpers, then suspected,
and declared Down unless it refutes that. Updates travel on the probes themselves. The rules stand at the head of each
module:

    precedence     which update about a member replaces which
    probing        probes, helpers, Down; this member's own health
    suspicion      how long a suspect has to refute
    sync           exchange of the whole state
    applying       what an update does to other members, to this one, to its connection state
    receiving      what happens to a packet
    periodic       tasks that repeat
    backlog        what is passed on, and how often
    broadcasts     the application's broadcasts; by name: `named`
    codec          the bytes

The package imports nothing of Rookery and can be used alone; `swim` shows how. Its names are Foca's where Foca has
one: so `MemberUp` here says that SWIM holds a member alive, and that of the membership's mailbox that its record is
known too. Throughout, "we" is the member that runs this code.
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
