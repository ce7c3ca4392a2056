"""Engines that poll: their idle time is spent in a waiter of their own, whatever they run on."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest

from rookery.runtime import Engine, LoopRuntime, Mailbox, Request, Waiter
from rookery.runtime.actor.waiter import LockWaiter
from tests.runtime.runtime_kit import Note, RealHost, raises, wait_until


class WellMailbox(Mailbox):
    """Of an engine that draws from a well."""


@dataclass(frozen=True, slots=True)
class Where(Request[str]):
    """The name of the thread that answers."""


class Well(Engine[WellMailbox]):
    """Hands up what was thrown in from outside, beside its messages."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.handlers = {Where: self.on_where, Note: self.on_note}
        self.outside: deque[str] = deque()
        self.drawn: list[str] = []
        self.fails = fails
        self._waiter: LockWaiter | None = None

    def throw(self, text: str) -> None:
        """From any thread."""
        self.outside.append(text)
        assert self._waiter is not None
        self._waiter.wake()

    def on_start(self) -> None:
        self._waiter = LockWaiter()
        if self.fails:
            raises(RuntimeError("dry"))(self)

    def on_where(self, _message: Where) -> str:
        return threading.current_thread().name

    def on_note(self, message: Note) -> None:
        self.drawn.append(message.text)

    def waiter(self) -> Waiter | None:
        return self._waiter

    def poll(self) -> bool:
        if self.outside:
            self.drawn.append(self.outside.popleft())
        return bool(self.outside)


def well(host: RealHost, **options: Any) -> Well:
    host.runtime.start(Well, **options)
    engine = host.runtime.engines[-1]
    assert isinstance(engine, Well)
    return engine


def test_engines_that_poll_hand_up_what_comes_from_outside_and_what_they_are_told(real: RealHost) -> None:
    wells = [well(real) for _ in range(3)]
    for number in range(100):
        for each in wells:
            each.throw(f"thrown {number}")
            each.mailbox.tell(Note(f"told {number}"))
    wait_until(lambda: all(len(each.drawn) == 200 for each in wells))
    for each in wells:
        assert [text for text in each.drawn if "thrown" in text] == [f"thrown {number}" for number in range(100)]


def test_engines_that_poll_fire_their_timers_and_stop(real: RealHost) -> None:
    wells = [well(real) for _ in range(2)]
    for each in wells:
        each.after(0.001, Note("due"))
    wait_until(lambda: all(each.drawn == ["due"] for each in wells))
    real.runtime.stop(10)
    assert all(each.mailbox.termination.ended for each in wells)
    assert {thread.name for thread in threading.enumerate() if thread.name.startswith("test")} == set()


def test_loop_keeps_the_first_engine_that_polls_and_gives_the_others_threads() -> None:
    host = RealHost(LoopRuntime)
    first, second = well(host), well(host)
    asked = [each.mailbox.ask(Where()) for each in (first, second)]
    assert [reply.get(timeout=10) for reply in asked] == ["test-loop", "test/well-2"]
    first.stop()
    wait_until(lambda: first.mailbox.termination.ended)
    assert well(host).mailbox.ask(Where()).get(timeout=10) == "test-loop"
    host.close()


def test_engine_that_polls_and_fails_leaves_the_runtime_to_the_others(real: RealHost) -> None:
    with pytest.raises(RuntimeError, match="dry"):
        well(real, fails=True)
    survivor = well(real)
    survivor.throw("water")
    wait_until(lambda: survivor.drawn == ["water"])
