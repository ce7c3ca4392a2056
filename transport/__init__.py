"""Authenticated links between nodes: identities, addresses, handshakes, channels, packets.

::

    your engine ── Channel.send ──▶ Engine ──▶ Wire ═══ CURVE ═══▶ Wire ──▶ Engine ── Received ──▶ their engine
                                      │ admit, released                        │
                                      ▼                                        ▼
                                  Gatekeeper (the tracker)                 Gatekeeper

Rules:

* Nothing connects without a `Ticket` of the gatekeeper, packet links aside; each ticket is released exactly once.
* Each connection is `Opened` once and `Closed` once, and nothing is delivered before the one or after the other.
* At most one connection per peer; which of two survives, `handshake.decide_tie` says.
* Before the gatekeeper has pushed a `Gate` everybody is refused.
* What comes from the network is bounded, validated and counted; who misbehaves is closed, with the reason.
* `Feedback.OK` of a send means queued here. A message that is then not sent, or not confirmed when its link ends, is
  counted, and the link's `Closed` says how many there were.
* A gate ends what it blocks in the handler that takes it, whatever state it is in. `Closed` overtakes the link's data
  in a receiver's inbox: receivers discard what comes from a link they were told is closed.

Here are what transport can be asked and told, and the values that others name: addresses, records, reasons, gates.
`identity/` has a node's keys and their files, `core/` what decides, `parts/` how a link begins, what it carries and how
it ends, `wire/` the seam below with ZeroMQ and the simulated network. Start with `mailbox.py`, then `parts/inbound.py`.
"""

from .address import Address, Endpoint, format_peer, parse_peer
from .channel import Channel
from .config import Config
from .core.buckets import TokenBuckets
from .engine import Engine, zmq_wire
from .errors import AlreadyListening, BindError, ChannelsClosed, ChannelTaken, DecodeError
from .gatekeeper import Admitted, Claim, Direction, Gate, Link, NotAdmitted, Role, Ticket, Verdict
from .gater import AllowAll, Gater, Gaters
from .identity import Identity, PeerId, curve_key, keyfile
from .identity.generation import GenerationError, GenerationFile, Generations, MemoryGenerations
from .identity.life import Life
from .mailbox import (
    Close,
    Closed,
    CloseLink,
    Dial,
    Gatekeeper,
    GetRecord,
    Listen,
    Mailbox,
    Opened,
    OwnRecord,
    Packet,
    Quota,
    Received,
    ReceivePackets,
    Register,
    Renew,
    Send,
    SendFirst,
    SendPacket,
    SetGate,
)
from .reasons import Reason
from .record import PeerRecord
from .wire import descriptors

__all__ = [
    "Address",
    "Admitted",
    "AllowAll",
    "AlreadyListening",
    "BindError",
    "Channel",
    "ChannelTaken",
    "ChannelsClosed",
    "Claim",
    "Close",
    "CloseLink",
    "Closed",
    "Config",
    "DecodeError",
    "Dial",
    "Direction",
    "Endpoint",
    "Engine",
    "Gate",
    "Gatekeeper",
    "Gater",
    "Gaters",
    "GenerationError",
    "GenerationFile",
    "Generations",
    "GetRecord",
    "Identity",
    "Life",
    "Link",
    "Listen",
    "Mailbox",
    "MemoryGenerations",
    "NotAdmitted",
    "Opened",
    "OwnRecord",
    "Packet",
    "PeerId",
    "PeerRecord",
    "Quota",
    "Reason",
    "ReceivePackets",
    "Received",
    "Register",
    "Renew",
    "Role",
    "Send",
    "SendFirst",
    "SendPacket",
    "SetGate",
    "Ticket",
    "TokenBuckets",
    "Verdict",
    "curve_key",
    "descriptors",
    "format_peer",
    "keyfile",
    "parse_peer",
    "zmq_wire",
]
