"""Mailboxes without engines, for tests of the engines around them.

A mock has the methods of the mailbox it stands for, and one name more, its `control`:

* `received(type=None)`: the tells that came, in order (asks are not among them).
* `answer(type, value)`: answer asks of this type at once; `value` may be a function of the message, or an exception.
* `hold(type)`: let asks of this type wait; `.waiting` lists them, `.pop(field=value)` gives the reply to `set`.
* `feedback(value, type=None, times=None)`: what tells are told, for instance `REJECTED`; a refused one is not received.
* `waiting`: every held ask that waits, oldest first.
* `close()`: from now on the engine is gone, and its watchers are told.

The latest of `answer` and `hold` counts. An ask that has neither raises AssertionError in whoever asks, naming the
message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, overload

from ..runtime import Declined, EngineGone, Feedback, Mailbox, Message, Reply, Request
from ..runtime.actor.mailbox import default_name
from ..runtime.actor.reply import Waits

M = TypeVar("M", bound=Message)
T = TypeVar("T")
_Asks = list[tuple[Request[Any], Reply[Any]]]


class Held(Generic[T]):
    """The asks of one type that wait for the test to answer them."""

    def __init__(self, kind: type[Request[T]], asks: _Asks) -> None:
        """asks: all that wait in the mock, of any type."""
        self._kind = kind
        self._asks = asks

    @property
    def waiting(self) -> list[Request[T]]:
        """The messages that wait, oldest first."""
        return [message for message, _ in self._asks if type(message) is self._kind]

    def pop(self, **fields: object) -> Reply[T]:
        """The reply of the oldest waiting ask whose fields have these values. Raises AssertionError if none has."""
        for index, (message, reply) in enumerate(self._asks):
            matches = all(getattr(message, name) == value for name, value in fields.items())
            if type(message) is self._kind and matches:
                del self._asks[index]
                return reply
        raise AssertionError(f"no waiting {self._kind.__name__} with {fields}; waiting: {self.waiting}")


class MockControl:
    """What a test does with a mock: script its answers, and read what it was told."""

    def __init__(self, mailbox: Mailbox) -> None:
        """mailbox: the mock; `mock` makes both."""
        self._mailbox = mailbox
        self._told: list[Message] = []
        self._answers: dict[type, Any] = {}  # a `Held` for types that wait
        self._asks: _Asks = []
        self._feedback: list[tuple[Feedback, type | None, int | None]] = []
        self._closed = False

    @property
    def waiting(self) -> list[Request[Any]]:
        """Every held ask that waits, oldest first."""
        return [message for message, _ in self._asks]

    @overload
    def received(self, kind: None = None) -> list[Message]: ...
    @overload
    def received(self, kind: type[M]) -> list[M]: ...
    def received(self, kind: type[Message] | None = None) -> list[Any]:
        """The tells that came, all or those of one type, in order."""
        return [message for message in self._told if kind is None or isinstance(message, kind)]

    def answer(self, kind: type[Request[T]], value: T | Exception | Callable[[Any], T]) -> None:
        """Answer asks of this type: with a value, an error, or what a function makes of the message.

        The function may also return a `Reply` or an exception, or raise a `Declined`.
        """
        self._answers[kind] = value

    def hold(self, kind: type[Request[T]]) -> Held[T]:
        """Let asks of this type wait until the test answers them."""
        held = self._answers[kind] = Held(kind, self._asks)
        return held

    def feedback(self, value: Feedback, kind: type[Message] | None = None, *, times: int | None = None) -> None:
        """Tell senders this: for all types or one, the next `times` times, or until told otherwise.

        Those with `times` come first, in order; then the latest without.
        """
        if times is not None and times < 1:
            raise ValueError(f"times is at least 1, not {times}")
        self._feedback.append((value, kind, times))

    def close(self) -> None:
        """From now on tells are `CLOSED` and asks fail with `EngineGone`, as do those that wait."""
        self._closed = True
        while self._asks:
            message, reply = self._asks.pop(0)
            reply.fail(self._mailbox.inbox.gone(message))
        self._mailbox.termination.end(None)

    def take(self, message: Message) -> Feedback:
        """A tell has come to the mock."""
        if self._closed:
            return Feedback.CLOSED
        feedback = self._scripted_feedback(type(message))
        if feedback.accepted:
            self._told.append(message)
        return feedback

    def resolve(self, message: Request[T], reply: Reply[T]) -> None:
        """An ask has come to the mock. Raises AssertionError if the test has scripted nothing for its type."""
        if self._closed:
            reply.fail(EngineGone(f"{self._mailbox.name} is closed"))
        elif type(message) not in self._answers:
            raise AssertionError(f"{self._mailbox.name} was asked {message!r}; script it with answer() or hold()")
        elif isinstance(value := self._answers[type(message)], Held):
            self._asks.append((message, reply))
        else:
            self._answer(message, reply, value)

    @staticmethod
    def _answer(message: Request[T], reply: Reply[T], value: Any) -> None:
        if callable(value):
            try:
                value = value(message)
            except Declined as error:
                value = error
        if isinstance(value, Exception):
            reply.fail(value)
        elif isinstance(value, Reply):
            value.forward_to(reply)
        else:
            reply.set(value)

    def _scripted_feedback(self, kind: type[Message]) -> Feedback:
        always = Feedback.OK
        for index, (value, wanted, times) in enumerate(self._feedback):
            if wanted is not None and not issubclass(kind, wanted):
                continue
            if times is None:
                always = value
                continue
            self._feedback[index] = (value, wanted, times - 1)
            if times == 1:
                del self._feedback[index]
            return value
        return always


class MockMailbox(Mailbox):
    """A mailbox whose messages go to its `control`, and to no engine. `mock(Kind)` makes one that is also a `Kind`."""

    def __init__(self, name: str, *, waits: Waits | None = None) -> None:
        """waits: a simulation, so that `get()` on its replies steps virtual time."""
        super().__init__(name, waits=waits)
        self.control = MockControl(self)

    def tell(self, message: Message) -> Feedback:
        """See `Mailbox`."""
        return self.control.take(message)

    def ask(self, message: Request[T]) -> Reply[T]:
        """See `Mailbox`."""
        reply: Reply[T] = Reply(self._waits)
        self.control.resolve(message, reply)
        return reply


def mock(kind: type[Mailbox], name: str | None = None, *, waits: Waits | None = None) -> Any:
    """A `MockMailbox` that is also a `kind`.

    Typed `Any` because Python cannot write "both": it has `kind`'s methods and a `control: MockControl`.
    Raises TypeError for a `kind` with a `control` of its own.
    """
    if hasattr(kind, "control"):
        raise TypeError(f"{kind.__name__} has a name 'control', which a mock needs for itself")
    both = type(f"Mock{kind.__name__}", (MockMailbox, kind), {})
    return both(name or f"mock-{default_name(kind)}", waits=waits)


class MakeMock(Protocol):
    """`mock`, as the fixture `mock_mailbox` gives it."""

    def __call__(self, kind: type[Mailbox], name: str | None = None, *, waits: Waits | None = None) -> Any:
        """See `mock`."""
