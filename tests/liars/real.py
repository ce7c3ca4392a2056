"""The liar as a process of its own over sockets: pyzmq, cryptography and `protocol`, nothing of Rookery.

Arguments: what to do (a row of `ROWS`), the network, 64 hex digits of our seed, and the nodes as PEERID@tcp://HOST:PORT.
It connects to all of them, answers probes as a decent member does, and lies until its input ends. Prints a line when it
has met the nodes, one after each `ROUND` of lies, and one at the end: how many messages it has sent, how many were too
many for a socket, and how often it was turned out.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import zmq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.liars import protocol
from tests.liars.protocol import ALIVE, DOWN, LEFT, Swim, Update

TICK = 0.1  # seconds
ROUND = 10  # ticks
SOURCE = "127.0.0.2"  # the IP from which it comes, so that the honest nodes are not counted together with it
MET_WITHIN = 20.0


class Key:
    """A key pair from its seed."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.peer = self._private.public_key().public_bytes_raw()
        secret = bytearray(hashlib.sha512(seed).digest()[:32])
        secret[0], secret[31] = secret[0] & 248, secret[31] & 127 | 64
        self.curve_secret = bytes(secret)
        self.curve_public = X25519PrivateKey.from_private_bytes(self.curve_secret).public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)


class Line:
    """One connection of ours with a node."""

    def __init__(self, liar: Liar, key: Key, record: bytes, peer: bytes, endpoint: str) -> None:
        self.liar, self.key, self.record, self.peer, self.endpoint = liar, key, record, peer, endpoint
        self.up, self.taken, self.turned_out = False, 0, False
        self.socket: zmq.Socket[bytes] = liar.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.sndhwm = self.socket.rcvhwm = 100_000
        self.socket.reconnect_ivl = -1
        self.socket.curve_secretkey, self.socket.curve_publickey = key.curve_secret, key.curve_public
        self.socket.curve_serverkey = protocol.curve_public(peer)
        self.socket.connect(endpoint.replace("tcp://", f"tcp://{SOURCE}:0;"))

    def introduce(self) -> None:
        self.send(protocol.hello(self.liar.network, self.record, protocol.CONNECTION))

    def send(self, frames: Sequence[bytes]) -> None:
        try:
            self.socket.send_multipart(frames, zmq.NOBLOCK)
            self.liar.sent += 1
        except zmq.Again:
            self.liar.full += 1

    def hear(self, frames: list[bytes]) -> None:
        control = protocol.read_control(frames)
        envelope = None if control is not None else protocol.read_packet(frames)
        if control is not None:
            kind, items = control
            if kind == protocol.WELCOME:
                self.send(protocol.ready(protocol.nonce_of(items)))
                self.up = True
                self.liar.say(self, protocol.ANNOUNCE)
            elif kind == protocol.PING:
                self.send(protocol.pong(self.taken))
            elif kind in (protocol.REJECT, protocol.BYE):
                self.up, self.turned_out = False, True
        elif envelope is not None:
            self.liar.learn(self, envelope)
        else:
            for channel, message in protocol.read_batch(frames):
                self.taken += 1
                if channel == protocol.BLOBS and message[0] == protocol.REQUEST and self.liar.answers:
                    self.send(protocol.on_channel(channel, [protocol.MISSING, message[1]]))


class Liar:
    """One key with a connection to each node; `more` has the connections of other keys, which are members too."""

    def __init__(self, network: str, seed: bytes, nodes: Sequence[str]) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self.network, self.seed, self.key = network, seed, Key(seed)
        self.generation = int(time.time() * 1000)
        self.record = protocol.record(self.key, network, f"tcp://{SOURCE}:9", self.generation)
        self.sent, self.full, self.answers = 0, 0, True
        self.known: dict[bytes, Update] = {}
        self.nodes = [(bytes.fromhex(peer), endpoint) for peer, endpoint in (node.split("@") for node in nodes)]
        self.lines = [Line(self, self.key, self.record, peer, endpoint) for peer, endpoint in self.nodes]
        self.more: list[Line] = []

    def say(
        self,
        line: Line,
        kind: int,
        *fields: object,
        updates: Sequence[Update] = (),
        records: Sequence[bytes] = (),
    ) -> None:
        held = self.known.get(line.peer)
        dst = (line.peer, 0 if held is None else held.generation)
        said = Swim(kind, protocol.own(line.key, self.generation, 0), dst, fields, tuple(updates))
        line.send(protocol.packet(said, [line.record, *records]))

    def gossip(self, updates: Sequence[Update], records: Sequence[bytes] = ()) -> None:
        """To all nodes."""
        for line in self.lines:
            if line.up:
                self.say(line, protocol.GOSSIP, updates=updates, records=records)

    def learn(self, line: Line, envelope: protocol.Envelope) -> None:
        swim = envelope.swim
        if swim is None:
            return
        nodes = {peer for peer, _ in self.nodes}
        for update in (swim.src, *swim.updates):
            held = self.known.get(update.key)
            newer = held is None or (update.generation, update.incarnation) > (held.generation, held.incarnation)
            if newer and update.key in nodes:
                self.known[update.key] = update
        if swim.kind == protocol.SWIM_PING:
            self.say(line, protocol.ACK, *swim.fields)
        elif swim.kind == protocol.INDIRECT_PING:
            self.say(line, protocol.INDIRECT_ACK, *protocol.indirect_ack(line.key, self.generation, swim))

    def invent(self, number: int) -> Key:
        return Key(hashlib.sha256(self.seed + b"invents %d" % number).digest())

    def under(self, key: Key) -> Iterator[Line]:
        """A connection of another key with each node."""
        record = protocol.record(key, self.network, f"tcp://{SOURCE}:9", self.generation)
        for peer, endpoint in self.nodes:
            line = Line(self, key, record, peer, endpoint)
            line.introduce()
            yield line


