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

import hashlib
import random
import zlib
from array import array
from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

from ..actor import context
from ..actor.dispatch import Dispatch
from ..actor.engine import Engine
from ..actor.inbox import Inbox
from ..actor.reply import Reply
from ..actor.timers import TimerHeap
from ..errors import Declined, SimulationStuck, fresh
from .guard import guarded
from .network import Network
from .node import SimulatedNode

_TRACE = 100
_PATIENCE = 86_400.0  # virtual seconds that get() without a timeout waits
_LIVELOCK = 5_000_000  # steps without time passing after which engines are taken to talk in circles
_BATCH = 4096  # steps between two looks at what need not be looked at after each

_Scheduled = tuple[Engine[Any], Inbox, deque[object], deque[object], deque[object], Dispatch, int]
"""An engine that can be stepped: all that a step needs of it, and its number in the digest."""


class _Numbers(dict[type, int]):
    """A number for each type of message, for the digest."""

    def __missing__(self, kind: type) -> int:
        number = self[kind] = zlib.crc32(kind.__qualname__.encode()) << 31
        return number


class Simulation(SimulatedNode):
    """A world: virtual time, a network with faults, and the nodes in it."""

    def __init__(self, seed: int | str = 0) -> None:
        """seed: of everything random in this world."""
        self.seed = seed
        self.time = 0.0
        self.timers = TimerHeap()
        self._ready: list[_Scheduled] = []  # exactly the engines that have something to handle, or have to stop
        self._order = random.Random(f"{seed}/order").random
        self._digest = hashlib.blake2b(digest_size=8)
        self._undigested: list[int] = []  # numbers for the digest: who handled what, the time when it changes
        self._digested_time = 0.0
        self._types = _Numbers()
        self._recent: deque[tuple[float, Engine[Any], object]] = deque(maxlen=_TRACE)
        self.handled = 0
        self._observers: list[Callable[[Engine[Any], object], object]] = []
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

    def run_until(self, condition: Callable[[], object], *, timeout: float) -> None:
        """Step until `condition()` is true. Raises SimulationStuck, with the last messages, after `timeout` seconds."""
        if not self.step_until(condition, timeout):
            raise SimulationStuck(f"not true within {timeout} s (seed {self.seed!r})\n{self.trace()}")

    def step_until(self, condition: Callable[[], object], timeout: float) -> bool:
        """Step until `condition()` is true, at most `timeout` seconds; whether it is."""
        end = self.time + timeout
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

    def observe(self, observer: Callable[[Engine[Any], object], object]) -> None:
        """Call `observer(engine, item)` after each handled message, of any node; what it raises ends the run.

        It must change nothing: the run is the same with it and without.
        """
        self._observers.append(observer)

    def digest(self) -> str:
        """16 hex digits over everything that happened so far."""
        self._digest_all()
        return self._digest.hexdigest()

    def absorb(self, data: int) -> None:
        """Mix a number into the digest: what the network carried."""
        self._undigested.append(hash(data))  # of a number it is the same in every process

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
                raise fresh(node.failure)

    # For nodes -------------------------------------------------------------------------------------------------------

    def schedule(self, engine: Engine[Any]) -> None:
        """The engine has started; `settle_engine` lets it run."""
        inbox = engine.mailbox.inbox
        number = zlib.crc32(str(engine.actor_urn).encode())  # equal in every process, unlike hash()
        scheduled = (engine, inbox, inbox.urgent_lane, inbox.control_lane, inbox.data_lane, engine.dispatch, number)
        inbox.wake = partial(self._ready.append, scheduled)

    def settle_engine(self, engine: Engine[Any]) -> None:
        """The engine may run (again): ready if something waits for it, else parked."""
        self.unready(engine)
        inbox = engine.mailbox.inbox
        inbox.parked = not inbox
        if inbox:
            inbox.wake()

    def unready(self, engine: Engine[Any]) -> None:
        """The engine is not stepped until it is ready again."""
        self._ready[:] = [scheduled for scheduled in self._ready if scheduled[0] is not engine]

    def forget(self, engine: Engine[Any]) -> None:
        """The engine is gone: nothing of it is stepped or fired any more."""
        self.unready(engine)
        engine.mailbox.inbox.wake = _nobody
        self.timers.discard(engine.mailbox.inbox)

    # Stepping --------------------------------------------------------------------------------------------------------

    def _drive(self, end: float, until: Callable[[], object] | None = None) -> bool:
        """Step until `until()` is true, and return True; or until nothing is left to do by `end`, and return False."""
        running = context.running
        outside = running.engine
        since, steps, batch = self.time, 0, min(_BATCH, _LIVELOCK)
        self._digest_time()
        with guarded:
            while True:
                try:
                    done = self._steps(batch, end, until)
                finally:
                    running.engine = outside
                    self._digest_all()
                if done is not None:
                    return done
                steps = steps + batch if self.time == since else 0
                since = self.time
                if steps >= _LIVELOCK:
                    raise SimulationStuck(f"{steps} steps and no time has passed\n{self.trace()}")

    def _steps(self, limit: int, end: float, until: Callable[[], object] | None) -> bool | None:
        """At most `limit` steps of `_drive`; None if there may be more.

        The innermost loop of a simulation: each line here is paid per message. A step handles one message, or fires the
        next timer. Whoever is called outside a handler finds no engine running.
        """
        running, ready, draw, types = context.running, self._ready, self._order, self._types
        observers = self._observers
        remember, note = self._recent.append, self._undigested.append
        for _ in range(limit):
            if until is not None and self._holds(until):
                return True
            if not ready:
                running.engine = None
                if self._fire(end):
                    continue
                return False
            waiting = len(ready)
            index = int(draw() * waiting) if waiting > 1 else 0
            engine, inbox, urgent, control, data, handlers, number = scheduled = ready[index]
            if not inbox.stopping:
                item = (urgent or control or data).popleft()
                kind = item.__class__
                running.engine = engine
                inbox.current = item
                self.handled += 1
                remember((self.time, engine, item))
                note(number ^ types[kind])
                try:
                    handlers[kind](item)
                except BaseException as error:
                    self._raised(engine, item, error)
                for observe in observers:
                    observe(engine, item)
            if inbox.stopping:
                self._stopped(engine)
            elif not (urgent or control or data):
                self._rest(index, scheduled)
        return None

    def _holds(self, until: Callable[[], object]) -> bool:
        context.running.engine = None
        return bool(until())

    def _fire(self, end: float) -> bool:
        """Fire the next timer that is due by `end`; False when there is none."""
        timer = self.timers.pop_due(end)
        if timer is None:
            return False
        if timer.deadline > self.time:
            self.time = timer.deadline
            self._digest_time()
        timer.target.urgent(timer)
        return True

    def _raised(self, engine: Engine[Any], item: object, error: BaseException) -> None:
        if isinstance(error, Declined):
            _node(engine).declined(engine, item, error)
            return
        context.running.engine = None
        raise _node(engine).fail(engine, item, error) from error

    def _stopped(self, engine: Engine[Any]) -> None:
        context.running.engine = None
        _node(engine).end(engine)

    def _rest(self, index: int, scheduled: _Scheduled) -> None:
        """Nothing waits for this engine, which stood at `index` before its handler may have ended others."""
        ready = self._ready
        if index < len(ready) and ready[index] is scheduled:
            ready[index] = ready[-1]
            ready.pop()
        elif scheduled in ready:
            ready.remove(scheduled)
        else:
            return  # ended or paused
        scheduled[1].parked = True

    def _digest_time(self) -> None:
        if self.time != self._digested_time:
            self._digested_time = self.time
            self._undigested.append(hash(self.time))

    def _digest_all(self) -> None:
        self._digest.update(array("q", self._undigested))
        self._undigested.clear()

    def _all_nodes(self) -> list[SimulatedNode]:
        return [*reversed(self.nodes.values()), self]


def _node(engine: Engine[Any]) -> SimulatedNode:
    return cast(SimulatedNode, engine.runtime)


def _nobody() -> None:
    """Whom a message to an engine that is gone wakes."""


def _shorten(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
