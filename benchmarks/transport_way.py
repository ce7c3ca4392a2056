"""The way of one 64-byte message from engine to engine over a connection, step by step: what each step costs.

The steps are the production code, called one after the other on one thread, between two real wires in one process.
Microseconds of processor time per message; `alone`: it travels by itself, as when idle; otherwise in a batch of 256.

`libzmq` is what ZeroMQ's own threads and the kernel take for both sides: encryption, TCP, decryption. Waiting is not in
here: what a message waits for the processor is a round trip's duration less the sum of these.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from benchmarks.harness import Result, by_itself, main
from rookery import runtime, transport
from rookery.runtime import Limit, LoopRuntime
from rookery.runtime.actor import context
from rookery.transport import Direction, Endpoint, Identity, Link, PeerRecord, Quota, Reason, Received, Role, Ticket
from rookery.transport.core.codec import encode_batch
from rookery.transport.mailbox import Send
from rookery.transport.parts.links import Live
from rookery.transport.parts.streams import next_batch
from rookery.transport.wire import Route, Sent, Source, WireEvents
from rookery.transport.wire.zmq_wire import ZmqWire

CHANNEL = 16
PAYLOAD = bytes(64)
BATCH = 256
_BATCHES = 40  # of a measurement
_MANY = Limit(10_000_000, 2**34)


class Quiet:
    """A wire on which nothing happens."""

    def poll(self, _events: WireEvents, _budget: int) -> bool:
        """Nothing."""
        return False

    def waiter(self) -> None:
        """Nothing to wait on."""

    def send(self, _route: Route, _frames: Sequence[bytes]) -> Sent:
        """Gone into the void."""
        return Sent.OK

    def close(self) -> None:
        """Nothing to release."""


class Sink(runtime.Mailbox):
    """Of the receiving engine."""

    limits: ClassVar = {Received: _MANY}


class SinkEngine(runtime.Engine[Sink]):
    """Takes messages and makes nothing of them."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers = {
            Received: self.on_received,
            transport.Opened: self.on_event,
            transport.Closed: self.on_event,
        }

    def on_received(self, message: Received) -> None:
        """What an engine would do with it is its own."""

    def on_event(self, _event: object) -> None:
        """Not for us."""


class Bench:
    """One node's transport without a network, whose handlers are called from here while its own thread is idle."""

    def __init__(self) -> None:
        self.host = LoopRuntime("bench", stall_after=None)
        net = self.host.mailbox(transport.Mailbox)
        config = transport.Config(heartbeat_interval=3600, heartbeat_timeout=7200)
        identity = Identity.from_seed(b"b" * 32)
        self.host.start(net, transport.Engine, config, identity=identity, gatekeeper=None, wire=lambda *_: Quiet())
        self.sink: Sink = self.host.start(SinkEngine)
        net.register(CHANNEL, self.sink, Quota(1e9, 1_000_000_000)).get(timeout=5)
        self.engine: Any
        self.engine, self.sink_engine = self.host.engines
        peer = Identity.from_seed(b"p" * 32)
        record = PeerRecord.sign(peer, network="default", address=None, generation=1)
        link = Link(1, peer.peer, Direction.IN, Role.PRIMARY, "127.0.0.1", 0.0, record)
        self.live = Live(link, Ticket(1, peer.peer, Direction.IN), b"route", None, peer.curve_public, 0.0)
        self.engine.links.by_id[1] = self.live
        self.queue = self.host.mailbox(transport.Mailbox)  # of an engine that never starts: what is told waits
        self.waiting = Sink("waiting")

    def close(self) -> None:
        self.engine.links.by_id.clear()
        self.host.stop()


def steps(bench: Bench, batch: int) -> Iterator[tuple[str, float]]:
    """Name and seconds per message of each step of ours, in the order of the way."""
    engine, live, streams = bench.engine, bench.live, bench.engine.streams
    send, lane = bench.queue.send, bench.queue.inbox.data_lane
    yield "tell transport", _each(batch, lambda: send(1, CHANNEL, PAYLOAD), lane.clear)

    streams._flushing = True  # the flush is a step of its own
    told = [Send(1, CHANNEL, PAYLOAD) for _ in range(batch)]

    def forget() -> None:
        live.outbox.messages.clear()
        live.outbox.bytes, live.dirty = 0, False
        streams._dirty.clear()

    yield "dispatch, into the outbox", _turn(engine, told, forget)
    live.outbox.messages.extend([(CHANNEL, PAYLOAD)] * batch)
    live.outbox.bytes = batch * len(PAYLOAD)
    yield "batch and encode", _once(batch, lambda: encode_batch(next_batch(live.outbox, live.window.batch)[0]))
    forget()
    streams._flushing = False

    frames = encode_batch([(CHANNEL, PAYLOAD)] * batch)
    yield from _wire(batch, frames)

    engine.receivers[CHANNEL].mailbox = bench.waiting
    inbox = bench.waiting.inbox.data_lane
    yield "decode, quota, tell the receiver", _once(batch, lambda: streams.frames(live, frames), inbox.clear)
    received = [Received(1, live.link.peer, CHANNEL, PAYLOAD) for _ in range(batch)]
    yield "dispatch to the receiver", _turn(bench.sink_engine, received)


