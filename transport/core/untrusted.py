"""msgpack of others: one value, of which every length is bounded while it is parsed, so that no claim allocates.

Nothing on the wire holds maps or extensions. What is not such a value is the error of whoever decodes, and nothing else
is raised, whatever the bytes.
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
) -> object:
    """The value. items, text, size: the most items of an array, bytes of a text and of bytes; -1: as many as there are.

    Raises `error`, whose text says `what` was no such value.
    """
    try:
        unpacked: object = msgpack.unpackb(
            data, max_array_len=items, max_str_len=text, max_bin_len=size, max_map_len=0, max_ext_len=0
        )
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as broken:
        raise error(f"{what}: not msgpack within bounds ({type(broken).__name__})") from None
    return unpacked
