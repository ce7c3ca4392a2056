"""The two ends of a transport measurement, Rookery's and a bare pyzmq loop's; one of them in a process of its own.

`python -m benchmarks.transport_ends ours-loop` serves: it prints its address, then counts what comes. A message of one
byte `?` is answered with the count of messages since the last one; any other message of 64 bytes that begins with `!`
comes back as it is.
"""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import count
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self

import zmq

from rookery import runtime, transport
from rookery.runtime import Feedback, Limit, LoopRuntime, Reply, ThreadRuntime
from rookery.transport import (
    Address,
    Admitted,
    Claim,
    Closed,
    Direction,
    Gate,
    Identity,
    Opened,
    PeerRecord,
    Quota,
    Reason,
    Received,
    Role,
    Ticket,
    Verdict,
)

SERVER, CLIENT = Identity.from_seed(b"s" * 32), Identity.from_seed(b"c" * 32)
CHANNEL = 16
BALL = b"!" + bytes(63)
RUNTIMES = {"ours-loop": LoopRuntime, "ours-threads": ThreadRuntime}


class End(Protocol):
    """The sending side, whichever it is."""

    def stream(self, payload: bytes, times: int) -> float:
        """Send so many; seconds until the other side has counted them all."""

    def round_trips(self, times: int) -> float:
        """Seconds per round trip of 64 bytes."""


class Everybody:
    """A gatekeeper that admits everybody."""

    def __init__(self) -> None:
        self._ids = count(1_000_000)

    def admit(self, claim: Claim) -> Reply[Verdict]:
        """Yes."""
        return Reply.of(Admitted(claim.ticket or Ticket(next(self._ids), claim.peer, Direction.IN), Role.PRIMARY, 1))

    def released(self, _ticket: Ticket, _reason: Reason) -> Feedback:
        """Fine."""
        return Feedback.OK

    def hint(self, _records: tuple[PeerRecord, ...]) -> Feedback:
        """Fine."""
        return Feedback.OK


class CounterMailbox(runtime.Mailbox):
    """Receives the channel."""

    limits: ClassVar = {Received: Limit(10_000_000, 2**34)}


class CounterEngine(runtime.Engine[CounterMailbox]):
    """Counts what comes; typed and counted as in production."""

    def __init__(self, *, net: transport.Mailbox) -> None:
        super().__init__()
        self.handlers = {Received: self.on_received, Opened: self.on_opened, Closed: self.on_closed}
        self.net = net
        self.count = 0
        self.link = 0
        self.trips = 0  # that are still to be made
        self.opened: Reply[None] = Reply()
        self.answer: Reply[bytes] = Reply()

    def on_opened(self, message: Opened) -> None:
        self.link = message.link.id
        self.opened.set(None)

    def on_closed(self, _message: Closed) -> None:
        self.opened = Reply()

    def on_received(self, message: Received) -> None:
        payload = message.payload
        self.count += 1
        if len(payload) == 1:
            self.net.send(message.link_id, CHANNEL, b"=%d" % self.count)
            self.count = 0
        elif payload[:1] == b"!":
            self.net.send(message.link_id, CHANNEL, b"=" + payload[1:])
        elif payload[:1] == b"=":
            if self.trips:
                self.trips -= 1
                self.net.send(message.link_id, CHANNEL, BALL)
            else:
                self.answer.set(payload)


