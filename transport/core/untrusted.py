"""msgpack of others: one value, of which every length is bounded while it is parsed, so that no claim allocates.

Nothing on the wire holds msgpack's extension types, and nothing but a control frame holds a map. What is not such a
value is the error of whoever decodes, and nothing else is raised, whatever the bytes.
"""

from __future__ import annotations

import msgpack

from ..errors import DecodeError


def unpack(
    data: bytes | memoryview,
    what: str,
    error: type[Exception] = DecodeError,
    *,
    items: int,
    text: int = 0,
    size: int = -1,
    entries: int = 0,
) -> object:
    """The value. items, text, size: the most items of an array, bytes of a text and of bytes; -1: as many as there are.

    entries: the most of a map. Where there may be some, it is a tuple of pairs as they came: of anything, and repeated.

    Raises `error`, whose text says `what` was no such value.
    """
    try:
        unpacked: object = msgpack.unpackb(
            data,
            max_array_len=items,
            max_str_len=text,
            max_bin_len=size,
            max_map_len=entries,
            max_ext_len=0,
            strict_map_key=False,
            object_pairs_hook=tuple if entries else None,
        )
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as broken:
        raise error(f"{what}: not msgpack within bounds ({type(broken).__name__})") from None
    return unpacked
