"""What every runtime offers, and what it asks of its engines.

`ThreadRuntime` gives each engine a thread; `Simulation` steps them all on one, in virtual time. The engines are the
same classes. A runtime belongs to one node: it owns that node's engines, timers, worker pool and metrics.
"""

from __future__ import annotations

import abc
import random
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, overload

from ..actor.engine import Engine, run_in
from ..actor.mailbox import Mailbox, default_name
from ..actor.message import Message, Overflow
from ..actor.reply import Reply, Waits
from ..actor.timers import Timer
from ..arguments import MESSAGE_SHOWN, shortened
from ..errors import Declined, EngineFailed, EngineGone
from ..log import Log
from ..metrics import Registry
from .gauges import InboxMetrics

M = TypeVar("M", bound=Mailbox)
T = TypeVar("T")


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
        self._mailboxes: dict[str, Mailbox] = {}
        self._launched: set[str] = set()
        self._calls = CallTarget()
        self._dead_letter_hooks: list[Callable[[Mailbox, Message], object]] = []
        self._inboxes = InboxMetrics(self.registry)
        self.registry.collect(lambda: self._inboxes.update(self.now()))
        by_message = ("engine", "message")
        self._unhandled = self.registry.counter(
            "runtime_unhandled_total", "Messages their engine has no handler for.", labels=by_message
        )
        self._declined = self.registry.counter(
            "runtime_declined_total", "Messages declined where nobody asked.", labels=by_message
        )

    # Making engines --------------------------------------------------------------------------------------------------

    def mailbox(self, kind: type[M], name: str | None = None) -> M:
        """A mailbox for an engine that starts later; it queues meanwhile.

        name: unique in the runtime, else ValueError; by default `default_name(kind)`, numbered from the second on.
        """
        wanted = name if name is not None else default_name(kind)
        if name is not None and name in self._mailboxes:
            raise ValueError(f"this runtime has a mailbox named {name!r} already")
        number = 1
        while wanted in self._mailboxes:
            number += 1
            wanted = f"{default_name(kind)}-{number}"
        mailbox = kind(wanted, waits=self._waits())
        mailbox.inbox.dead_letter = lambda message: self._dead_letter(mailbox, message)
        self._mailboxes[wanted] = mailbox
        self._inboxes.add(mailbox)
        return mailbox

    @overload
    def start(self, mailbox: M, engine: type[Engine[M]], /, *args: Any, **kwargs: Any) -> M: ...
    @overload
    def start(self, mailbox: type[Engine[M]], /, *args: Any, **kwargs: Any) -> M: ...
    def start(self, mailbox: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Start an engine behind `mailbox`, or behind a new one if only the engine's class is given.

        Returns its mailbox when `on_start` is done. Raises what `__init__` or `on_start` raised; `EngineGone` if the
        mailbox is closed, its engine or the runtime having ended; ValueError for a mailbox that has an engine.
        """
        if isinstance(mailbox, type):
            args = (mailbox, *args)
            mailbox = self.mailbox(mailbox.mailbox_type)  # type: ignore[attr-defined]
        kind, *rest = args
        self._check(mailbox, kind)
        engine = kind.create(self, mailbox, *rest, **kwargs)
        self._launched.add(mailbox.name)
        self.engines.append(engine)
        try:
            self._launch(engine)
        except BaseException:
            self.engines.remove(engine)
            raise
        return mailbox

    def watch(self, mailbox: Mailbox, watcher: Mailbox) -> None:
        """Tell `watcher` `Terminated(mailbox, reason)` once, when the engine ends or at once if it has ended.

        Raises UnhandledMessage if the watcher's engine has no handler for `Terminated`.
        """
        mailbox.termination.watch(watcher)

    def on_dead_letter(self, hook: Callable[[Mailbox, Message], object]) -> None:
        """Call `hook(mailbox, message)` for each message to an engine of this runtime that is gone.

        It runs where the message is found undeliverable: in the sender, or in the engine that ends. Keep it short.
        """
        self._dead_letter_hooks.append(hook)

    def stalled(self) -> tuple[str, ...]:
        """The engines that have stopped turning, as far as the last look has found."""
        return tuple(name for name, (_mailbox, probe) in self._inboxes.probes.copy().items() if probe.reported)

    @abc.abstractmethod
    def drain(self, timeout: float) -> bool:
        """Wait until no message waits anywhere, at most `timeout` seconds; True if it came to that.

        For an orderly end: stop what brings in work, drain, then `stop()`, which itself waits for nothing queued.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """Stop every engine, newest first, whatever waits. Safe to call twice.

        Raises WouldDeadlock inside an engine.
        """

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
    def work(
        self,
        function: Callable[..., T],
        *args: object,
        cost: float = 0.0,
        serial: str | None = None,
        abandon: bool = False,
    ) -> Reply[T]:
        """Run a function off the engines' threads.

        cost: virtual seconds it takes in a simulation. serial: calls with the same name run one at a time, in order,
        on a thread beside the pool; what a database connection needs. abandon: a stop waits for none of that name.
        """

    def call_after(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call a short function in `seconds`, on the timers' thread."""
        return self.call_at(self.now() + max(0.0, seconds), function)

    def call_at(self, deadline: float, function: Callable[[], object]) -> Timer:
        """Call a short function when `now()` is `deadline`, on the timers' thread."""
        timer = Timer(deadline, 0, Call(function), self._calls)
        self.add_timer(timer)
        return timer

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose, from the runtime's seed."""
        return random.Random(f"{self._seed}/{self.name}/{purpose}")

    def unhandled(self, engine: Engine[Any], item: object) -> None:
        """An engine got a message it has no handler for: counted and logged, not an error of the engine."""
        self._unhandled.inc(engine.name, type(item).__name__)
        engine.log.warning("message without a handler", message=shortened(item, MESSAGE_SHOWN))

    def declined(self, engine: Engine[Any], item: object, error: Declined) -> None:
        """A handler declined a message that nobody waits on: counted and logged, not an error of the engine."""
        self._declined.inc(engine.name, type(item).__name__)
        engine.log.warning("declined, and nobody asked", message=shortened(item, MESSAGE_SHOWN), reason=repr(error))

    # For subclasses --------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _launch(self, engine: Engine[Any]) -> None:
        """Run the engine until it stops; return when `on_start` is done."""

    @abc.abstractmethod
    def _discard_timers(self, engine: Engine[Any]) -> None:
        """Forget the timers of an engine that is gone."""

    def _waits(self) -> Waits | None:
        return None

    def _check(self, mailbox: Mailbox, kind: type[Engine[Any]]) -> None:
        if self._mailboxes.get(mailbox.name) is not mailbox:
            raise ValueError(f"{mailbox!r} is not of this runtime: make it with runtime.mailbox(Kind)")
        if mailbox.inbox.closed:
            raise EngineGone(f"{mailbox.name} is closed: its engine or its runtime has ended")
        if mailbox.name in self._launched:
            raise ValueError(f"{mailbox!r} has an engine already")
        if not isinstance(mailbox, kind.mailbox_type):
            raise TypeError(f"{kind.__module__}.{kind.__name__} serves a {kind.mailbox_type.__name__}, not {mailbox!r}")

    def _dead_letter(self, mailbox: Mailbox, message: Message) -> None:
        for hook in self._dead_letter_hooks:
            try:
                hook(mailbox, message)
            except Exception as error:
                self.log.error("a dead letter hook raised", error=error, message=shortened(message, MESSAGE_SHOWN))

    def _failed(self, engine: Engine[Any], item: object, error: BaseException) -> None:
        """A handler raised: remember the first failure and stop the node."""
        engine.log.error("engine failed, the node stops", error=error, message=shortened(item, MESSAGE_SHOWN))
        engine.failure = error
        self._remember(
            f"{engine.name} failed while handling {shortened(item, MESSAGE_SHOWN)}: {shortened(error, MESSAGE_SHOWN)}",
            error,
        )

    def _remember(self, text: str, error: BaseException) -> None:
        if self.failure is None:
            failure = EngineFailed(text)
            failure.__cause__ = error
            self.failure = failure

    def _finish(self, engine: Engine[Any]) -> None:
        """Every way out of an engine ends here, on its own thread."""
        inbox = engine.mailbox.inbox
        try:
            run_in(engine, engine.on_stop)
        except BaseException as error:
            engine.log.error("on_stop failed", error=error)
            engine.failure = engine.failure or error
            self._remember(f"{engine.name} failed in on_stop: {error!r}", error)
        self._discard_timers(engine)
        inbox.close(engine.failure)
        engine.dispatch.abandon(engine.failure)
        engine.mailbox.termination.end(engine.failure)

    def _close_mailboxes(self) -> None:
        """The runtime is gone: also mailboxes that never had an engine answer `CLOSED`."""
        for mailbox in list(self._mailboxes.values()):
            mailbox.inbox.close()
            mailbox.termination.end(None)
