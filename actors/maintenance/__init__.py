"""Keeps the number of connections inside bounds. The only actor that dials.

::

                     activate
    (inactive) ─────────────────▶ look ◀──────────────────────────── a trigger, or the timer
                                   │                                          ▲
        too few, past the floor    │    too many, past the floor              │
      ┌────────────────────────────┼──────────────────────────┐               │
      ▼                            ▼ in the band, or nothing   ▼              │
    ask the tracker ─▶ dial      to be done              ask for a trim       │
                                   └──▶ report, rest ─────────────────────────┘

* `Bounds` alone says when to start and how far to go; band and triggers read the same object.
* Policy `band`: below `min_threshold` dial until `min_target`, never aiming above `max_target`; above `max_threshold`
  let connections trim to `max_target`. Policy `all`: dial every peer the tracker offers, up to `max_connections`.
* Triggers are latched: what comes while a round runs starts the next one. They are `Counts`, the tracker's
  `DialableChanged`, `maintain()`, `want(peer)`, the end of a dial, and time.
* Rounds keep a distance: at least `floor_between_rounds`, with up to half of it more at random. Finding that all is
  well waits for nothing.
* Dials run side by side, at most `max_concurrent_dials`. Who really was dialled is not asked for again until the repair
  ends; who was not, stays a candidate.
* A repair ends inside the band, or when there is nothing to dial (or to trim) any more. Then `maintain()` is answered,
  and the next look waits for a trigger, for the tracker's `next_at`, or for the timer.
* An operator reads "too few connections" when that begins and once more when it is over, not in every round.
* `shutdown()` ends all this: who waits gets `MaintenanceStopped`, and so does who asks later. It may be repeated.
"""

from .bounds import Bounds
from .config import Config
from .engine import Engine
from .errors import MaintenanceStopped
from .mailbox import Activate, Mailbox, Maintain, Report, Shutdown, Want

__all__ = [
    "Activate",
    "Bounds",
    "Config",
    "Engine",
    "Mailbox",
    "Maintain",
    "MaintenanceStopped",
    "Report",
    "Shutdown",
    "Want",
]