# What it does: each goes on every `TICK` ------------------------------------------------------------------------------

Row = Callable[[Liar], Iterator[None]]


def farewells(liar: Liar) -> Iterator[None]:
    """The first node has left, for all time."""
    first = liar.nodes[0][0]
    while True:
        liar.gossip([Update(first, 2**62, 0, LEFT)])
        yield


def later_lives(liar: Liar) -> Iterator[None]:
    """Four times: I hold a later life of yours."""
    for _ in range(4):
        for line in liar.lines:
            held = liar.known.get(line.peer)
            if held is not None:
                liar.say(
                    line,
                    protocol.TURN_UNDEAD,
                    *protocol.turn_undead(held.generation + 2**32 - 1, 0, LEFT, bytes(16), 1),
                )
        yield


def down_in_each_life(liar: Liar) -> Iterator[None]:
    """The first node is Down, in whatever life it has."""
    first = liar.nodes[0][0]
    while True:
        held = liar.known.get(first)
        if held is not None:
            liar.gossip([Update(first, held.generation, held.incarnation, DOWN)])
        yield


def invented(liar: Liar) -> Iterator[None]:
    """101,100 members without records, 150 in a packet, 20 packets at a time."""
    for number in range(0, 101_100, 150):
        keys = [hashlib.sha256(liar.seed + b"%d" % (number + each)).digest() for each in range(150)]
        liar.gossip([Update(key, 1, 0, ALIVE) for key in keys])
        if number % 3000 == 0:
            yield


def invented_with_records(liar: Liar) -> Iterator[None]:
    """16,600 members with good records, at ports where nobody is; as many as there is time for."""
    for start in range(0, 16_600, 30):
        keys = [liar.invent(start + each) for each in range(30)]
        records = [
            protocol.record(key, liar.network, f"tcp://127.0.0.3:{10_000 + start + number}", liar.generation)
            for number, key in enumerate(keys)
        ]
        liar.gossip([Update(key.peer, liar.generation, 0, ALIVE) for key in keys], records)
        yield


def incarnations(liar: Liar) -> Iterator[None]:
    """The first node has refuted a thousand times more than it has."""
    first = liar.nodes[0][0]
    while True:
        held = liar.known.get(first)
        if held is not None:
            above = min(held.incarnation + 1000, protocol.MAX_INCARNATION)
            liar.gossip([Update(first, held.generation, above, ALIVE)])
        yield


def crowd(liar: Liar) -> Iterator[None]:
    """Sixty-six keys, each connected to every node."""
    for number in range(66):
        liar.more += liar.under(liar.invent(number))
        yield


def never_answers(liar: Liar) -> Iterator[None]:
    """Sixteen keys that take each request for a value and answer none."""
    liar.answers = False
    liar.more += [line for number in range(15) for line in liar.under(liar.invent(number))]
    yield


def pings(liar: Liar) -> Iterator[None]:
    """Fifty thousand Pings a second, if they go."""
    liar.answers = False
    frames = protocol.ping(0)
    while True:
        for line in liar.lines:
            if line.up:
                for _ in range(5000 // len(liar.lines)):
                    line.send(frames)
        yield


def empty_frames(liar: Liar) -> Iterator[None]:
    """From keys that never say Hello: one message of 300,000 empty frames, again and again."""
    message = [b""] * 300_000
    for number in range(100):
        for peer, endpoint in liar.nodes:
            line = Line(liar, liar.invent(number), b"", peer, endpoint)
            line.send(message)
            liar.more.append(line)
        for _ in range(20):
            yield


def decent(_liar: Liar) -> Iterator[None]:
    """Does not lie at all."""
    yield


ROWS: dict[str, Row] = {
    row.__name__: row
    for row in (
        farewells, later_lives, down_in_each_life, invented, invented_with_records, incarnations, crowd, pings,
        never_answers, empty_frames, decent,
    )
}  # fmt: skip


def main(row: str, network: str, seed: str, *nodes: str) -> None:
    liar = Liar(network, bytes.fromhex(seed), nodes)
    for line in liar.lines:
        line.introduce()
    deadline, lies, told = time.monotonic() + MET_WITHIN, None, 0
    while not _ended():
        _listen(liar)
        if lies is None and (len(liar.known) == len(nodes) or time.monotonic() > deadline):
            print(json.dumps({"met": len(liar.known)}), flush=True)
            lies = ROWS[row](liar)
        if lies is not None:
            next(lies, None)
            told += 1
            if told % ROUND == 0:
                _report(liar)
    _report(liar)
    for line in (*liar.lines, *liar.more):
        line.socket.close(linger=0)


def _report(liar: Liar) -> None:
    turned_out = sum(line.turned_out for line in (*liar.lines, *liar.more))
    print(json.dumps({"sent": liar.sent, "full": liar.full, "turned_out": turned_out}), flush=True)


def _listen(liar: Liar) -> None:
    """Take what comes, for one tick."""
    until = time.monotonic() + TICK
    by_socket = {line.socket: line for line in (*liar.lines, *liar.more)}
    poller = zmq.Poller()
    for socket in by_socket:
        poller.register(socket, zmq.POLLIN)
    while (left := until - time.monotonic()) > 0:
        for socket, _ in poller.poll(int(left * 1000)):
            by_socket[socket].hear(socket.recv_multipart())


def _ended() -> bool:
    poller = zmq.Poller()
    poller.register(sys.stdin, zmq.POLLIN)
    return bool(poller.poll(0))


if __name__ == "__main__":
    main(*sys.argv[1:])
