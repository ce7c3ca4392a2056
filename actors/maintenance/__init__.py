"""Keeps the number of connections inside bounds. The only actor that dials.

::

                     activate
    (inactive) ─────────────────▶ check ◀─────────────────────────── a trigger, or the timer
                                   │                                          ▲
        too few, past the floor    │    too many, past the floor              │
      ┌────────────────────────────┼──────────────────────────┐               │
      ▼                            ▼ in the band, or nothing   ▼              │
    ask the tracker ─▶ dial      to be done              ask for a trim       │
      │ too few candidates         └──▶ report, rest ─────────────────────────┘
      ▼                                                                       │
    ask the peers, wake discovery, rest ──────────────────────────────────────┘

* `Bounds` alone says when to start and how far to go; band and triggers read the same object.
* Policy `band`: below `min_threshold` dial until `min_target`, never aiming above `max_target`; above `max_threshold`
  let connections trim to `max_target`. Policy `all`: dial every primary peer, and no other, up to `max_connections`.
* Policy `band` counts who is useful: peers of the tracker's latest set, whom alone a resolver asks. While some of them
  can be dialled, connections with others are no reason to rest, and are given up first; else they count too.
* Triggers are latched: what comes while a round runs starts the next one. They are `Counts`, the tracker's
  `DialableChanged`, `maintain()`, `want(peer)`, the end of a dial, and time.
* Rounds keep a distance: at least `floor_between_rounds`, with up to half of it more at random. Finding that all is
  well waits for nothing.
* Dials run side by side, at most `max_concurrent_dials`. Who really was dialled is not asked for again until the repair
  ends; who was not, stays a candidate.
* Too few candidates: every connected peer that says where it is is asked for others (`Bootstrap`), and answers with the
  signed records of its own connections (`Advertise`), which become hints to the tracker; discovery is woken. While that
  brings nothing, it is repeated more and more rarely. What is asked, answered and believed is bounded
  (`core/exchange_rules.py`).
* A private node asks nobody, answers nobody, and says that it is private.
* A peer whose link broke is dialled again now and then, also with enough connections, for some minutes: so the parts
  of a network that was cut find together again.
* A repair ends inside the band, or when there is nothing to dial (or to trim) any more. Then `maintain()` is answered,
  and the next check waits for a trigger, for the tracker's `next_at`, or for the timer.
* An operator reads "too few connections" when nothing can be done about it and once more when it is over, not in every
  round. `subscribe` gives all of it as events, `standing()` as one line.
* `shutdown()` ends all this: who waits gets `MaintenanceStopped`, and so does who asks later. It may be repeated.
"""

from .config import Config
from .core.actions import Motive
from .core.codec import CHANNEL
from .core.goal import Bounds
from .engine import Engine
from .errors import MaintenanceStopped
from .mailbox import (
    Activate,
    AdvertiseReceived,
    AdvertiseSent,
    BootstrapReceived,
    BootstrapSent,
    CannotTrim,
    Doing,
    ExchangeRefused,
    GetStanding,
    Level,
    Mailbox,
    Maintain,
    MaintenanceEnded,
    MaintenanceStarted,
    NotReached,
    Report,
    RoomWithheld,
    Shutdown,
    Standing,
    TooFewConnections,
    TooManyConnections,
    Want,
    WantForFetch,
)

__all__ = [
    "CHANNEL",
    "Activate",
    "AdvertiseReceived",
    "AdvertiseSent",
    "BootstrapReceived",
    "BootstrapSent",
    "Bounds",
    "CannotTrim",
    "Config",
    "Doing",
    "Engine",
    "ExchangeRefused",
    "GetStanding",
    "Level",
    "Mailbox",
    "Maintain",
    "MaintenanceEnded",
    "MaintenanceStarted",
    "MaintenanceStopped",
    "Motive",
    "NotReached",
    "Report",
    "RoomWithheld",
    "Shutdown",
    "Standing",
    "TooFewConnections",
    "TooManyConnections",
    "Want",
    "WantForFetch",
]
