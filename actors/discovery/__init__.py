"""Finds peers that nobody has named: in the configuration, on the local network, behind a name of the DNS.

* Whatever is found is a signed record, and goes to the tracker as a hint and to the membership as a seed: never a grant
  of trust, never an address that its owner has not signed.
* A source is looked up often at first, then ever more rarely, up to `interval`; `wake` begins again. Nothing found is
  normal: in a cluster that starts, the first node is alone.
* A source that fails is an event, a counter and a log line. It is looked up again in its time, and the others go on.
* What comes from the network is bounded: records of a lookup, bytes and seconds of a fetch, messages of a LAN.
* The signed record of this node is published by mDNS (`lan`) and over HTTP (`record_listen`), because a name and an
  address alone give no key to dial with. Nothing about other peers leaves a node here.

In `core/` is what decides: `schedule` (when to look up a source) and `text_forms` (how records and addresses are
written). In `parts/` is what acts: `sources` (where to look), `lan` (mDNS), `record_client` (fetches a record over
HTTP), `record_server` (serves ours).
"""

from .config import Config
from .core.text_forms import HttpAddress, StaticRecord
from .engine import Engine
from .errors import CannotServe, NoZeroconf
from .mailbox import Found, Mailbox, SourceFailed, SourceRecovered, Wake
from .parts.sources import LookupResult, Source

__all__ = [
    "CannotServe",
    "Config",
    "Engine",
    "Found",
    "HttpAddress",
    "LookupResult",
    "Mailbox",
    "NoZeroconf",
    "Source",
    "SourceFailed",
    "SourceRecovered",
    "StaticRecord",
    "Wake",
]
