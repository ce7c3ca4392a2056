"""Who may connect to this node, and where its peers are.

The application (or the membership, or the configuration: exactly one `source`) tracks peer sets; the tracker keeps the
newest few, with addresses, roles, trust, blocks, cooldown and back-off, and hands out the tickets without which
transport opens no connection. The peer that holds a ticket is being connected to or is connected; nobody else is.

* `track` adds the newest set. Ids increase; anything else is answered with an error, and nothing is changed.
* Primaries are dialled and accepted, secondaries only accepted; a peer in both roles is primary.
* The newest address of a peer wins. Where an operator changes it, a link to the old one is closed; never where the peer
  itself says that it has moved, as it does in the membership's sets.
* A reservation is a `Ticket`: at most one counts per peer, and transport releases each exactly once.
* A peer that leaves every set is disconnected, without a block, where only tracked peers may connect.
* Peers, IPs and networks are blocked in lists of their own; ending one block ends no other, and trust is apart.
* A hint from the network never lowers trust, ends no block and moves no given address. What is only hinted at is
  dialled last, and bounded by who named it, by where it is and in all.
* `track`, `overwrite`, `block` and `unblock` resolve when transport has put them into effect.
* A set becomes visible as a whole: however many peers it has, whoever asks meanwhile waits and sees all of it, while no
  handler runs long.
* Whatever could make a peer dialable wakes whoever subscribed to `DialableChanged`.
* A refusal is an answer with its reason, a log line and a counter.

Who decides what: `directory` (tickets and sets), `table` (predicates), `record` (one peer), `pace` (waiting),
`dialqueue` (order), `hints` and `book` (what is believed, and bounds), `blocks` and `targets`, `register` (IPs), `told`
and `gates` (what transport may refuse and say by itself), `sets` (the window), `steps` (what is done in slices).
`effects` has it done. `engine` only moves messages.

What is on disk: `journal` notes what changed, `keeper` writes it, `reader` reads it at the start, `storage` is the seam
(`sqlite` the file, `schema` its tables, `rows` its peers), `restoring` ties the clocks.
"""

from .address_book.sqlite import SqliteStorage
from .address_book.storage import BookUnusable, MemoryStorage, Storage, StorageError
from .config import Config, StaticPeer
from .core.info import PeerInfo
from .core.peer_sets import PeerSet, TrackedPeers
from .core.targets import Target, parse_target
from .engine import Engine
from .errors import (
    CannotBlock,
    CannotTrust,
    IllegalTransition,
    NotInEffect,
    NotStored,
    PeerSetTooLarge,
    SourceIsStatic,
    StaleSetId,
)
from .mailbox import (
    AddressChanged,
    Admit,
    Block,
    Blocked,
    BlockInForce,
    BookFailed,
    BookRecovered,
    Candidates,
    Dial,
    Dialable,
    DialableChanged,
    DialResult,
    Distrust,
    Failed,
    GetBlocks,
    GetKnown,
    GetPeerSet,
    GetTrusted,
    Hint,
    IpBlocked,
    IpUnblocked,
    Mailbox,
    Opened,
    Overwrite,
    Overwritten,
    PeerBlocked,
    PeerSetUpdate,
    PeerUnblocked,
    Refused,
    Released,
    Track,
    Trust,
    Unblock,
)

__all__ = [
    "AddressChanged",
    "Admit",
    "Block",
    "BlockInForce",
    "Blocked",
    "BookFailed",
    "BookRecovered",
    "BookUnusable",
    "Candidates",
    "CannotBlock",
    "CannotTrust",
    "Config",
    "Dial",
    "DialResult",
    "Dialable",
    "DialableChanged",
    "Distrust",
    "Engine",
    "Failed",
    "GetBlocks",
    "GetKnown",
    "GetPeerSet",
    "GetTrusted",
    "Hint",
    "IllegalTransition",
    "IpBlocked",
    "IpUnblocked",
    "Mailbox",
    "MemoryStorage",
    "NotInEffect",
    "NotStored",
    "Opened",
    "Overwrite",
    "Overwritten",
    "PeerBlocked",
    "PeerInfo",
    "PeerSet",
    "PeerSetTooLarge",
    "PeerSetUpdate",
    "PeerUnblocked",
    "Refused",
    "Released",
    "SourceIsStatic",
    "SqliteStorage",
    "StaleSetId",
    "StaticPeer",
    "Storage",
    "StorageError",
    "Target",
    "Track",
    "TrackedPeers",
    "Trust",
    "Unblock",
    "parse_target",
]
