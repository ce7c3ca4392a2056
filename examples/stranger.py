"""A member that is written from docs/protocol.md alone, with nothing of Rookery. It leaves when its input ends.

    python examples/stranger.py PEERID@tcp://127.0.0.1:7000 NETWORK KEY TEXT

joins by that node, fetches the small file KEY and serves one of TEXT. It accuses nobody, and speaks only of itself.
"""

import os
import struct
import sys
import time
from collections import Counter
from hashlib import sha256, sha512
from typing import Any

import msgpack
import zmq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def sha(data: bytes) -> bytes:
    return sha256(data).digest()


def curve(peer: bytes) -> bytes:
    y, prime = int.from_bytes(peer, "little") % 2**255, 2**255 - 19
    return ((1 + y) * pow(1 - y, -1, prime) % prime).to_bytes(32, "little")


class Stranger:
    def __init__(self, node: str, network: str, wanted: str, text: str) -> None:
        secret, self.farewell, self.nonce, content = os.urandom(32), os.urandom(16), os.urandom(16), text.encode()
        self.key, scalar = Ed25519PrivateKey.from_private_bytes(secret), bytearray(sha512(secret).digest()[:32])
        scalar[0], scalar[31], self.incarnation = scalar[0] & 248, scalar[31] & 127 | 64, 0
        self.peer, self.generation = self.key.public_key().public_bytes_raw(), time.time_ns() // 10**6
        self.node, self.taken, self.chain = bytes.fromhex(node[:64]), Counter[Any](), [os.urandom(16)]
        for _ in range(1024):
            self.chain.insert(0, sha(self.chain[0])[:16])
        manifest = msgpack.packb([1, 1, len(content), 65536, sha(content) if content else b""])
        self.blocks, self.wanted = {sha(block): block for block in (content, manifest)}, [bytes.fromhex(wanted)]
        self.links, self.whose, self.records = dict[bytes, Any](), dict[Any, bytes](), dict[bytes, Any]()
        context: Any = zmq.Context.instance()  # the options that its sockets have
        context.curve_secretkey, context.curve_publickey, context.linger = bytes(scalar), curve(self.peer), 500
        self.sockets = self.zap, listener, dialler = [*map(context.socket, (zmq.REP, zmq.ROUTER, zmq.ROUTER))]
        self.zap.bind("inproc://zeromq.zap.01")
        listener.curve_server = True
        address = f"tcp://127.0.0.1:{listener.bind_to_random_port('tcp://127.0.0.1')}"
        self.items = [2, network, self.peer, address, self.generation, b"", self.chain[0], sha(self.farewell)[:16]]
        self.record = msgpack.packb([*self.items, self.key.sign(b"rookery-record-2\0" + msgpack.packb(self.items))])
        dialler.curve_serverkey, dialler.connect_routing_id = curve(self.node), b"node"
        dialler.connect(node[65:])
        self.send((dialler, b"node"), [2, 0, [2], network, self.record, 1, None, {}])
        print("I am", self.peer.hex(), "and have", sha(manifest).hex(), flush=True)

    def run(self) -> None:
        poller, second = zmq.Poller(), int(time.monotonic())
        for source in (*self.sockets, sys.stdin):
            poller.register(source, zmq.POLLIN)
        while sys.stdin.fileno() not in (ready := dict(poller.poll(200))):
            if self.zap in ready:
                version, number, *_, key = self.zap.recv_multipart()
                self.zap.send_multipart([version, number, b"200", b"OK", key.hex().encode(), b""])
            for socket in set(self.sockets[1:]).intersection(ready):
                route, *frames = socket.recv_multipart(copy=False)
                try:
                    self.receive((socket, route.bytes), frames)
                except Exception as error:  # whatever a peer sends must not end us
                    self.send((socket, route.bytes), [2, 4, "protocol"])
                    print("refused:", repr(error), flush=True)
            if time.monotonic() > second:
                second += 1
                for link, taken in self.taken.items():
                    self.send(link, [2, 5, taken, {}])
                for peer in self.links:
                    self.swim(peer, 1, [second])  # a Ping
        for peer, link in self.links.items():
            self.swim(peer, 9, [], [self.peer, self.generation, self.incarnation, 3, self.farewell])  # Left
            self.send(link, [2, 4, "shutdown"])

    def send(self, link: Any, message: list[Any], *heads: bytes) -> None:
        link[0].send_multipart([link[1], *heads, msgpack.packb(message)])

    def blobs(self, link: Any, *message: Any) -> None:
        payload = msgpack.packb([2, *message])
        link[0].send_multipart([link[1], struct.pack(">BBHBI", 1, 0, 1, 1, len(payload)) + payload])

    def swim(self, peer: bytes, kind: int, fields: list[Any], *updates: list[Any]) -> None:
        proof = self.chain[self.incarnation] if self.incarnation else b""
        head = [2, kind, self.peer, self.generation, self.incarnation, proof, peer, self.records[peer][4]]
        self.send(self.links[peer], [2, msgpack.packb([*head, fields, updates, []]), [self.record], []], b"\2\0")

    def meet(self, link: Any, record: bytes, key: str) -> None:
        items = msgpack.unpackb(record)
        Ed25519PublicKey.from_public_bytes(items[2]).verify(items[8], b"rookery-record-2\0" + msgpack.packb(items[:8]))
        if items[:2] != self.items[:2] or curve(items[2]).hex() != key:
            raise ValueError("a record of another network, or of somebody else")
        self.links[items[2]], self.whose[link], self.records[items[2]] = link, items[2], items

    def receive(self, link: Any, frames: list[Any]) -> None:
        first, *rest = (frame.bytes for frame in frames)
        match msgpack.unpackb(first, strict_map_key=False) if first[:1] > b"\2" else [first[:2]]:
            case [2, 0, _, _, record, _, _, _]:  # Hello, answered by Welcome
                self.meet(link, record, frames[0].get("User-Id"))
                self.send(link, [2, 1, 2, self.nonce, self.record, None, {}])
            case [2, 1, 2, _, record, _, _]:  # Welcome to our packet link, followed by an Announce
                self.meet(link, record, curve(self.node).hex())
                self.swim(self.node, 7, [])
            case [2, 2, self.nonce]:  # Ready: a connection
                self.taken[link] = 0
                self.blobs(link, 0, 0, self.wanted[0], 0)
            case [2, 5, _, _]:  # Ping, answered by Pong
                self.send(link, [2, 6, self.taken[link], {}])
            case [b"\1\0"]:  # a batch
                at, large = 4 + 5 * int.from_bytes(first[2:4], "big"), iter(rest)
                for channel, length in struct.iter_unpack(">BI", first[4:at]):
                    payload = next(large) if length >> 31 else first[at : at + length]
                    at, self.taken[link] = at if length >> 31 else at + length, self.taken[link] + 1
                    if channel == 1:
                        self.block(link, *msgpack.unpackb(payload)[1:])
            case [b"\2\0"] if data := msgpack.unpackb(rest[0])[1]:
                _, kind, *_, fields, updates, _ = msgpack.unpackb(data)
                self.packet(self.whose[link], kind, fields, updates)
            case [2, 3 | 4, reason, *_]:  # Reject, Bye
                print("closed:", reason, "after", self.taken.pop(link, 0), "messages", flush=True)

    def block(self, link: Any, kind: int, number: int, value: bytes = b"", priority: int = 0) -> None:
        if kind == 0:  # a Request
            self.blobs(link, *([1, number, self.blocks[value]] if value in self.blocks else [2, number]))
        elif kind == 1 and sha(value) == self.wanted[number]:
            print("block", value.hex(), flush=True)
            if number == 0 and (digests := msgpack.unpackb(value)[4]):
                self.wanted.append(digests[:32])
                self.blobs(link, 0, 1, digests[:32], 0)

    def packet(self, peer: bytes, kind: int, fields: list[Any], updates: list[Any]) -> None:
        for update in [[self.peer, *fields[:4]]] if kind == 10 else updates:  # 10: a TurnUndead
            match update:
                case [self.peer, self.generation, said, 1 | 2, *proof] if said == 0 or proof[0] == self.chain[said]:
                    self.incarnation = max(self.incarnation, said + 1)
                    print("incarnation", self.incarnation, flush=True)
        if kind in (1, 10):  # Ping, TurnUndead: Ack
            self.swim(peer, 2, fields[-1:])
        elif kind == 4:  # IndirectPing: IndirectAck
            signed = b"rookery-answer-2\0" + struct.pack(">Q32sQQ", self.generation, *fields)
            self.swim(peer, 5, [*fields, self.key.sign(signed)])


if __name__ == "__main__":
    Stranger(*sys.argv[1:]).run()
