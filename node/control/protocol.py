"""The frames between a node and its command line: msgpack, with a version and a number in each.

::

    client ── [1, 7, "get", {"key": ..., "destination": ...}] ──▶ node
           ◀── [1, 7, "progress", {"done": ..., "total": ...}] ──        any number, for calls that take long
           ◀── [1, 7, "result", ...] ──
           ◀── [1, 7, "error", {"kind": ..., "message": ..., "details": {...}}] ──         instead of a result

* A frame is one array of four; anything else, also a frame of another version, is a ProtocolError that says so.
* The number is the client's own, 0 to 2**32 - 1; answers repeat it. A frame whose number cannot be read is answered
  under number 0.
* A call has at most `MAX_CALL` bytes, an answer `MAX_ANSWER`. On the socket each goes behind its length (`HEAD`).
* Decoding raises ProtocolError and nothing else, whatever the bytes.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgpack

VERSION = 1
MAX_CALL = 8 * 1024 * 1024  # a peer set of the default limit, whose peers have names
MAX_ANSWER = 64 * 1024 * 1024  # 100,000 peers
HEAD = struct.Struct(">I")
_MAX_NUMBER = 2**32 - 1

Plain: TypeAlias = bool | int | float | str | bytes | Sequence["Plain"] | Mapping[str, "Plain"] | None


class ProtocolError(ValueError):
    """Bytes that are no frame of this protocol. number: the call's, 0 if it cannot be read."""

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.number = number


class Kind(enum.StrEnum):
    """What an answer is."""

    RESULT = "result"
    ERROR = "error"
    PROGRESS = "progress"


@dataclass(frozen=True, slots=True)
class Call:
    """A command for the node."""

    number: int
    command: str
    arguments: Mapping[str, Plain]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the node says to a call."""

    number: int
    kind: Kind
    body: Plain


def framed(frame: bytes) -> bytes:
    """A frame as it goes on the socket."""
    return HEAD.pack(len(frame)) + frame


def encode_call(call: Call) -> bytes:
    """The frame; ProtocolError if it is too large."""
    frame: bytes = msgpack.packb([VERSION, call.number, call.command, dict(call.arguments)])
    if len(frame) > MAX_CALL:
        raise ProtocolError(f"a call of {len(frame)} bytes: allowed are {MAX_CALL}", call.number)
    return frame


def encode_answer(answer: Answer) -> bytes:
    """The frame; an answer that is too large becomes an error."""
    frame: bytes = msgpack.packb([VERSION, answer.number, answer.kind.value, answer.body])
    if len(frame) > MAX_ANSWER:
        too_large = {"kind": "AnswerTooLarge", "message": f"an answer of {len(frame)} bytes: allowed are {MAX_ANSWER}"}
        return encode_answer(Answer(answer.number, Kind.ERROR, too_large))
    return frame


def decode_call(frame: bytes) -> Call:
    """The call in a frame. Raises ProtocolError."""
    number, command, arguments = _parts(frame, MAX_CALL)
    if not isinstance(command, str):
        raise ProtocolError("the command is not a text", number)
    if not isinstance(arguments, dict):
        raise ProtocolError("the arguments are not a mapping", number)
    return Call(number, command, arguments)


def decode_answer(frame: bytes | bytearray) -> Answer:
    """The answer in a frame. Raises ProtocolError."""
    number, kind, body = _parts(frame, MAX_ANSWER)
    if kind not in tuple(Kind):
        raise ProtocolError("the kind of answer is unknown", number)
    return Answer(number, Kind(str(kind)), body)


def _parts(frame: bytes | bytearray, limit: int) -> tuple[int, Plain, Plain]:
    if len(frame) > limit:
        raise ProtocolError(f"a frame of {len(frame)} bytes: allowed are {limit}")
    try:
        parts = msgpack.unpackb(frame, strict_map_key=True)
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise ProtocolError(f"not msgpack: {error or type(error).__name__}") from None
    if not isinstance(parts, list) or len(parts) != 4:
        raise ProtocolError("not an array of version, number, command and arguments")
    version, number, word, content = parts
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MAX_NUMBER:
        raise ProtocolError(f"the number is not from 0 to {_MAX_NUMBER}")
    if version != VERSION or isinstance(version, bool):
        raise ProtocolError(f"version {version!r:.20}: this node speaks version {VERSION}", number)
    return number, word, content
