"""Who is alive, in whole clusters: SWIM (in `swim/`, a pure core) between authenticated peers, with signed records.

The engine is one of transport's observers and takes its packets. It takes part from `join` to `leave`.

* Members are told apart by `PeerId`, a member's lives by the generation of its record. A member is visible when it is
  alive by SWIM's word and its own signed record is there (`view`).
* Records travel beside SWIM's packets: our own until the receiver has answered, those of the named in a Feed, any
  on request (`session`, `outgoing`, `envelope`).
* Nobody is heard whose record is not held, and nobody can be a member without an address.
* A closed connection is no evidence of death: that peer is probed next. An opened one to a stranger is announced on.
* A peer that this node blocks is neither probed nor accused, so a block here kills nobody elsewhere (`local_blocks`).
* A node that is held dead goes on under its next generation; transport signs the record for it.
* When the visible members have changed they become the tracker's next peer set (`tracker_feed`). A member's own tags
  say whether it is a primary or a secondary peer (`tags`).
* A node that starts again begins with those who were there when it ended (`persistence`, `snapshot`).
* `leave` is said three times, so that nobody has to find out; `join` afterwards comes back under a new generation.
* The node announces itself to seeds that have never answered, with back-off; while isolated to all of them, and to
  members that it holds dead.
* Every packet that is dropped is counted with its reason.
"""

from .config import Config, Seed
from .engine import Engine
from .errors import NoAddress
from .mailbox import (
    GetMembers,
    Isolated,
    Join,
    Joined,
    KeyInUse,
    Leave,
    Mailbox,
    MemberDown,
    MemberInfo,
    MemberRefuted,
    Members,
    MemberSuspected,
    MemberUp,
    MemberUpdated,
    PeerSetRefused,
    Rejoined,
)
from .swim import State
from .tags import is_secondary, tags_of

__all__ = [
    "Config",
    "Engine",
    "GetMembers",
    "Isolated",
    "Join",
    "Joined",
    "KeyInUse",
    "Leave",
    "Mailbox",
    "MemberDown",
    "MemberInfo",
    "MemberRefuted",
    "MemberSuspected",
    "MemberUp",
    "MemberUpdated",
    "Members",
    "NoAddress",
    "PeerSetRefused",
    "Rejoined",
    "Seed",
    "State",
    "is_secondary",
    "tags_of",
]
