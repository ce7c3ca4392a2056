"""Rookery's end of a transport measurement: a node's transport, and one engine beside it that sends and counts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from benchmarks.transport_shared import BALL, BALL_EVERY, BALLS, BULK, BULK_TIMES, QUESTION, SERVER, ball
from rookery import runtime, transport
from rookery.runtime import Feedback, Limit, LoopRuntime, Message, Reply, Request, ThreadRuntime
from rookery.transport import (
    Address,
    Admitted,
    Claim,
    Closed,
    Direction,
    Gate,
    Identity,
    Opened,
    Packet,
    PeerId,
    PeerRecord,
    Quota,
    Reason,
    Received,
    Role,
    Ticket,
    Verdict,
)

CHANNEL = 16
NOWHERE = Address.parse("tcp://127.0.0.1:1")  # of a packet that goes over the connection
RUNTIMES = {"ours-loop": LoopRuntime, "ours-threads": ThreadRuntime}
_TURN = 128  # messages sent in one turn of the engine
_FULL = 0.0005  # seconds until a refused message is told again


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

    def hint(self, _records: tuple[PeerRecord, ...], _source: PeerId) -> Feedback:
        """Fine."""
        return Feedback.OK


@dataclass(frozen=True, slots=True)
class Connected(Request[None]):
    """Is there a link? Answered once there is."""


@dataclass(frozen=True, slots=True)
class Stream(Request[bytes]):
    """Send so many; the other end's count."""

    payload: bytes
    times: int


@dataclass(frozen=True, slots=True)
class Trips(Request[bytes]):
    """Send a ball so many times, each when the last one is back."""

    times: int


@dataclass(frozen=True, slots=True)
class Beside(Request[list[float]]):
    """Send the bulk, then throw balls beside it; the seconds of each."""

    how: str


@dataclass(frozen=True, slots=True)
class Throw(Message):
    """Timer: the next ball."""

    how: str
    number: int


@dataclass(frozen=True, slots=True)
class More(Message):
    """To itself: go on sending."""


class PlayerMailbox(runtime.Mailbox):
    """Receives the channel."""

    limits: ClassVar = {Received: Limit(10_000_000, 2**34)}