class Ours:
    """A node's transport and one engine beside it."""

    def __init__(self, name: str, identity: Identity) -> None:
        self.host = RUNTIMES[name](name)
        self.net = self.host.mailbox(transport.Mailbox)
        config = transport.Config(backlog_messages=10_000_000, backlog_bytes=2**34)
        self.host.start(self.net, transport.Engine, config, identity=identity, gatekeeper=Everybody())
        counter = self.host.start(CounterEngine, net=self.net)
        (self.engine,) = (engine for engine in self.host.engines if isinstance(engine, CounterEngine))
        self.net.register(CHANNEL, counter, Quota(1e9, 1_000_000_000)).get(timeout=5)
        self.address = self.net.listen().get(timeout=5)
        self.net.set_gate(Gate(1)).get(timeout=5)

    def dial(self, address: str) -> float:
        """Connect; seconds until it is open."""
        started = time.perf_counter()
        self.net.dial(Ticket(1, SERVER.peer, Direction.OUT), Address.parse(address))
        self.engine.opened.get(timeout=10)
        return time.perf_counter() - started

    def stream(self, payload: bytes, times: int) -> float:
        """See `End`."""
        self.engine.answer = Reply()
        net, link = self.net, self.engine.link
        started = time.perf_counter()
        for _ in range(times):
            while not net.send(link, CHANNEL, payload).accepted:
                time.sleep(0.0005)
        while not net.send(link, CHANNEL, b"?").accepted:
            time.sleep(0.0005)
        assert self.engine.answer.get(timeout=120) == b"=%d" % (times + 1)
        return time.perf_counter() - started

    def round_trips(self, times: int) -> float:
        """See `End`."""
        self.engine.answer, self.engine.trips = Reply(), times - 1
        started = time.perf_counter()
        self.net.send(self.engine.link, CHANNEL, BALL)
        self.engine.answer.get(timeout=60)
        return (time.perf_counter() - started) / times

    def close(self) -> None:
        """Stop."""
        self.host.stop()


class Bare:
    """A bare ROUTER with CURVE."""

    def __init__(self, identity: Identity, *, server: str | None = None) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.router_mandatory = 1
        self.socket.sndhwm = self.socket.rcvhwm = 10_000
        self.socket.curve_secretkey, self.socket.curve_publickey = identity.curve_secret, identity.curve_public
        if server is None:
            self.socket.curve_server = 1
            self.address = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"
        else:
            self.socket.curve_serverkey = SERVER.curve_public
            self.socket.setsockopt(zmq.CONNECT_ROUTING_ID, b"server")
            self.socket.connect(server)

    def serve(self) -> None:
        """Until the other end says `.`."""
        received = 0
        while True:
            route, payload = self.socket.recv_multipart()
            received += 1
            if payload == b".":
                return
            if len(payload) == 1:
                self.socket.send_multipart([route, b"=%d" % received])
                received = 0
            elif payload[:1] == b"!":
                received -= 1
                self.socket.send_multipart([route, b"=" + payload[1:]])

    def say(self, payload: bytes) -> None:
        """Send one message, waiting while the queue is full."""
        self.socket.send_multipart([b"server", payload])

    def stream(self, payload: bytes, times: int) -> float:
        """See `End`."""
        started = time.perf_counter()
        for _ in range(times):
            self.say(payload)
        self.say(b"?")
        assert self.socket.recv_multipart()[1] == b"=%d" % (times + 1)
        return time.perf_counter() - started

    def round_trips(self, times: int) -> float:
        """See `End`."""
        started = time.perf_counter()
        for _ in range(times):
            self.say(BALL)
            self.socket.recv_multipart()
        return (time.perf_counter() - started) / times

    def close(self) -> None:
        """Stop."""
        self.socket.close(linger=100)
        self.context.term()


class Pair:
    """A serving process and this process's end of the connection to it."""

    def __init__(self, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.transport_ends", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        self.connect_seconds = 0.0
        self.end: Any
        if name == "bare":
            self.end = Bare(CLIENT, server=address)
            self.end.round_trips(1)
        else:
            self.end = Ours(name, CLIENT)
            self.connect_seconds = self.end.dial(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self.end, Bare):
            self.end.say(b".")
        self.end.close()
        self._process.communicate("", timeout=10)


def serve(name: str) -> None:
    """The other process."""
    if name == "bare":
        bare = Bare(SERVER)
        print(bare.address, flush=True)
        bare.serve()
        bare.close()
    else:
        ours = Ours(name, SERVER)
        print(ours.address, flush=True)
        sys.stdin.read()
        ours.close()


if __name__ == "__main__":
    serve(sys.argv[1])
