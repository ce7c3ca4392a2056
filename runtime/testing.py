"""Mailboxes without engines, for tests of the engines around them.

A mock has the methods of the mailbox it stands for, and:

* `received(type=None)`: the tells that came, in order (asks are not among them).
* `answer(type, value)`: answer asks of this type at once; `value` may be a function of the message, or an exception.
* `hold(type)`: let asks of this type wait; `.waiting` lists them, `.pop(field=value)` gives the reply to `set`.
* `feedback(value, type=None, times=None)`: what tells are told, for instance `REJECTED`; a refused one is not received.
* `close()`: from now on the engine is gone.

An ask that has neither `answer` nor `hold` raises AssertionError in whoever asks, naming the message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from .errors import EngineGone
from .mailbox import Mailbox, default_name
from .message import Feedback, Message, Request
from .reply import Reply, Waits

M = TypeVar("M", bound=Message)
T = TypeVar("T")


class Held(Generic[T]):
    """The asks of one type that wait for the test to answer them."""

    def __init__(self) -> None:
        """Empty: asks come in as the engine under test sends them."""
        self._asks: list[tuple[Request[T], Reply[T]]] = []

    @property
    def waiting(self) -> list[Request[T]]:
        """The messages that wait, oldest first."""
        return [message for message, _ in self._asks]

    def pop(self, **fields: object) -> Reply[T]:
        """The reply of the oldest waiting ask whose fields have these values. Raises AssertionError if none has."""
        for index, (message, reply) in enumerate(self._asks):
            if all(getattr(message, name) == value for name, value in fields.items()):
                del self._asks[index]
                return reply
        raise AssertionError(f"no waiting ask with {fields}; waiting: {self.waiting}")

    def add(self, message: Request[T], reply: Reply[T]) -> None:
        """For the mock: one more ask waits."""
        self._asks.append((message, reply))


class MockMailbox(Mailbox):
    """A mailbox that records, and answers what the test scripted. `mock(Kind)` makes one that is also a `Kind`."""

    def __init__(self, name: str, *, waits: Waits | None = None) -> None:
        """waits: a simulation, so that `get()` on its replies steps virtual time."""
        super().__init__(name, waits=waits)
        self._told: list[Message] = []
        self._answers: dict[type, Any] = {}
        self._held: dict[type, Held[Any]] = {}
        self._feedback: list[tuple[Feedback, type | None, int | None]] = []
        self._closed = False

    @property
    def waiting(self) -> list[Message]:
        """Every held ask that waits."""
        return [message for held in self._held.values() for message in held.waiting]

    @overload
    def received(self, kind: None = None) -> list[Message]: ...
    @overload
    def received(self, kind: type[M]) -> list[M]: ...
    def received(self, kind: type[Message] | None = None) -> list[Any]:
        """The tells that came, all or those of one type, in order."""
        return [message for message in self._told if kind is None or isinstance(message, kind)]

    def answer(self, kind: type[Request[T]], value: T | Exception | Callable[[Any], T]) -> None:
        """Answer asks of this type: with a value, an error, or what a function makes of the message."""
        self._answers[kind] = value

    def hold(self, kind: type[Request[T]]) -> Held[T]:
        """Let asks of this type wait until the test answers them."""
        return self._held.setdefault(kind, Held())

    def feedback(self, value: Feedback, kind: type[Message] | None = None, *, times: int | None = None) -> None:
        """Tell senders this; for all types or one, always or the next `times` times."""
        self._feedback.append((value, kind, times))

    def close(self) -> None:
        """From now on tells are `CLOSED` and asks fail with `EngineGone`, as are those that wait."""
        self._closed = True
        for held in self._held.values():
            while held.waiting:
                held.pop().fail(EngineGone(f"{self.name} is closed"))

    def tell(self, message: Message) -> Feedback:
        """See `Mailbox`."""
        if self._closed:
            return Feedback.CLOSED
        feedback = self._scripted_feedback(type(message))
        if feedback.accepted:
            self._told.append(message)
        return feedback

    def ask(self, message: Request[T]) -> Reply[T]:
        """See `Mailbox`."""
        kind = type(message)
        reply: Reply[T] = Reply(self._waits)
        if self._closed:
            reply.fail(EngineGone(f"{self.name} is closed"))
        elif kind in self._held:
            self._held[kind].add(message, reply)
        elif kind in self._answers:
            self._resolve(reply, self._answers[kind], message)
        else:
            raise AssertionError(f"{self.name} was asked {message!r}; script it with answer() or hold()")
        return reply

    def _resolve(self, reply: Reply[T], value: Any, message: Message) -> None:
        if callable(value):
            value = value(message)
        if isinstance(value, Exception):
            reply.fail(value)
        elif isinstance(value, Reply):
            value.then(lambda later: self._resolve(reply, later.result(), message))
        else:
            reply.set(value)

    def _scripted_feedback(self, kind: type[Message]) -> Feedback:
        for index, (value, wanted, times) in enumerate(self._feedback):
            if wanted is None or issubclass(kind, wanted):
                if times is not None:
                    self._feedback[index] = (value, wanted, times - 1)
                    if times == 1:
                        del self._feedback[index]
                return value
        return Feedback.OK


def mock(kind: type[Mailbox], name: str | None = None, *, waits: Waits | None = None) -> Any:
    """A `MockMailbox` that is also a `kind`.

    Typed `Any` because Python cannot write "both": it has `kind`'s methods and the mock's.
    """
    both = type(f"Mock{kind.__name__}", (MockMailbox, kind), {})
    return both(name or f"mock-{default_name(kind)}", waits=waits)
