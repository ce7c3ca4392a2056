"""Which connections this node has, and which to give up when there are too many.

An observer of transport: it hears of every link exactly twice, `Opened` and `Closed`, and counts.

* A connection is open from `Opened` until it is chosen for closing, then closing until `Closed`. Closing ones are in no
  other count.
* `Counts` goes to subscribers whenever one of the two numbers changed, and to a new subscriber at once. Only the newest
  `Counts` waits in a mailbox.
* `PeerConnected` comes with a peer's first link, `PeerDisconnected` with the end of its last, for that link's reason.
* A link that opens twice, or closes unopened, changes nothing; it is counted and logged.
* `trim_open_connections(target)` closes connections until `target` are open: inbound before outbound, younger before
  older, and among equals in an order that no identity can aim for. It closes exactly as many as needed.
* Trims do not overlap: who asks during one shares its report. If somebody asked for fewer than it aims at, another trim
  to the strictest such target follows it.
* A trim ends when every victim is gone, or after `close_timeout`.
"""

from .config import Config
from .engine import Engine
from .mailbox import Counts, GetInfo, Info, Mailbox, PeerConnected, PeerDisconnected, Subscribe, Trim, TrimReport

__all__ = [
    "Config",
    "Counts",
    "Engine",
    "GetInfo",
    "Info",
    "Mailbox",
    "PeerConnected",
    "PeerDisconnected",
    "Subscribe",
    "Trim",
    "TrimReport",
]
