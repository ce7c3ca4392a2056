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

`core` decides: `admission` (who may connect), `directory` (peer sets, addresses, tickets), `known_peers` (what follows
from a change) and `known_peer` (one of them, and how long it waits), `unlisted_peers` (bounds), `dial_queue` (order),
`blocks`, `peer_sets` (the window), `gate` (what transport refuses and advises by itself). `parts` has it put into
effect, `address_book` keeps it over a restart, `engine` moves messages between them.
"""

from .address_book.sqlite import SqliteStorage
from .address_book.storage import BookUnusable, MemoryStorage, Storage, StorageError
from .config import Config, StaticPeer
from .core.blocks import Target, parse_target
from .core.known_peers import PeerInfo
from .core.peer_sets import PeerSet, TrackedPeers
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
    Dialled,
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
    "Dialled",
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