class Player(runtime.Engine[PlayerMailbox]):
    """Sends what it is asked to, and counts or returns what comes."""

    def __init__(self, *, net: transport.Mailbox) -> None:
        super().__init__()
        self.handlers = {
            Received: self.on_received,
            More: self.on_more,
            Stream: self.on_stream,
            Trips: self.on_trips,
            Beside: self.on_beside,
            Throw: self.on_throw,
            Packet: self.on_packet,
            Opened: self.on_opened,
            Closed: self.on_closed,
            Connected: lambda _message: self.connected,
        }
        self.net = net
        self.count = 0
        self.link = 0
        self.payload = b""
        self.left = 0  # messages still to be sent
        self.trips = 0  # still to be made
        self.connected: Reply[None] = Reply()
        self.answer: Reply[bytes] = Reply()
        self.thrown: list[float] = []  # when
        self.caught: list[float] = []
        self.all_caught: Reply[list[float]] = Reply()

    def on_opened(self, message: Opened) -> None:
        self.link = message.link.id
        if not self.connected.done:
            self.connected.set(None)

    def on_closed(self, _message: Closed) -> None:
        pass

    def on_stream(self, message: Stream) -> Reply[bytes]:
        self.payload, self.left, self.answer = message.payload, message.times, Reply()
        self.on_more(More())
        return self.answer

    def on_more(self, more: More) -> None:
        send, link, payload = self.net.send, self.link, self.payload
        turn = min(self.left, _TURN)
        for sent in range(turn):
            if send(link, CHANNEL, payload) is Feedback.REJECTED:
                self.left -= sent
                self.after(_FULL, more)
                return
        self.left -= turn
        if self.left:
            self.after(0, more)  # behind what others have to do: transport, to begin with
        elif send(link, CHANNEL, QUESTION) is Feedback.REJECTED:
            self.after(_FULL, more)

    def on_trips(self, message: Trips) -> Reply[bytes]:
        self.trips, self.answer = message.times - 1, Reply()
        self.net.send(self.link, CHANNEL, BALL)
        return self.answer

    def on_beside(self, message: Beside) -> Reply[list[float]]:
        self.thrown, self.caught, self.all_caught = [], [], Reply()
        for _ in range(BULK_TIMES):
            assert self.net.send(self.link, CHANNEL, BULK).accepted
        self.on_throw(Throw(message.how, 0))
        return self.all_caught

    def on_throw(self, message: Throw) -> None:
        payload = ball(message.number)
        self.thrown.append(time.perf_counter())
        if message.how == "packet":
            self.net.send_packet(SERVER.peer, NOWHERE, payload)
        else:
            self.net.send(self.link, CHANNEL, payload, priority=message.how == "priority")
        if len(self.thrown) < BALLS:
            self.after(BALL_EVERY, Throw(message.how, message.number + 1))

    def on_packet(self, message: Packet) -> None:
        if message.payload[:1] == b"!":
            self.net.send_packet(message.peer, NOWHERE, b"=" + message.payload[1:])
        else:
            self.catch(message.payload)

    def catch(self, payload: bytes) -> None:
        self.caught.append(time.perf_counter() - self.thrown[int(payload[1:])])
        if len(self.caught) == BALLS:
            self.all_caught.set(self.caught)

    def on_received(self, message: Received) -> None:
        payload = message.payload
        self.count += 1
        if len(payload) == 1:
            self.net.send(message.link_id, CHANNEL, b"=%d" % self.count)
            self.count = 0
        elif payload[:1] == b"!":
            self.net.send(message.link_id, CHANNEL, b"=" + payload[1:])
        elif payload[:1] == b"=":
            if len(payload) == len(BALL) and payload[1:] != BALL[1:]:
                self.catch(payload)
            elif self.trips:
                self.trips -= 1
                self.net.send(message.link_id, CHANNEL, BALL)
            else:
                self.answer.set(payload)


class Ours:
    """A node's transport and one engine beside it."""

    def __init__(self, kind: str, identity: Identity) -> None:
        self.host = RUNTIMES[kind](kind)
        self.net = self.host.mailbox(transport.Mailbox)
        config = transport.Config(
            backlog_messages=10_000_000,
            backlog_bytes=2**34,
            max_connections=10_000,
            max_per_ip=10_000,
            max_inbound_share_per_ip=1.0,
            max_per_subnet=10_000,
            handshakes_per_ip=1e6,
            handshakes_per_subnet=1e6,
            handshake_burst=1_000_000,
        )
        self.host.start(self.net, transport.Engine, config, identity=identity, gatekeeper=Everybody())
        self.player = self.host.start(Player, net=self.net)
        self.net.register(CHANNEL, self.player, Quota(1e9, 1_000_000_000)).get(timeout=5)
        self.net.receive_packets(self.player).get(timeout=5)
        self.address = str(self.net.listen().get(timeout=5))
        self.net.set_gate(Gate(1)).get(timeout=5)

    def dial(self, address: str) -> float:
        """See `End`."""
        started = time.perf_counter()
        self.net.dial(Ticket(1, SERVER.peer, Direction.OUT), Address.parse(address))
        self.player.ask(Connected()).get(timeout=10)
        return time.perf_counter() - started

    def stream(self, payload: bytes, times: int) -> float:
        """See `End`."""
        started = time.perf_counter()
        answer = self.player.ask(Stream(payload, times)).get(timeout=120)
        seconds = time.perf_counter() - started
        assert answer == b"=%d" % (times + 1), answer
        return seconds

    def trips(self, times: int) -> float:
        """See `End`."""
        started = time.perf_counter()
        self.player.ask(Trips(times)).get(timeout=60)
        return (time.perf_counter() - started) / times

    def beside(self, how: str) -> list[float]:
        """See `Busy`."""
        caught = self.player.ask(Beside(how)).get(timeout=120)
        self.player.ask(Stream(b"", 0)).get(timeout=120)  # until all of it has come
        return caught

    def close(self) -> None:
        """See `End`."""
        self.host.stop()
