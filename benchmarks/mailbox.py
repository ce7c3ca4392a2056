"""Mailboxes and hops between engines, beside stock Pykka with the same typed message.

* `tell`, `tell-pinned`: messages per second from one sender to one engine that handles them, free and on one core.
* `ask`, `ask-pinned`: seconds from asking to having the answer, free and on one core. `ask-locks`: beside two bare
  locks, which two threads release for each other: the least that two changes of thread take.
* `queued-bytes`: what a queued control message costs beyond the message itself.
* `hop-thread`, `hop-loop`: seconds for one message from engine to engine, on either runtime.
"""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import pykka

from benchmarks.harness import Result, by_itself, less_is_better, main, more_is_better, one_core, repeated, side_by_side
from rookery import runtime
from rookery.runtime import LoopRuntime, Message, Reply, Request, Runtime, ThreadRuntime

CORES: dict[str, Callable[[], AbstractContextManager[None]]] = {"": nullcontext, "-pinned": one_core}


@dataclass(frozen=True, slots=True)
class Add(Message):
    """The typed message of both sides."""

    number: int


@dataclass(frozen=True, slots=True)
class Total(Request[int]):
    """The request of both sides."""


@dataclass(frozen=True, slots=True)
class Pass(Message):
    """A ball with the hops it has left."""

    hops: int


class SumMailbox(runtime.Mailbox):
    """Ours."""


class SumEngine(runtime.Engine[SumMailbox]):
    """Adds up, and passes balls on."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers = {Add: self.on_add, Total: self.on_total, Pass: self.on_pass}
        self.total = 0
        self.other: SumMailbox | None = None
        self.finished: Reply[None] | None = None

    def on_add(self, message: Add) -> None:
        self.total += message.number

    def on_total(self, _message: Total) -> int:
        return self.total

    def on_pass(self, message: Pass) -> None:
        if message.hops:
            assert self.other is not None
            self.other.tell(Pass(message.hops - 1))
        elif self.finished is not None:
            self.finished.set(None)


class StockActor(pykka.ThreadingActor):
    """Stock Pykka."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, Add):
            self.total += message.number
            return None
        return self.total


def our_tells(count: int) -> float:
    """Messages per second, all handled."""
    with ThreadRuntime() as host:
        mailbox = host.start(SumEngine)
        message = Add(1)
        started = time.perf_counter()
        for _ in range(count):
            mailbox.tell(message)
        assert mailbox.ask(Total()).get(timeout=60) == count
        return count / (time.perf_counter() - started)


def stock_tells(count: int) -> float:
    """The same with stock Pykka."""
    actor = StockActor.start()
    message = Add(1)
    started = time.perf_counter()
    for _ in range(count):
        actor.tell(message)
    assert actor.ask(Total()) == count
    rate = count / (time.perf_counter() - started)
    actor.stop()
    return rate


def our_asks(count: int) -> float:
    """Seconds per round trip."""
    with ThreadRuntime() as host:
        mailbox = host.start(SumEngine)
        started = time.perf_counter()
        for _ in range(count):
            mailbox.ask(Total()).get()
        return (time.perf_counter() - started) / count


def stock_asks(count: int) -> float:
    """The same with stock Pykka."""
    actor = StockActor.start()
    started = time.perf_counter()
    for _ in range(count):
        actor.ask(Total())
    seconds = (time.perf_counter() - started) / count
    actor.stop()
    return seconds


def lock_trips(count: int) -> float:
    """Seconds for two changes of thread and nothing else: two locks, each released by one thread for the other."""
    there, back = threading.Lock(), threading.Lock()
    there.acquire()
    back.acquire()

    def answer() -> None:
        for _ in range(count):
            there.acquire()
            back.release()

    other = threading.Thread(target=answer)
    other.start()
    started = time.perf_counter()
    for _ in range(count):
        there.release()
        back.acquire()
    seconds = (time.perf_counter() - started) / count
    other.join()
    return seconds


def queued_bytes(count: int) -> float:
    """Bytes per queued control message beyond the message itself."""
    messages = [Add(number) for number in range(count)]
    mailbox = ThreadRuntime().mailbox(SumMailbox)
    gc.collect()
    tracemalloc.start()
    for message in messages:
        mailbox.tell(message)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    mailbox.inbox.close()
    return size / count


def hop(make: type[ThreadRuntime | LoopRuntime], count: int) -> float:
    """Seconds for one message from one engine to another."""
    with make() as host:
        ends = [start_end(host, number) for number in (0, 1)]
        one, other = (engine for engine in host.engines if isinstance(engine, SumEngine))
        one.other, other.other = ends[1], ends[0]
        finished: Reply[None] = Reply()
        one.finished = other.finished = finished
        started = time.perf_counter()
        ends[0].tell(Pass(count))
        finished.get(timeout=120)
        return (time.perf_counter() - started) / count


def start_end(host: Runtime, number: int) -> SumMailbox:
    """One of the two engines that pass the ball."""
    return host.start(host.mailbox(SumMailbox, f"end-{number}"), SumEngine)


def measure(quick: bool) -> Iterator[Result]:
    """Every figure."""
    runs, count = (3, 100_000) if quick else (7, 400_000)
    tells = partial(our_tells, count), partial(stock_tells, count // 4)
    for suffix, cores in CORES.items():
        with cores():
            ours, stock = side_by_side(*tells, runs)
        yield more_is_better(f"tell{suffix}", ours, "messages/s", "pykka", stock)
    asks = [partial(each, count // 50) for each in (our_asks, stock_asks, lock_trips)]
    for suffix, cores in CORES.items():
        with cores():
            asked, of_stock, of_locks = zip(*([ask() for ask in asks] for _ in range(runs)), strict=True)
        yield less_is_better(f"ask{suffix}", asked, "s", "pykka", of_stock)
        yield less_is_better(f"ask-locks{suffix}", asked, "s", "two locks", of_locks)
    yield by_itself("queued-bytes", queued_bytes(1_000_000), "bytes")
    threads = repeated(partial(hop, ThreadRuntime, count // 20), runs)
    yield by_itself("hop-thread", threads, "s")
    loop = repeated(partial(hop, LoopRuntime, count // 4), runs)
    yield less_is_better("hop-loop", loop, "s", "hop-thread", threads)


if __name__ == "__main__":
    main("mailbox", measure)
