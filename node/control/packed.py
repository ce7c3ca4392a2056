"""Many rows as one text of bytes: made on the pool, so that the node has nothing to do but send it."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

import msgpack

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    R = TypeVar("R", bound=DataclassInstance)


def pack(rows: tuple[DataclassInstance, ...]) -> bytes:
    """Rows of one kind, whose fields are plain values: each as a list, in order of the fields."""
    if not rows:
        return b"\x90"
    values = attrgetter(*(field.name for field in fields(rows[0])))
    packed: bytes = msgpack.packb([values(row) for row in rows])
    return packed


def unpack(kind: type[R], packed: bytes) -> tuple[R, ...]:
    """The rows again."""
    return tuple(kind(*values) for values in msgpack.unpackb(packed))
