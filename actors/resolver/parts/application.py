"""What an application supplies: who judges the bytes that come, and who has the bytes that others ask for.

Both are called on the resolver's own thread and return at once: with the answer, or with a `Reply` that they fill later
from any thread. Whatever they raise harms neither the node nor the peer.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from msgspec import Struct

from ....runtime import Reply
from ....transport.identity import PeerId
from ..core.decisions import Outcome
from ..core.key_subscribers import Comparable


class Delivery(Struct, frozen=True):
    """Which key the bytes answer, who gave them, and who waits for them.

    subscribers: those of `fetch` when the bytes came, sorted; none if only a `get` waits.
    """

    key: bytes
    subscribers: tuple[Comparable, ...]
    peer: PeerId


Verdict: TypeAlias = Outcome | bool
"""True means `COMPLETE`, False means `INVALID`."""

Value: TypeAlias = bytes | memoryview


class Consumer(Protocol):
    """The application's judge of the bytes that come."""

    def deliver(self, delivery: Delivery, value: bytes) -> Verdict | Reply[Verdict] | Reply[Outcome] | Reply[bool]:
        """What these bytes are worth.

        A `Reply` that is returned here is cancelled when nobody wants the key any more. Raising, dropping the reply or
        not answering within `verdict_timeout` is `UNANSWERED`.
        """


class Producer(Protocol):
    """The application's store of the bytes that others ask for."""

    def produce(self, key: bytes) -> Value | Reply[bytes] | Reply[Value] | Reply[bytes | None] | None:
        """The value of this key, None for "no data". A `Reply` returned here is cancelled when it takes too long."""
