"""The same engines on one thread, in virtual time, decided by a seed.

* A step handles one message of one engine. Which of the ready engines is next comes from the seed, so other seeds try
  other interleavings; within an engine the lanes' order holds as everywhere.
* Time stands still while messages wait, then jumps to the next timer.
* `digest()` covers every handled message: when, by which engine of which node, of which type, and what the network
  carried. Equal seeds give equal digests, in any process.
* A failing engine ends its node and raises out of `run`, `run_until` and `settle` at once.
* The real clock, real randomness and threads are errors inside a handler; see `guard.py`.

A simulation is itself the runtime of one node. `node(name)` gives further ones in the same world.
"""

from __future__ import annotations

import random
import zlib
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, cast

from . import context
from .engine import Engine
from .errors import Declined, SimulationStuck
from .guard import guarded
from .network import Network
from .reply import Reply
from .simulated_node import WALL_AT_START, SimulatedNode
from .timers import TimerHeap

__all__ = ["WALL_AT_START", "SimulatedNode", "Simulation"]

_TRACE = 100
_PATIENCE = 86_400.0  # virtual seconds that get() without a timeout waits
_LIVELOCK = 5_000_000  # steps without time passing after which engines are taken to talk in circles


class Simulation(SimulatedNode):
    """A world: virtual time, a network with faults, and the nodes in it."""

    def __init__(self, seed: int | str = 0) -> None:
        """seed: of everything random in this world."""
        self.seed = seed
        self.time = 0.0
        self.timers = TimerHeap()
        self._ready: list[Engine[Any]] = []
        self._order = random.Random(f"{seed}/order").random
        self._digest = 0xCBF29CE484222325
        self._stamp = 0  # hash(time), which is the same in every process
        self._types: dict[type, int] = {}
        self._recent: deque[tuple[float, Engine[Any], object]] = deque(maxlen=_TRACE)
        self.handled = 0
        self.nodes: dict[str, SimulatedNode] = {}
        self.network = Network(self, random.Random(f"{seed}/network"))
        super().__init__(self, "")

    # The world's public face -----------------------------------------------------------------------------------------

    def node(self, name: str) -> SimulatedNode:
        """The node `name`, made at first use. After a crash or a stop the next call makes a new one: a restart."""
        node = self.nodes.get(name)
        if node is None or node.crashed or node.stopped:
            node = self.nodes[name] = SimulatedNode(self, name, 1 if node is None else node.life + 1)
        return node

    def settle(self) -> None:
        """Handle every message and timer that needs no time."""
        self._drive(self.time)

    def run(self, *, for_: float) -> None:
        """Let `for_` virtual seconds pass."""
        end = self.time + for_
        self._drive(end)
        self.time = max(self.time, end)

    def run_until(self, condition: Callable[[], object], *, within: float) -> None:
        """Step until `condition()` is true. Raises SimulationStuck, with the last messages, after `within` seconds."""
        if not self.step_until(condition, within):
            raise SimulationStuck(f"not true within {within} s (seed {self.seed!r})\n{self.trace()}")

    def step_until(self, condition: Callable[[], object], within: float) -> bool:
        """Step until `condition()` is true, at most `within` seconds; whether it is."""
        end = self.time + within
        if self._drive(end, condition):
            return True
        self.time = max(self.time, end)
        return bool(condition())

    def wait_for(self, reply: Reply[Any], timeout: float | None) -> None:
        """Step until the reply is resolved: what `Reply.get` does here outside engines."""
        end = self.time + (_PATIENCE if timeout is None else timeout)
        if self._drive(end, lambda: reply.done):
            return
        if timeout is None:
            raise SimulationStuck(f"nobody will answer (seed {self.seed!r})\n{self.trace()}")
        self.time = max(self.time, end)

    def digest(self) -> str:
        """16 hex digits over everything that happened so far."""
        return f"{self._digest:016x}"

    def absorb(self, data: int) -> None:
        """Mix a number into the digest: what the network carried."""
        self._digest = ((self._digest ^ data) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF

    def trace(self, last: int = _TRACE) -> str:
        """The last handled messages, one per line: time, engine, message."""
        recent = list(self._recent)[-last:]
        lines = [f"{when:10.4f}  {who.actor_urn:<24}  {_shorten(repr(what))}" for when, who, what in recent]
        return "\n".join([f"the last {len(lines)} messages, seed {self.seed!r}:", *lines])

    def close(self) -> None:
        """Stop every node of the world."""
        for node in self._all_nodes():
            SimulatedNode.stop(node)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every node; then raise what failed in an `on_stop`, if nothing else is being raised."""
        self.close()
        for node in self._all_nodes():
            if error is None and node.failure is not None and not node.reported:
                raise node.failure

    # For nodes -------------------------------------------------------------------------------------------------------

    def make_ready(self, engine: Engine[Any]) -> None:
        """The engine has something to handle."""
        engine.mailbox.inbox.parked = False
        self._ready.append(engine)

    def settle_engine(self, engine: Engine[Any]) -> None:
        """The engine may run (again): ready if something waits for it, else parked."""
        self.unready(engine)
        if engine.mailbox.inbox:
            self.make_ready(engine)
        else:
            engine.mailbox.inbox.parked = True

    def unready(self, engine: Engine[Any]) -> None:
        """The engine is not stepped until it is ready again."""
        self._ready = [other for other in self._ready if other is not engine]

    def forget(self, engine: Engine[Any]) -> None:
        """The engine is gone: nothing of it is stepped or fired any more."""
        self.unready(engine)
        self.timers.discard(engine.mailbox.inbox)

    # Stepping --------------------------------------------------------------------------------------------------------

    def _drive(self, end: float, until: Callable[[], object] | None = None) -> bool:
        """Step until `until()` is true, and return True; or until nothing is left to do by `end`, and return False."""
        step = self._step
        self._stamp = hash(self.time)
        with guarded:
            while True:
                since = self.time
                for _ in range(_LIVELOCK):
                    if until is not None and until():
                        return True
                    if not step(end):
                        return False
                if self.time == since:
                    raise SimulationStuck(f"{_LIVELOCK} steps and no time has passed\n{self.trace()}")

    def _step(self, end: float) -> bool:
        """Handle one message, or fire the next timer due by `end`; False when there is neither."""
        ready = self._ready
        if not ready:
            return self._fire(end)
        index = int(self._order() * len(ready)) if len(ready) > 1 else 0
        engine = ready[index]
        inbox = engine.mailbox.inbox
        item = inbox.take()
        if item is not None:
            self._handle(engine, item)
        if inbox.control_lane or inbox.data_lane or inbox.urgent_lane:
            return True
        ready = self._ready  # a handler may have ended engines
        if index < len(ready) and ready[index] is engine:
            ready[index] = ready[-1]
            ready.pop()
            inbox.parked = True
        elif engine in ready:
            ready.remove(engine)
            inbox.parked = True
        return True

    def _fire(self, end: float) -> bool:
        timer = self.timers.pop_due(end)
        if timer is None:
            return False
        if timer.deadline > self.time:
            self.time = timer.deadline
            self._stamp = hash(self.time)
        timer.target.urgent(timer)
        return True

    def _handle(self, engine: Engine[Any], item: object) -> None:
        mailbox = engine.mailbox
        mailbox.inbox.current = item
        self.handled += 1
        self._recent.append((self.time, engine, item))
        kind = item.__class__
        number = self._types.get(kind) or self._name_type(kind)
        mixed = self._digest ^ self._stamp ^ number ^ mailbox.number
        self._digest = (mixed * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
        running = context.running
        before, running.engine = running.engine, engine
        try:
            engine.dispatch[kind](item)
        except Declined as error:
            engine.runtime.declined(engine, item, error)
        except BaseException as error:
            running.engine = before
            raise _node(engine).fail(engine, item, error) from error
        finally:
            running.engine = before
        if mailbox.inbox.stopping:
            _node(engine).end(engine)

    def _name_type(self, kind: type) -> int:
        number = self._types[kind] = zlib.crc32(kind.__qualname__.encode()) << 20
        return number

    def _all_nodes(self) -> list[SimulatedNode]:
        return [*reversed(self.nodes.values()), self]


def _node(engine: Engine[Any]) -> SimulatedNode:
    return cast(SimulatedNode, engine.runtime)


def _shorten(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
