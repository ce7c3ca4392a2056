"""Many peers in one process, each a DEALER of pyzmq that joins a node, or greets a bare ROUTER, and stays.

`python -m benchmarks.transport_crowd KIND ADDRESS`, then a number a line: so many more, answered when all have joined.
"""

from __future__ import annotations

import resource
import sys
import time

import zmq

from benchmarks.transport_shared import SERVER
from rookery.transport import Identity, PeerRecord
from rookery.transport.core.codec import VERSION, Hello, Ready, Welcome, decode_control, encode_control

_AT_ONCE = 20


class Crowd:
    """The peers, and the one address they join."""

    def __init__(self, kind: str, address: str) -> None:
        self.joins = kind != "bare"
        self.address = address
        self.context = zmq.Context(io_threads=1)
        self.context.set(zmq.MAX_SOCKETS, 20_000)
        self.sockets: list[zmq.Socket[bytes]] = []

    def grow(self, number: int) -> None:
        """So many more."""
        for start in range(0, number, _AT_ONCE):
            self._greet([self._peer() for _ in range(min(_AT_ONCE, number - start))])

    def close(self) -> None:
        """All leave; a bare ROUTER is told."""
        if not self.joins:
            self.sockets[0].send(b".")
        for socket in self.sockets:
            socket.close(linger=500)
        self.context.term()

    def _peer(self) -> tuple[zmq.Socket[bytes], Identity]:
        identity = Identity.generate()
        socket = self.context.socket(zmq.DEALER)
        socket.curve_serverkey = SERVER.curve_public
        socket.curve_publickey, socket.curve_secretkey = identity.curve_public, identity.curve_secret
        socket.connect(self.address)
        self.sockets.append(socket)
        return socket, identity

    def _greet(self, peers: list[tuple[zmq.Socket[bytes], Identity]]) -> None:
        for socket, identity in peers:
            if self.joins:
                record = PeerRecord.sign(identity, network="default", address=None, generation=int(time.time()))
                socket.send(encode_control(Hello((VERSION,), "default", record.encode(), packets=False, proof=None)))
            else:
                socket.send(b"?")
        for socket, _ in peers:
            answer = socket.recv()
            if self.joins:
                welcome = decode_control(answer)
                assert isinstance(welcome, Welcome), welcome
                socket.send(encode_control(Ready(welcome.nonce)))


def main() -> None:
    """Grow as told."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowd = Crowd(sys.argv[1], sys.argv[2])
    print("ready", flush=True)
    for line in sys.stdin:
        crowd.grow(int(line))
        print(len(crowd.sockets), flush=True)
    crowd.close()


if __name__ == "__main__":
    main()
