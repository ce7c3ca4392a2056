"""What every runtime offers, and what it asks of its engines.

`ThreadRuntime` gives each engine a thread; `Simulation` steps them all on one, in virtual time. The engines are the same
classes. A runtime belongs to one node: it owns that node's engines, timers, worker pool and metrics.
"""

from __future__ import annotations

import abc
import random
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, overload

from .engine import Engine, run_in
from .errors import EngineFailed
from .log import Log
from .mailbox import Mailbox, default_name
from .message import Message, Overflow
from .metrics import Registry
from .reply import Reply, Waits
from .timers import Timer

M = TypeVar("M", bound=Mailbox)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terminated(Message):
    """The engine behind `mailbox` is gone. reason: None for an orderly stop, else the exception that ended it."""

    mailbox: Mailbox
    reason: BaseException | None


class Call(Message):
    """A function to run when a timer fires; the runtime's own."""

    __slots__ = ("function",)
    overflow: ClassVar[Overflow] = Overflow.RETAIN

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function


class CallTarget:
    """Runs the function of a `Call` where the timer fires."""

    def urgent(self, item: object) -> None:
        """Called by the timer heap's owner."""
        if isinstance(item, Timer) and isinstance(item.message, Call):
            item.message.function()


class Runtime(abc.ABC):
    """Engines of one node, and what they run on."""

    name: str
    registry: Registry

    def __init__(self, name: str, seed: object) -> None:
        """name: of the node, in logs and urns. seed: of every engine's `rng`."""
        self.name = name
        self.registry = Registry()
        self.log = Log(name or "runtime")
        self.engines: list[Engine[Any]] = []
        self.failure: BaseException | None = None
        self._seed = seed
        self._names: Tally[str] = Tally()
        self._mailboxes: list[Mailbox] = []
        self._watchers: dict[str, list[Mailbox]] = {}
        self._ended: dict[str, BaseException | None] = {}
        self._calls = CallTarget()
        self._unhandled = self.registry.counter(
            "runtime_unhandled_total", "Messages their engine has no handler for.", labels=("engine", "message")
        )

    # Making engines --------------------------------------------------------------------------------------------------

    def mailbox(self, kind: type[M], name: str | None = None) -> M:
        """A mailbox for an engine that starts later; it queues meanwhile.

        name: unique in the runtime; by default `default_name(kind)`, numbered from the second on.
        """
        wanted = name if name is not None else default_name(kind)
        self._names[wanted] += 1
        if self._names[wanted] > 1:
            if name is not None:
                raise ValueError(f"this runtime has a mailbox named {name!r} already")
            wanted = f"{wanted}-{self._names[wanted]}"
        mailbox = kind(wanted, waits=self._waits())
        self._mailboxes.append(mailbox)
        return mailbox

    @overload
    def start(self, mailbox: M, engine: type[Engine[M]], /, *args: Any, **kwargs: Any) -> M: ...
    @overload
    def start(self, mailbox: type[Engine[M]], /, *args: Any, **kwargs: Any) -> M: ...
    def start(self, mailbox: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Start an engine behind `mailbox`, or behind a new one if only the engine's class is given.

        Returns its mailbox when `on_start` is done; raises what `__init__` or `on_start` raised.
        """
        if isinstance(mailbox, type):
            args = (mailbox, *args)
            mailbox = self.mailbox(mailbox.mailbox_type)  # type: ignore[attr-defined]
        kind, *rest = args
        engine = kind.create(self, mailbox, *rest, **kwargs)
        self.engines.append(engine)
        try:
            self._launch(engine)
        except BaseException:
            self.engines.remove(engine)
            raise
        return mailbox

    def watch(self, mailbox: Mailbox, watcher: Mailbox) -> None:
        """Tell `watcher` `Terminated(mailbox, reason)` once, when the engine ends or at once if it has ended."""
        watcher.require(Terminated)
        if mailbox.name in self._ended:
            watcher.tell(Terminated(mailbox, self._ended[mailbox.name]))
        else:
            self._watchers.setdefault(mailbox.name, []).append(watcher)

    # What engines use ------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def now(self) -> float:
        """Monotonic seconds."""

    @abc.abstractmethod
    def wall(self) -> float:
        """Unix seconds."""

    @abc.abstractmethod
    def add_timer(self, timer: Timer) -> None:
        """Fire `timer` at its deadline, into its target's urgent lane."""

    @abc.abstractmethod
    def work(self, function: Callable[..., T], *args: object, cost: float = 0.0) -> Reply[T]:
        """Run a function off the engines' threads."""

    def call_after(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call a short function in `seconds`, on the timers' thread."""
        timer = Timer(self.now() + max(0.0, seconds), 0, Call(function), self._calls)
        self.add_timer(timer)
        return timer

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose, from the runtime's seed."""
        return random.Random(f"{self._seed}/{self.name}/{purpose}")

    def unhandled(self, engine: Engine[Any], item: object) -> None:
        """An engine got a message it has no handler for: counted and logged, not an error of the engine."""
        self._unhandled.inc(engine.name, type(item).__name__)
        engine.log.warning("message without a handler", message=repr(item))

    # For subclasses --------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _launch(self, engine: Engine[Any]) -> None:
        """Run the engine until it stops; return when `on_start` is done."""

    def _waits(self) -> Waits | None:
        return None

    def _failed(self, engine: Engine[Any], item: object, error: BaseException) -> None:
        """A handler raised: remember the first failure and stop the node."""
        engine.log.error("engine failed, the node stops", error=error, message=repr(item))
        engine.failure = error
        if self.failure is None:
            failure = EngineFailed(f"{engine.name} failed while handling {item!r}: {error!r}")
            failure.__cause__ = error
            self.failure = failure

    def _finish(self, engine: Engine[Any]) -> None:
        """Every way out of an engine ends here, on its own thread."""
        try:
            run_in(engine, engine.on_stop)
        except Exception as error:
            engine.log.error("on_stop failed", error=error)
            engine.failure = engine.failure or error
        engine.mailbox.inbox.close()
        self._ended[engine.mailbox.name] = engine.failure
        for watcher in self._watchers.pop(engine.mailbox.name, ()):
            watcher.tell(Terminated(engine.mailbox, engine.failure))
