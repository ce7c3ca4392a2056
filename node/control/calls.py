"""Calls under way: a frame becomes a command, its outcome becomes an answer to the same client.

* Whatever a client sends, it gets an answer, and nobody else notices: the node cannot be made to fail from here. What
  no check foresaw, in a command or in its answer, is an `InternalError` for the client, a line with its traceback in
  the log and a count (`control_internal_errors_total`).
* A client that is gone, or does not read, loses its answers. A `wait` ends with its client. Other commands go on, and
  take no place of those who are there, as long as they are not more than there are places.
* A client has no more commands under way than there are places left: one alone has half of them, and others find one.
* One `status`, `stop` or `cancel` of each client always has a place.
* Progress is passed on at most every `PROGRESS_EVERY` seconds per call, another stage of it at once; the last of it
  always, before the answer.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ...actors.blobs import BlobProgress
from ...runtime import Declined, Engine, Message, ReplyTimeout
from ...runtime.arguments import shortened
from . import commands
from .command import Context, Pending
from .mailbox import Mailbox
from .protocol import Answer, Kind, Plain, ProtocolError, decode_call, encode_answer, error_answer

PROGRESS_EVERY = 0.05
"""Seconds."""


class AnswerTooLarge(Declined):
    """The answer has more bytes than a client takes."""


class InternalError(Exception):
    """A defect of Rookery: a command or its answer raised what it must not. The node's log has the traceback."""


class TooManyCalls(Declined):
    """As many commands as may be are under way, of all clients or of this one."""


class _Underway(Struct, eq=False):
    client: bytes
    number: int
    command: str
    pending: Pending
    told_at: float
    gone: bool = False  # its client
    stage: str = ""
    unsaid: Plain = None  # progress that came too soon after the last


class SayProgress(Message, Struct, frozen=True):
    """To the engine itself: it is time to tell what was not told."""

    underway: _Underway


class Calls:
    """Used on the engine's thread."""

    def __init__(
        self, engine: Engine[Mailbox], context: Context, send: Callable[[bytes, bytes], bool], limit: int
    ) -> None:
        """send: a frame to a client; False if it cannot take it. limit: calls under way at once."""
        self._engine = engine
        self._context = context
        self._limit = limit
        self._underway: list[_Underway] = []
        self._internal = engine.runtime.registry.counter(
            "control_internal_errors_total", "Commands of the control socket that failed by a defect."
        )
        self._send = send

    def take(self, client: bytes, frame: bytes) -> None:
        """Start what a client asks for, or say why not."""
        number, command = 0, ""
        try:
            call = decode_call(frame)
            number, command = call.number, call.command
            self._check_limit(client, command)
            pending = commands.begin(self._context, call.command, call.arguments)
        except ProtocolError as error:
            self._engine.log.warning("invalid call on the control socket", why=str(error))
            self._refuse(client, error.number, error)
            return
        except Declined as error:
            self._refuse(client, number, error)
            return
        except Exception as error:  # nothing that a client sends may end the node
            self._refuse(client, number, self._defect(command, error))
            return
        underway = _Underway(client, number, command, pending, self._engine.now())
        self._underway.append(underway)
        self._engine.on_reply(pending.reply, lambda result: self._end(underway, result), timeout=pending.timeout)

    def left(self, client: bytes) -> None:
        """A client is gone: nobody waits for its answers."""
        for underway in self._underway:
            if underway.client == client and not underway.gone:
                underway.gone = True
                if underway.pending.give_up is not None:
                    underway.pending.give_up()

    def _check_limit(self, client: bytes, command: str) -> None:
        """A place for the client, by a dynamic threshold as switches share a buffer (Choudhury and Hahne 1998)."""
        owned = [each for each in self._underway if each.client == client]
        if commands.always(command) and not any(commands.always(each.command) for each in owned):
            return
        own, gone = len(owned), sum(each.gone for each in self._underway)
        under_way = len(self._underway) - min(gone, self._limit)
        if under_way >= self._limit:
            raise TooManyCalls(f"{under_way} commands are under way, which is the limit")
        left = self._limit - under_way
        if own >= left:
            raise TooManyCalls(
                f"{own} commands of this client are under way (allowed: half of the {left + own} that others leave it)"
            )

    def progress(self, event: BlobProgress) -> None:
        """Tell who waits for this file, some of them later."""
        for underway in self._underway:
            if underway.pending.watch == event.root:
                is_due = self._engine.now() - underway.told_at >= PROGRESS_EVERY or event.stage != underway.stage
                if not is_due and underway.unsaid is None:
                    self._engine.after(PROGRESS_EVERY, SayProgress(underway))
                underway.stage = event.stage
                underway.unsaid = {"done": event.done, "total": event.total, "stage": event.stage}
                if is_due:
                    self.say_progress(underway)

    def say_progress(self, underway: _Underway) -> None:
        """Tell what was not told yet."""
        body, underway.unsaid = underway.unsaid, None
        if body is not None:
            underway.told_at = self._engine.now()
            self._answer(underway.client, Answer(underway.number, Kind.PROGRESS, body))

    def _end(self, underway: _Underway, result: Plain | Exception) -> None:
        self._underway.remove(underway)
        self.say_progress(underway)
        if isinstance(result, Exception):
            self._refuse(underway.client, underway.number, result)
        else:
            try:
                self._answer(underway.client, Answer(underway.number, Kind.RESULT, result))
            except ProtocolError as error:
                self._refuse(underway.client, underway.number, self._unsendable(underway.command, error))
        underway.pending.answered()

    def _refuse(self, client: bytes, number: int, error: Exception) -> None:
        text = "no part of the node answered in time" if isinstance(error, ReplyTimeout) else str(error)
        self._answer(client, error_answer(number, type(error).__name__, text, vars(error)))

    def _answer(self, client: bytes, answer: Answer) -> None:
        if not self._send(client, encode_answer(answer)):
            self._engine.log.debug("a client of the control socket is gone", answer=answer.kind.value)

    def _unsendable(self, command: str, error: ProtocolError) -> Exception:
        if error.__cause__ is None:
            return AnswerTooLarge(str(error))
        return self._defect(command, error)

    def _defect(self, command: str, error: Exception) -> InternalError:
        self._internal.inc()
        self._engine.log.error("a command of the control socket failed", command=shortened(command), error=error)
        return InternalError(f"{type(error).__name__}: {error}")
