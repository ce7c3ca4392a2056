"""Who has a key: keeps a part of the index for others, tells them what this node has, and finds holders.

* The index of a key is kept by the three members that follow its hash on the ring of member ids (`core/ring`). They
  are told in batches, acknowledged and repeated (`core/announcing`), and keep it for a bounded time and number of keys
  (`core/index`).
* Who looks asks all three at once, and each holder that they name itself; only who says yes is a holder. If the index
  brings nothing, members are asked in random order (`core/search`).
* Only members that have answered this node, and that take part, keep an index (`core/members`). What one says of
  others is charged to it (`core/charges`), never to whom it names.
* A search for a fetch goes on until it is ended. Its holders are wanted from maintenance, and who has asked not to be
  dialled is asked to dial, on a budget at the other end.
* A node that is private, or no member, does not take part: it tells nothing and asks nothing.

docs/providers.md has the picture, the guarantees and the limits.
"""

from .config import Config
from .core.ring import key_hash
from .core.search.lookup import Result
from .engine import Engine
from .errors import NotTakingPart, TooManySearches
from .mailbox import (
    EndSearch,
    Find,
    Findings,
    GetSearch,
    Holder,
    HolderFound,
    Mailbox,
    NamesFalsely,
    Progress,
    Provide,
    Search,
    SearchEnded,
    SearchProgress,
    Withdraw,
)

__all__ = [
    "Config",
    "EndSearch",
    "Engine",
    "Find",
    "Findings",
    "GetSearch",
    "Holder",
    "HolderFound",
    "Mailbox",
    "NamesFalsely",
    "NotTakingPart",
    "Progress",
    "Provide",
    "Result",
    "Search",
    "SearchEnded",
    "SearchProgress",
    "TooManySearches",
    "Withdraw",
    "key_hash",
]
