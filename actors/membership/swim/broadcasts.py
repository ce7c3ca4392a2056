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

By name (`NamedBroadcasts`): of each name only the newest item of its origin travels, and each member delivers it once.

    named = NamedBroadcasts(print)
    swim = Swim.with_custom_broadcast(identity, config, rng, named)
    swim.add_broadcast(named.item(swim.identity, "weather", b"rain"))

    item = [origin_key, origin_generation, serial, name, payload]     in msgpack

* A name belongs to its origin: "weather" of two members are two names.
* Of two items of one origin and name the one with the greater (generation, serial) is newer. A later life has a higher
  generation, so items from after a restart are newer than those from before it.
* An item that arrives twice, or late, is neither delivered nor passed on. The last `remember` names are remembered; an
  item of a forgotten name counts as new again, so `remember` should be well above the number of names in use.
* The origin is only what the item claims. An application that must be sure of it signs the payload.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import msgpack
from msgspec import Struct

from .codec import MAX_ITEMS, encode_item
from .config import Config
from .core.backlog import Backlog
from .errors import Counters, CustomBroadcastError, DecodeError
from .member import MemberId

__all__ = [
    "MAX_NAME_BYTES",
    "BroadcastHandler",
    "BroadcastKey",
    "Broadcasts",
    "NamedBroadcast",
    "NamedBroadcasts",
    "NoBroadcasts",
]


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


MAX_NAME_BYTES = 64
"""The longest name, as UTF-8."""

_SERIAL_LIMIT = 1 << 63
_FIELDS = 5


class NamedBroadcast(Struct, frozen=True):
    """One item: the payload that `origin` broadcast under `name`."""

    origin: MemberId
    serial: int
    name: str
    payload: bytes

    @property
    def version(self) -> tuple[int, int]:
        """Orders the items of one origin and name: the greatest is the newest."""
        return self.origin.generation, self.serial


class _Key(Struct, frozen=True):
    """Equal keys replace each other in the queue; no other item is outdated by one."""

    origin: bytes
    name: str

    def invalidates(self, other: BroadcastKey) -> bool:
        return self == other


class NamedBroadcasts:
    """A `BroadcastHandler` that delivers each new item once."""

    def __init__(self, deliver: Callable[[NamedBroadcast], object], *, remember: int = 4_096) -> None:
        """deliver: called with each new item from others. Raises ValueError unless remember is above 0."""
        if remember < 1:
            raise ValueError(f"remember must be 1 or more, not {remember}")
        self._deliver = deliver
        self._remember = remember
        self._newest: OrderedDict[_Key, tuple[int, int]] = OrderedDict()
        self._serial = 0

    def item(self, origin: MemberId, name: str, payload: bytes) -> bytes:
        """Encode an item for `Swim.add_broadcast`. origin: our own identity.

        Raises ValueError for a name that is empty or longer than 64 bytes.
        """
        _check_name(name)
        self._serial += 1
        return bytes(msgpack.packb((origin.key, origin.generation, self._serial, name, payload)))

    def receive_item(self, data: bytes, sender: MemberId | None) -> BroadcastKey | None:
        """As in `BroadcastHandler`. Raises DecodeError for bytes that are not a named broadcast."""
        broadcast = _decode(data)
        key = _Key(broadcast.origin.key, broadcast.name)
        newest = self._newest.get(key)
        if newest is not None and broadcast.version <= newest:
            return None
        self._newest[key] = broadcast.version
        self._newest.move_to_end(key)
        if len(self._newest) > self._remember:
            self._newest.popitem(last=False)
        if sender is not None:
            self._deliver(broadcast)
        return key

    def should_add_broadcast_data(self, member: MemberId) -> bool:
        """True: every member gets every item."""
        return True


def _check_name(name: str) -> None:
    size = len(name.encode())
    if not 1 <= size <= MAX_NAME_BYTES:
        raise ValueError(f"a name has 1 to {MAX_NAME_BYTES} bytes of UTF-8, not {size}")


def _decode(data: bytes) -> NamedBroadcast:
    limits = {"max_map_len": 0, "max_ext_len": 0, "max_array_len": _FIELDS, "max_str_len": MAX_NAME_BYTES}
    try:
        match msgpack.unpackb(data, max_bin_len=len(data), **limits):
            case [bytes(key), int(generation), int(serial), str(name), bytes(payload)] if 0 <= serial < _SERIAL_LIMIT:
                _check_name(name)
                return NamedBroadcast(MemberId(key, generation), serial, name, payload)
    except (ValueError, msgpack.UnpackException) as error:
        raise DecodeError(f"no named broadcast: {error or type(error).__name__}") from error
    raise DecodeError(
        "a named broadcast is an array of key, generation, serial (0 or more, below 2**63), name, payload"
    )
