"""SWIM as a pure state machine: who in a cluster is alive, without clock, socket or thread.

In each period every member probes one other. A member that does not answer is probed through helpers, then suspected,
and declared Down unless it refutes that. Updates travel on the probes themselves. The rules stand at the head of each
module:

    member           which update about a member replaces which
    proofs           what only the owner of a life can show
    codec            the bytes
    broadcasts       the application's broadcasts, by name too
    core/probes      probes, helpers, Down; this member's own health
    core/suspicion   how long a suspect has to refute
    core/checks      our own check before a death is believed
    core/updates     what an update does to other members and to this one
    core/connection  our connection state, and tasks that repeat
    core/reactions   what happens to a packet
    core/sync        exchange of the whole state
    core/backlog     what is passed on, and how often

The package imports nothing of Rookery and can be used alone; `swim` shows how. Its names are Foca's where Foca has
one: so `MemberUp` here says that SWIM holds a member alive, and that of the membership's mailbox that its record is
known too. Throughout, "we" is the member that runs this code.
"""

from .broadcasts import BroadcastHandler, BroadcastKey, NamedBroadcast, NamedBroadcasts
from .config import Config, Periodic
from .core.state import ConnectionState
from .effects import (
    Active,
    AddressInUse,
    Answered,
    Cheated,
    Defunct,
    Effect,
    Idle,
    MemberDown,
    MemberUp,
    Notification,
    Notify,
    Outbox,
    ProbeFailed,
    Refuted,
    Rejoin,
    Rename,
    RoundTrip,
    Schedule,
    Send,
    Suspected,
    Timer,
    UnknownLife,
)
from .errors import (
    Counters,
    CustomBroadcastError,
    DataFromOurselvesError,
    DataTooBigError,
    DecodeError,
    EmptyBroadcastError,
    ForgedProofError,
    ForgedSenderError,
    IndirectForOurselvesError,
    InvalidConfigError,
    NotUndeadError,
    SameIdentityError,
    SwimError,
    UnknownLifeError,
)
from .member import Member, MemberId, State
from .proofs import ANSWER_BYTES, PROOF_BYTES, Proofs, Trusting, Verdict
from .swim import Swim

__all__ = [
    "ANSWER_BYTES",
    "PROOF_BYTES",
    "Active",
    "AddressInUse",
    "Answered",
    "BroadcastHandler",
    "BroadcastKey",
    "Cheated",
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
    "ForgedProofError",
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
    "Proofs",
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
    "Trusting",
    "UnknownLife",
    "UnknownLifeError",
    "Verdict",
]
