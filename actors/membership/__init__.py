"""Who is alive, in whole clusters: SWIM (in `swim/`, a pure core) between authenticated peers, with signed records.

The engine is one of transport's observers and receives its packets. The node is a member from `join` to `leave`.

* A member is identified by its `PeerId`, and each of its lives by the generation of its record. It is visible when
  SWIM holds it alive and its own signed record is known (`view`).
* Records travel beside SWIM's packets: this node's own until the receiver has answered, those of the members that a
  Feed names, and any other on request (`incoming`, `outgoing`, `envelope`).
* Packets from a peer whose record is not known are dropped, and a peer without an address cannot be a member.
* A closed connection is no evidence of death: that peer is probed next. When a connection opens to a peer that is not
  a member, this node announces itself to it.
* A peer that this node blocks is neither probed nor accused, so a block here has nobody declared dead
  (`local_blocks`).
* A node that the others declared dead goes on under its next generation; transport signs the record for it.
* When the visible members have changed they become the tracker's next peer set (`tracker_feed`). A member's own tags
  say whether it is a primary or a secondary peer (`tags`).
* A node that restarts begins with the members that it knew when it stopped (`persistence`, `snapshot`).
* `leave` is announced three times, so that nobody has to find out by probing; `join` afterwards comes back under a
  new generation.
* The node announces itself to seeds that have never answered, with back-off. While it is isolated it announces itself
  to all seeds, and to members that it holds Down.
* Every packet that is dropped is counted with its reason.
* An application cannot broadcast through this actor: that is a feature of `Swim` alone (`swim/broadcasts`).
"""

from .config import Config, Seed
from .core.tags import is_secondary, tags_of
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
    MemberCheats,
    MemberDown,
    MemberFloods,
    MemberInfo,
    MemberProved,
    MemberRefuted,
    Members,
    MembersLeftOut,
    MemberSuspected,
    MemberUp,
    MemberUpdated,
    Rejoined,
)
from .parts.snapshot import SnapshotError
from .swim import State

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
    "MemberCheats",
    "MemberDown",
    "MemberFloods",
    "MemberInfo",
    "MemberProved",
    "MemberRefuted",
    "MemberSuspected",
    "MemberUp",
    "MemberUpdated",
    "Members",
    "MembersLeftOut",
    "NoAddress",
    "Rejoined",
    "Seed",
    "SnapshotError",
    "State",
    "is_secondary",
    "tags_of",
]
