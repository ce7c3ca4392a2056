"""Calls under way: a frame becomes a command, its outcome becomes an answer to the same client.

* Whatever a client sends, it gets an answer, and nobody else notices: the node cannot be made to fail from here.
* A client that is gone, or does not read, loses its answers; the command itself goes on.
* Progress is passed on at most every `PROGRESS_EVERY` seconds per call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...runtime import Declined, Engine, ReplyTimeout
from ..blobs import BlobProgress
from . import commands
from .command import Pending
from .mailbox import Mailbox
from .parts import Parts
from .protocol import Answer, Kind, Plain, ProtocolError, decode_call, encode_answer

PROGRESS_EVERY = 0.05
"""Seconds."""


class TooManyCalls(Declined):
    """As many commands as may be are under way."""


@dataclass(slots=True, eq=False)
class _Underway:
    client: bytes
    number: int
    pending: Pending
    told_at: float


class Calls:
    """Used on the engine's thread."""

    def __init__(self, engine: Engine[Mailbox], parts: Parts, limit: int) -> None:
        """limit: calls under way at once."""
        self._engine = engine
        self._parts = parts
        self._limit = limit
        self._underway: list[_Underway] = []
        self.send: Callable[[bytes, bytes], bool] = lambda _client, _frame: False

    def take(self, client: bytes, frame: bytes) -> None:
        """Start what a client asks for, or say why not."""
        number = 0
        try:
            call = decode_call(frame)
            number = call.number
            if len(self._underway) >= self._limit:
                raise TooManyCalls(f"{len(self._underway)} commands are under way, which is the limit")
            pending = commands.begin(self._parts, call.command, call.arguments)
        except ProtocolError as error:
            self._engine.log.warning("invalid call on the control socket", why=str(error))
            self._refuse(client, error.number, error)
            return
        except Declined as error:
            self._refuse(client, number, error)
            return
        underway = _Underway(client, number, pending, self._engine.now())
        self._underway.append(underway)
        self._engine.on_reply(pending.reply, lambda result: self._end(underway, result), within=pending.within)

    def progress(self, event: BlobProgress) -> None:
        """Tell who waits for this file."""
        now = self._engine.now()
        for underway in self._underway:
            if underway.pending.watch == event.root and now - underway.told_at >= PROGRESS_EVERY:
                underway.told_at = now
                body: Plain = {"done": event.done, "total": event.total}
                self._answer(underway.client, Answer(underway.number, Kind.PROGRESS, body))

    def _end(self, underway: _Underway, result: Plain | Exception) -> None:
        self._underway.remove(underway)
        if isinstance(result, Exception):
            self._refuse(underway.client, underway.number, result)
        else:
            self._answer(underway.client, Answer(underway.number, Kind.RESULT, result))
        underway.pending.answered()

    def _refuse(self, client: bytes, number: int, error: Exception) -> None:
        text = "no part of the node answered in time" if isinstance(error, ReplyTimeout) else str(error)
        details: Plain = {name: value for name, value in vars(error).items() if isinstance(value, int | float | str)}
        body: Plain = {"kind": type(error).__name__, "message": text, "details": details}
        self._answer(client, Answer(number, Kind.ERROR, body))

    def _answer(self, client: bytes, answer: Answer) -> None:
        if not self.send(client, encode_answer(answer)):
            self._engine.log.debug("a client of the control socket is gone", answer=answer.kind.value)
