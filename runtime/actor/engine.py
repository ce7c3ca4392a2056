"""An engine: state, one thread of control, a table of handlers. Reached through its mailbox only.

::

    class Engine(runtime.Engine[Mailbox]):
        def __init__(self, config: Config, *, tracker: tracker.Mailbox) -> None:
            super().__init__()
            self.handlers = {Track: self.on_track, Closed: self.on_closed}

Rules:

* A handler never blocks. What takes longer than about 5 ms runs elsewhere: `self.work(function, ...)`.
* The handler of a `Request` returns the answer, or a `Reply` that is filled later, or raises a `Declined`. Who still
  waits for a later answer when the engine ends gets `EngineGone`.
* A `Declined` where nobody asked is counted and logged; the engine lives on.
* Any other exception means the state may be wrong: it is logged with the message, the asker gets `EngineFailed`, and
  the node stops. Application code is called through `try` by whoever calls it, never trusted.
* `on_start` runs before the first message, `on_stop` on every way out, also after a failure.
* Time and randomness come from `self.now()`, `self.wall()` and `self.rng`, so that a simulation controls them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Generic, NoReturn, Protocol, TypeVar, cast, get_args, get_origin, overload

import pykka

from ..errors import ReplyCancelled, ReplyTimeout
from ..log import Log
from ..metrics import Registry
from . import context
from .dispatch import Dispatch, Resolved
from .inbox import Ask
from .mailbox import Mailbox
from .message import Lane, Message
from .reply import Reply
from .timers import Timer
from .waiter import Waiter

M = TypeVar("M", bound=Mailbox)
T = TypeVar("T")
Handlers = Mapping[type[Message], Callable[[Any], object]]


class Services(Protocol):
    """What a runtime gives to its engines: every `Runtime` does."""

    name: str
    registry: Registry

    def now(self) -> float:
        """Monotonic seconds."""

    def wall(self) -> float:
        """Unix seconds."""

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose, from the runtime's seed."""

    def add_timer(self, timer: Timer) -> None:
        """Fire `timer` at its deadline, into its target's urgent lane."""

    def call_after(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call a short function in `seconds`, on the timers' thread."""

    def work(
        self,
        function: Callable[..., T],
        *args: object,
        cost: float = 0.0,
        serial: str | None = None,
        abandon: bool = False,
    ) -> Reply[T]:
        """Run a function off the engines' threads."""

    def mailbox(self, kind: type[M], name: str | None = None) -> M:
        """A mailbox for an engine that starts later."""

    @overload
    def start(self, mailbox: M, engine: type[Engine[M]], /, *args: Any, **kwargs: Any) -> M: ...
    @overload
    def start(self, mailbox: type[Engine[M]], /, *args: Any, **kwargs: Any) -> M: ...

    def unhandled(self, engine: Engine[Any], item: object) -> None:
        """An engine got a message it has no handler for."""


class Engine(pykka.ThreadingActor, Generic[M]):
    """Base of every actor's `Engine`. Start it with `runtime.start(mailbox, Engine, ...)`."""

    mailbox_type: ClassVar[type[Mailbox]] = Mailbox
    handlers: Handlers
    facts: object = None
    """What its mailbox checks calls by, if it does: the constructor sets it, `Mailbox.bind` is given it."""

    runtime: Services
    mailbox: M
    rng: random.Random
    log: Log

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Take the mailbox's type from `Engine[ThatMailbox]`."""
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Engine):
                (kind,) = get_args(base)
                if isinstance(kind, type):
                    cls.mailbox_type = kind

    def __init__(self) -> None:
        """Call it first in a subclass's constructor. `mailbox`, `rng`, `log` and the clock work from then on."""
        if not hasattr(self, "runtime"):
            raise TypeError(f"start {type(self).__name__} with runtime.start(mailbox, Engine, ...)")
        self.handlers = {}

    @classmethod
    def start(cls, *args: object, **kwargs: object) -> NoReturn:
        """Pykka's way of starting knows no runtime; ours does."""
        raise TypeError(f"use runtime.start(mailbox, {cls.__name__}, ...) instead of {cls.__name__}.start()")

    @classmethod
    def create(cls, runtime: Services, mailbox: Mailbox, *args: object, **kwargs: object) -> Engine[Any]:
        """An engine bound to its runtime and mailbox, not yet running. For runtimes."""
        engine = cls.__new__(cls)
        engine.runtime = runtime
        engine.mailbox = cast(M, mailbox)
        engine.rng = runtime.random(mailbox.name)
        engine.log = Log(mailbox.name)
        engine.actor_urn = f"{runtime.name}/{mailbox.name}"
        engine.actor_inbox = mailbox.inbox  # type: ignore[assignment]  # pykka's protocol is put/get/empty
        engine.failure = None
        engine.__init__(*args, **kwargs)  # type: ignore[misc]  # the fields above come first
        engine.dispatch = Dispatch(
            mailbox.inbox,
            engine.handlers,
            unhandled=partial(runtime.unhandled, engine),
            repeat=lambda timer: runtime.add_timer(timer.next(runtime.now())),
        )
        mailbox.bind(frozenset(engine.handlers), engine.facts)
        return engine

    # What a subclass may use -----------------------------------------------------------------------------------------

    failure: BaseException | None

    @property
    def name(self) -> str:
        """The engine's name in its runtime."""
        return self.mailbox.name

    def now(self) -> float:
        """Monotonic seconds; virtual in a simulation."""
        return self.runtime.now()

    def wall(self) -> float:
        """Unix seconds, for stamps that are stored or sent. May jump."""
        return self.runtime.wall()

    def after(self, seconds: float, message: Message, *, rank: int = 0) -> Timer:
        """Handle `message` in `seconds`, ahead of control and data. rank: order among timers due at the same moment."""
        return self._schedule(seconds, message, rank, None)

    def every(self, seconds: float, message: Message, *, first: float | None = None, rank: int = 0) -> Timer:
        """Handle `message` each `seconds` until cancelled, first after `first` (or `seconds`). Turns missed in a stall
        are not made up for."""
        if seconds <= 0:
            raise ValueError(f"a repeated timer needs an interval above 0 s, not {seconds}")
        return self._schedule(seconds if first is None else first, message, rank, seconds)

    def on_reply(self, reply: Reply[T], handler: Callable[[T | Exception], object], *, timeout: float) -> None:
        """Run `handler` with the answer, or the error as a value, on this engine.

        timeout: seconds after which the handler gets `ReplyTimeout` instead; a later answer is ignored.
        """
        inbox = self.mailbox.inbox
        if reply.done:
            inbox.urgent(Resolved(handler, reply))
            return
        outcome: Reply[T] = Reply()
        outcome.then(lambda resolved: inbox.urgent(Resolved(handler, resolved)))
        timer = self.runtime.call_after(
            timeout, lambda: outcome.fail(ReplyTimeout(f"no answer to {self.name} within {timeout} s"))
        )

        def forward(resolved: Reply[T]) -> None:
            timer.cancel()
            resolved.forward_to(outcome)

        reply.then(forward)

    def work(
        self,
        function: Callable[..., T],
        *args: object,
        cost: float = 0.0,
        serial: str | None = None,
        abandon: bool = False,
    ) -> Reply[T]:
        """Run slow, pure or blocking work on the runtime's pool; continue with `on_reply`.

        cost: virtual seconds it takes in a simulation, where it runs inline. serial: calls of this name run one after
        the other, beside the pool, as a database connection needs it. Their thread ends when it has had nothing to do
        for a while, and later calls run on another (sqlite3 is told so by `check_same_thread=False`). abandon: a stop
        does not wait for calls of that name, which may hang in the system and leave nothing half done.
        """
        return self.runtime.work(function, *args, cost=cost, serial=serial, abandon=abandon)

    def next_slice(self, step: Callable[[], object], *, lane: Lane = Lane.URGENT) -> None:
        """Run `step` on this engine once other engines had their turn: for work that takes longer than a handler may.

        By default it comes before any further control or data message: done in slices the work is, to everybody, as if
        it were one message, and only stops, replies and timers come in between. lane: behind what waits there instead.
        `Slices` does whole jobs so.
        """
        inbox = self.mailbox.inbox
        inbox.add(lane, Resolved(lambda _none: step(), Reply.of(None)))
        inbox.turn = 0

    def watch(self, mailbox: Mailbox) -> None:
        """Handle `Terminated(mailbox, reason)` once, when that engine ends, or now if it has ended.

        Raises UnhandledMessage if this engine has no handler for `Terminated`.
        """
        mailbox.termination.watch(self.mailbox)

    @property
    def abandoned(self) -> bool:
        """Whether the asker of the present request has cancelled it: a long handler may look, and skip the work."""
        item = self.mailbox.inbox.current
        return isinstance(item, Ask) and item.reply.done

    def on_abandoned(self, handler: Callable[[], object]) -> None:
        """Run `handler` on this engine if the asker of the present request cancels it before there is an answer."""
        inbox, item = self.mailbox.inbox, self.mailbox.inbox.current

        def over(reply: Reply[Any]) -> None:
            if isinstance(reply.result(), ReplyCancelled):
                inbox.urgent(Resolved(lambda _cancelled: handler(), reply))

        if isinstance(item, Ask):
            item.reply.then(over)

    def stop(self) -> None:
        """Stop this engine after the present message."""
        self.mailbox.inbox.stop()

    def on_failure(self, *_args: object) -> None:
        """Not called: failures go to the runtime, cleanup to `on_stop`."""

    def waiter(self) -> Waiter | None:
        """What to spend idle time with instead of a lock: an engine that polls waits on its sockets here.

        Asked after `on_start`, and again before each wait; always the same object.
        """
        return None

    def poll(self) -> bool:
        """Bring in what waits outside the inbox (a socket); True if there may be more. Called between messages."""
        return False

    # The loop's parts, for runtimes ----------------------------------------------------------------------------------

    dispatch: Dispatch

    def handle(self, item: object) -> None:
        """Handle one item of the inbox. Raises what the handler raised."""
        self.dispatch[item.__class__](item)

    def _schedule(self, seconds: float, message: Message, rank: int, interval: float | None) -> Timer:
        deadline = self.runtime.now() + max(0.0, seconds)
        timer = Timer(deadline, rank, message, self.mailbox.inbox, interval)
        self.runtime.add_timer(timer)
        return timer

    def __str__(self) -> str:
        return f"{type(self).__module__}.{type(self).__qualname__} ({self.actor_urn})"


def run_in(engine: Engine[Any], action: Callable[[], None]) -> None:
    """Run `action` as this engine: a blocking `get()` inside it raises."""
    before = context.running.engine
    context.running.engine = engine
    try:
        action()
    finally:
        context.running.engine = before
