"""The same engines on one thread, in virtual time, decided by a seed.

* A step handles one message of one engine. Which of the ready engines is next comes from the seed, so other seeds try
  other interleavings; within an engine the lanes' order holds as everywhere.
* Time stands still while messages wait, then jumps to the next timer.
* `digest()` covers every handled message: when, by whom, of which type, and the bytes that crossed the network. Equal
  seeds give equal digests, in any process.
* A failing engine raises out of `run`, `run_until` and `settle` at once.

A simulation is itself the runtime of one node. `node(name)` gives further ones in the same world.
"""

from __future__ import annotations

import random
import zlib
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from . import context
from .base import Runtime
from .engine import Engine
from .errors import SimulationStuck
from .network import Network
from .reply import Reply, Waits
from .timers import Timer, TimerHeap

T = TypeVar("T")

WALL_AT_START = 1_767_225_600.0  # 2026-01-01 00:00 UTC
_TRACE = 100


class SimulatedNode(Runtime):
    """The runtime of one node in a simulated world."""

    world: Simulation

    def __init__(self, world: Simulation, name: str) -> None:
        """Made by `Simulation.node`."""
        super().__init__(name, world.seed)
        self.world = world
        self.paused = False
        self.crashed = False

    def now(self) -> float:
        """Virtual seconds since the world began."""
        return self.world.time

    def wall(self) -> float:
        """Virtual unix seconds; the world begins on 2026-01-01."""
        return WALL_AT_START + self.world.time

    def add_timer(self, timer: Timer) -> None:
        """See `Runtime`."""
        if not self.crashed:
            self.world.timers.add(timer)

    def work(self, function: Callable[..., T], *args: object, cost: float = 0.0) -> Reply[T]:
        """Run `function` inline, `cost` virtual seconds from now."""
        reply: Reply[T] = Reply(self._waits())

        def run() -> None:
            if self.crashed:
                return
            try:
                reply.set(function(*args))
            except Exception as error:
                reply.fail(error)

        self.call_after(cost, run)
        return reply

    def stop(self) -> None:
        """Stop every engine of this node, newest first, and run their `on_stop`."""
        for engine in reversed(self.engines):
            inbox = engine.mailbox.inbox
            if not inbox.closed:
                inbox.stopping = True
                self.world.forget(engine)
                self._finish(engine)
        for mailbox in self._mailboxes:
            mailbox.inbox.close()

    def crash(self) -> None:
        """End the node as `kill -9` does: no cleanup, nothing more is handled or sent."""
        self.crashed = True
        for engine in self.engines:
            self.world.forget(engine)
            engine.mailbox.inbox.close()
        self.world.network.crashed(self.name)

    def pause(self) -> None:
        """Handle nothing until `resume`, as a stopped process: what comes in waits."""
        self.paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self.paused = False
        for engine in self.engines:
            if engine.mailbox.inbox:
                self.world.make_ready(engine)

    def _launch(self, engine: Engine[Any]) -> None:
        inbox = engine.mailbox.inbox
        inbox.wake = lambda: self.world.make_ready(engine)
        before, context.running.engine = context.running.engine, engine
        try:
            engine.on_start()
        except BaseException as error:
            engine.failure = error
            self._finish(engine)
            raise
        finally:
            context.running.engine = before
        if inbox:
            self.world.make_ready(engine)
        else:
            inbox.parked = True

    def _waits(self) -> Waits | None:
        return self.world


