"""What a resolver can be asked and told, and the events it emits.

Order and overflow, without predicates that are shared between threads (defects: R14):

* What is wanted, from `fetch` to `get`, waits in the data lane: in the order it was said, and side by side with what
  comes from the network, so that a flood of fetches does not keep answers waiting until they are late.
* A `fetch` folds into one of the same key that waits: subscribers are united, targets too, and a fetch from any peer
  beats targets, in either order. It never folds across a `cancel`, `clear` or `retain` that came in between.
* Batches travel in pieces of `BATCH` keys, in order. While more than `MAX_BATCHES` messages wait they travel key by
  key, so that they fold: what waits is bounded by the number of different keys, however often they are asked for.
* Nothing of the application runs in the caller's thread but hash and comparison of its subscribers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

from ... import runtime
from ...runtime import Feedback, Lane, Limit, Message, Overflow, Reply, Request, arguments
from ...transport.identity import PeerId, check_owned
from ...transport.mailbox import Received
from .core.decisions import Reason
from .core.key_subscribers import Comparable
from .errors import BadKey

BATCH = 256
"""Keys that one message carries."""

MAX_BATCHES = 1024
"""Messages in the queue beyond which batches are taken apart."""

Predicate: TypeAlias = Callable[[bytes, Comparable], bool]
Part: TypeAlias = Literal["consumer", "producer", "predicate", "subscriber", "key"]

# Events: told to subscribers -----------------------------------------------------------------------------------------


class InvalidData(Message, Struct, frozen=True):
    """The consumer called a peer's bytes invalid; the peer is being blocked and the key is asked of others."""

    data_key: bytes
    peer: PeerId


class FetchFailed(Message, Struct, frozen=True):
    """A key was given up: its consumer never judged the bytes, or contradicted itself."""

    data_key: bytes
    reason: Reason


class MalformedMessage(Message, Struct, frozen=True):
    """A peer sent what is no message of a resolver."""

    peer: PeerId
    error: str


class ApplicationFailed(Message, Struct, frozen=True):
    """Application code raised, answered nonsense or never answered. Nobody is blamed for it."""

    part: Part
    data_key: bytes | None
    error: Exception


