"""What two nodes say to each other about peers, on channel 0: three messages, each a msgpack array.

    Bootstrap  [2, 0]            whom do you know?
    Advertise  [2, 1, records]   these: at most 100 signed records, each as its own bytes
    Private    [2, 2]            I am private: ask me nothing, and tell nobody of me

The first item is the version of this format. The whole input must be one message: trailing bytes, other types, other
lengths and other versions are a `DecodeError`. No length inside the input is believed beyond the bytes that came. The
records themselves are not looked into here.
"""

from __future__ import annotations

import enum

import msgpack
from msgspec import Struct

from ....transport.core.untrusted import unpack
from ....transport.errors import DecodeError
from ....transport.record import MAX_RECORD_BYTES

CHANNEL = 0
VERSION = 2
MAX_RECORDS = 100
MAX_MESSAGE = 16 + MAX_RECORDS * (MAX_RECORD_BYTES + 3)
"""Bytes of the longest message: each record has a header of at most 3 bytes, all else fits 16."""


class Kind(enum.IntEnum):
    """What a message is."""

    BOOTSTRAP = 0
    ADVERTISE = 1
    PRIVATE = 2


class ExchangeMessage(Struct, frozen=True):
    """A message. records: of an Advertise, encoded; else none."""

    kind: Kind
    records: tuple[bytes, ...] = ()


BOOTSTRAP = ExchangeMessage(Kind.BOOTSTRAP)
PRIVATE = ExchangeMessage(Kind.PRIVATE)


def encode(message: ExchangeMessage) -> bytes:
    """The bytes of one message. ValueError for more than 100 records, or one that is too long."""
    if len(message.records) > MAX_RECORDS or any(len(record) > MAX_RECORD_BYTES for record in message.records):
        raise ValueError(f"an Advertise has at most {MAX_RECORDS} records of at most {MAX_RECORD_BYTES} bytes")
    items: list[object] = [VERSION, int(message.kind)]
    if message.kind is Kind.ADVERTISE:
        items.append(message.records)
    packed: bytes = msgpack.packb(items)
    return packed


def decode(data: bytes) -> ExchangeMessage:
    """One message out of exactly these bytes. Only ever raises `DecodeError`, which says what was wrong."""
    match unpack(data, "a message of peer exchange", items=MAX_RECORDS, size=MAX_RECORD_BYTES):
        case [version, *_] if type(version) is not int or version != VERSION:
            raise DecodeError(f"peer exchange of version {str(version)[:20]}: this node speaks {VERSION}")
        case [_, 0] as items if _is_number(items[1]):
            return BOOTSTRAP
        case [_, 2] as items if _is_number(items[1]):
            return PRIVATE
        case [_, 1, [*records]] as items if _is_number(items[1]):
            return ExchangeMessage(Kind.ADVERTISE, tuple(map(_record, records)))
    raise DecodeError("peer exchange is [2, 0], [2, 1, records] or [2, 2]")


def _is_number(item: object) -> bool:
    return type(item) is int  # True and 0.0 compare equal to numbers, and are none


def _record(item: object) -> bytes:
    if type(item) is not bytes:
        raise DecodeError("the records of an Advertise are byte strings")
    return item
