"""A peer made of pyzmq alone: says whatever the test wants, in whatever order."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from types import TracebackType
from typing import Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from rookery.transport import Endpoint, Identity, PeerRecord
from rookery.transport.core.codec import (
    VERSION,
    Control,
    Extensions,
    Hello,
    Ready,
    Welcome,
    decode_control,
    encode_control,
)
from tests.transport.worlds import Node


class Relay:
    """Carries one TCP connection when pumped: of what goes to the node so many bytes as `allowed`."""

    def __init__(self, node: Endpoint, *, ip: str = "127.0.0.2") -> None:
        """ip: where it connects from."""
        self.allowed = math.inf
        self._node, self._ip = (node.host, node.port), ip
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.endpoint = Endpoint("127.0.0.1", self._listener.getsockname()[1])
        self._pair: list[socket.socket] = []

    def pump(self) -> bool:
        """Carry what there is; always true."""
        if not self._pair:
            with contextlib.suppress(BlockingIOError):
                self._pair = [self._listener.accept()[0]]
                self._pair.append(socket.create_connection(self._node, source_address=(self._ip, 0)))
        for source, sink in (self._pair, self._pair[::-1]) if self._pair else ():
            limited = sink is self._pair[1]
            with contextlib.suppress(BlockingIOError, ConnectionError):
                source.setblocking(False)
                data = source.recv(int(min(self.allowed, 65_536)) if limited else 65_536)
                source.setblocking(True)
                sink.setblocking(True)
                sink.sendall(data)
                self.allowed -= len(data) if limited else 0
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_how: object) -> None:
        for each in (self._listener, *self._pair):
            each.close()


class RawPeer:
    """One DEALER socket to one node, encrypted with the identity's CURVE key."""

    def __init__(
        self,
        node: Node,
        identity: Identity,
        *,
        routing_id: bytes | None = None,
        ip: str | None = None,
        relay: Relay | None = None,
    ) -> None:
        """ip: where to connect from, an address of loopback. relay: by which it connects."""
        self.relay = relay
        self.identity = identity
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.reconnect_ivl = -1
        if routing_id is not None:
            self.socket.routing_id = routing_id
        self.socket.curve_secretkey = identity.curve_secret
        self.socket.curve_publickey = identity.curve_public
        self.socket.curve_serverkey = node.identity.curve_public
        self.monitor = self.socket.get_monitor_socket()
        endpoint = str(node.address.endpoint if relay is None else relay.endpoint)
        self.socket.connect(endpoint if ip is None else endpoint.replace("tcp://", f"tcp://{ip}:0;"))

    def connected(self) -> None:
        """Wait for the TCP connection."""
        self._wait_for(zmq.EVENT_CONNECTED)

    def encrypted(self) -> None:
        """Wait for the end of the encrypted handshake."""
        self._wait_for(zmq.EVENT_HANDSHAKE_SUCCEEDED)

    def _wait_for(self, event: int) -> None:
        while True:
            assert self.monitor.poll(5000), "the event did not come"
            if recv_monitor_message(self.monitor)["event"] == event:
                return

    def gone(self) -> None:
        """Wait for the end of the TCP connection."""
        self._wait_for(zmq.EVENT_DISCONNECTED)

    def hello(
        self,
        *,
        network: str = "test",
        packets: bool = False,
        record: bytes | None = None,
        extensions: Extensions = (),
    ) -> None:
        own = PeerRecord.sign(self.identity, network=network, address=None, generation=int(time.time()))
        self.say(Hello((VERSION,), network, record or own.encode(), packets, None, extensions))

    def say(self, message: Control) -> None:
        self.send(encode_control(message))

    def send(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames)

    def hear(self, timeout: float = 5.0) -> Control:
        frames = self.receive(timeout)
        assert len(frames) == 1
        return decode_control(frames[0])

    def receive(self, timeout: float = 5.0) -> list[bytes]:
        deadline = time.monotonic() + timeout
        while self.relay is not None and not self.socket.poll(1) and time.monotonic() < deadline:
            self.relay.pump()
        assert self.socket.poll(int(timeout * 1000)), "nothing came"
        return self.socket.recv_multipart()

    def join(self, **hello: object) -> None:
        """The honest handshake."""
        self.hello(**hello)  # type: ignore[arg-type]
        welcome = self.hear()
        assert isinstance(welcome, Welcome), welcome
        self.say(Ready(welcome.nonce))

    def close(self) -> None:
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close(linger=200)
        self.context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