# What is wanted ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fetch(Message):
    """Want a key. targets: the only peers to ask, None for any. epoch: fetches of different epochs never fold."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.COALESCE
    data_key: bytes
    subscribers: tuple[Comparable, ...] = ((),)
    targets: tuple[PeerId, ...] | None = None
    epoch: int = field(default=0, compare=False)

    def key(self) -> Hashable:
        """One fetch per key waits, until a `cancel`, `clear` or `retain` is told."""
        return self.epoch, self.data_key

    def merge(self, newer: Fetch) -> Fetch:
        """One fetch for the subscribers of both, from the targets of both, or from any peer if one of them is."""
        targets = None
        if self.targets is not None and newer.targets is not None:
            targets = tuple(dict.fromkeys(self.targets + newer.targets))
        subscribers = tuple(dict.fromkeys(self.subscribers + newer.subscribers))
        return Fetch(self.data_key, subscribers, targets, self.epoch)


class FetchAll(Message, Struct, frozen=True):
    """Want several keys, in this order."""

    lane: ClassVar[Lane] = Lane.DATA
    fetches: tuple[Fetch, ...]


class Cancel(Message, Struct, frozen=True):
    """Nobody wants this key any more."""

    lane: ClassVar[Lane] = Lane.DATA
    data_key: bytes


class Clear(Message, Struct, frozen=True):
    """Nobody wants anything any more."""

    lane: ClassVar[Lane] = Lane.DATA


class Retain(Message, Struct, frozen=True):
    """Keep only the subscribers for which the predicate is true."""

    lane: ClassVar[Lane] = Lane.DATA
    predicate: Predicate


class Get(Request[bytes], Struct, frozen=True):
    """Want a key, and its value as the answer. timeout: seconds, None for no limit."""

    lane: ClassVar[Lane] = Lane.DATA
    data_key: bytes
    timeout: float | None = None


class Mailbox(runtime.EventMailbox):
    """How others reach a resolver. Each call returns at once; values come to the consumer, or as the answer of `get`.

    Keys are bytes of one length, the resolver's `key_length`. Once the engine has started a key of another length
    raises `BadKey` (a ValueError) here; one that was queued before is reported as `ApplicationFailed`.
    A subscriber is a tag of the application's own, hashable and comparable with the key's other subscribers.
    """

    events: ClassVar = (InvalidData, FetchFailed, MalformedMessage, ApplicationFailed)
    limits: ClassVar = {Received: Limit(16_384, 128 * 2**20)}

    def __init__(self, name: str, *, waits: runtime.Waits | None = None) -> None:
        """See `runtime.Mailbox`."""
        super().__init__(name, waits=waits)
        self._epochs = itertools.count(1)
        self._epoch = 0
        self._key_length: int | None = None

    def bind(self, handled: frozenset[type], facts: object) -> None:
        """facts: the length of a key, in bytes; any other engine's keys are not checked here."""
        super().bind(handled, facts)
        self._key_length = facts if isinstance(facts, int) else None

    @property
    def key_length(self) -> int | None:
        """Bytes of every key; None before there is an engine."""
        return self._key_length

    def fetch(self, key: bytes, subscriber: Comparable = ()) -> Feedback:
        """Want this key from any peer."""
        return self.tell(self._fetch(key, subscriber, None))

    def fetch_all(self, keys: Iterable[bytes], subscriber: Comparable = ()) -> Feedback:
        """Want these keys from any peer, in this order."""
        return self._tell_batches([self._fetch(key, subscriber, None) for key in keys])

    def fetch_targeted(self, key: bytes, targets: Collection[PeerId], subscriber: Comparable = ()) -> Feedback:
        """Want this key from these peers only, unless it is wanted from any already.

        Raises ValueError without targets, and for an id that nobody can own; so does `fetch_all_targeted`.
        """
        return self.tell(self._fetch(key, subscriber, targets))

    def fetch_all_targeted(self, keys: Mapping[bytes, Collection[PeerId]], subscriber: Comparable = ()) -> Feedback:
        """Want each key from its own targets only. ValueError for a key without targets; then none is wanted."""
        return self._tell_batches([self._fetch(key, subscriber, targets) for key, targets in keys.items()])

    def cancel(self, key: bytes) -> Feedback:
        """Stop everything about this key, for all its subscribers; a waiting `get` fails with `FetchCancelled`."""
        return self._tell_after_all(Cancel(self._checked(key)))

    def clear(self) -> Feedback:
        """Cancel every key; every waiting `get` fails with `FetchCancelled`."""
        return self._tell_after_all(Clear())

    def retain(self, predicate: Predicate) -> Feedback:
        """Drop the subscribers for which `predicate(key, subscriber)` is false, and keys that have none left.

        Called on the resolver's thread, once for each pair that is wanted then; keep it pure and quick. If it raises,
        the rest is kept. A `get` is no subscriber, so it is kept.
        """
        return self._tell_after_all(Retain(predicate))

    def get(self, key: bytes, *, timeout: float | None = None) -> Reply[bytes]:
        """Want this key from any peer; the answer is its value, once the consumer has accepted it.

        Fails with `FetchCancelled`, with `FetchTimedOut` after `timeout` seconds, or with `FetchRetired`.
        """
        if timeout is not None:
            timeout = arguments.seconds(timeout, "a get")
        return self.ask(Get(self._checked(key), timeout))

    def _fetch(self, key: bytes, subscriber: Comparable, targets: Collection[PeerId] | None) -> Fetch:
        if targets is not None and not targets:
            raise ValueError("a fetch without targets would never end: name at least one, or use fetch()")
        hash(subscriber)
        named = None if targets is None else tuple(sorted(set(map(check_owned, targets))))
        return Fetch(self._checked(key), (subscriber,), named, self._epoch)

    def _checked(self, key: bytes) -> bytes:
        if not isinstance(key, bytes):
            raise TypeError(f"a key is bytes, not {type(key).__name__}")
        if self.key_length is not None and len(key) != self.key_length:
            raise BadKey(len(key), self.key_length)
        return key

    def _tell_batches(self, fetches: list[Fetch]) -> Feedback:
        told: set[Feedback] = set()
        for start in range(0, len(fetches), BATCH):
            batch = fetches[start : start + BATCH]
            if len(self.inbox.data_lane) < MAX_BATCHES:
                told.add(self.tell(FetchAll(tuple(batch))))
            else:
                told.update((Feedback.BACKOFF, *map(self.tell, batch)))
        return next((each for each in (Feedback.CLOSED, Feedback.BACKOFF) if each in told), Feedback.OK)

    def _tell_after_all(self, message: Message) -> Feedback:
        # The new epoch begins when the message is queued: a fetch that folded into one queued before would be undone.
        feedback = self.tell(message)
        self._epoch = next(self._epochs)
        return feedback
