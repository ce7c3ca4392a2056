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
* What msgpack cannot write (a whole number of more than 64 bits, a value that is not plain) is a ProtocolError; an
  `error_answer` can always be sent.
* Texts may have lone surrogates, which stand for the bytes of a path that are no UTF-8 (`os.fsencode`).
* Decoding raises ProtocolError and nothing else, whatever the bytes.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeGuard

import msgpack
from msgspec import Struct

from ...runtime.arguments import shortened

VERSION = 1
MAX_CALL = 8 * 1024 * 1024  # a peer set of the default limit, whose peers have names
MAX_ANSWER = 64 * 1024 * 1024  # 100,000 peers
HEAD = struct.Struct(">I")
MIN_WHOLE, MAX_WHOLE = -(2**63), 2**64 - 1
"""The whole numbers that msgpack can write."""
_MAX_NUMBER = 2**32 - 1
_MAX_MESSAGE = 16_384  # characters of an error's message
_SURROGATES = "surrogatepass"

Plain: TypeAlias = bool | int | float | str | bytes | Sequence["Plain"] | Mapping[str, "Plain"] | None


_UNPACKABLE = (ValueError, TypeError, OverflowError, RecursionError)


class ProtocolError(ValueError):
    """Bytes that are no frame of this protocol, or values that fit into none.

    number: the call's, 0 if it cannot be read.
    """

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.number = number


class Kind(enum.StrEnum):
    """What an answer is."""

    RESULT = "result"
    ERROR = "error"
    PROGRESS = "progress"


class Call(Struct, frozen=True):
    """A command for the node."""

    number: int
    command: str
    arguments: Mapping[str, Plain]


class Answer(Struct, frozen=True):
    """What the node says to a call."""

    number: int
    kind: Kind
    body: Plain


def framed(frame: bytes) -> bytes:
    """A frame as it goes on the socket."""
    return HEAD.pack(len(frame)) + frame


def encode_call(call: Call) -> bytes:
    """The frame; ProtocolError if it is too large, or an argument cannot be sent."""
    try:
        frame: bytes = _packed([VERSION, call.number, call.command, dict(call.arguments)])
    except _UNPACKABLE as error:
        shown = ", ".join(f"{name}={shortened(value)}" for name, value in call.arguments.items())
        raise ProtocolError(f"{call.command}: an argument cannot be sent ({error}): {shown}", call.number) from None
    if len(frame) > MAX_CALL:
        raise ProtocolError(f"a call of {len(frame)} bytes: allowed are {MAX_CALL}", call.number)
    return frame


def encode_answer(answer: Answer) -> bytes:
    """The frame. ProtocolError for an answer that is too large or cannot be packed; of an `error_answer` never."""
    try:
        frame: bytes = _packed([VERSION, answer.number, answer.kind.value, answer.body])
    except _UNPACKABLE as error:
        raise ProtocolError(f"the answer cannot be packed: {error}", answer.number) from error
    if len(frame) > MAX_ANSWER:
        raise ProtocolError(f"an answer of {len(frame)} bytes: allowed are {MAX_ANSWER}", answer.number)
    return frame


def error_answer(number: int, kind: str, message: str, details: Mapping[str, object]) -> Answer:
    """An error that can be sent whatever it says: its message is cut, and details that are no plain values left out."""
    cut = message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}... ({len(message)} characters)"
    sendable = {name: value for name, value in details.items() if _is_detail(value)}
    return Answer(number, Kind.ERROR, {"kind": kind, "message": cut, "details": sendable})


def _is_detail(value: object) -> TypeGuard[int | float | str]:
    match value:
        case int():
            return MIN_WHOLE <= value <= MAX_WHOLE
        case str():
            return len(value) <= _MAX_MESSAGE
        case _:
            return isinstance(value, float)


def _packed(parts: list[Plain]) -> bytes:
    frame: bytes = msgpack.packb(parts, unicode_errors=_SURROGATES)
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
        parts = msgpack.unpackb(frame, strict_map_key=True, unicode_errors=_SURROGATES)
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise ProtocolError(f"not msgpack: {error or type(error).__name__}") from None
    if not isinstance(parts, list) or len(parts) != 4:
        raise ProtocolError("not an array of version, number, command and arguments")
    version, number, word, content = parts
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MAX_NUMBER:
        raise ProtocolError(f"the number is not from 0 to {_MAX_NUMBER}")
    if version != VERSION or isinstance(version, bool):
        raise ProtocolError(f"version {shortened(version)}: this node speaks version {VERSION}", number)
    return number, word, content