def _wire(batch: int, frames: list[bytes]) -> Iterator[tuple[str, float]]:
    """Send, libzmq and receive, between two wires."""
    here, there = Identity.from_seed(b"h" * 32), Identity.from_seed(b"t" * 32)
    options: dict[str, Any] = {"max_frame": 2**21, "max_frames": 258, "high_water": 1000}
    wires = [ZmqWire(each, **options, handshake_timeout=60, max_silent=10) for each in (here, there)]
    dialler, listener = wires
    events = Heard()
    listener_at = listener.bind(Endpoint.parse("tcp://127.0.0.1:0", listen=True))
    route = dialler.connect(listener_at, there.curve_public)
    assert route is not None
    _until(lambda: events.up, dialler, listener, events=events)
    dialler.send(route, encode_batch([(CHANNEL, PAYLOAD)]))  # a connection may not begin with as much as follows
    _until(lambda: events.messages == 1, listener, events=events)
    sending: list[float] = []
    receiving: list[float] = []
    others: list[float] = []
    for _ in range(5):
        whole, own = time.process_time(), time.thread_time()
        events.messages = 0
        for _ in range(_BATCHES):
            dialler.send(route, frames)
        sent = time.thread_time()
        sending.append(sent - own)
        _until(lambda: events.messages == _BATCHES, listener, events=events, nap=0.0005)
        receiving.append(time.thread_time() - sent)
        others.append(time.process_time() - whole - (time.thread_time() - own))
    for wire in wires:
        wire.close()
    for name, found in (("wire: send", sending), ("libzmq", others), ("wire: receive", receiving)):
        yield name, statistics.median(found) / (_BATCHES * batch)


class Heard:
    """What a wire hands up, counted."""

    def __init__(self) -> None:
        self.up = False
        self.messages = 0

    def accept_connection(self, _ip: str, _curve_key: bytes) -> bool:
        return True

    def route_up(self, _route: Route) -> None:
        self.up = True

    def route_down(self, _route: Route, reason: Reason) -> None:
        raise AssertionError(f"the connection was lost: {reason}")

    def listening_lost(self) -> None:
        raise AssertionError("the port was lost")

    def oversize(self, _route: Route, _source: Source | None) -> None:
        raise AssertionError("a message was too large")

    def silent_connection_ended(self, _ip: str | None, reason: Reason, _left: int) -> None:
        raise AssertionError(f"the connection was ended: {reason}")

    def frames(self, _route: Route, _frames: Sequence[bytes], _source: Source | None) -> None:
        self.messages += 1


def _until(done: Callable[[], bool], *wires: ZmqWire, events: WireEvents, nap: float = 0.0) -> None:
    while not done():
        time.sleep(nap)  # a look at nothing would be counted as receiving
        for wire in wires:
            wire.poll(events, 10_000)


def _once(batch: int, function: Callable[[], object], clear: Callable[[], object] = lambda: None) -> float:
    """Seconds per message of a function that does a whole batch."""
    found: list[float] = []
    for _ in range(2_000 // batch + 100):
        started = time.perf_counter()
        function()
        found.append(time.perf_counter() - started)
        clear()
    return statistics.median(found) / batch


def _each(batch: int, function: Callable[[], object], clear: Callable[[], object]) -> float:
    """Seconds per message of a function that does one."""

    def many() -> None:
        for _ in range(batch):
            function()

    return _once(batch, many, clear)


def _turn(engine: Any, messages: Sequence[object], clear: Callable[[], object] = lambda: None) -> float:
    """Seconds per message of a turn of an engine, as its loop takes it."""
    inbox, lanes = engine.mailbox.inbox, (engine.mailbox.inbox.urgent_lane, engine.mailbox.inbox.control_lane)
    data, turn = inbox.data_lane, engine.runtime._turn

    def several() -> None:
        while data:
            turn(engine, inbox, *lanes, data, engine.dispatch)

    found: list[float] = []
    for _ in range(2_000 // len(messages) + 100):
        data.extend(messages)
        started = time.perf_counter()
        several()
        found.append(time.perf_counter() - started)
        clear()
    context.running.engine = None
    return statistics.median(found) / len(messages)


def way(quick: bool) -> Iterator[Result]:
    """Every step, and their sum."""
    for suffix, batch in (("", BATCH), (" alone", 1)):
        runs: list[dict[str, float]] = []
        for _ in range(3 if quick else 9):
            bench = Bench()
            runs.append(dict(steps(bench, batch)))
            bench.close()
        for name in runs[0]:
            yield by_itself(f"{name}{suffix}", [run[name] * 1e6 for run in runs], "us")
        yield by_itself(f"all{suffix}", [sum(run.values()) * 1e6 for run in runs], "us")


if __name__ == "__main__":
    main("transport-way", way)