class Simulation(SimulatedNode):
    """A world: virtual time, a network with faults, and the nodes in it."""

    def __init__(self, seed: int | str = 0) -> None:
        """seed: of everything random in this world."""
        self.seed = seed
        self.time = 0.0
        self.timers = TimerHeap()
        self._ready: list[Engine[Any]] = []
        self._order = random.Random(f"{seed}/order")
        self._digest = 0xCBF29CE484222325
        self._types: dict[type, int] = {}
        self._recent: deque[tuple[float, str, object]] = deque(maxlen=_TRACE)
        self.handled = 0
        self.nodes: dict[str, SimulatedNode] = {}
        self.network = Network(self, random.Random(f"{seed}/network"))
        super().__init__(self, "")

    # The world's public face -----------------------------------------------------------------------------------------

    def node(self, name: str) -> SimulatedNode:
        """The node `name`, made at first use. After a crash the next call makes a new one."""
        node = self.nodes.get(name)
        if node is None or node.crashed:
            node = self.nodes[name] = SimulatedNode(self, name)
        return node

    def settle(self) -> None:
        """Handle every message and timer that needs no time."""
        while self._step(self.time):
            pass

    def run(self, *, for_: float) -> None:
        """Let `for_` virtual seconds pass."""
        end = self.time + for_
        while self._step(end):
            pass
        self.time = max(self.time, end)

    def run_until(self, condition: Callable[[], object], *, within: float) -> None:
        """Step until `condition()` is true. Raises SimulationStuck, with the last messages, after `within` seconds."""
        end = self.time + within
        while not condition():
            if not self._step(end):
                self.time = max(self.time, end)
                if condition():
                    return
                raise SimulationStuck(f"not true within {within} s (seed {self.seed!r})\n{self.trace()}")

    def wait_for(self, reply: Reply[Any], timeout: float | None) -> None:
        """Step until the reply is resolved: what `Reply.get` does here outside engines."""
        end = self.time + timeout if timeout is not None else float("inf")
        while not reply.done:
            if not self._step(end):
                if timeout is None:
                    raise SimulationStuck(f"nobody will answer (seed {self.seed!r})\n{self.trace()}")
                self.time = max(self.time, end)
                return

    def digest(self) -> str:
        """16 hex digits over everything that happened so far."""
        return f"{self._digest:016x}"

    def absorb(self, data: int) -> None:
        """Mix a number into the digest: what the network carried."""
        self._digest = ((self._digest ^ data) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF

    def trace(self, last: int = _TRACE) -> str:
        """The last handled messages, one per line: time, engine, message."""
        lines = [f"{when:10.4f}  {who:<24}  {_shorten(repr(what))}" for when, who, what in list(self._recent)[-last:]]
        return "\n".join([f"the last {len(lines)} messages, seed {self.seed!r}:", *lines])

    def close(self) -> None:
        """Stop every node of the world."""
        for node in (*reversed(self.nodes.values()), self):
            if not node.crashed:
                SimulatedNode.stop(node)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # For nodes -------------------------------------------------------------------------------------------------------

    def make_ready(self, engine: Engine[Any]) -> None:
        """The engine has something to handle."""
        engine.mailbox.inbox.parked = False
        self._ready.append(engine)

    def forget(self, engine: Engine[Any]) -> None:
        """The engine is gone: nothing of it is stepped or fired any more."""
        self._ready = [other for other in self._ready if other is not engine]
        self.timers.discard(engine.mailbox.inbox)

    # Stepping --------------------------------------------------------------------------------------------------------

    def _step(self, end: float) -> bool:
        """Handle one message, or fire the next timer due by `end`; False when there is neither."""
        ready = self._ready
        if ready:
            count = len(ready)
            index = int(self._order.random() * count) if count > 1 else 0
            self._turn(ready[index], index)
            return True
        timer = self.timers.pop_due(end)
        if timer is None:
            return False
        self.time = max(self.time, timer.deadline)
        if timer.interval is not None:
            self.timers.add(timer.next(self.time))
        timer.target.urgent(timer)
        return True

    def _turn(self, engine: Engine[Any], index: int) -> None:
        inbox = engine.mailbox.inbox
        node = engine.runtime
        item = None if isinstance(node, SimulatedNode) and node.paused else inbox.take()
        if item is not None:
            self._handle(engine, item)
        if item is None or inbox.closed or not inbox:
            ready = self._ready
            if index < len(ready) and ready[index] is engine:  # a handler may have stopped engines meanwhile
                ready[index] = ready[-1]
                ready.pop()
            elif engine in ready:
                ready.remove(engine)
            inbox.parked = not (isinstance(node, SimulatedNode) and node.paused)

    def _handle(self, engine: Engine[Any], item: object) -> None:
        inbox = engine.mailbox.inbox
        self.handled += 1
        self._recent.append((self.time, engine.actor_urn, item))
        kind = item.__class__
        number = self._types.get(kind) or self._name_type(kind)
        self.absorb(hash(self.time) ^ number ^ engine.mailbox.number)
        running = context.running
        before, running.engine = running.engine, engine
        try:
            engine.dispatch[kind](item)
        except BaseException as error:
            running.engine = before
            self._fail(engine, item, error)
        finally:
            running.engine = before
        if inbox.stopping and not inbox.closed:
            self.forget(engine)
            engine.runtime._finish(engine)  # noqa: SLF001

    def _fail(self, engine: Engine[Any], item: object, error: BaseException) -> None:
        runtime = engine.runtime
        runtime._failed(engine, item, error)  # noqa: SLF001
        self.forget(engine)
        runtime._finish(engine)  # noqa: SLF001
        assert runtime.failure is not None
        raise runtime.failure

    def _name_type(self, kind: type) -> int:
        number = self._types[kind] = zlib.crc32(kind.__qualname__.encode()) << 20
        return number


def _shorten(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
