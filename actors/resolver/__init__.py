"""Gets the bytes of a key from whichever peer has them, has them judged, and serves what others ask for.

An application gives two things: a `Consumer` that judges bytes, and a `Producer` that has bytes. Each resolver is a
named instance with one channel and keys of one length.

**Asking.** `fetch(key, subscriber)` wants a key until its bytes are accepted or nobody wants them any more. A key that
is wanted twice is asked for once, and delivered once to both. Candidates are the peers of the latest peer set to
whom a link is open: primary ones first, and (`ask: all`) secondary ones where no primary one is left. A fresh key goes
to the peer with the lowest cost, a retry to a random other one, after `fetch_retry_delay`. A peer that is silent for
`fetch_timeout`, has no data, or loses its link, is followed by another; what is over a peer's quota goes to another at
once. A targeted fetch asks its targets only; `maintenance` is told which of them have no connection. It is also told
one peer of the set at a time while a key has nobody to be asked, or everybody connected was asked in vain.

**Judging.** Bytes go to `Consumer.deliver`, which answers an `Outcome` (or True, False) now or later. COMPLETE ends the
key, and who asked during the verdict gets the same bytes. AMBIGUOUS asks again. IGNORED drops the key. INVALID has the
tracker block the peer, and asks others. A consumer that raises, never answers or talks nonsense blames nobody: it is an
event, and those it failed for leave the key.

**Stopping.** `cancel(key)`, `clear()` and `retain(predicate)` take decision in order with fetches. An open verdict is
withdrawn, a late answer has no effect, and a waiting `get` fails: also one whose time is over, or whose key the
consumer gave up. `retain` goes through very many keys in slices; what is asked for later waits for it.

**Serving.** Each request is answered, with a value or with "no data". How many the producer works on at once is bounded
per peer and in total, and in time. A value that is too large for a message is an event, and "no data" to the asker.

**Hostile peers.** An answer counts only if it comes over the link that was asked, with an id that is out. Anything that
cannot be decoded is counted and told, and closes the link if so configured.
"""

from .config import Config
from .core.codec import max_message_size
from .core.decisions import Outcome, Reason
from .core.key_subscribers import Comparable, UnusableSubscriber
from .engine import Engine
from .errors import BadAnswer, BadKey, FetchCancelled, FetchError, FetchRetired, FetchTimedOut, ValueTooLarge
from .mailbox import (
    ApplicationFailed,
    Cancel,
    Clear,
    Fetch,
    FetchAll,
    FetchFailed,
    Get,
    InvalidData,
    Mailbox,
    MalformedMessage,
    Retain,
)
from .parts.application import Consumer, Delivery, Producer, Value, Verdict

__all__ = [
    "ApplicationFailed",
    "BadAnswer",
    "BadKey",
    "Cancel",
    "Clear",
    "Comparable",
    "Config",
    "Consumer",
    "Delivery",
    "Engine",
    "Fetch",
    "FetchAll",
    "FetchCancelled",
    "FetchError",
    "FetchFailed",
    "FetchRetired",
    "FetchTimedOut",
    "Get",
    "InvalidData",
    "Mailbox",
    "MalformedMessage",
    "Outcome",
    "Producer",
    "Reason",
    "Retain",
    "UnusableSubscriber",
    "Value",
    "ValueTooLarge",
    "Verdict",
    "max_message_size",
]
