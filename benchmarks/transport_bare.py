"""The bare end of a transport measurement: one ROUTER socket with CURVE, a call for each message, nothing else."""

from __future__ import annotations

import threading
import time

import zmq

from benchmarks.transport_shared import BALL, BALL_EVERY, BALLS, BULK, BULK_TIMES, QUESTION, SERVER, ball
from rookery.transport import Identity

_ROUTE = b"server"


class Bare:
    """A ROUTER that listens or dials. The one that listens serves on a thread of its own."""

    def __init__(self, identity: Identity) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.router_mandatory = 1
        self.socket.sndhwm = self.socket.rcvhwm = 10_000
        self.socket.curve_secretkey, self.socket.curve_publickey = identity.curve_secret, identity.curve_public
        self.thread: threading.Thread | None = None
        self.address = ""
        if identity.peer == SERVER.peer:
            self.socket.curve_server = 1
            self.address = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"
            self.thread = threading.Thread(target=self._serve)
            self.thread.start()

    def dial(self, address: str) -> float:
        """See `End`."""
        started = time.perf_counter()
        self.socket.curve_serverkey = SERVER.curve_public
        self.socket.setsockopt(zmq.CONNECT_ROUTING_ID, _ROUTE)
        self.socket.connect(address)
        self.trips(1)
        return time.perf_counter() - started

    def stream(self, payload: bytes, times: int) -> float:
        """See `End`."""
        send = self.socket.send_multipart
        started = time.perf_counter()
        for _ in range(times):
            send([_ROUTE, payload])
        send([_ROUTE, QUESTION])
        assert self.socket.recv_multipart()[1] == b"=%d" % (times + 1)
        return time.perf_counter() - started

    def trips(self, times: int) -> float:
        """See `End`."""
        send, receive = self.socket.send_multipart, self.socket.recv_multipart
        started = time.perf_counter()
        for _ in range(times):
            send([_ROUTE, BALL])
            receive()
        return (time.perf_counter() - started) / times

    def beside(self, _how: str) -> list[float]:
        """See `Busy`."""
        send = self.socket.send_multipart
        for _ in range(BULK_TIMES):
            send([_ROUTE, BULK])
        started = time.perf_counter()
        found: list[float] = []
        for number in range(BALLS):
            self._catch(found, started, started + number * BALL_EVERY)
            send([_ROUTE, ball(number)])
        send([_ROUTE, QUESTION])
        while len(found) < BALLS:
            self._catch(found, started, time.perf_counter() + 1)
        self.socket.recv_multipart()  # how many came
        return found

    def _catch(self, found: list[float], started: float, until: float) -> None:
        """Take the balls that come back until then."""
        while len(found) < BALLS and (left := until - time.perf_counter()) > 0:
            if self.socket.poll(max(1, int(left * 1000))):
                payload = self.socket.recv_multipart()[1]
                if len(payload) == len(BALL):
                    found.append(time.perf_counter() - started - int(payload[1:]) * BALL_EVERY)

    def close(self) -> None:
        """See `End`."""
        if self.thread is None:
            self.socket.send_multipart([_ROUTE, b"."])
        else:
            self.thread.join()
        self.socket.close(linger=100)
        self.context.term()

    def _serve(self) -> None:
        """Until the other end says `.`."""
        send, receive = self.socket.send_multipart, self.socket.recv_multipart
        received = 0
        while True:
            route, payload = receive()
            received += 1
            if len(payload) == 1:
                if payload == b".":
                    return
                send([route, b"=%d" % received])
                received = 0
            elif payload[:1] == b"!":
                received -= 1
                send([route, b"=" + payload[1:]])
