"""What members say to each other of who has a key: six messages in packets of kind 1, each a msgpack array.

    Provide   [2, 0, number, seconds, hashes]      I have these, for so long; 0: I have them no more
    Provided  [2, 1, number, taken]                so many of them are kept here
    Who       [2, 2, number, hash]                 who has this?
    Holders   [2, 3, number, holders, nearer]      these say so: [age, record]; and these keep its index: record
    Have      [2, 4, number, dial, hashes]         do you have these? 1: and connect to me, I cannot dial you
    Having    [2, 5, number, which]                bit n: I have hash n

The first item is the version of this format. A number is the asker's and says which question is answered; it is below
2^32. Hashes are 16 bytes each, one behind the other. Records are encoded and not looked at here. Anything else is a
`DecodeError`, and no length inside the input is believed beyond the bytes that came.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgpack
from msgspec import Struct

from ....runtime.arguments import shortened
from ....transport.core.untrusted import unpack
from ....transport.errors import DecodeError
from ....transport.record import MAX_RECORD_BYTES
from .announcing import MAX_BATCH
from .questions import NUMBERS
from .ring import COPIES, HASH_BYTES

KIND = 1
"""Of the packets."""
VERSION = 2
MAX_SECONDS = 86_400
"""For how long a key may be provided, and how old a provider can be."""
MAX_NAMED = 16
"""Holders in one answer."""
MAX_ASKED = 32
"""Hashes of one Have."""

_PROVIDE, _PROVIDED, _WHO, _HOLDERS, _HAVE, _HAVING = range(6)


class Provide(Struct, frozen=True):
    """seconds: 0 takes them back."""

    number: int
    seconds: int
    hashes: tuple[bytes, ...]


class Provided(Struct, frozen=True):
    """taken: how many of the hashes are kept."""

    number: int
    taken: int


class Who(Struct, frozen=True):
    number: int
    hashed: bytes


class Holders(Struct, frozen=True):
    """holders: seconds since each said so, and its record. nearer: records of who keeps the index of this key."""

    number: int
    holders: tuple[tuple[int, bytes], ...] = ()
    nearer: tuple[bytes, ...] = ()


class Have(Struct, frozen=True):
    """dial: the asker wishes to be dialled by who has one of them."""

    number: int
    hashes: tuple[bytes, ...]
    dial: bool = False


class Having(Struct, frozen=True):
    """which: bit n is set for a hash that is held."""

    number: int
    which: int


Message = Provide | Provided | Who | Holders | Have | Having


def encode(message: Message) -> bytes:
    """The payload of a packet: at most 21 KiB."""
    body: tuple[object, ...]
    match message:
        case Provide(number, seconds, hashes):
            body = (_PROVIDE, number, seconds, b"".join(hashes))
        case Provided(number, taken):
            body = (_PROVIDED, number, taken)
        case Who(number, hashed):
            body = (_WHO, number, hashed)
        case Holders(number, holders, nearer):
            body = (_HOLDERS, number, holders, nearer)
        case Have(number, hashes, dial):
            body = (_HAVE, number, 1 if dial else 0, b"".join(hashes))
        case Having(number, which):
            body = (_HAVING, number, which)
    packed: bytes = msgpack.packb((VERSION, *body))
    return packed


def decode(data: bytes) -> Message:
    """The message in the payload of a packet. Raises DecodeError, which says what is wrong."""
    items = unpack(data, "a providers' message", items=max(5, MAX_NAMED), size=MAX_BATCH * HASH_BYTES)
    if not isinstance(items, list) or len(items) < 4:
        raise DecodeError("a providers' message is an array of version, kind, number and what belongs to the kind")
    version, kind, number, *body = items
    if type(version) is not int or version != VERSION:
        raise DecodeError(f"providers' message of version {shortened(version)}: this node speaks {VERSION}")
    return _message(kind, _below(number, NUMBERS, "the number"), body)


def _message(kind: object, number: int, body: list[object]) -> Message:
    match (kind if type(kind) is int else None), body:
        case 0, [seconds, bytes(hashes)]:
            return Provide(number, _below(seconds, MAX_SECONDS + 1, "the time"), _hashes(hashes, MAX_BATCH))
        case 1, [taken]:
            return Provided(number, _below(taken, MAX_BATCH + 1, "the number of those taken"))
        case 2, [bytes(hashed)]:
            return Who(number, *_hashes(hashed, 1))
        case 3, [list(holders), list(nearer)]:
            return Holders(number, tuple(map(_holder, _few(holders, MAX_NAMED))), _records(_few(nearer, COPIES)))
        case 4, [dial, bytes(hashes)]:
            return Have(number, _hashes(hashes, MAX_ASKED), _below(dial, 2, "the wish to be dialled") == 1)
        case 5, [which]:
            return Having(number, _below(which, 1 << MAX_ASKED, "the answer"))
    raise DecodeError(f"providers' message of kind {shortened(kind)} with {len(body)} items: there are kinds 0 to 5")


def _below(value: object, end: int, what: str) -> int:
    if type(value) is not int or not 0 <= value < end:
        raise DecodeError(f"{what} is {shortened(value)}: allowed is 0 to {end - 1}")
    return value


def _hashes(joined: bytes, most: int) -> tuple[bytes, ...]:
    count, rest = divmod(len(joined), HASH_BYTES)
    if rest or not 1 <= count <= most:
        raise DecodeError(f"hashes of {len(joined)} bytes: allowed are 1 to {most} of {HASH_BYTES} bytes")
    return tuple(joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES))


def _few(items: list[object], most: int) -> list[object]:
    if len(items) > most:
        raise DecodeError(f"{len(items)} are named: allowed are {most}")
    return items


def _holder(item: object) -> tuple[int, bytes]:
    match item:
        case [age, bytes(record)]:
            return _below(age, MAX_SECONDS + 1, "the age"), _records([record])[0]
    raise DecodeError("a holder is an array of its age and its record")


def _records(items: Iterable[object]) -> tuple[bytes, ...]:
    found: list[bytes] = []
    for item in items:
        if not isinstance(item, bytes) or not item or len(item) > MAX_RECORD_BYTES:
            raise DecodeError(f"a record is 1 to {MAX_RECORD_BYTES} bytes")
        found.append(item)
    return tuple(found)
