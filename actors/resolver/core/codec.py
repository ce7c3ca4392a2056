"""What two resolvers say to each other on one channel: three messages, each a msgpack array.

    Request   [2, 0, id, key, priority]   please send the value of this key; 1: ahead of what waits without priority
    Response  [2, 1, id, value]           here it is; an empty value is a value
    Missing   [2, 2, id]                  I will not send one: not held, too large, too slow, too busy

The first item is the version of this format. The id is an unsigned 64-bit number that the asker chose; it says which
request an answer belongs to, the link says which peer spoke. A key has one fixed length per resolver. The priority is a
wish: whoever answers decides. The whole input must be one message: trailing bytes, other types, other lengths and other
versions are a `DecodeError`. No length inside the input is believed beyond the bytes that came, and each payload is
copied once, out of the frame into `bytes`.
"""

from __future__ import annotations

import msgpack
from msgspec import Struct

from ....transport.core.untrusted import unpack
from ....transport.errors import DecodeError

VERSION = 2
MAX_ID = 2**64 - 1
OVERHEAD = 17
"""Bytes that a message takes beyond its value, at most: array, version, tag, id (9) and bin header (5)."""


def max_message_size(value: int) -> int:
    """Bytes of the largest message that carries a value of so many bytes: `max_message` must be no less for it.

    The resolver's `max_message`, and that of transport at both ends. `Config.max_value` is the way back.
    """
    return value + OVERHEAD


_REQUEST, _RESPONSE, _MISSING = 0, 1, 2
_RESPONSE_HEAD = b"\x94" + bytes((VERSION, _RESPONSE))  # an array of four, and its first two items


class Request(Struct, frozen=True):
    """priority: the asker wishes to have the answer ahead of what waits for it without priority."""

    id: int
    key: bytes
    priority: bool = False


class Response(Struct, frozen=True):
    """`value` may be a memoryview when sending, so that a store need not copy; decoding always gives bytes."""

    id: int
    value: bytes | memoryview


class Missing(Struct, frozen=True):
    id: int


Message = Request | Response | Missing


def encode(message: Message) -> bytes:
    """The bytes of one message. ValueError for an id outside 0 to 2**64 - 1."""
    if not 0 <= message.id <= MAX_ID:
        raise ValueError(f"request id {message.id} is not an unsigned 64-bit number")
    match message:
        case Request(request_id, key, priority):
            packed: bytes = msgpack.packb((VERSION, _REQUEST, request_id, key, 1 if priority else 0))
        case Response(request_id, value):
            packed = b"".join((_RESPONSE_HEAD, msgpack.packb(request_id), _bin_header(memoryview(value).nbytes), value))
        case Missing(request_id):
            packed = msgpack.packb((VERSION, _MISSING, request_id))
    return packed


def _bin_header(size: int) -> bytes:
    """What msgpack puts before bytes. Its packer would copy them twice, and take a buffer of a megabyte each time."""
    if size < 1 << 8:
        return b"\xc4" + size.to_bytes(1, "big")
    if size < 1 << 16:
        return b"\xc5" + size.to_bytes(2, "big")
    return b"\xc6" + size.to_bytes(4, "big")


def decode(data: bytes | memoryview, key_length: int) -> Message:
    """One message out of exactly these bytes. Only ever raises `DecodeError`, which says what was wrong."""
    items = unpack(data, "a resolver message", items=5)
    if not isinstance(items, list) or len(items) < 3 or type(items[0]) is not int or type(items[1]) is not int:
        raise DecodeError("a resolver message is an array of version, tag, id and what belongs to the tag")
    version, tag, request_id, *body = items
    if version != VERSION:
        raise DecodeError(f"resolver message of version {version}: this node speaks {VERSION}")
    return _message(tag, _checked_id(request_id), body, key_length)


def _checked_id(request_id: object) -> int:
    if type(request_id) is not int or not 0 <= request_id <= MAX_ID:
        raise DecodeError("the id of a resolver message is an unsigned 64-bit number")
    return request_id


def _message(tag: int, request_id: int, body: list[object], key_length: int) -> Message:
    """Plain comparisons: a pattern for each would take half as long again."""
    if tag == _REQUEST and len(body) == 2 and isinstance(key := body[0], bytes):
        if len(key) != key_length:
            raise DecodeError(f"a key of {len(key)} bytes: keys of this resolver have {key_length}")
        priority = body[1]
        if type(priority) is not int or not 0 <= priority <= 1:
            raise DecodeError("the priority of a request is 0 or 1")
        return Request(request_id, key, priority == 1)
    if tag == _RESPONSE and len(body) == 1 and isinstance(value := body[0], bytes):
        return Response(request_id, value)
    if tag == _MISSING and not body:
        return Missing(request_id)
    raise DecodeError(
        f"tag {tag} with {len(body)} body items: allowed are 0 with a key and a priority, 1 with a value, 2 with none"
    )
