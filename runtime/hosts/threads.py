"""Engines on threads: Pykka's own way. One thread per engine, one for timers, a few for slow work."""

from __future__ import annotations

import threading
import time
from typing import Any

from ..actor import context
from ..actor.engine import Engine
from ..actor.inbox import Inbox
from ..actor.reply import Reply
from ..actor.timers import Timer
from ..actor.waiter import LockWaiter, Waiter
from ..errors import Declined
from .host import HostRuntime

_POLL_EVERY = 64  # messages between two looks at what an engine polls


class ThreadRuntime(HostRuntime):
    """A runtime of threads. Use it as a context manager: leaving stops everything in reverse order."""

    def _set_up(self) -> None:
        self._threads: dict[str, threading.Thread] = {}

    def add_timer(self, timer: Timer) -> None:
        """See `Runtime`."""
        self._timers.add(timer)

    def _launch(self, engine: Engine[Any]) -> None:
        started: Reply[None] = Reply()
        thread = threading.Thread(target=self._run, args=(engine, started), daemon=True, name=str(engine.actor_urn))
        self._threads[engine.name] = thread
        thread.start()
        started.wait()
        started.get()

    def _run(self, engine: Engine[Any], started: Reply[None]) -> None:
        context.running.engine = engine
        try:
            engine.on_start()
        except BaseException as error:
            engine.failure = error
            self._finish(engine)
            started.fail(error)
            return
        own = engine.waiter()  # made by on_start, on this thread
        waiter = own or LockWaiter()
        engine.mailbox.inbox.wake = waiter.wake
        started.set(None)
        try:
            _turns(self, engine, waiter, polls=own is not None)
        except BaseException as error:
            self._failed(engine, engine.mailbox.inbox.current, error)
        self._finish(engine)

    def _discard_timers(self, engine: Engine[Any]) -> None:
        self._timers.discard(engine.mailbox.inbox)

    def _thread_of(self, engine: Engine[Any]) -> threading.Thread | None:
        return self._threads.get(engine.name)

    def _stop_engine(self, engine: Engine[Any], deadline: float) -> bool:
        engine.mailbox.inbox.stop()
        thread = self._threads.get(engine.name)
        if thread is None or thread.ident is None:
            return True
        thread.join(max(0.0, deadline - time.monotonic()))
        return not thread.is_alive()


def _turns(runtime: HostRuntime, engine: Engine[Any], waiter: Waiter, *, polls: bool) -> None:
    """Handle messages until told to stop."""
    inbox = engine.mailbox.inbox
    while not inbox.stopping:
        try:
            if polls:
                _poll_and_handle(engine, inbox)
            else:
                _handle(engine, inbox, waiter)
        except Declined as error:
            runtime.declined(engine, inbox.current, error)


def _handle(engine: Engine[Any], inbox: Inbox, waiter: Waiter) -> None:
    """The innermost loop of a node: each line here is paid per message."""
    urgent, control, data = inbox.urgent_lane, inbox.control_lane, inbox.data_lane
    handlers = engine.dispatch
    while not inbox.stopping:
        if urgent:
            item = urgent.popleft()
        elif control:
            item = control.popleft()
        elif data:
            item = data.popleft()
        else:
            _park(inbox, waiter)
            continue
        inbox.current = item
        handlers[item.__class__](item)


def _poll_and_handle(engine: Engine[Any], inbox: Inbox) -> None:
    """As `_handle`, for an engine that also polls: after each few messages, and before it parks."""
    while True:
        for _ in range(_POLL_EVERY):
            if inbox.stopping:
                return
            item = inbox.take()
            if item is None:
                break
            inbox.current = item
            engine.handle(item)
        inbox.current = None
        if not engine.poll() and not inbox and (waiter := engine.waiter()) is not None:
            _park(inbox, waiter)


def _park(inbox: Inbox, waiter: Waiter) -> None:
    inbox.parked = True
    if not inbox and not inbox.stopping:
        waiter.wait(None)
    inbox.parked = False
