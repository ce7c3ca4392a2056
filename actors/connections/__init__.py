"""Which connections this node has, and which to give up when there are too many.

An observer of transport: it hears of every link exactly twice, `Opened` and `Closed`, and counts. Applications say what
a peer is worth to them: `tag_peer`, `protect`.

* A connection is open from `Opened` until it is chosen for closing, then closing until `Closed`. Closing ones are in no
  other count.
* `Counts` goes to subscribers whenever one of the two numbers changed, and to a new subscriber at once. Only the newest
  `Counts` waits in a mailbox.
* `Connected` and `Disconnected` come once for each connection, in this order. `PeerConnected` comes with a peer's first
  connection, `PeerDisconnected` with the end of its last, for that one's reason.
* A link that opens twice, or closes unopened, changes nothing; it is counted and logged.
* A peer's *value* is the sum of its tags. Tags may be set before it connects; they go with its last connection.
* A *decaying tag* has a weight per peer that `bump` changes and time takes away: each interval by its decay function,
  exactly also when the node stalled. Closing it takes it from all peers.
* Tags and protections are bounded (`max_tags`, `max_protected`), and none is of this node itself: the reply says so.
* A *protection* keeps a peer out of trims. It has a name, survives disconnects, and ends by `unprotect`.
* A peer that was first seen less than `grace_period` ago is *in grace* and kept out of trims too.
* A trim closes exactly as many connections as needed, in the order of `core/peer`, and reports when they are
  gone, or after `close_timeout`. If its target was not met, the report says why.
* `trim_open_connections(target)` counts all open connections, without a target only those that it may close. By itself
  it trims when *more* than `high_water` are open. `force_trim` spares nobody, protected peers last.
* Trims do not overlap: who asks during one that goes as far shares its report; others, and who finds too many open
  again after all victims were chosen, share the next one.
* Blocks are the tracker's: `block_peer` and its kin are passed on to it, and disconnect unless told otherwise.
* Applications without an engine may `notify` a listener: it may be slow and may raise, and nobody else notices.
* `memory_limit` makes it watch the process's memory and give up some connections at a time while that is exceeded.
* No handler takes long: trims and lists are made in slices, and what changes between two slices counts.

In `core/` is what decides: `peer` (the order of victims), `peer_table` (what counts), `trim` (how many, and who),
`decaying_tags` with `decay` and `bump` (what time does to weights), `reports` (what is told). In `parts/` is what acts
on the engine's thread: `trims`, `tag_decay`, `memory_watch`, `listeners`; and `null_manager`, which replaces all of it.
"""

from .config import Config
from .core import bump, decay
from .core.decay import DecayingValue
from .core.peer import MAX_WEIGHT
from .core.reports import Connection, Info, TagInfo, TrimReport
from .engine import Engine
from .errors import IsThisNode, LimitTooLow, NoLowWater, NoTracker, TagClosed, TagTaken, TooMany
from .mailbox import (
    Block,
    BumpTag,
    Busy,
    CheckLimit,
    Close,
    CloseTag,
    Connected,
    Counts,
    DecayingTag,
    Disconnected,
    ForceTrim,
    GetBlocks,
    GetConnections,
    GetInfo,
    GetTagInfo,
    IsProtected,
    Listener,
    Mailbox,
    Notify,
    PeerConnected,
    PeerDisconnected,
    Protect,
    RegisterDecayingTag,
    RemoveTag,
    StopNotify,
    TagPeer,
    Trim,
    Unblock,
    Unprotect,
    UntagPeer,
    UpsertTag,
)
from .parts.null_manager import NullConnectionManager

__all__ = [
    "MAX_WEIGHT",
    "Block",
    "BumpTag",
    "Busy",
    "CheckLimit",
    "Close",
    "CloseTag",
    "Config",
    "Connected",
    "Connection",
    "Counts",
    "DecayingTag",
    "DecayingValue",
    "Disconnected",
    "Engine",
    "ForceTrim",
    "GetBlocks",
    "GetConnections",
    "GetInfo",
    "GetTagInfo",
    "Info",
    "IsProtected",
    "IsThisNode",
    "LimitTooLow",
    "Listener",
    "Mailbox",
    "NoLowWater",
    "NoTracker",
    "Notify",
    "NullConnectionManager",
    "PeerConnected",
    "PeerDisconnected",
    "Protect",
    "RegisterDecayingTag",
    "RemoveTag",
    "StopNotify",
    "TagClosed",
    "TagInfo",
    "TagPeer",
    "TagTaken",
    "TooMany",
    "Trim",
    "TrimReport",
    "Unblock",
    "Unprotect",
    "UntagPeer",
    "UpsertTag",
    "bump",
    "decay",
]
