"""The application's broadcasts, which travel beside the updates (membership: how news travels).

Only a program that uses `Swim` itself can broadcast: neither the mailbox of the membership nor a node offers it.

* The handler decides about each item, own or received, whether it is new: it returns its key if so, None if it is
  stale. New items are passed on, so with a handler that always returns a key items circulate for ever.
* A newer item replaces the queued one with its key, and discards those whose keys it invalidates.
* Items have a part of each packet to themselves (`Config.broadcast_share`), so that neither they nor updates starve.
  An item that is longer than this part is refused at once, or it would never leave the queue (defects: D5); an item
  that is longer than it after a change of the configuration is dropped then.
* The queue is bounded: beyond `Config.max_broadcasts` the most sent item is dropped.
* The sender of an item is the last hop, not its origin. Order and delivery are not promised.
"""

from typing import Protocol

from .backlog import Backlog
from .codec import MAX_ITEMS, encode_item
from .config import Config
from .counters import Counters
from .errors import CustomBroadcastError
from .member import MemberId

__all__ = ["BroadcastHandler", "BroadcastKey", "Broadcasts", "NoBroadcasts"]


class BroadcastKey(Protocol):
    """What an item is about. Hashable; equal keys replace each other."""

    def __hash__(self) -> int: ...

    def invalidates(self, other: "BroadcastKey", /) -> bool:
        """Whether an item with this key outdates a queued item with the key `other`."""


class BroadcastHandler(Protocol):
    """What the application provides; see the head of this module."""

    def receive_item(self, data: bytes, sender: MemberId | None, /) -> BroadcastKey | None:
        """Take an item, which `sender` passed to us; None for our own `add_broadcast`.

        Returns its key if it is new and to be passed on, None if it is stale. Raises anything if it is invalid.
        """

    def should_add_broadcast_data(self, member: MemberId, /) -> bool:
        """Whether packets to this member carry items."""


class NoBroadcasts:
    """The handler of `Swim.new`: every item is refused."""

    def receive_item(self, data: bytes, sender: MemberId | None) -> BroadcastKey | None:
        raise ValueError("broadcasts are disabled: use Swim.with_custom_broadcast")

    def should_add_broadcast_data(self, member: MemberId) -> bool:
        return False


class Broadcasts:
    """The handler, and the queue of the items that it accepted."""

    __slots__ = ("_counters", "_handler", "_queue")

    def __init__(self, handler: BroadcastHandler, counters: Counters) -> None:
        self._handler = handler
        self._counters = counters
        self._queue: Backlog[BroadcastKey] = Backlog()

    def __len__(self) -> int:
        return len(self._queue)

    def take(self, data: bytes, sender: MemberId | None, config: Config, copies: int) -> bool:
        """Pass an item to the handler and queue it if it is new; returns whether it was.

        Raises CustomBroadcastError if the handler raised.
        """
        try:
            key = self._handler.receive_item(data, sender)
        except Exception as error:  # the application's code, whatever it raises
            came = "our own" if sender is None else f"one from {sender}"
            refusal = f"the broadcast handler refused an item of {len(data)} bytes, {came}: {error}"
            raise CustomBroadcastError(refusal, touched=sender is not None) from error
        if key is None:
            return False
        for other in self._queue:
            if key.invalidates(other):
                self._queue.discard(other)
        encoded = encode_item(data)
        if len(encoded) > config.broadcast_room:
            self._counters.dropped_broadcasts += 1
            return True
        self._queue.add(key, encoded, copies)
        self.cut(config)
        return True

    def cut(self, config: Config) -> None:
        """Drop items that do not fit into a packet of this configuration, then the most sent of too many."""
        self._counters.dropped_broadcasts += self._queue.cut(config.broadcast_room, config.max_broadcasts)

    def accepts(self, member: MemberId) -> bool:
        """Whether any item waits and the handler lets this member have items; no if the handler raises."""
        if not len(self._queue):
            return False
        try:
            return self._handler.should_add_broadcast_data(member)
        except Exception:  # the application's code, whatever it raises
            self._counters.broadcast_filter_errors += 1
            return False

    def fill(self, room: int) -> list[bytes]:
        """Encoded items of at most `room` bytes together."""
        return self._queue.fill(room, MAX_ITEMS)
