"""From an item of the inbox to the handler: what an engine's loop looks up by the item's exact type.

A message goes to its handler as it is. What the runtime wraps is unwrapped here: slots of folding messages, asks,
timers, replies on their way back, marks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..arguments import MESSAGE_SHOWN, shortened
from ..errors import Declined, EngineFailed, UnhandledMessage
from .inbox import Ask, Inbox, Mark, Rule, Slot
from .message import Message
from .reply import Reply
from .timers import Timer

Handler = Callable[[Any], object]
_UNHANDLED = object()


class Resolved:
    """A reply's way back into the engine that asked."""

    __slots__ = ("handler", "reply")

    def __init__(self, handler: Handler, reply: Reply[Any]) -> None:
        self.handler = handler
        self.reply = reply

    def __repr__(self) -> str:
        return f"{self.reply!r} for {getattr(self.handler, '__qualname__', self.handler)}"


class Dispatch(dict[type, Handler]):
    """Handlers by exact type of item; what is not in the table is counted by the runtime."""

    def __init__(
        self,
        inbox: Inbox,
        handlers: Mapping[type[Message], Handler],
        *,
        unhandled: Callable[[object], object],
        repeat: Callable[[Timer], object],
    ) -> None:
        """The table of one engine. unhandled: told of messages without a handler. repeat: sets a timer again."""
        super().__init__()
        self._inbox = inbox
        self._handlers = handlers
        self._unhandled = unhandled
        self._repeat = repeat
        self._owed: dict[Reply[Any], Message] = {}
        for kind, handler in handlers.items():
            rule = inbox.rule(kind)
            self[kind] = _accounted(rule, handler) if rule.accounted else handler
        self[Slot] = self._on_slot
        self[Ask] = self._on_ask
        self[Timer] = self._on_timer
        self[Resolved] = self._on_resolved
        self[Mark] = self._on_mark

    @property
    def owed(self) -> tuple[Message, ...]:
        """Requests whose answer comes later and has not come yet."""
        return tuple(self._owed.values())

    def abandon(self, cause: BaseException | None) -> None:
        """The engine is gone: who still waits for a later answer gets `EngineGone`."""
        inbox = self._inbox
        inbox.cause = inbox.cause or cause
        for reply, message in list(self._owed.items()):
            reply.fail(inbox.gone(message))
        self._owed.clear()

    def __missing__(self, _kind: type) -> Handler:
        return self._on_unhandled

    def _on_slot(self, slot: Slot) -> None:
        message = slot.take()
        self[message.__class__](message)

    def _on_mark(self, mark: Mark) -> None:
        mark.passed()

    def _on_resolved(self, item: Resolved) -> None:
        item.handler(item.reply.result())

    def _on_timer(self, timer: Timer) -> None:
        if not timer.live:
            return
        message = timer.message
        timer.live = timer.interval is not None
        handler = self._handlers.get(message.__class__)  # not from this table: a timer's message was never counted in
        if handler is None:
            self._unhandled(message)
        else:
            handler(message)
        if timer.live:
            self._repeat(timer)

    def _on_ask(self, ask: Ask) -> None:
        message, reply = ask.message, ask.reply
        try:
            answer = self[message.__class__](message)
        except Declined as error:
            reply.fail(error)
            return
        except BaseException as error:
            handled, why = shortened(message, MESSAGE_SHOWN), shortened(error, MESSAGE_SHOWN)
            failed = EngineFailed(f"{self._inbox.name} failed while handling {handled}: {why}")
            failed.__cause__ = error
            reply.fail(failed)
            raise
        if answer is _UNHANDLED:
            reply.fail(UnhandledMessage(f"{self._inbox.name} has no handler for {type(message).__name__}"))
        elif isinstance(answer, Reply):
            self._answer_later(answer, reply, message)
        else:
            reply.set(answer)

    def _answer_later(self, answer: Reply[Any], reply: Reply[Any], message: Message) -> None:
        def pass_on(later: Reply[Any]) -> None:
            self._owed.pop(reply, None)
            later.forward_to(reply)

        self._owed[reply] = message
        answer.then(pass_on)

    def _on_unhandled(self, item: Any) -> object:
        rule = self._inbox.rules.get(type(item))
        if rule is not None and rule.accounted:
            rule.counted_out(item)
        self._unhandled(item)
        return _UNHANDLED


def _accounted(rule: Rule, handler: Handler) -> Handler:
    def counted(message: Message) -> object:
        rule.count_out += 1
        return handler(message)

    def measured(message: Message) -> object:
        rule.count_out += 1
        rule.bytes_out += message.size()
        return handler(message)

    return counted if rule.max_bytes is None else measured
