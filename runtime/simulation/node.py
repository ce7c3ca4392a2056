"""One node of a simulated world, and what can happen to it: crash, pause, clock skew, restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ..actor import context
from ..actor.engine import Engine, run_in
from ..actor.reply import Reply, Waits
from ..actor.timers import Timer, TimerHeap
from ..errors import EngineFailed, EngineGone, WouldDeadlock, fresh
from ..hosts.base import Runtime
from .guard import guarded
from .network import Network

T = TypeVar("T")

WALL_AT_START = 1_767_225_600.0  # 2026-01-01 00:00 UTC


class World(Protocol):
    """What a node needs of the world it is in."""

    seed: int | str
    time: float
    timers: TimerHeap
    network: Network

    def step_until(self, condition: Callable[[], object], timeout: float) -> bool:
        """Step until `condition()` is true, at most `timeout` seconds; whether it is."""

    def wait_for(self, reply: Reply[Any], timeout: float | None) -> None:
        """Step until the reply is resolved or `timeout` seconds are over."""

    def schedule(self, engine: Engine[Any]) -> None:
        """The engine has started."""

    def settle_engine(self, engine: Engine[Any]) -> None:
        """The engine may run (again)."""

    def unready(self, engine: Engine[Any]) -> None:
        """The engine is not stepped until it is ready again."""

    def forget(self, engine: Engine[Any]) -> None:
        """The engine is gone."""


class SimulatedNode(Runtime):
    """The runtime of one node in a simulated world."""

    world: World

    def __init__(self, world: World, name: str, life: int = 1) -> None:
        """Made by `Simulation.node`. life: how many nodes of this name there were, this one included."""
        super().__init__(name, world.seed if life == 1 else f"{world.seed}#{life}")
        self.world = world
        self.life = life
        self.skew = 0.0  # seconds its wall clock is ahead of the world's
        self.paused = False
        self.crashed = False
        self.stopped = False
        self.reported = False  # whether its failure was raised out of the simulation
        self._series: dict[str, float] = {}

    def now(self) -> float:
        """Virtual seconds since the world began."""
        return self.world.time

    def wall(self) -> float:
        """Virtual unix seconds; the world begins on 2026-01-01. Add to `skew` to set this node's clock wrong."""
        return WALL_AT_START + self.world.time + self.skew

    def add_timer(self, timer: Timer) -> None:
        """See `Runtime`."""
        if not self.crashed:
            self.world.timers.add(timer)

    def work(
        self,
        function: Callable[..., T],
        *args: object,
        cost: float = 0.0,
        serial: str | None = None,
        abandon: bool = False,
    ) -> Reply[T]:
        """Run `function` inline, `cost` virtual seconds from now; those of a series one after the other."""
        reply: Reply[T] = Reply(self._waits())
        finished = self.now() + cost
        if serial is not None:
            finished = self._series[serial] = max(self._series.get(serial, 0.0), self.now()) + cost

        def run() -> None:
            if self.crashed or self.stopped:
                reply.fail(EngineGone(f"the node {self.name!r} has ended: {function!r} was not run"))
                return
            try:
                reply.set(function(*args))
            except BaseException as error:
                reply.fail(error)

        self.call_at(finished, run)
        return reply

    def drain(self, timeout: float) -> bool:
        """See `Runtime`: steps virtual time until none of this node's engines has a message."""
        _outside("drain()")
        return self.world.step_until(lambda: not any(engine.mailbox.inbox for engine in self.engines), timeout)

    def stop(self) -> None:
        """Stop every engine of this node, newest first, and run their `on_stop`."""
        _outside("stop()")
        self._stop_engines()

    def crash(self) -> None:
        """End the node as `kill -9` does: no cleanup, nothing more is handled or sent."""
        if self.crashed:
            return
        self.crashed = True
        reason = EngineGone(f"the node {self.name!r} crashed")
        for mailbox in self._mailboxes.values():
            mailbox.inbox.closed = True  # all of them first: what one's end resolves reaches no other
        for engine in self.engines:
            self.world.forget(engine)
        for mailbox in self._mailboxes.values():
            mailbox.inbox.close(reason)
            mailbox.termination.end(reason)
        for engine in self.engines:
            engine.dispatch.abandon(reason)
        self.world.network.crashed(self.name)

    def pause(self) -> None:
        """Handle nothing until `resume`, as a stopped process: what comes in waits."""
        self.paused = True
        for engine in self.engines:
            engine.mailbox.inbox.parked = False
            self.world.unready(engine)

    def resume(self) -> None:
        """Go on after `pause`."""
        self.paused = False
        for engine in self.engines:
            self.world.settle_engine(engine)

    # For the world ---------------------------------------------------------------------------------------------------

    def fail(self, engine: Engine[Any], item: object, error: BaseException) -> BaseException:
        """A handler raised: the node ends; returns what to raise out of the simulation."""
        self._failed(engine, item, error)
        self._stop_engines(engine)
        self.reported = True
        assert self.failure is not None
        return fresh(self.failure)

    def end(self, engine: Engine[Any]) -> None:
        """An engine ended."""
        self.world.forget(engine)
        if not engine.mailbox.inbox.closed:
            with guarded:
                self._finish(engine)

    def _stop_engines(self, first: Engine[Any] | None = None) -> None:
        if self.crashed:
            return
        for engine in ([first] if first is not None else []) + self.engines[::-1]:
            engine.mailbox.inbox.stopping = True
            self.end(engine)
        self._close_mailboxes()
        self.stopped = True

    def _launch(self, engine: Engine[Any]) -> None:
        mailbox = engine.mailbox
        self.world.schedule(engine)
        try:
            with guarded:
                run_in(engine, engine.on_start)
        except BaseException as error:
            engine.failure = error
            self.end(engine)
            if not isinstance(error, Exception):
                raise EngineFailed(f"{engine.name} failed in on_start: {error!r}") from error
        if engine.failure is not None:
            raise fresh(engine.failure)
        if mailbox.inbox.stopping:
            self.end(engine)
        elif not self.paused:
            self.world.settle_engine(engine)

    def _discard_timers(self, engine: Engine[Any]) -> None:
        self.world.timers.discard(engine.mailbox.inbox)

    def _check(self, mailbox: Any, kind: Any) -> None:
        super()._check(mailbox, kind)
        if self.crashed or self.stopped:
            raise EngineGone(f"the node {self.name!r} has ended: world.node({self.name!r}) makes a new one")

    def _waits(self) -> Waits | None:
        return self.world


def _outside(call: str) -> None:
    engine = context.current()
    if engine is not None:
        raise WouldDeadlock(f"{call} inside {engine} would wait for itself")
