"""How many messages per second of real time the simulation steps.

* `messages`: a ring of 100 engines on 10 nodes passes 1,000 balls; every message is scheduled, traced and digested.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.harness import Result, by_itself, main, repeated
from rookery import runtime
from rookery.runtime import Message, Simulation

NODES, ENGINES, BALLS = 10, 10, 1000


@dataclass(frozen=True, slots=True)
class Ball(Message):
    """Goes round until its hops are used up."""

    hops: int


class RingMailbox(runtime.Mailbox):
    """One place in the ring."""


class RingEngine(runtime.Engine[RingMailbox]):
    """Passes balls on."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers = {Ball: self.on_ball}
        self.next: RingMailbox = self.mailbox

    def on_ball(self, message: Ball) -> None:
        if message.hops:
            self.next.tell(Ball(message.hops - 1))


def stepped(hops: int) -> float:
    """Handled messages per second of real time."""
    with Simulation(seed=1) as simulation:
        nodes = [simulation.node(f"node-{number}") for number in range(NODES)]
        ring = [
            node.start(node.mailbox(RingMailbox, f"ring-{number}"), RingEngine)
            for node in nodes
            for number in range(ENGINES)
        ]
        engines = [engine for node in nodes for engine in node.engines if isinstance(engine, RingEngine)]
        for engine, following in zip(engines, [*ring[1:], ring[0]], strict=True):
            engine.next = following
        for number in range(BALLS):
            ring[number % len(ring)].tell(Ball(hops))
        started = time.perf_counter()
        simulation.settle()
        return BALLS * (hops + 1) / (time.perf_counter() - started)


def measure(quick: bool) -> Iterator[Result]:
    """Every figure."""
    runs, hops = (3, 200) if quick else (7, 500)
    yield by_itself("messages", repeated(partial(stepped, hops), runs), "messages/s", more=True)


if __name__ == "__main__":
    main("simulation", measure)
