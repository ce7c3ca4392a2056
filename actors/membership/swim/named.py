"""Broadcasts by name: of each name only the newest item of its origin travels, and each member delivers it once.

Only a program that uses `Swim` itself can broadcast (see `broadcasts`).

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
from dataclasses import dataclass

import msgpack

from .broadcasts import BroadcastKey
from .errors import DecodeError
from .member import MemberId

__all__ = ["MAX_NAME_BYTES", "NamedBroadcast", "NamedBroadcasts"]

MAX_NAME_BYTES = 64
"""The longest name, as UTF-8."""

_SERIAL_LIMIT = 1 << 63
_FIELDS = 5


@dataclass(frozen=True, slots=True)
class NamedBroadcast:
    """One item: the payload that `origin` broadcast under `name`."""

    origin: MemberId
    serial: int
    name: str
    payload: bytes

    @property
    def version(self) -> tuple[int, int]:
        """Orders the items of one origin and name: the greatest is the newest."""
        return self.origin.generation, self.serial


@dataclass(frozen=True, slots=True)
class _Key:
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
