"""Finds peers that nobody has named: in the configuration, on the local network, behind a name of the DNS.

* Whatever is found is a signed record, and goes to the tracker as a hint and to the membership as a seed: never a grant
  of trust, never an address that its owner has not signed.
* A source is looked at often at first, then ever more rarely, up to `interval`; `wake` begins again. Nothing found is
  normal: in a cluster that starts, the first node is alone.
* A source that fails is an event, a counter and a log line. It is looked at again in its time, and the others go on.
* What comes from the network is bounded: records of a look, bytes and seconds of a fetch, words of a LAN.
* The signed record of this node is published by mDNS (`lan`) and over HTTP (`record_listen`), because a name and an
  address alone give no key to dial with. Nothing about other peers leaves a node here.

Who does what: `schedule` (when to look), `sources` (where), `lan` (mDNS), `web` (fetching a record), `record_server`
(serving ours), `texts` (records and addresses as the configuration writes them). `engine` only moves messages.
"""

from .config import Config
from .engine import Engine
from .errors import CannotServe, NoZeroconf
from .mailbox import Found, Mailbox, SourceFailed, SourceRecovered, Wake
from .sources import Source
from .texts import HttpAddress, StaticRecord

__all__ = [
    "CannotServe",
    "Config",
    "Engine",
    "Found",
    "HttpAddress",
    "Mailbox",
    "NoZeroconf",
    "Source",
    "SourceFailed",
    "SourceRecovered",
    "StaticRecord",
    "Wake",
]
