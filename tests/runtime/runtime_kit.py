"""An actor that writes down what it handles, and one way to drive every runtime."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from rookery.runtime import (
    Declined,
    Engine,
    Feedback,
    Lane,
    Limit,
    LoopRuntime,
    Mailbox,
    Message,
    Overflow,
    Reply,
    Request,
    Simulation,
    Terminated,
    ThreadRuntime,
)


class Refused(Declined):
    """The recorder declines."""


@dataclass(frozen=True, slots=True)
class Note(Message):
    text: str


@dataclass(frozen=True, slots=True)
class Data(Message):
    lane: ClassVar[Lane] = Lane.DATA
    number: int


@dataclass(frozen=True, slots=True)
class Piece(Message):
    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.REJECT
    payload: bytes

    def size(self) -> int:
        return len(self.payload)


@dataclass(frozen=True, slots=True)
class Price(Message):
    overflow: ClassVar[Overflow] = Overflow.LATEST
    name: str
    value: int

    def key(self) -> str:
        return self.name

    def size(self) -> int:
        return self.value


@dataclass(frozen=True, slots=True)
class Deposit(Message):
    overflow: ClassVar[Overflow] = Overflow.COALESCE
    account: str
    amount: int

    def key(self) -> str:
        return self.account

    def merge(self, newer: Deposit) -> Deposit:
        return Deposit(self.account, self.amount + newer.amount)


@dataclass(frozen=True, slots=True)
class Do(Message):
    """Run a function on the engine."""

    action: Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Ask(Request[Any]):
    """Answer what the function returns, or raises, on the engine."""

    action: Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class BoundedAsk(Request[str]):
    overflow: ClassVar[Overflow] = Overflow.REJECT


@dataclass(frozen=True, slots=True)
class Unknown(Message):
    """No engine here handles it."""

    overflow: ClassVar[Overflow] = Overflow.REJECT


@dataclass(frozen=True, slots=True)
class UnknownAsk(Request[None]):
    """No engine here handles it."""


class RecorderMailbox(Mailbox):
    limits: ClassVar = {
        Piece: Limit(4, 100),
        Price: Limit(2, 50),
        Deposit: Limit(2),
        BoundedAsk: Limit(1),
        Unknown: Limit(2),
    }

    def note(self, text: str) -> Feedback:
        return self.tell(Note(text))

    def do(self, action: Callable[[Any], object]) -> Feedback:
        return self.tell(Do(action))

    def run(self, action: Callable[[Any], object]) -> Reply[Any]:
        return self.ask(Ask(action))


class Recorder(Engine[RecorderMailbox]):
    """Writes every message into its journal."""

    def __init__(
        self,
        journal: list[object] | None = None,
        *,
        starting: Callable[[Any], object] = lambda _engine: None,
        stopping: Callable[[Any], object] = lambda _engine: None,
    ) -> None:
        super().__init__()
        self.handlers = {
            **dict.fromkeys((Note, Data, Piece, Price, Deposit, Terminated), self.on_any),
            Do: self.on_do,
            Ask: self.on_ask,
            BoundedAsk: self.on_bounded,
        }
        self.journal: list[object] = [] if journal is None else journal
        self.starting = starting
        self.stopping = stopping

    def on_start(self) -> None:
        self.starting(self)

    def on_stop(self) -> None:
        self.stopping(self)

    def on_any(self, message: Message) -> None:
        self.journal.append(message)

    def on_do(self, message: Do) -> None:
        message.action(self)

    def on_ask(self, message: Ask) -> object:
        return message.action(self)

    def on_bounded(self, _message: BoundedAsk) -> str:
        return "answered"


def raises(error: BaseException) -> Callable[[Any], object]:
    """An action that raises."""

    def action(_engine: Any) -> object:
        raise error

    return action


class Host:
    """One runtime, and how a test waits in it."""

    runtime: Any

    def recorder(self, journal: list[object] | None = None, **hooks: Any) -> RecorderMailbox:
        mailbox: RecorderMailbox = self.runtime.start(Recorder, journal, **hooks)
        return mailbox

    def settle(self) -> None:
        """Every message is handled."""
        assert self.runtime.drain(timeout=10)

    def pass_time(self, seconds: float) -> None:
        raise NotImplementedError

    def until(self, condition: Callable[[], object]) -> None:
        raise NotImplementedError

    def end_by_failure(self) -> None:
        """Wait until the node has ended by a failure, and raise it."""
        raise NotImplementedError

    def fail(self, mailbox: Mailbox, message: Message) -> BaseException:
        """Make an engine fail by this message; the failure as the runtime gives it, once the node has ended."""
        mailbox.tell(message)
        try:
            self.end_by_failure()
        except Exception as error:
            return error
        raise AssertionError("nothing failed")

    def close(self) -> None:
        raise NotImplementedError


class SimulatedHost(Host):
    def __init__(self, seed: int | str) -> None:
        self.runtime: Simulation = Simulation(seed)

    def pass_time(self, seconds: float) -> None:
        self.runtime.run(for_=seconds)

    def until(self, condition: Callable[[], object]) -> None:
        self.runtime.run_until(condition, timeout=10)

    def end_by_failure(self) -> None:
        self.runtime.settle()

    def close(self) -> None:
        self.runtime.close()


class RealHost(Host):
    def __init__(self, kind: type[ThreadRuntime | LoopRuntime], **options: Any) -> None:
        self.runtime: ThreadRuntime | LoopRuntime = kind("test", seed=1, **options)

    def pass_time(self, seconds: float) -> None:
        """Handle what waits, as it may set timers; wait until one so long has fired, and handle what it caused."""
        self.settle()
        fired: Reply[None] = Reply()
        self.runtime.call_after(seconds, lambda: fired.set(None))
        fired.get(timeout=seconds + 10)
        self.settle()

    def until(self, condition: Callable[[], object]) -> None:
        wait_until(condition)

    def end_by_failure(self) -> None:
        wait_until(
            lambda: self.runtime.ended.is_set() and all(e.mailbox.termination.ended for e in self.runtime.engines)
        )
        if self.runtime.failure is not None:
            raise self.runtime.failure

    def close(self) -> None:
        self.runtime.stop(10)


def wait_until(condition: Callable[[], object]) -> None:
    """Look every millisecond, for at most 10 s."""
    pause = threading.Event()
    for _ in range(10_000):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError("not true within 10 s")
